"""How good models are that learn from fewer customers, at the same test rows."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from training.benchmark.contest import Contest, Part
from training.benchmark.rivals import LINEAR, NETWORK, SINGLE, TREES
from training.benchmark.table import Found, measured

SHARES: Final = (0.1, 0.25, 0.5, 1.0)
"""Of the customers who are not tested."""
MODELS: Final = (NETWORK, SINGLE, TREES, LINEAR)


@dataclass(frozen=True)
class Point:
    """One task at one share: what each model reached at the test rows."""

    task: str
    measure: str
    share: float
    levels: dict[str, float]


@dataclass(frozen=True)
class Curve:
    """The points of a contest, task by task."""

    points: list[Point]

    @classmethod
    def of(cls, contest: Contest, found: Found, kinds: dict[str, str]) -> "Curve":
        """Measure what was answered.

        Args:
            contest: whose rows.
            found: all models' answers at parts that differ by their share.
            kinds: of each task, as ``Output.learned_as`` says it.
        """
        parts: Sequence[Part] = sorted(found[NETWORK], key=lambda part: part.share)
        return cls(
            [
                Point(
                    row.task,
                    row.measure,
                    part.share,
                    {
                        model: measured(row.measure, kinds[row.task], cells[part][row.task])
                        for model, cells in found.items()
                        if row.task in cells[part]
                    },
                )
                for row in contest.rows
                for part in parts
                if row.task in found[NETWORK][part]
            ]
        )

    def as_json(self) -> list[dict[str, Any]]:
        """Return all of it for a file."""
        return [asdict(point) for point in self.points]

    def told(self) -> list[str]:
        """Return it as text."""
        head = f"{'task':16}  {'measure':9}  customers  " + "  ".join(f"{model:>9}" for model in MODELS)
        return [head, *(_told(point) for point in self.points)]


def _told(point: Point) -> str:
    levels = (f"{point.levels[model]:9.4f}" if model in point.levels else " " * 9 for model in MODELS)
    return f"{point.task:16}  {point.measure:9}  {point.share:9.0%}  " + "  ".join(levels)
