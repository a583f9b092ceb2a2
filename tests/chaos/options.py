"""What a campaign is to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

SHORT_RATE: Final = 1_200
RATE: Final = 1_600
MINUTES: Final = 8.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a campaign is to do.

    Attributes:
        seed: every decision follows from it.
        minutes: for how long faults strike, about; there are more of them the longer it is.
        records: how many the loader must have had acknowledged before it may stop.
        rate: records a second.
        partitions: of the input topic.
        workers: between faults; must be two at least for another to take over.
        faults: which ones; none named: all.
        delivery: of the workers.
        session_timeout_ms: of the workers.
        named: whether every other worker is a static member of the group.
        out: an empty folder for logs, the captured log and the verdict.
        short: a handful of each of the most telling faults.
        without: the protection that the test kit switches off; empty for none.
    """

    seed: int
    out: Path
    minutes: float = MINUTES
    records: int = 0
    rate: int = RATE
    partitions: int = 4
    workers: int = 2
    faults: tuple[str, ...] = ()
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    session_timeout_ms: int = 4_000
    named: bool = True
    short: bool = False
    without: str = ""
