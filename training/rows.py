"""Chooses the rows to learn from: whom to look at, and when. Features and labels of a row come later."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from schemas.accepted import LATEST_MS
from schemas.spec import Spec, Task
from training.arrays import DAY_MS, Flags, Ints
from training.log import Log

EVENT: Final = 0
"""Right after a transaction, which it includes."""
TICK: Final = 1
"""At a cut: what happened strictly before it."""
OUTCOME: Final = 2
"""A tick at the time of an outcome: what happened before it, and the customer records of that very time."""
RECORD: Final = 3
"""A customer's first record: that record, and what happened before it."""
BETWEEN: Final = 4
"""A tick between the cuts: to learn from, and never to test on."""
ROW_KINDS: Final = {"event": (EVENT,), "tick": (TICK, OUTCOME, BETWEEN), "record": (RECORD,)}
_OF_KIND: Final = {"outcome_at": OUTCOME, "activated": RECORD}
"""Label rules that have a kind of rows to themselves."""


@dataclass(frozen=True)
class Rows:
    """Places in the log, n of them.

    Attributes:
        customer: int64 [n].
        time_ms: int64 [n].
        kind: int8 [n], EVENT, TICK, OUTCOME, RECORD or BETWEEN.
        after: int64 [n], the index of the first transaction of the log that the features must not know; those of the
            same customer from there on are the future.
    """

    customer: Ints
    time_ms: Ints
    kind: Ints
    after: Ints

    def __len__(self) -> int:
        return len(self.customer)

    @property
    def asked(self) -> Flags:
        """Return the rows of the kinds that are scored in production, bool [n]: all but those between the cuts."""
        asked: Flags = self.kind != BETWEEN
        return asked

    def take(self, keep: Ints | Flags) -> "Rows":
        """Return the rows of an index or a mask."""
        return Rows(self.customer[keep], self.time_ms[keep], self.kind[keep], self.after[keep])


def choose(log: Log, spec: Spec, seed: int) -> Rows:
    """Return the rows that a task can have a label for, event rows first: a seeded sample of them, and all ticks."""
    parts = (
        _sampled(_events(log), log, spec, seed),
        _answerable(_cuts(log, spec), log, spec),
        _at_outcomes(log, spec),
        _answerable(_first_records(log), log, spec),
        _answerable(_between(log, spec), log, spec),
    )
    columns = ([getattr(part, name) for part in parts] for name in ("customer", "time_ms", "kind", "after"))
    return Rows(*(np.concatenate(column) for column in columns))


def open_rows(log: Log, spec: Spec, rows: Rows) -> Flags:
    """Return where a task can be asked and answered at all, bool [n, tasks].

    The row is of the task's kinds, the customer has the history, and the horizon ends within what was observed (where
    the label is settled when told: at least the row lies within). A task with ``by_day`` takes the last event of days
    on which the customer did something.
    """
    first = log.first_event_ms[rows.customer]
    opened = np.zeros((len(rows), len(spec.tasks)), np.bool_)
    for index, task in enumerate(spec.tasks):
        kinds = [kind for name in task.rows for kind in ROW_KINDS[name] if _fits(task, kind)]
        fits = np.isin(rows.kind, kinds)
        if task.min_history_days:
            fits &= rows.time_ms - task.min_history_days * DAY_MS >= first
        if task.label != "outcome_at":
            needed_ms = 1 if task.settled == "when_told" else horizon_ms(task)
            fits &= rows.time_ms + needed_ms <= known_until(log, task)[rows.customer]
        if task.by_day and EVENT in kinds:
            ends = day_ends(log, spec)
            fits &= (rows.kind != EVENT) | ends[np.maximum(rows.after - 1, 0)]
        opened[:, index] = fits
    return opened


def day_ends(log: Log, spec: Spec) -> Flags:
    """Return which transactions are the last of their customer's day, on days with an own-initiated one."""
    transactions = log.transactions
    own = np.array([item.initiator == "customer" for item in spec.types])[transactions.kind]
    day = local_day(transactions.time_ms, spec)
    starts = np.r_[True, (np.diff(transactions.customer) != 0) | (np.diff(day) != 0)]
    group = np.cumsum(starts) - 1
    active = np.bincount(group, own) > 0
    ends: Flags = np.r_[starts[1:], True] & active[group]
    return ends


def local_day(time_ms: Ints, spec: Spec) -> Ints:
    """Return the local day since 1970 of each time."""
    return (time_ms + spec.utc_offset_minutes * 60_000) // DAY_MS


def midnight_ms(day: Ints, spec: Spec) -> Ints:
    """Return when each local day since 1970 begins."""
    return day * DAY_MS - spec.utc_offset_minutes * 60_000


def day_number(day: date) -> int:
    """Return the number of a day since 1970."""
    return (day - date(1970, 1, 1)).days


def horizon_ms(task: Task) -> int:
    """Return how far a task looks ahead."""
    return round(task.horizon_days * DAY_MS)


def known_until(log: Log, task: Task) -> Ints:
    """Return until when what a task's label is made of is known, by customer."""
    return log.outcomes_until if task.label in ("outcome_within", "outcome_next") else log.observed_until


def cut_times(start_ms: int, end_ms: int, spec: Spec, every: str | None = None) -> Ints:
    """Return the cuts in [start, end]: local midnights, the first of each month or every so many days.

    Days count from ``cut_from`` of the spec on, before which there is no cut, or from 1970 on.
    """
    offset = spec.utc_offset_minutes * 60_000
    first, last = ((time + offset) // DAY_MS for time in (start_ms, end_ms))
    begin = 0 if spec.training.cut_from is None else day_number(spec.training.cut_from)
    every = every or spec.training.cut_every
    if every == "month":
        months = np.arange(*(np.array([first, last + 31], "datetime64[D]").astype("datetime64[M]")))
        days = months.astype("datetime64[D]").astype(np.int64)
    else:
        step = int(every.removesuffix("d"))
        days = begin + np.arange((first - begin) // step, (last - begin) // step + 1) * step
    times = midnight_ms(days[days >= begin], spec)
    return times[(times >= start_ms) & (times <= end_ms)]


def _fits(task: Task, kind: int) -> bool:
    return all((kind == own) == (task.label == label) for label, own in _OF_KIND.items())


def _answerable(rows: Rows, log: Log, spec: Spec) -> Rows:
    return rows.take(np.flatnonzero(open_rows(log, spec, rows).any(axis=1)))


def _events(log: Log) -> Rows:
    transactions = log.transactions
    index = np.flatnonzero(transactions.time_ms < log.observed_until[transactions.customer])
    kind = np.full(len(index), EVENT)
    return Rows(transactions.customer[index], transactions.time_ms[index], kind, index + 1)


def _sampled(rows: Rows, log: Log, spec: Spec, seed: int) -> Rows:
    """Draw event rows; where some tasks are asked at the end of days only, half of the rows are such ends."""
    opened = open_rows(log, spec, rows)
    by_day = np.array([task.by_day for task in spec.tasks])
    any_event, day_end = (np.flatnonzero(opened[:, asked].any(axis=1)) for asked in (~by_day, by_day))
    budget, rng = spec.training.max_event_rows, np.random.default_rng(seed)
    at_ends = _draw(day_end, budget // 2 if len(any_event) else budget, rng)
    drawn = np.r_[at_ends, _draw(np.setdiff1d(any_event, at_ends), budget - len(at_ends), rng)]
    return rows.take(np.sort(drawn))


def _draw(index: Ints, most: int, rng: np.random.Generator) -> Ints:
    return index if len(index) <= most else rng.choice(index, most, replace=False)


def _cuts(log: Log, spec: Spec) -> Rows:
    """Return a tick for every cut from a customer's first transaction or record to the end of its observation."""
    return _while_observed(log, lambda start, end: cut_times(start, end, spec), TICK)


def _between(log: Log, spec: Spec) -> Rows:
    """Return the ticks between the cuts that are learned from as well."""
    every = spec.training.learn_every
    if every is None:
        return _while_observed(log, lambda start, end: np.empty(0, np.int64), BETWEEN)  # noqa: ARG005  (none at all)
    return _while_observed(
        log,
        lambda start, end: np.setdiff1d(cut_times(start, end, spec, every), cut_times(start, end, spec)),
        BETWEEN,
    )


def _while_observed(log: Log, times: Callable[[int, int], Ints], kind: int) -> Rows:
    """Return a tick at every time from a customer's first transaction or record to the end of its observation.

    Args:
        log: what happened.
        times: makes the times, int64, from the earliest start and the latest end.
        kind: of the rows.
    """
    start = np.minimum(log.first_event_ms, _first_record_ms(log))
    end = np.minimum(log.observed_until, LATEST_MS - 1)
    seen = start <= end
    if not seen.any():
        return _ticks(log, np.empty(0, np.int64), np.empty(0, np.int64), kind)
    cuts = times(int(start[seen].min()), int(end[seen].max()))
    first, last = np.searchsorted(cuts, start, "right"), np.searchsorted(cuts, end, "right")
    count = np.where(seen, last - first, 0)
    customer = np.repeat(np.arange(len(start)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)
    return _ticks(log, customer, cuts[place], kind)


def _first_record_ms(log: Log) -> Ints:
    first = np.full(len(log.customers), np.iinfo(np.int64).max)
    np.minimum.at(first, log.records.customer, log.records.time_ms)
    return first


def _at_outcomes(log: Log, spec: Spec) -> Rows:
    names = {task.outcome_name for task in spec.tasks if task.label == "outcome_at"}
    keep = np.isin(log.outcomes.name, sorted(names)) if names else np.zeros(len(log.outcomes.name), np.bool_)
    places = np.unique(np.column_stack([log.outcomes.customer[keep], log.outcomes.time_ms[keep]]), axis=0)
    rows = _ticks(log, places[:, 0], places[:, 1], OUTCOME)
    return _answerable(rows, log, spec)


def _first_records(log: Log) -> Rows:
    """Return the first record of each customer; what came of one before the log begins is not known."""
    first = _first_record_ms(log)
    begin = log.first_event_ms.min(initial=np.iinfo(np.int64).max)
    customer = np.flatnonzero((first >= begin) & (first < log.observed_until))
    return _ticks(log, customer, first[customer], RECORD)


def _ticks(log: Log, customer: Ints, time_ms: Ints, kind: int) -> Rows:
    after = log.transactions.timeline.place(customer, time_ms)
    return Rows(customer, time_ms, np.full(len(customer), kind), after)
