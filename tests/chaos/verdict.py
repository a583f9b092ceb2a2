"""What a campaign has shown, as text and as JSON."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.checker import ALERTS, LETTERS, ROWS, SCORES, Found
from tests.chaos.faults.known import BROKER
from tests.chaos.options import Options
from tests.chaos.tally import Tally


@dataclass
class Checked:
    """What the comparison has found.

    Attributes:
        kinds: by kind.
        misplaced: where the log is not what the loader was told.
        records: in the log.
        acknowledged: of them, to the loader.
        seconds: that the comparison took.
    """

    kinds: dict[str, Found] = field(default_factory=dict)
    misplaced: list[str] = field(default_factory=list)
    records: int = 0
    acknowledged: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What a campaign has shown.

    Attributes:
        options: of the campaign.
        settings: of its workers that differ from the defaults.
        tally: what happened.
        checked: what was found.
        seconds: that all of it took.
    """

    options: Options
    settings: str
    tally: Tally
    checked: Checked
    seconds: float

    @property
    def violations(self) -> dict[str, int]:
        """Return how often each promise was broken."""
        kinds = self.checked.kinds
        messages = [kinds[kind] for kind in (SCORES, ALERTS, LETTERS)]
        may_repeat = (SCORES, LETTERS) if self.options.delivery == "at_least_once" else ()
        rows = kinds[ROWS]
        return {
            "lost": sum(found.missing for found in messages),
            "duplicated": sum(kinds[kind].repeated for kind in (SCORES, LETTERS) if kind not in may_repeat),
            "wrong": sum(found.different for found in messages),
            "invented": sum(found.unexpected for found in messages),
            "stale": rows.missing + rows.different + rows.unexpected + rows.repeated,
            "misplaced": len(self.checked.misplaced),
            "workers_ended": self.tally.ended,
        }

    @property
    def good(self) -> bool:
        """Return whether no promise was broken."""
        return not any(self.violations.values())

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        tally, kinds = self.tally, self.checked.kinds
        resumed = tally.resume_s
        return {
            "seed": self.options.seed,
            "good": self.good,
            "delivery": self.options.delivery,
            "without": self.options.without,
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "check_seconds": round(self.checked.seconds, 1),
            "records": self.checked.records,
            "acknowledged": self.checked.acknowledged,
            "scores": kinds[SCORES].expected,
            "dead_letters": kinds[LETTERS].expected,
            "alerts": kinds[ALERTS].expected,
            "alerts_repeated": kinds[ALERTS].repeated,
            "scores_repeated": kinds[SCORES].repeated,
            "rows": kinds[ROWS].expected,
            "kills": tally.kills,
            "redis_losses": tally.redis_losses,
            "redis_bytes_lost": tally.lost_bytes,
            "broker_faults": sum(tally.faults[name] for name in BROKER),
            "zombies": tally.zombies,
            "zombies_fenced_with_work": tally.fenced.total(),
            "fenced_by": dict(sorted(tally.fenced.items())),
            "scalings": tally.faults["scale"],
            "faults": dict(sorted(tally.faults.items())),
            "skipped": tally.skipped,
            "resume_s": [round(value, 2) for value in resumed],
            "not_resumed": tally.not_resumed,
            "sigterm_s": [round(value, 2) for value in tally.stop_s],
            "violations": self.violations,
            "told": {kind: found.told for kind, found in kinds.items() if found.told},
            "misplaced": self.checked.misplaced[:20],
            "notes": tally.notes,
        }

    def text(self) -> str:
        """Return what a person wants to know of it."""
        return "\n".join(f"{name:<22} {value}" for name, value in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        told, tally = self.as_json(), self.tally
        yield "seed", f"{told['seed']}, {told['delivery']}{self._without}"
        yield "took", f"{self.seconds:.0f} s, of which the comparison {self.checked.seconds:.0f} s"
        yield "settings", self.settings
        yield "records in the log", f"{told['records']:,}, acknowledged to the loader {told['acknowledged']:,}"
        yield "scores, dead letters", f"{told['scores']:,}, {told['dead_letters']:,}"
        yield "alerts", f"{told['alerts']:,}, of which {told['alerts_repeated']:,} repeated, byte for byte the same"
        yield "rows", f"{told['rows']:,}"
        yield "kills of workers", f"{tally.kills}"
        yield "losses of Redis", f"{tally.redis_losses}, {tally.lost_bytes:,} bytes it had acknowledged"
        yield "faults of the broker", f"{told['broker_faults']}"
        by = ", ".join(f"{times} by the {name}" for name, times in sorted(tally.fenced.items()) if times)
        yield (
            "zombies",
            f"{tally.zombies}, fenced holding uncommitted work {tally.fenced.total()}{f' ({by})' if by else ''}",
        )
        yield "scalings under load", f"{told['scalings']}"
        yield "all faults", ", ".join(f"{name} {times}" for name, times in told["faults"].items())
        for name, reason in tally.skipped.items():
            yield f"skipped {name}", reason
        if tally.resume_s:
            middle, times = statistics.median(tally.resume_s), len(tally.resume_s)
            told_s = f"median {middle:.1f} s, longest {max(tally.resume_s):.1f} s"
            yield "resumed after SIGKILL", f"{told_s}, of {times} kills with nothing else at the same time"
        if tally.not_resumed:
            yield "not resumed in 20 s", f"{tally.not_resumed} kills more, which are not in these figures"
        if tally.stop_s:
            yield "stopped after SIGTERM", f"longest {max(tally.stop_s):.1f} s of {len(tally.stop_s)}"
        for note in tally.notes:
            yield "note", note
        for kind, found in self.checked.kinds.items():
            for line in found.told:
                yield kind, line
        for line in self.checked.misplaced[:5]:
            yield "log", line
        yield "violations", ", ".join(f"{name} {times}" for name, times in told["violations"].items())
        yield "verdict", "nothing lost, doubled or wrong" if self.good else "a promise was broken"

    @property
    def _without(self) -> str:
        return f", without {self.options.without}" if self.options.without else ""
