"""A portrait's figures and stage from raw transactions, written down slowly: the oracle of portraits.

It knows of no row and no feature: it looks at all transactions of a customer and computes each figure from what the
words say. Only what a task answers is taken from outside.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from schemas.spec import Spec
from tests.properties.reference import DAY_MS, HOUR_MS, moments


@dataclass(frozen=True)
class Moved:
    """A transaction: when, of which type, how much (negative leaves the customer)."""

    time_ms: int
    kind: str
    amount: float


@dataclass(frozen=True)
class Life:
    """All that happened to a customer up to a time, oldest first, and since when the customer is registered."""

    spec: Spec
    moved: Sequence[Moved]
    registered_ms: int | None
    at_ms: int

    @property
    def own(self) -> list[Moved]:
        """What the customer initiated."""
        return [event for event in self.moved if event.kind in self.spec.own_types]

    @property
    def pauses(self) -> list[float]:
        """Hours between neighbours of what the customer initiated."""
        return [(newer.time_ms - older.time_ms) / HOUR_MS for older, newer in pairwise(self.own)]

    @property
    def least_lapse_days(self) -> float:
        horizons = [task.horizon_days for task in self.spec.tasks if task.label == "inactive"]
        return min(horizons) if horizons else 60.0

    def tile(self, time_ms: int, width: int) -> int:
        return (time_ms + self.spec.utc_offset_minutes * 60_000) // width

    def days_since(self, time_ms: int) -> float:
        return (self.at_ms - time_ms) / DAY_MS

    def whole_days_since(self, time_ms: int) -> float:
        """Return days, counted in whole hours of the clock."""
        return (self.tile(self.at_ms, HOUR_MS) - self.tile(time_ms, HOUR_MS)) / 24

    def windows(self) -> Iterator[tuple[str, int, int, float, float]]:
        """Yield unit, size, count, inflow and outflow of each window."""
        for unit, sizes, width in (("h", self.spec.window_hours, HOUR_MS), ("d", self.spec.window_days, DAY_MS)):
            for size in sizes:
                first = self.tile(self.at_ms, width) - size + 1
                amounts = [event.amount for event in self.moved if self.tile(event.time_ms, width) >= first]
                inflow = math.fsum(amount for amount in amounts if amount > 0)
                yield unit, size, len(amounts), inflow, math.fsum(-amount for amount in amounts if amount < 0)

    def faded(self, kinds: Sequence[str], days: float) -> tuple[float, float]:
        """Return count and absolute amount of some types, each transaction weighted by exp(-age / days)."""
        weighted = [
            (math.exp(-self.days_since(event.time_ms) / days), abs(event.amount))
            for event in self.moved
            if event.kind in kinds
        ]
        return math.fsum(w for w, _ in weighted), math.fsum(w * amount for w, amount in weighted)

    def types(self) -> set[str]:
        return {event.kind for event in self.moved}


@dataclass(frozen=True)
class Usual:
    """The longest usual pause and the silence after which a customer counts as lapsed, days."""

    pause_days: float
    lapse_days: float


def usual(pauses: Sequence[float], least_days: float) -> Usual:
    """Return what is usual for who has made these pauses (hours)."""
    if len(pauses) < 2:
        return Usual(least_days / 2, least_days)
    mean, deviation = moments(pauses)
    pause = min(max((mean + 3 * deviation) / 24, 1.0), least_days)
    return Usual(pause, max(least_days, 2 * pause))


def stage(life: Life, *, likely_to_leave: bool) -> tuple[str, str]:
    """Return the stage and the rule that decides."""
    if not life.own:
        begin = min([*(event.time_ms for event in life.moved), *([life.registered_ms] if life.registered_ms else [])])
        return ("new", "not_active_yet") if life.whole_days_since(begin) <= 60 else ("lapsed", "never_active")
    habit, silence = usual(life.pauses, life.least_lapse_days), life.days_since(life.own[-1].time_ms)
    rules = [
        (silence >= habit.lapse_days, ("lapsed", "silent_for_long")),
        (silence >= max(habit.pause_days, 7.0), ("at_risk", "silent_beyond_habit")),
        (came_back(life), ("won_back", "back_after_pause")),
        (busy_again(life), ("won_back", "active_again")),
        (life.whole_days_since(life.own[0].time_ms) <= 60, ("new", "first_months")),
        (likely_to_leave, ("at_risk", "churn_score")),
    ]
    return next((found for holds, found in rules if holds), by_pace(life))


def came_back(life: Life) -> bool:
    """Return whether a pause of a lapsed customer has ended within 30 days, where two times of each type prove it."""
    latest = [sorted((e.time_ms for e in life.own if e.kind == kind), reverse=True) for kind in life.spec.own_types]
    reach = max((times[1] for times in latest if len(times) > 1), default=0)
    pauses = life.pauses
    for place in range(len(pauses) - 1, -1, -1):
        older, newer = life.own[place], life.own[place + 1]
        if older.time_ms < reach or life.days_since(newer.time_ms) > 30:
            return False
        if pauses[place] / 24 >= usual(pauses[:place], life.least_lapse_days).lapse_days:
            return True
    return False


def pace(life: Life) -> list[tuple[float, float, float]] | None:
    """Return each decay constant, the count that fades with it, and what one transaction a day would give."""
    active = life.whole_days_since(life.own[0].time_ms)
    if active < 1:
        return None
    return [
        (days, life.faded(life.spec.own_types, days)[0], days * (1 - math.exp(-active / days)))
        for days in life.spec.decay_days
    ]


def busy_again(life: Life) -> bool:
    """Return whether there was little between two ages and much before and after."""
    found = pace(life)
    if found is None:
        return False
    _, last_count, last_length = found[-1]
    for (_, c1, n1), (days, c2, n2) in pairwise(found[:-1]):
        usual_pace = min(c1 / n1, (last_count - c2) / (last_length - n2))
        between = (c2 - c1) / (n2 - n1)
        if 2 * days >= life.least_lapse_days and usual_pace * (n2 - n1) >= 2 and between < 0.3 * usual_pace:
            return True
    return False


def by_pace(life: Life) -> tuple[str, str]:
    """Return the stage that a change of pace leads to."""
    found = pace(life)
    if found is not None and len(found) > 1:
        recent = [item for item in found[:-1] if item[0] <= 30] or found[:1]
        _, count, length = recent[-1]
        expected = found[-1][1] / found[-1][2] * length
        chance = 2 * math.sqrt(expected / 2)
        if chance > 0 and count <= 0.5 * expected and expected - count >= chance:
            return "at_risk", "pace_falls"
        if chance > 0 and count >= 1.5 * expected and count - expected >= chance:
            return "growing", "pace_rises"
    return "steady", "usual_pace"
