"""What a benchmark found: each line's levels, differences with intervals, and whether it holds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from training.benchmark.cells import Answers, Cell
from training.benchmark.contest import Contest, Part, Row
from training.benchmark.rivals import MODELS, NETWORK, SINGLE, TREES
from training.measures import calibration_error, gini, log_loss, roc_auc, spearman
from training.tasks import KINDS

LESS: Final = frozenset({"log_loss"})
"""Measures of which less is better."""
RESAMPLES: Final = 300
ECE_ROWS: Final = 4_000
"""Test rows from which on a calibration error says something."""
ECE_MOST: Final = 0.02
"""In distribution."""
ECE_ABOVE: Final = 0.01
"""Out of time: so much above LightGBM's at most."""
SINGLE_LEAST: Final = {"roc_auc": -0.005, "spearman": -0.005, "gini": -0.005}
"""How far the network of all tasks may stay behind networks of one."""
SINGLE_LOG_LOSS: Final = 0.01
"""Likewise, as a share of their log loss."""
Found = dict[str, dict[Part, Cell]]
"""Model → part → what it answered."""


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        row: what is compared.
        rows: test rows, over all counted parts.
        levels: each model's measure, the mean over the counted parts.
        ahead: how far the network is ahead of each other model: the mean difference, + where the network is better.
        interval: of the difference to LightGBM, 95 % of the bootstrap by customer over all counted parts.
        seeds: the differences to LightGBM on the part that was run with several seeds.
        ece: the calibration error of network and LightGBM over all counted test rows; empty for amounts.
        misses: what does not hold, each in a few words.
    """

    row: Row
    rows: int
    levels: dict[str, float]
    ahead: dict[str, float]
    interval: tuple[float, float]
    seeds: list[float]
    ece: dict[str, float]
    misses: list[str]

    @property
    def void(self) -> bool:
        """Say if LightGBM is not as good as it can be, so that being ahead of it would mean nothing."""
        level = self.row.level
        return level is not None and _better(self.row.measure, level, self.levels[TREES]) > 0.0


@dataclass(frozen=True)
class Table:
    """A contest and its lines."""

    contest: Contest
    parts: int
    lines: list[Line]

    @classmethod
    def of(cls, contest: Contest, found: Found, kinds: dict[str, str]) -> "Table":
        """Compare what was answered.

        Args:
            contest: whose rows.
            found: all models' answers.
            kinds: of each task, as ``Output.learned_as`` says it.
        """
        counted = [part for part in found[NETWORK] if contest.counted(part)]
        rows = [row for row in contest.rows if all(row.task in found[NETWORK][part] for part in counted)]
        return cls(contest, len(counted), [_line(contest, row, found, kinds[row.task]) for row in rows])

    @property
    def holds(self) -> bool:
        """Say if every line holds."""
        return not any(line.misses or line.void for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """Return all of it for a file."""
        lines = [asdict(line) | {"void": line.void} for line in self.lines]
        return {"set": self.contest.name, "parts": self.parts, "holds": self.holds, "lines": lines}

    def told(self) -> list[str]:
        """Return the table as text."""
        models = [model for model in MODELS if any(model in line.levels for line in self.lines)]
        head = ("task", "measure", "rows", *models, "network - lightgbm", "95 %", "seeds", "required", "ECE", "")
        cells = [head, *(_cells(line, models) for line in self.lines)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
        return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cells(line: Line, models: Sequence[str]) -> tuple[str, ...]:
    row = line.row
    low, high = line.interval
    return (
        row.task,
        row.measure,
        f"{line.rows:,}",
        *(f"{line.levels[model]:.4f}" if model in line.levels else "" for model in models),
        f"{line.ahead[TREES]:+.4f}",
        f"{low:+.4f} to {high:+.4f}",
        f"{np.mean(line.seeds):+.4f} ± {np.std(line.seeds):.4f}" if len(line.seeds) > 1 else "",
        "" if row.required is None else f"{row.required:+.3f}",
        " / ".join(f"{line.ece[model]:.3f}" for model in (NETWORK, TREES)) if line.ece else "",
        "; ".join([*line.misses, *(["void: LightGBM is below its level"] if line.void else [])]) or "holds",
    )


def _line(contest: Contest, row: Row, found: Found, kind: str) -> Line:
    counted = [part for part in found[NETWORK] if contest.counted(part)]
    answers = {
        model: [cells[part][row.task] for part in counted]
        for model, cells in found.items()
        if all(part in cells for part in counted)
    }
    levels = {
        model: float(np.mean([measured(row.measure, kind, each) for each in some])) for model, some in answers.items()
    }
    ahead = {model: _better(row.measure, levels[NETWORK], level) for model, level in levels.items() if model != NETWORK}
    first = counted[0]
    repeated = [part for part in found[NETWORK] if part.fold == first.fold]
    seeds = [
        _better(row.measure, *(measured(row.measure, kind, found[model][part][row.task]) for model in (NETWORK, TREES)))
        for part in repeated
    ]
    ece = {} if kind in {"value", "expected"} else {model: _ece(kind, answers[model]) for model in (NETWORK, TREES)}
    line = Line(
        row,
        sum(len(each.target) for each in answers[NETWORK]),
        levels,
        ahead,
        _interval(row, kind, answers),
        seeds,
        ece,
        [],
    )
    line.misses.extend(_misses(contest, line))
    return line


def _interval(row: Row, kind: str, answers: dict[str, list[Answers]]) -> tuple[float, float]:
    """Return the middle 95 % of the mean difference to LightGBM when customers are drawn anew, with replacement.

    The same customers are drawn for both models, in each part for itself.
    """
    rng = np.random.default_rng(1)
    differences = np.zeros(RESAMPLES)
    for network, trees in zip(answers[NETWORK], answers[TREES], strict=True):
        order = np.argsort(network.customer, kind="stable")
        starts = np.flatnonzero(np.diff(network.customer[order], prepend=-1))
        counts = np.diff(np.r_[starts, len(order)])
        for number in range(RESAMPLES):
            drawn = rng.integers(0, len(starts), len(starts))
            ends = np.cumsum(counts[drawn])
            rows = order[np.arange(ends[-1]) - np.repeat(ends - counts[drawn] - starts[drawn], counts[drawn])]
            found = [
                measured(row.measure, kind, Answers(each.customer, each.target[rows], each.scores[rows]))
                for each in (network, trees)
            ]
            differences[number] += _better(row.measure, *found) / len(answers[NETWORK])
    low, high = np.nanquantile(differences, (0.025, 0.975))
    return float(low), float(high)


def _mean(measure: str, kind: str, parts: Sequence[Answers]) -> float:
    return float(np.mean([measured(measure, kind, each) for each in parts]))


def measured(measure: str, kind: str, answers: Answers) -> float:
    """Return a measure of some answers, as ``Kind.measure`` gives it, but none of the others."""
    scores, target = answers.scores, answers.target
    if measure == "roc_auc":
        return roc_auc(scores[:, 0], target > 0)
    if measure == "spearman":
        return spearman(scores[:, 0], target)
    if measure == "gini":
        return gini(scores[:, 0], np.expm1(target))
    if measure == "log_loss":
        chances = scores if kind == "multiclass" else np.column_stack([1 - scores, scores])
        return log_loss(chances, target.astype(np.int64))
    return KINDS[kind].measure(scores, target, None)[measure]


def _better(measure: str, a: float, b: float) -> float:
    """Return how much better a is than b."""
    return b - a if measure in LESS else a - b


def _ece(kind: str, parts: Sequence[Answers]) -> float:
    target, scores = np.concatenate([each.target for each in parts]), np.concatenate([each.scores for each in parts])
    if kind == "binary":
        return calibration_error(scores[:, 0], target > 0)
    return calibration_error(scores.max(axis=1), scores.argmax(axis=1) == target)


def _misses(contest: Contest, line: Line) -> list[str]:
    row, found = line.row, []
    if row.required is not None and line.ahead[TREES] < row.required:
        found.append(f"behind LightGBM by more than {-row.required:g}")
    if row.absolute is not None and _better(row.measure, line.levels[NETWORK], row.absolute) < 0.0:
        found.append(f"not {row.absolute:g}")
    if row.required is not None and SINGLE in line.ahead:
        least = SINGLE_LEAST.get(row.measure, -SINGLE_LOG_LOSS * line.levels[SINGLE])
        if line.ahead[SINGLE] < least:
            found.append(f"behind networks of one task by more than {-least:.3g}")
    if contest.needs_source and line.ece and line.rows >= ECE_ROWS:
        most = ECE_MOST if contest.folds else line.ece[TREES] + ECE_ABOVE
        if line.ece[NETWORK] > most:
            found.append(f"calibration error above {most:.3f}")
    return found
