"""The calendar of a simulation: days, months, cuts and the rhythm of the week and of the year."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import (
    CASH,
    DINING,
    GROCERIES,
    OWN_TYPES,
    SHOPPING,
    TRANSFER_OUT,
    TRAVEL,
    Flags,
    Floats,
    Ints,
)

FIRST_DAY: Final = np.datetime64("2023-01-01", "D")
DAY_MS: Final = 86_400_000
LOOK_AHEAD_DAYS: Final = 200
"""The calendar goes on beyond the log, so that the oracle can look past its end (longest horizon: 180 days)."""
MONTH_DAYS: Final = 32
"""Size of a table over days of the month (index 0 stands for "never")."""

_WEEK: Final[dict[int, tuple[float, ...]]] = {  # Monday … Sunday, mean about 1
    GROCERIES: (0.8, 0.8, 0.9, 1.0, 1.4, 1.7, 0.4),
    DINING: (0.5, 0.6, 0.8, 0.9, 1.5, 1.7, 1.0),
    SHOPPING: (0.8, 0.8, 0.9, 1.0, 1.2, 1.6, 0.7),
    CASH: (1.1, 0.9, 0.9, 1.0, 1.5, 1.2, 0.4),
    TRANSFER_OUT: (1.3, 1.2, 1.1, 1.1, 1.1, 0.6, 0.6),
}
_YEAR: Final[dict[int, tuple[float, ...]]] = {  # January … December, mean about 1
    GROCERIES: (0.95, 0.95, 1.0, 1.0, 1.0, 1.0, 0.95, 0.95, 1.0, 1.0, 1.0, 1.2),
    DINING: (0.85, 0.9, 0.95, 1.0, 1.1, 1.1, 1.1, 1.05, 1.0, 0.95, 0.9, 1.1),
    SHOPPING: (0.85, 0.8, 0.9, 0.95, 0.95, 0.95, 0.95, 0.9, 0.95, 1.0, 1.3, 1.5),
    TRAVEL: (0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.7, 1.5, 1.0, 0.8, 0.6, 0.6),
}


@dataclass(frozen=True)
class Timeline:
    """Days 0 … `days` - 1 of the log, counted from `FIRST_DAY`, and the look-ahead behind them."""

    days: int
    day_of_month: Ints
    rhythm: Floats
    """Factor on the frequency of each own-initiated type, shape (days, types)."""
    cuts: tuple[int, ...]
    """Days at whose 00:00 UTC a month begins."""

    @classmethod
    def of_months(cls, months: int) -> "Timeline":
        """Return the calendar of the first `months` months from `FIRST_DAY`."""
        first_month = FIRST_DAY.astype("datetime64[M]")
        starts = (first_month + np.arange(months + 1)).astype("datetime64[D]")
        cuts = (starts - FIRST_DAY).astype(np.int64)
        dates = FIRST_DAY + np.arange(int(cuts[-1]) + LOOK_AHEAD_DAYS)
        month = dates.astype("datetime64[M]")
        day_of_month = (dates - month.astype("datetime64[D]")).astype(np.int64) + 1
        weekday = (dates.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        rhythm = np.ones((len(dates), len(OWN_TYPES)))
        for kind, factors in _WEEK.items():
            rhythm[:, kind] *= np.asarray(factors)[weekday]
        for kind, factors in _YEAR.items():
            rhythm[:, kind] *= np.asarray(factors)[month.astype(np.int64) % 12]
        return cls(int(cuts[-1]), day_of_month, rhythm, tuple(int(cut) for cut in cuts[:-1]))

    def due(self, day: int, span: int = 1) -> Flags:
        """Return a table over days of the month: which of them lie in the `span` days from `day`."""
        table = np.zeros(MONTH_DAYS, dtype=np.bool_)
        table[self.day_of_month[day : day + span]] = True
        return table

    def is_month_end(self, day: int) -> bool:
        """Tell whether `day` is the last of its month."""
        return bool(self.day_of_month[day + 1] == 1)

    def is_quarter_end(self, day: int) -> bool:
        """Tell whether `day` is the last of its quarter."""
        return bool(str(FIRST_DAY + day + 1)[5:] in {"01-01", "04-01", "07-01", "10-01"})


def epoch_ms(day: Ints | int, offset_ms: Ints | int = 0) -> Ints:
    """Return milliseconds since 1970 of an offset into days of the simulation."""
    first = FIRST_DAY.astype("datetime64[ms]").astype(np.int64)
    return np.asarray(first + np.asarray(day, dtype=np.int64) * DAY_MS + np.asarray(offset_ms), dtype=np.int64)
