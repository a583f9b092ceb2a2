"""A customer's own rhythm, from what a row keeps: usual pauses, the last pauses, and the pace now and before."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from schemas.portrait import PauseBy
from schemas.spec import Spec
from stream_app.kernel.kernel import NEVER_H, SLOWEST
from stream_app.portrait.money import recent_days
from stream_app.portrait.reading import Reading

PAUSE_DEVIATIONS: Final = 3.0
"""Pauses up to the mean and so many standard deviations are usual: of random arrivals, 98 in 100 (mean = deviation)."""
LEAST_PAUSES: Final = 2
"""From so few pauses on a customer has a rhythm of its own."""
SHORTEST_PAUSE_DAYS: Final = 1.0
"""Nobody's usual pause is shorter: a day's burst of transactions makes no rhythm."""
LAPSE_DAYS: Final = 60.0
"""Silence after which a customer may count as lapsed, where the spec has no task that says what inactive means."""
LAPSE_PAUSES: Final = 2.0
"""A lapsed customer is also silent for so many usual pauses."""


def lapse_days(spec: Spec) -> float:
    """Return the least silence of a lapsed customer: the horizon of the task that asks who falls inactive."""
    return min((task.horizon_days for task in spec.tasks if task.label == "inactive"), default=LAPSE_DAYS)


@dataclass(frozen=True)
class Habit:
    """Which pauses are usual.

    Attributes:
        pause_days: up to so long.
        by: what that comes from.
        lapse_days: silence after which this customer counts as lapsed.
    """

    pause_days: float
    by: PauseBy
    lapse_days: float

    @classmethod
    def of(cls, mean_h: float, deviation_h: float, pauses: int, least_days: float) -> "Habit":
        """Return the habit behind mean and standard deviation of so many pauses.

        A pause as long as the least silence of a lapsed customer is usual for nobody, however slow the rhythm. Where
        there is no rhythm, half of that counts as long.
        """
        usual = max((mean_h + PAUSE_DEVIATIONS * deviation_h) / 24, SHORTEST_PAUSE_DAYS)
        if pauses < LEAST_PAUSES:
            return cls(least_days / 2, "default", least_days)
        pause = min(usual, least_days)
        return cls(pause, "rhythm" if usual <= least_days else "limit", max(least_days, LAPSE_PAUSES * pause))


def habit(reading: Reading) -> Habit:
    """Return which pauses are usual for a customer."""
    pauses = int(reading["own_count"]) - 1
    return Habit.of(reading["gap_mean_h"], reading["gap_sd_h"], pauses, lapse_days(reading.layout.spec))


@dataclass(frozen=True)
class Return:
    """A long pause that has ended, in days: how long it was, and since when it is over."""

    away_days: float
    back_days: float


def last_return(reading: Reading, within_days: float) -> Return | None:
    """Return the pause from which a customer has come back lately, where the row proves one.

    It must have been as long as that of a lapsed customer, by the habit before it.
    """
    ages, spec = own_ages(reading), reading.layout.spec
    pauses = [older - newer for newer, older in pairwise(ages)]
    for back, (newer, pause) in enumerate(zip(ages, pauses, strict=False)):
        if newer > within_days * 24:
            return None
        before = _habit_before(reading, pauses[: back + 1], lapse_days(spec))
        if pause / 24 >= before.lapse_days:
            return Return(pause / 24, newer / 24)
    return None


def own_ages(reading: Reading) -> list[float]:
    """Return the ages of the newest own-initiated transactions, ascending, in whole hours, as far as they are known.

    A row keeps the last two times of each type. Back to the latest of the second ones, no other can lie between.
    """
    newest, second = list[float](), list[float]()
    for name in reading.layout.spec.own_types:
        since, gap = reading[f"since_h:{name}"], reading[f"gap_h:{name}"]
        if since < NEVER_H:
            newest.append(since)
            second.append(since + gap if gap < NEVER_H else math.inf)
    reach = min(second, default=math.inf)
    return sorted(age for age in newest if age <= reach) + ([reach] if reach < math.inf else [])


def _habit_before(reading: Reading, pauses: Sequence[float], least_days: float) -> Habit:
    """Return the habit before the last pauses (hours, the newest first): mean and variance without them.

    The kernel's ``observe`` run backwards: of a mean it has made mean + w (x - mean), and of a variance
    (1 - w) (variance + w (x - mean)^2).
    """
    count = int(reading["own_count"]) - 1
    mean, variance = reading["gap_mean_h"], reading["gap_sd_h"] ** 2
    for pause in pauses:
        weight = max(1 / count, SLOWEST)
        count -= 1
        if count < LEAST_PAUSES:
            break
        mean = (mean - weight * pause) / (1 - weight)
        variance = max(variance / (1 - weight) - weight * (pause - mean) ** 2, 0.0)
    return Habit.of(max(mean, 0.0), math.sqrt(variance), count, least_days)


@dataclass(frozen=True)
class Pace:
    """Own-initiated transactions a day at several ranges of age, from decayed counts.

    The count of decay constant T is, for a steady customer, his pace times T (1 - exp(-age of the customer / T)): what
    it is divided by here. The difference of two counts says the same of the ages between their constants.

    Attributes:
        days: the decay constants, ascending.
        counts: of own-initiated transactions.
        lengths: what a steady customer's counts are divided by, days.
    """

    days: tuple[float, ...]
    counts: tuple[float, ...]
    lengths: tuple[float, ...]

    def upto(self, index: int) -> float:
        """Return the pace of late, as far back as one constant reaches."""
        return self.counts[index] / self.lengths[index]

    def between(self, newer: int, older: int) -> float:
        """Return the pace at the ages between two constants."""
        length = self.lengths[older] - self.lengths[newer]
        return max(self.counts[older] - self.counts[newer], 0.0) / length if length > 0 else 0.0

    @property
    def recent(self) -> int:
        """Return the index of the constant that stands for "of late"."""
        return self.days.index(recent_days(self.days[:-1] or self.days))


def pace(reading: Reading) -> Pace | None:
    """Return the pace of a customer; None on the first day."""
    spec, active_days = reading.layout.spec, reading["own_tenure_h"] / 24
    if not (reading["own_count"] and active_days >= 1):
        return None
    counts = [sum(reading[f"count:{name}~{days:g}d"] for name in spec.own_types) for days in spec.decay_days]
    lengths = [days * -math.expm1(-active_days / days) for days in spec.decay_days]
    return Pace(tuple(spec.decay_days), tuple(counts), tuple(lengths))
