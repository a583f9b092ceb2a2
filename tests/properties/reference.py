"""The definitions of all features, written down slowly: the oracle of the kernel.

It keeps every item of a customer and computes each feature from its definition in Python ints and float64. It knows of
no row, slot, ring or recursion, and takes nothing from the kernel: what both agree on is what the words say.
"""

import math
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from schemas.spec import Spec

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NEVER_H = 87_600.0
NOT_DUE_D = 45.0
KEPT_DAYS = 96
NOTHING_BELOW = 1e-20
REMEMBERED_IDS = 8
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (local time is UTC + offset, without a zone)

Verdict = Literal["nothing", "scored", "duplicate"]
Value = float | str | None
Step = tuple[Verdict, dict[str, float]]


@dataclass(frozen=True)
class Item:
    """One thing that happens to a customer; ``time`` in epoch ms.

    An attribute that ``attributes`` does not name stays as it was; one that is None becomes unknown.
    """

    op: Literal["transaction", "customer", "forget", "tick"]
    customer: int
    time: int
    kind: int = 0
    amount: float = 0.0
    balance: float | None = None
    transaction: int = 1
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """An accepted transaction with what was true when it arrived."""

    item: Item
    amount: float
    newest: int | None
    """The newest event time before it."""
    newest_own: int | None
    largest_of_type: int | None
    """The largest hour tile among the events of its type before it."""

    @property
    def time(self) -> int:
        return self.item.time

    @property
    def late_ms(self) -> int:
        return 0 if self.newest is None else max(self.newest - self.time, 0)


def substantial(x: float) -> float:
    """Return x, or 0 where it is so small that it counts as nothing."""
    return x if abs(x) > NOTHING_BELOW else 0.0


def weights(n: int) -> list[float]:
    """Return the weights of n observations: each enters with max(1 / its number, 2 %), and those before it shrink."""
    result, rest = [0.0] * n, 1.0
    for i in range(n, 0, -1):
        enters = max(1 / i, 0.02)
        result[i - 1] = enters * rest
        rest *= 1 - enters
    return result


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Return weighted mean and standard deviation; 0 without observations."""
    w = weights(len(values))
    mean = math.fsum(a * x for a, x in zip(w, values, strict=True))
    return mean, math.sqrt(math.fsum(a * (x - mean) ** 2 for a, x in zip(w, values, strict=True)))


def z_score(x: float, mean: float, deviation: float) -> float:
    """Return the clipped distance of x from the mean in units of deviation, a tenth of the mean and 0.01."""
    return min(max((x - mean) / (deviation + 0.1 * mean + 0.01), -20.0), 20.0)


def last_z(values: Sequence[float]) -> float:
    """Return the z-score of the last value against those before it; 0 if there are none."""
    return z_score(values[-1], *moments(values[:-1])) if len(values) > 1 else 0.0


def turn(part: float) -> tuple[float, float]:
    """Return sine and cosine of a part of a full turn."""
    return round(math.sin(2 * math.pi * part), 6), round(math.cos(2 * math.pi * part), 6)


def anniversary(last: date, today: date) -> float:
    """Return the days from today to the first date from today on that is a month's anniversary of ``last``."""
    if (today - last).days > 62:
        return NOT_DUE_D
    day = today
    while day <= last or day.day != min(last.day, monthrange(day.year, day.month)[1]):
        day += timedelta(days=1)
    return float((day - today).days)


def months_before(day: date, back: int) -> set[date]:
    """Return the days of the month ``back`` months before a day's whose anniversary that day is.

    It is the day of the same number, or, on the last day of a shorter month, that one and all behind it; none, where
    that month is too short.
    """
    month = day.year * 12 + day.month - 1 - back
    year, number = month // 12, month % 12 + 1
    last = monthrange(day.year, day.month)[1]
    length = monthrange(year, number)[1]
    return {date(year, number, k) for k in range(1, length + 1) if min(k, last) == day.day}


def hours(ms: float) -> float:
    """Return ms as hours, capped as all ages are."""
    return min(max(ms, 0) / HOUR_MS, NEVER_H)


@dataclass
class Customer:
    """Everything that is known of one customer."""

    spec: Spec
    events: list[Event] = field(default_factory=list)
    records: list[Item] = field(default_factory=list)

    def take(self, item: Item) -> Verdict:
        """Take an item and return what becomes of it."""
        if item.op == "forget":
            self.events, self.records = [], []
            return "nothing"
        if item.op == "customer":
            self.records.append(item)
            return "scored" if self.spec.score_on_customer else "nothing"
        if item.op == "tick":
            return "scored" if self.events or self.records else "nothing"
        if item.transaction in [event.item.transaction for event in self.events[-REMEMBERED_IDS:]]:
            return "duplicate"
        newest = max((e.time for e in self.events), default=None)
        newest_own = max((e.time for e in self.own()), default=None)
        largest_of_type = max((self.tile(e.time) for e in self.events if e.item.kind == item.kind), default=None)
        self.events.append(Event(item, substantial(item.amount), newest, newest_own, largest_of_type))
        return "scored"

    def step(self, item: Item) -> Step:
        """Take an item; return what becomes of it and, where it is scored, the features as of it."""
        verdict = self.take(item)
        return verdict, self.features(item) if verdict == "scored" else {}

    def own(self) -> list[Event]:
        """Return the events that the customer initiated."""
        return [e for e in self.events if self.spec.types[e.item.kind].initiator == "customer"]

    def local_ms(self, time: int) -> int:
        return time + self.spec.utc_offset_minutes * 60_000

    def tile(self, time: int) -> int:
        return self.local_ms(time) // HOUR_MS

    def day(self, time: int) -> int:
        return self.local_ms(time) // DAY_MS

    def whole_hours(self, tile: int | None, now: int) -> float:
        return NEVER_H if tile is None else min(max(float(self.tile(now) - tile), 0.0), NEVER_H)

    def features(self, item: Item) -> dict[str, float]:
        """Return all features, read at the item's time or at the newest event, whichever is later."""
        now = max([item.time, *(e.time for e in self.events)])
        result = {"late_h": self.events[-1].late_ms / HOUR_MS if item.op == "transaction" else 0.0}
        for part in (self.windows, self.decayed, self.clocks, self.deviations, self.last, self.types, self.calendar):
            result.update(part(now))
        result.update(self.recurring(now))
        result.update(self.balance())
        result.update(self.attributes())
        return result

    def windows(self, now: int) -> Iterator[tuple[str, float]]:
        for unit, sizes, tile, kept in (
            ("h", self.spec.window_hours, self.tile, 24),
            ("d", self.spec.window_days, self.day, 30),
        ):
            # An event counts if, when it came, its tile was still among those kept.
            there = [e for e in self.events if tile(max(e.newest or 0, e.time)) - tile(e.time) < kept]
            for size in sizes:
                amounts = [e.amount for e in there if tile(e.time) > tile(now) - size]
                yield f"count_{size}{unit}", float(len(amounts))
                yield f"in_{size}{unit}", math.fsum(a for a in amounts if a > 0)
                yield f"out_{size}{unit}", math.fsum(-a for a in amounts if a < 0)
                if unit == "d":
                    yield f"max_{size}d", max((abs(a) for a in amounts), default=0.0)

    def decayed(self, now: int) -> Iterator[tuple[str, float]]:
        kinds = range(len(self.spec.types))
        for days in self.spec.decay_days:
            inflow = outflow = 0.0
            counts, amounts = [0.0 for _ in kinds], [0.0 for _ in kinds]
            for e in self.events:
                w = math.exp(-(now - e.time) / (days * DAY_MS))
                inflow += w * max(e.amount, 0.0)
                outflow += w * max(-e.amount, 0.0)
                counts[e.item.kind] += w
                amounts[e.item.kind] += w * abs(e.amount)
            yield f"in~{days:g}d", substantial(inflow)
            yield f"out~{days:g}d", substantial(outflow)
            for kind in kinds:
                yield f"count:{self.spec.types[kind].name}~{days:g}d", substantial(counts[kind])
                yield f"amount:{self.spec.types[kind].name}~{days:g}d", substantial(amounts[kind])

    def clocks(self, now: int) -> Iterator[tuple[str, float]]:
        for prefix, events in (("", self.events), ("own_", self.own())):
            times = [e.time for e in events]
            yield f"{prefix}silence_h", hours(now - max(times)) if times else NEVER_H
            yield f"{prefix}tenure_h", self.whole_hours(self.tile(min(times)) if times else None, now)
            yield f"{prefix}count", float(len(times))
        registered = min((self.tile(r.time) for r in self.records), default=None)
        yield "registered_h", self.whole_hours(registered, now)

    def deviations(self, now: int) -> Iterator[tuple[str, float]]:
        own = self.own()
        gaps = [max(e.time - e.newest_own, 0) / HOUR_MS for e in own if e.newest_own is not None]
        sizes = [abs(e.amount) for e in own]
        gap_mean, gap_sd = moments(gaps)
        yield "gap_mean_h", gap_mean
        yield "gap_sd_h", gap_sd
        yield "gap_z", last_z(gaps)
        silence = hours(now - max(e.time for e in own)) if own else NEVER_H
        yield "silence_z", z_score(silence, gap_mean, gap_sd)
        amount_mean, amount_sd = moments(sizes)
        yield "amount_mean", amount_mean
        yield "amount_sd", amount_sd
        yield "amount_z", last_z(sizes)

    def last(self, now: int) -> Iterator[tuple[str, float]]:
        for back in (1, 2, 3):
            e = self.events[-back] if len(self.events) >= back else None
            yield f"last{back}_h", hours(now - e.time) if e else NEVER_H
            yield f"last{back}_amount", abs(e.amount) if e else 0.0
            yield f"last{back}_sign", float((e.amount > 0) - (e.amount < 0)) if e else 0.0
            for kind, item in enumerate(self.spec.types):
                yield f"last{back}={item.name}", float(e is not None and e.item.kind == kind)

    def types(self, now: int) -> Iterator[tuple[str, float]]:
        today = self.date(now)
        first, soonest = None, NOT_DUE_D
        for kind, item in enumerate(self.spec.types):
            events = [e for e in self.events if e.item.kind == kind]
            tiles = sorted((self.tile(e.time) for e in events), reverse=True)
            yield f"since_h:{item.name}", self.whole_hours(tiles[0] if tiles else None, now)
            yield f"gap_h:{item.name}", min(float(tiles[0] - tiles[1]), NEVER_H) if len(tiles) > 1 else NEVER_H
            leading = [e for e in events if e.largest_of_type is None or self.tile(e.time) >= e.largest_of_type]
            yield f"amount:{item.name}", abs(leading[-1].amount) if leading else 0.0
            due = NOT_DUE_D
            if tiles:
                due = anniversary((EPOCH + timedelta(hours=tiles[0])).date(), today)
            yield f"due_d:{item.name}", due
            if item.initiator == "customer" and due < soonest:
                first, soonest = kind, due
        yield "due_first_d", soonest
        for kind, item in enumerate(self.spec.types):
            yield f"due_first={item.name}", float(kind == first)

    def recurring(self, now: int) -> Iterator[tuple[str, float]]:
        """Yield when each own-initiated type is due by what it did one, two and three periods before."""
        # An event counts if, when it came, its day was still among those kept.
        there = [e for e in self.own() if self.day(max(e.newest or 0, e.time)) - self.day(e.time) < KEPT_DAYS]
        on = {name: {self.date(e.time) for e in there if self.named(e) == name} for name in self.spec.own_types}
        for period in self.spec.due_every:
            for source, least in (("", 0), ("_2of3", 2), ("_3of3", 3)):
                due = {name: self.due(days, self.date(now), period, least) for name, days in on.items()}
                first = min(due.values())
                yield f"due_first_d~{period}{source}", first
                for name, days in due.items():
                    yield f"due_d:{name}~{period}{source}", days
                    yield f"due_after_d:{name}~{period}{source}", NOT_DUE_D if days == NOT_DUE_D else days - first

    def due(self, on: set[date], today: date, period: str, least: int) -> float:
        """Return the days to the first day ahead that is due by so many of three periods; 0: by the latest one."""
        days = 31 if period == "month" else int(period[:-1])
        for ahead in range(1, days + 1):
            day = today + timedelta(days=ahead)
            if period == "month":
                if (day.year - today.year) * 12 + day.month - today.month > 1:
                    break  # only the rest of this month and the next one are looked through
                sources = [months_before(day, back) for back in (1, 2, 3)]
            else:
                sources = [{day - timedelta(days=back * days)} for back in (1, 2, 3)]
            hits = [bool(source & on) for source in sources]
            if sum(hits) >= least if least else hits[0]:
                return float(ahead)
        return NOT_DUE_D

    def date(self, time: int) -> date:
        return (EPOCH + timedelta(days=self.day(time))).date()

    def named(self, event: Event) -> str:
        return self.spec.types[event.item.kind].name

    def calendar(self, now: int) -> Iterator[tuple[str, float]]:
        local = EPOCH + timedelta(milliseconds=self.local_ms(now))
        parts = {
            "day": local.hour / 24,
            "week": local.weekday() / 7,
            "month": (local.day - 1) / monthrange(local.year, local.month)[1],
            "year": (local.timetuple().tm_yday - 1) / 366,
        }
        for name, part in parts.items():
            yield f"{name}_sin", turn(part)[0]
            yield f"{name}_cos", turn(part)[1]

    def balance(self) -> Iterator[tuple[str, float]]:
        known = [e.item.balance for e in self.events if e.late_ms == 0 and e.item.balance is not None]
        value = substantial(known[-1]) if known else 0.0
        yield "balance_known", float(bool(known))
        yield "balance_above", max(value, 0.0)
        yield "balance_below", max(-value, 0.0)

    def attributes(self) -> Iterator[tuple[str, float]]:
        for item in self.spec.attributes:
            said = [record.attributes[item.name] for record in self.records if item.name in record.attributes]
            value = said[-1] if said else None
            if item.kind == "category":
                for level in item.values:
                    yield f"{item.name}={level}", float(value == level)
            else:
                yield f"{item.name}_known", float(value is not None)
                yield item.name, substantial(float(value or 0.0))


def run(spec: Spec, items: Sequence[Item]) -> list[Step]:
    """Take the items of any customers in log order."""
    customers = {item.customer: Customer(spec) for item in items}
    return [customers[item.customer].step(item) for item in items]
