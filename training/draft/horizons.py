"""How far a log can look ahead, and how often to look."""

import math
from typing import Final

ROUND_DAYS: Final = (1, 2, 3, 7, 14, 30, 60, 90, 180, 365)
"""Horizons that people ask for."""
PARTS: Final = 4
"""A log is at least so many horizons long: history before the rows, rows at different times, and a test part after."""
_CUTS: Final = (30, 14, 7, 3, 1)
_FEWEST_CUTS, _FEWEST_TICKS = 12, 3_000
_YEAR: Final = 365


def carried(days: float) -> tuple[int, ...]:
    """Return the horizons that a log of so many days carries, ascending."""
    return tuple(horizon for horizon in ROUND_DAYS if horizon * PARTS <= days)


def nearest(horizons: tuple[int, ...], wanted: float) -> list[int]:
    """Return horizons in the order of their nearness to a wanted one, by ratio; the longer first on a tie."""
    return sorted(horizons, key=lambda days: (abs(math.log(days / wanted)), -days))


def cut_every(days: float, customers: int) -> str:
    """Return how often to look at every customer: months for a long log, else as many days as give enough rows."""
    for step in _CUTS:
        cuts = days / step
        if cuts >= _FEWEST_CUTS and (cuts * customers >= _FEWEST_TICKS or step == 1):
            return "month" if step == _CUTS[0] and days >= _YEAR else f"{step}d"
    return "1d"


def history(horizon: float, days: float) -> int:
    """Return how many days to know a customer before asking: as many as the horizon, or what a short log has."""
    return max((step for step in ROUND_DAYS if step <= min(horizon, days / (PARTS + 2))), default=1)


def decay_days(days: float) -> tuple[int, ...]:
    """Return how long sums remember: nothing much longer than the log."""
    return (7, 30, 90, 365) if days >= _YEAR * 3 / 4 else (2, 7, 30, 90)
