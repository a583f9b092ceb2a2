"""What a demo does and where: sizes, paces and places, as they were asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACED_SHARE: Final = 0.6
"""Most of the log that goes at the watchable pace; the rest shows how fast it can be."""
LEAST_RATE: Final = 50.0
"""Records a second, however short the log."""


@dataclass(frozen=True)
class Places:
    """The files of a demo, all in one folder."""

    out: Path

    @property
    def bank(self) -> Path:
        """Return the folder of the simulated bank."""
        return self.out / "bank"

    @property
    def bundle(self) -> Path:
        """Return the bundle that was trained on it."""
        return self.out / "bundle"

    @property
    def summary(self) -> Path:
        """Return where the summary is kept."""
        return self.out / "summary.txt"

    @property
    def scores(self) -> Path:
        """Return where the live scores go."""
        return self.out / "scores.parquet"

    @property
    def alerts(self) -> Path:
        """Return where the live alerts go."""
        return self.out / "alerts.parquet"

    @property
    def letters(self) -> Path:
        """Return where the live dead letters go."""
        return self.out / "dead-letters.parquet"

    @property
    def replay(self) -> Path:
        """Return the folder of what a replay gives: what the stream is compared with."""
        return self.out / "replay"

    @property
    def logs(self) -> Path:
        """Return the folder of what the processes print."""
        return self.out / "logs"

    @property
    def servers(self) -> Path:
        """Return the folder in which broker and store work."""
        return self.out / "servers"


@dataclass(frozen=True)
class Plan:
    """A demo as it was asked for.

    Attributes:
        places: where its files go.
        data: the interchange folder; made by the demo if it is its own.
        bundle: the bundle; likewise.
        simulated: whether bank and bundle are the demo's own.
        seed: of the bank and of the training.
        customers: of the bank.
        months: of the bank.
        epochs: most passes of the training.
        rate: records a second while it can be watched.
        pace_s: how long it can be watched.
    """

    places: Places
    data: Path
    bundle: Path
    simulated: bool
    seed: int
    customers: int
    months: int
    epochs: int
    rate: float
    pace_s: float

    def paced(self, records: int) -> int:
        """Return how many records of a log go at the watchable pace."""
        return max(1, min(round(PACED_SHARE * records), round(self.rate * self.pace_s)))

    def pace(self, records: int) -> float:
        """Return at how many records a second: as asked, or slower for a log that would be over at once."""
        return min(self.rate, max(LEAST_RATE, self.paced(records) / self.pace_s))
