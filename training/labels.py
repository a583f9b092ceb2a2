"""Labels: one rule each, strictly after what the features know.

A row's window is [t, t + H). Of the transactions in it, the future is what the log holds behind the row's features
(``Rows.after``), equal times included; of outcomes, what lies at or after a cut, strictly after an event.
A label is masked, never 0, where the question cannot be asked (``open_rows``), the customer is not eligible, the
rule finds nothing to tell, or what tells it lies behind what was observed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import LARGEST_AMOUNT
from schemas.errors import InputError
from schemas.spec import Spec, Task
from training.activity import OwnEvents, window_sums
from training.arrays import Flags, Floats, Ints, Texts, Timeline
from training.log import Log
from training.rows import EVENT, Rows, horizon_ms, known_until, local_day, midnight_ms, open_rows

NONE: Final = "none"
NO: Final = "0"
_Number = TypeVar("_Number", np.float64, np.int64)


class Answer(NamedTuple):
    """What a rule says of n rows.

    Attributes:
        value: float64 [n], a class index, 0 or 1, or log(1 + x) of an amount.
        told: bool [n], where there is one.
        told_ms: int64 [n], from when on it was told; None where only the end of the horizon tells it.
    """

    value: Floats
    told: Flags
    told_ms: Ints | None = None


@dataclass(frozen=True)
class Labels:
    """Labels of n rows.

    Attributes:
        value: float64 [n, tasks].
        known: bool [n, tasks], where there is one.
        settled_ms: int64 [n, tasks], from when on it is known.
    """

    value: Floats
    known: Flags
    settled_ms: Ints


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
    asked = open_rows(log, spec, rows) & eligible
    value, known = np.zeros(asked.shape), np.zeros(asked.shape, np.bool_)
    settled_ms = np.zeros(asked.shape, np.int64)
    own: dict[tuple[str, ...], OwnEvents] = {}
    for index, task in enumerate(spec.tasks):
        types = spec.types_of(task)
        if types not in own:
            own[types] = OwnEvents.of(log, spec, types)
        question = Question(task, spec, log, own[types], rows)
        answer = RULES[task.label](question)
        value[:, index], known[:, index] = answer.value, answer.told & asked[:, index]
        settled_ms[:, index] = question.end_ms
        if task.settled == "when_told" and answer.told_ms is not None:
            settled_ms[:, index] = answer.told_ms
            known[:, index] &= answer.told_ms <= known_until(log, task)[rows.customer]
    return Labels(np.where(known, value, 0.0), known, settled_ms)


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

    @cached_property
    def first(self) -> Ints:
        """Return the index of the first own event that the features do not know."""
        return self.own.before[self.rows.after]

    @cached_property
    def end(self) -> Ints:
        """Return the index of the first own event behind the window."""
        return np.maximum(self.own.timeline.place(self.rows.customer, self.end_ms), self.first)


def _inactive(question: Question) -> Answer:
    return Answer((question.end == question.first).astype(np.float64), _everywhere(question))


def _activated(question: Question) -> Answer:
    enough = question.end - question.first >= question.task.events
    return Answer(enough.astype(np.float64), _everywhere(question))


def _outflow(question: Question) -> Answer:
    spent = window_sums(question.own.spent, question.first, question.end)
    return Answer(np.log1p(spent), _everywhere(question))


def _spend_drop(question: Question) -> Answer:
    own, rows, first = question.own, question.rows, question.first
    start = own.timeline.place(rows.customer, rows.time_ms - horizon_ms(question.task))
    before = window_sums(own.spent, np.minimum(start, first), first)
    after = window_sums(own.spent, first, question.end)
    return Answer((after < question.task.drop * before).astype(np.float64), before > 0.0)


def _next_type(question: Question) -> Answer:
    own, rows, spec = question.own, question.rows, question.spec
    first = question.first
    if question.task.by_day:
        next_day = own.timeline.place(rows.customer, midnight_ms(local_day(rows.time_ms, spec) + 1, spec))
        first = np.where(rows.kind == EVENT, np.maximum(next_day, first), first)
    told = first < question.end
    place = np.where(told, first, 0)
    told_ms = _at(own.timeline.time_ms, place) + 1
    if question.task.by_day:
        told_ms = midnight_ms(_at(own.day, place) + 1, spec)
        place = own.largest_of_day[place] if len(own.kind) else place
    return Answer(_at(own.kind, place).astype(np.float64), told, told_ms)


def _top_type(question: Question) -> Answer:
    own, rows = question.own, question.rows
    most, place = np.zeros(len(rows)), np.zeros(len(rows))
    for kind in range(len(question.spec.types_of(question.task))):
        spent = window_sums(np.where(own.kind == kind, own.spent, 0.0), question.first, question.end)
        place = np.where(spent > most, kind, place)
        most = np.maximum(spent, most)
    return Answer(place, most > 0.0)


def _outcome_within(question: Question) -> Answer:
    first, end, outcomes = _outcomes_ahead(question)
    if question.task.kind == "multiclass":
        none = question.spec.classes(question.task).index(NONE)
        found = first < end
        return Answer(np.where(found, _at(outcomes.value, np.where(found, first, 0)), none), _everywhere(question))
    total = window_sums(outcomes.value, first, end)
    label = np.log1p(total) if question.task.kind == "value" else (total > 0.0).astype(np.float64)
    return Answer(label, _everywhere(question))


def _outcome_next(question: Question) -> Answer:
    first, end, outcomes = _outcomes_ahead(question)
    found = first < end
    place = np.where(found, first, 0)
    return Answer(outcomes.label(question.task, place), found, _at(outcomes.timeline.time_ms, place) + 1)


def _outcome_at(question: Question) -> Answer:
    outcomes, rows = _outcomes(question), question.rows
    place = outcomes.timeline.place(rows.customer, rows.time_ms)
    told = place < outcomes.timeline.place(rows.customer, rows.time_ms, "right")
    return Answer(outcomes.label(question.task, np.where(told, place, 0)), told)


@dataclass(frozen=True)
class _Told:
    """The outcomes of a task: when and of whom, and as a class index, 0 or 1, or an amount."""

    timeline: Timeline
    value: Floats

    def label(self, task: Task, place: Ints) -> Floats:
        """Return the outcomes at some places as labels."""
        value = _at(self.value, place).astype(np.float64)
        return np.log1p(value) if task.kind == "value" else value


def _outcomes_ahead(question: Question) -> tuple[Ints, Ints, _Told]:
    """Return the window of each row as [first, end) among the task's outcomes, and those."""
    outcomes, rows = _outcomes(question), question.rows
    at, behind = (outcomes.timeline.place(rows.customer, rows.time_ms, side) for side in ("left", "right"))
    first = np.where(rows.kind == EVENT, behind, at)
    return first, np.maximum(outcomes.timeline.place(rows.customer, question.end_ms), first), outcomes


def _outcomes(question: Question) -> _Told:
    task = question.task
    outcomes = question.log.outcomes.of(task.outcome_name)
    timeline = Timeline(outcomes.customer, outcomes.time_ms)
    if task.kind == "binary":
        return _Told(timeline, (outcomes.value != NO).astype(np.float64))
    if task.kind == "value":
        return _Told(timeline, np.maximum(_amounts(outcomes.value, task), 0.0))
    classes = question.spec.classes(task)
    for value in sorted(set(outcomes.value)):
        if value not in classes:
            message = (
                f"Expected one of the classes {', '.join(classes)} in outcomes.parquet, task {task.outcome_name!r}, "
                f"found {value!r}; correct it or add it to the classes of task {task.name!r} in the spec."
            )
            raise InputError(message)
    codes = {name: float(index) for index, name in enumerate(classes)}
    return _Told(timeline, np.array([codes[item] for item in outcomes.value], np.float64))


def _amounts(texts: Texts, task: Task) -> Floats:
    amounts = np.empty(len(texts))
    for index, text in enumerate(texts):
        try:
            amounts[index] = float(text)
        except ValueError:
            amounts[index] = np.nan
        if not abs(amounts[index]) <= LARGEST_AMOUNT:
            message = (
                f"Expected an amount of at most {LARGEST_AMOUNT:g} in outcomes.parquet, task {task.outcome_name!r}, "
                f"found {text!r}; correct it, or make task {task.name!r} one of classes."
            )
            raise InputError(message)
    return amounts


def _at(values: NDArray[_Number], place: Ints) -> NDArray[_Number]:
    return values[place] if len(values) else np.zeros(len(place), values.dtype)


def _everywhere(question: Question) -> Flags:
    return np.ones(len(question.rows), np.bool_)


RULES: Final[dict[str, Callable[[Question], Answer]]] = {
    "inactive": _inactive,
    "activated": _activated,
    "spend_drop": _spend_drop,
    "outcome_within": _outcome_within,
    "outcome_next": _outcome_next,
    "outcome_at": _outcome_at,
    "next_type": _next_type,
    "top_type": _top_type,
    "outflow": _outflow,
}
