"""Labels: one rule each, strictly after what the features know.

A row's window is [t, t + H). Of the transactions in it, the future is what the log holds behind the row's features
(``Rows.after``), equal times included; of outcomes, what lies at or after a cut, strictly after an event.
A label is masked, never 0, where the question cannot be asked (``open_rows``), the customer is not eligible, or the
rule finds nothing to tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from schemas.errors import InputError
from schemas.spec import Spec, Task
from training.arrays import DAY_MS, Flags, Floats, Ints, Timeline
from training.log import Log
from training.rows import EVENT, Rows, horizon_ms, local_day, open_rows

NONE: Final = "none"
NO: Final = "0"
Answer = tuple[Floats, Flags]
"""Labels (a class index, 0 or 1, or a number), and where there is one."""


@dataclass(frozen=True)
class Labels:
    """Labels of n rows: ``value`` float64 [n, tasks], and ``known`` bool [n, tasks], where there is one."""

    value: Floats
    known: Flags


def label(log: Log, spec: Spec, rows: Rows, eligible: Flags) -> Labels:
    """Label rows for every task.

    Args:
        log: what happened.
        spec: the tasks.
        rows: where to look from.
        eligible: bool [n, tasks], whom each task is asked for.

    Raises:
        InputError: an outcome's value is no class of its task.
    """
    own = OwnEvents.of(log, spec)
    asked = open_rows(log, spec, rows) & eligible
    value, known = np.zeros(asked.shape), np.zeros(asked.shape, np.bool_)
    for index, task in enumerate(spec.tasks):
        value[:, index], told = RULES[task.label](Question(task, spec, log, own, rows))
        known[:, index] = told & asked[:, index]
    return Labels(np.where(known, value, 0.0), known)


@dataclass(frozen=True)
class OwnEvents:
    """What customers did themselves, in the order of the log.

    Attributes:
        timeline: when, and who.
        kind: int64 [m], index into the types that customers initiate.
        size: float64 [m], the absolute amount.
        day: int64 [m], the local day.
        before: int64 [transactions + 1], how many of them stand before each transaction.
        outflow: float64 [m + 1], running sum of what left the customers.
    """

    timeline: Timeline
    kind: Ints
    size: Floats
    day: Ints
    before: Ints
    outflow: Floats

    @classmethod
    def of(cls, log: Log, spec: Spec) -> "OwnEvents":
        """Return the own-initiated transactions of a log."""
        initiated = np.array([item.initiator == "customer" for item in spec.types])
        own = initiated[log.transactions.kind]
        events = log.transactions.take(own)
        return cls(
            timeline=events.timeline,
            kind=(np.cumsum(initiated) - 1)[events.kind],
            size=np.abs(events.amount),
            day=local_day(events.time_ms, spec),
            before=np.r_[0, np.cumsum(own)],
            outflow=np.r_[0.0, np.cumsum(np.maximum(-events.amount, 0.0))],
        )

    @cached_property
    def largest_of_day(self) -> Ints:
        """Return for each event the index of the largest from it to the end of its customer's day; ties: the first."""
        n = len(self.kind)
        order = np.lexsort((-np.arange(n), self.size))
        rank = np.empty(n, np.int64)
        rank[order] = np.arange(n)
        begins = np.r_[True, (np.diff(self.timeline.customer) != 0) | (np.diff(self.day) != 0)][:n]
        days_to_come = begins.sum() - np.cumsum(begins)  # from the end, each day outdoes what came before it
        best = np.maximum.accumulate((days_to_come * n + rank)[::-1])[::-1]
        largest: Ints = order[best % n]
        return largest


@dataclass(frozen=True)
class Question:
    """One task asked at all rows."""

    task: Task
    spec: Spec
    log: Log
    own: OwnEvents
    rows: Rows

    @property
    def end_ms(self) -> Ints:
        """Return where each window ends."""
        return self.rows.time_ms + horizon_ms(self.task)

    @property
    def first(self) -> Ints:
        """Return the index of the first own event that the features do not know."""
        return self.own.before[self.rows.after]

    @property
    def end(self) -> Ints:
        """Return the index of the first own event behind the window."""
        return np.maximum(self.own.timeline.place(self.rows.customer, self.end_ms), self.first)


def _inactive(question: Question) -> Answer:
    return (question.end == question.first).astype(np.float64), _everywhere(question)


def _outflow(question: Question) -> Answer:
    spent = question.own.outflow[question.end] - question.own.outflow[question.first]
    return np.log1p(spent), _everywhere(question)


def _spend_drop(question: Question) -> Answer:
    own, rows = question.own, question.rows
    start = own.timeline.place(rows.customer, rows.time_ms - horizon_ms(question.task))
    before = own.outflow[question.first] - own.outflow[np.minimum(start, question.first)]
    after = own.outflow[question.end] - own.outflow[question.first]
    return (after < question.task.drop * before).astype(np.float64), before > 0.0


def _next_type(question: Question) -> Answer:
    own, rows = question.own, question.rows
    first = question.first
    if question.task.by_day:
        tomorrow = local_day(rows.time_ms, question.spec) + 1
        midnight = tomorrow * DAY_MS - question.spec.utc_offset_minutes * 60_000
        next_day = np.maximum(own.timeline.place(rows.customer, midnight), first)
        first = np.where(rows.kind == EVENT, next_day, first)
    told = first < question.end
    place = np.where(told, first, 0)
    if question.task.by_day and len(own.kind):
        place = own.largest_of_day[place]
    return _at(own.kind, place), told


def _outcome_within(question: Question) -> Answer:
    first, end, values = _outcomes_ahead(question)
    if question.task.kind == "binary":
        positives = np.r_[0.0, np.cumsum(values)]
        return (positives[end] > positives[first]).astype(np.float64), _everywhere(question)
    none = question.spec.classes(question.task).index(NONE)
    found = first < end
    return np.where(found, _at(values, np.where(found, first, 0)), none), _everywhere(question)


def _outcome_next(question: Question) -> Answer:
    first, end, values = _outcomes_ahead(question)
    found = first < end
    return _at(values, np.where(found, first, 0)), found


def _outcome_at(question: Question) -> Answer:
    timeline, values = _outcomes(question)
    rows = question.rows
    place = timeline.place(rows.customer, rows.time_ms)
    told = place < timeline.place(rows.customer, rows.time_ms, "right")
    return _at(values, np.where(told, place, 0)), told


def _outcomes_ahead(question: Question) -> tuple[Ints, Ints, Floats]:
    """Return the window of each row as [first, end) among the task's outcomes, and their values."""
    timeline, values = _outcomes(question)
    rows = question.rows
    at, behind = (timeline.place(rows.customer, rows.time_ms, side) for side in ("left", "right"))
    first = np.where(rows.kind == EVENT, behind, at)
    return first, np.maximum(timeline.place(rows.customer, question.end_ms), first), values


def _outcomes(question: Question) -> tuple[Timeline, Floats]:
    """Return when the task's outcomes happened, and their values as class indices, or 0 and 1."""
    task = question.task
    outcomes = question.log.outcomes.of(task.outcome_name)
    if task.kind == "binary":
        return Timeline(outcomes.customer, outcomes.time_ms), (outcomes.value != NO).astype(np.float64)
    classes = question.spec.classes(task)
    for value in sorted(set(outcomes.value)):
        if value not in classes:
            message = (
                f"Expected one of the classes {', '.join(classes)} in outcomes.parquet, task {task.outcome_name!r}, "
                f"found {value!r}; correct it or add it to the classes of task {task.name!r} in the spec."
            )
            raise InputError(message)
    codes = {name: float(index) for index, name in enumerate(classes)}
    return Timeline(outcomes.customer, outcomes.time_ms), np.array([codes[item] for item in outcomes.value], np.float64)


def _at(values: Floats | Ints, place: Ints) -> Floats:
    return (values[place] if len(values) else np.zeros(len(place))).astype(np.float64)


def _everywhere(question: Question) -> Flags:
    return np.ones(len(question.rows), np.bool_)


RULES: Final[dict[str, Callable[[Question], Answer]]] = {
    "inactive": _inactive,
    "spend_drop": _spend_drop,
    "outcome_within": _outcome_within,
    "outcome_next": _outcome_next,
    "outcome_at": _outcome_at,
    "next_type": _next_type,
    "outflow": _outflow,
}
