"""Every label rule, by hand and against a slow and obvious reading of the log."""

from collections import defaultdict
from math import log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.spec import Spec, Task
from tests.logs import at, log_of, spec_of
from training.arrays import DAY_MS
from training.labels import RULES, label
from training.log import Log
from training.rows import EVENT, OUTCOME, TICK, Rows

NAMES = {"inactive": "binary", "spend_drop": "binary", "next_type": "multiclass", "outflow": "value"}


def task(rule: str, kind: str | None = None, more: str = "") -> str:
    return f'[[tasks]]\nname = "t"\nkind = "{kind or NAMES[rule]}"\nlabel = "{rule}"\nhorizon_days = 10\n{more}'


def tick(log: Log, day: float, customer: int = 0, kind: int = TICK) -> Rows:
    who, when = np.array([customer]), np.array([at(day)])
    return Rows(who, when, np.array([kind]), log.transactions.timeline.place(who, when))


def event(log: Log, index: int) -> Rows:
    transactions = log.transactions
    where = np.array([index])
    return Rows(transactions.customer[where], transactions.time_ms[where], np.array([EVENT]), where + 1)


def answer(log: Log, spec: Spec, rows: Rows) -> float | None:
    labels = label(log, spec, rows, np.ones((len(rows), len(spec.tasks)), np.bool_))
    return float(labels.value[0, 0]) if labels.known[0, 0] else None


def test_inactive_says_whether_nothing_own_follows_within_the_horizon() -> None:
    spec = spec_of(task("inactive"))
    log = log_of(spec, [(0, 1, "shop", -5.0), (0, 20, "shop", -5.0)])

    assert answer(log, spec, tick(log, 5)) == 1.0
    assert answer(log, spec, tick(log, 11)) == 0.0
    assert answer(log, spec, event(log, 0)) == 1.0


def test_an_event_at_the_cut_is_the_future_and_one_at_the_end_of_the_horizon_is_not() -> None:
    spec = spec_of(task("inactive"))
    log = log_of(spec, [(0, 1, "shop", -5.0), (0, 20, "shop", -5.0)])

    assert answer(log, spec, tick(log, 20)) == 0.0
    assert answer(log, spec, tick(log, 10)) == 1.0


def test_what_the_bank_does_is_no_activity() -> None:
    spec = spec_of(task("inactive"))
    log = log_of(spec, [(0, 1, "shop", -5.0), (0, 6, "fee", -5.0)])

    assert answer(log, spec, tick(log, 5)) == 1.0


def test_events_of_other_customers_do_not_count() -> None:
    spec = spec_of(task("inactive"))
    log = log_of(spec, [(0, 1, "shop", -5.0), (1, 6, "shop", -5.0)], until=(100, 100))

    assert answer(log, spec, tick(log, 5)) == 1.0


@pytest.mark.parametrize("rule", NAMES)
def test_a_horizon_that_leaves_the_observation_is_masked_never_0(rule: str) -> None:
    spec = spec_of(task(rule))
    log = log_of(spec, [(0, day, "shop", -5.0) for day in range(1, 50)], until=(30,))

    assert answer(log, spec, tick(log, 20)) is not None
    assert answer(log, spec, tick(log, 20.001)) is None


def test_a_row_before_the_wanted_history_is_masked() -> None:
    spec = spec_of(task("inactive", more="min_history_days = 7"))
    log = log_of(spec, [(0, 1, "shop", -5.0)])

    assert answer(log, spec, tick(log, 7.9)) is None
    assert answer(log, spec, tick(log, 8)) == 1.0


def test_a_row_of_a_kind_that_the_task_does_not_take_is_masked() -> None:
    spec = spec_of(task("inactive", more='rows = ["tick"]'))
    log = log_of(spec, [(0, 1, "shop", -5.0)])

    assert answer(log, spec, event(log, 0)) is None
    assert answer(log, spec, tick(log, 5)) == 1.0


def test_who_is_not_eligible_has_no_label() -> None:
    spec = spec_of(task("inactive"))
    log = log_of(spec, [(0, 1, "shop", -5.0)])

    labels = label(log, spec, tick(log, 5), np.zeros((1, 1), np.bool_))

    assert (labels.known[0, 0], labels.value[0, 0]) == (False, 0.0)


def test_outflow_is_the_log_of_what_the_customer_spends_within_the_horizon() -> None:
    spec = spec_of(task("outflow"))
    moved = [
        (0, 1, "shop", -7.0),
        (0, 2, "rent", -30.0),
        (0, 3, "salary", 900.0),
        (0, 4, "fee", -9.0),
        (0, 13, "shop", -1.0),
    ]
    log = log_of(spec, moved)

    assert answer(log, spec, tick(log, 2)) == pytest.approx(log1p(30.0))
    assert answer(log, spec, event(log, 0)) == pytest.approx(log1p(30.0))
    assert answer(log, spec, event(log, 1)) == 0.0


def test_spend_drop_compares_with_the_same_time_before() -> None:
    spec = spec_of(task("spend_drop", more="drop = 0.5"))
    log = log_of(spec, [(0, 1, "shop", -100.0), (0, 12, "shop", -50.0), (0, 23, "shop", -24.0)])

    assert answer(log, spec, tick(log, 11)) == 0.0
    assert answer(log, spec, tick(log, 22)) == 1.0
    assert answer(log, spec, event(log, 0)) == 1.0


def test_spend_drop_is_masked_where_nothing_was_spent_before() -> None:
    spec = spec_of(task("spend_drop"))
    log = log_of(spec, [(0, 1, "shop", -100.0), (0, 30, "shop", -50.0)])

    assert answer(log, spec, tick(log, 29)) is None


def test_next_type_counts_own_types_only() -> None:
    spec = spec_of(task("next_type"))
    log = log_of(spec, [(0, 1, "shop", -1.0), (0, 2, "fee", -1.0), (0, 3, "other", -1.0), (0, 40, "rent", -1.0)])

    assert spec.classes(spec.tasks[0]) == ("salary", "rent", "shop", "other")
    assert answer(log, spec, event(log, 0)) == 3.0
    assert answer(log, spec, event(log, 2)) is None


def test_next_type_by_day_takes_the_largest_of_the_next_own_day_at_the_end_of_a_day() -> None:
    spec = spec_of(task("next_type", more="by_day = true"))
    moved = [
        (0, 1.1, "shop", -1.0),
        (0, 1.2, "shop", -9.0),
        (0, 3.1, "shop", -1.0),
        (0, 3.2, "rent", -5.0),
        (0, 3.3, "fee", -8.0),
    ]
    log = log_of(spec, moved)

    assert answer(log, spec, event(log, 0)) is None  # not the end of its day
    assert answer(log, spec, event(log, 1)) == 1.0
    assert answer(log, spec, tick(log, 2)) == 1.0


def test_next_type_by_day_takes_the_first_of_equally_large_ones() -> None:
    spec = spec_of(task("next_type", more="by_day = true"))
    log = log_of(spec, [(0, 1.1, "shop", -1.0), (0, 3.1, "rent", -5.0), (0, 3.2, "salary", 5.0)])

    assert answer(log, spec, event(log, 0)) == 1.0


OUTCOMES = [(0, 5, "t", "1"), (0, 12, "t", "0"), (0, 13, "else", "1")]


def test_outcome_within_looks_for_a_positive_one() -> None:
    spec = spec_of(task("outcome_within", "binary"))
    log = log_of(spec, [(0, 5, "shop", -1.0)], OUTCOMES)

    assert answer(log, spec, tick(log, 5)) == 1.0
    assert answer(log, spec, event(log, 0)) == 0.0  # what happens at the very time of an event is not after it
    assert answer(log, spec, tick(log, 6)) == 0.0


def test_outcome_within_of_classes_has_a_class_for_none() -> None:
    spec = spec_of(task("outcome_within", "multiclass", 'classes = ["none", "0", "1"]'))
    log = log_of(spec, [(0, 1, "shop", -1.0)], OUTCOMES)

    assert answer(log, spec, tick(log, 5)) == 2.0
    assert answer(log, spec, tick(log, 6)) == 1.0
    assert answer(log, spec, tick(log, 14)) == 0.0


def test_outcome_next_is_masked_without_an_outcome() -> None:
    spec = spec_of(task("outcome_next", "binary"))
    log = log_of(spec, [(0, 1, "shop", -1.0)], OUTCOMES)

    assert answer(log, spec, tick(log, 5)) == 1.0
    assert answer(log, spec, tick(log, 6)) == 0.0
    assert answer(log, spec, tick(log, 14)) is None


def test_outcome_at_is_asked_at_the_time_of_the_outcome_alone() -> None:
    spec = spec_of(task("outcome_at", "binary"))
    log = log_of(spec, [(0, 1, "shop", -1.0)], OUTCOMES)

    assert answer(log, spec, tick(log, 5, kind=OUTCOME)) == 1.0
    assert answer(log, spec, tick(log, 12, kind=OUTCOME)) == 0.0
    assert answer(log, spec, tick(log, 13, kind=OUTCOME)) is None
    assert answer(log, spec, tick(log, 5)) is None


def test_outcomes_may_be_known_longer_than_transactions() -> None:
    spec = spec_of(task("outcome_within", "binary"))
    log = log_of(spec, [(0, 1, "shop", -1.0)], OUTCOMES, until=(3,))
    longer = type(log)(**{**log.__dict__, "outcomes_until": np.array([at(50)])})

    assert answer(log, spec, tick(log, 3)) is None
    assert answer(longer, spec, tick(longer, 3)) == 1.0


def test_an_outcome_of_an_unknown_class_is_refused() -> None:
    spec = spec_of(task("outcome_next", "multiclass", 'classes = ["yes", "no"]'))
    log = log_of(spec, [(0, 1, "shop", -1.0)], [(0, 5, "t", "perhaps")])

    with pytest.raises(InputError, match=r"one of the classes yes, no .* found 'perhaps'"):
        answer(log, spec, tick(log, 5))


# Times lie on a grid of quarter days, so that equal times and edges are common.
days = st.integers(0, 120).map(lambda quarter: quarter / 4)
events = st.lists(
    st.tuples(
        st.integers(0, 1),
        days,
        st.sampled_from(["salary", "rent", "shop", "fee", "other"]),
        st.sampled_from([-50.0, -3.0, 0.0, 3.0, 50.0]),
    ),
    min_size=1,
    max_size=25,
)
outcomes = st.lists(st.tuples(st.integers(0, 1), days, st.just("t"), st.sampled_from(["0", "1"])), max_size=8)
SPECS = [
    spec_of(task("inactive", more="min_history_days = 2")),
    spec_of(task("spend_drop")),
    spec_of(task("outflow")),
    spec_of(task("next_type")),
    spec_of(task("next_type", more="by_day = true")),
    spec_of(task("outcome_within", "binary")),
    spec_of(task("outcome_within", "multiclass", 'classes = ["none", "0", "1"]')),
    spec_of(task("outcome_next", "binary")),
    spec_of(task("outcome_at", "binary")),
]


@given(events=events, outcomes=outcomes, until=st.tuples(days, days), cuts=st.lists(days, min_size=1, max_size=4))
@pytest.mark.parametrize(
    "spec", SPECS, ids=lambda spec: f"{spec.tasks[0].label}-{spec.tasks[0].kind}-{spec.tasks[0].by_day}"
)
def test_every_rule_agrees_with_a_slow_reading_of_the_log(
    spec: Spec,
    events: list[tuple[int, float, str, float]],
    outcomes: list[tuple[int, float, str, str]],
    until: tuple[float, float],
    cuts: list[float],
) -> None:
    log = log_of(spec, events, outcomes, until=until)
    rows = all_rows(log, cuts)

    labels = label(log, spec, rows, np.ones((len(rows), 1), np.bool_))

    found = [
        float(value) if known else None for value, known in zip(labels.value[:, 0], labels.known[:, 0], strict=True)
    ]
    assert found == pytest.approx([slow_label(log, spec, rows, index) for index in range(len(rows))])


def test_every_rule_is_tried() -> None:
    assert {spec.tasks[0].label for spec in SPECS} == set(RULES)


def all_rows(log: Log, cuts: list[float]) -> Rows:
    parts = [event(log, index) for index in range(len(log.transactions.kind))]
    parts += [tick(log, cut, customer, kind) for cut in cuts for customer in (0, 1) for kind in (TICK, OUTCOME)]
    columns = ([getattr(part, name) for part in parts] for name in ("customer", "time_ms", "kind", "after"))
    return Rows(*(np.concatenate(column) for column in columns))


def slow_label(log: Log, spec: Spec, rows: Rows, index: int) -> float | None:  # noqa: PLR0911  (case by case)
    """Label one row by going through the whole log."""
    asked = spec.tasks[0]
    customer, time, kind = int(rows.customer[index]), int(rows.time_ms[index]), int(rows.kind[index])
    end = time + round(asked.horizon_days * DAY_MS)
    if (kind == OUTCOME) != (asked.label == "outcome_at"):
        return None
    if asked.label != "outcome_at" and end > log.observed_until[customer]:
        return None
    mine = [
        (int(log.transactions.time_ms[k]), spec.types[log.transactions.kind[k]], float(log.transactions.amount[k]), k)
        for k in range(len(log.transactions.kind))
        if log.transactions.customer[k] == customer
    ]
    first = min((item[0] for item in mine), default=None)
    if asked.min_history_days and (first is None or time < first + asked.min_history_days * DAY_MS):
        return None
    own = [item for item in mine if item[1].initiator == "customer"]
    past = [item for item in own if item[3] < rows.after[index]]
    future = [item for item in own if item[3] >= rows.after[index] and item[0] < end]
    if asked.label.startswith("outcome"):
        return slow_outcome(log, asked, spec, (customer, time, end, kind))
    if asked.label == "inactive":
        return float(not future)
    spent = sum(max(-item[2], 0.0) for item in future)
    if asked.label == "outflow":
        return log1p(spent)
    if asked.label == "spend_drop":
        before = sum(max(-item[2], 0.0) for item in past if item[0] >= time - (end - time))
        return float(spent < asked.drop * before) if before else None
    if asked.by_day:
        return slow_by_day(spec, asked, mine, rows, index)
    return float(spec.own_types.index(future[0][1].name)) if future else None


def slow_outcome(log: Log, asked: Task, spec: Spec, row: tuple[int, int, int, int]) -> float | None:
    customer, time, end, kind = row
    told = [
        (int(log.outcomes.time_ms[k]), str(log.outcomes.value[k]))
        for k in range(len(log.outcomes.value))
        if log.outcomes.customer[k] == customer
    ]
    if asked.label == "outcome_at":
        values = [value for when, value in told if when == time]
    else:
        values = [value for when, value in told if (when > time or (when == time and kind != EVENT)) and when < end]
    if asked.label == "outcome_within" and asked.kind == "binary":
        return float("1" in values)
    if asked.label == "outcome_within":
        return float(spec.classes(asked).index(values[0] if values else "none"))
    return float(values[0]) if values else None


def slow_by_day(
    spec: Spec, asked: Task, mine: list[tuple[int, object, float, int]], rows: Rows, index: int
) -> float | None:
    time, kind, after = int(rows.time_ms[index]), int(rows.kind[index]), int(rows.after[index])
    days: dict[int, list[tuple[int, object, float, int]]] = defaultdict(list)
    for item in mine:
        days[item[0] // DAY_MS].append(item)
    today = days[time // DAY_MS]
    own = {day: [item for item in items if item[1].initiator == "customer"] for day, items in days.items()}  # type: ignore[attr-defined]
    if kind == EVENT and (today[-1][3] != after - 1 or not own[time // DAY_MS]):
        return None
    for day in sorted(own):
        rest = [item for item in own[day] if item[3] >= after]
        if day < time // DAY_MS + (kind == EVENT) or not rest:
            continue
        if rest[0][0] >= time + round(asked.horizon_days * DAY_MS):
            return None
        largest = max(rest, key=lambda item: (abs(item[2]), -item[3]))
        return float(spec.own_types.index(largest[1].name))  # type: ignore[attr-defined]
    return None
