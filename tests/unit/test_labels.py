"""Every label rule, by hand and against a slow and obvious reading of the log."""

from collections import defaultdict
from math import log1p

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import spec_file
from schemas.errors import InputError
from schemas.spec import Spec, Task
from tests.logs import HEAD, at, log_of, spec_of
from training.arrays import DAY_MS
from training.labels import RULES, label
from training.log import Log
from training.rows import EVENT, OUTCOME, RECORD, TICK, Rows

NAMES = {"inactive": "binary", "spend_drop": "binary", "next_type": "multiclass", "top_type": "multiclass",
         "outflow": "value"}  # fmt: skip


def task(rule: str, kind: str | None = None, more: str = "") -> str:
    return f'[[tasks]]\nname = "t"\nkind = "{kind or NAMES[rule]}"\nlabel = "{rule}"\nhorizon_days = 10\n{more}'


def activated(more: str = "") -> Spec:
    """Return a spec that asks who becomes active: two own events within 10 days of the first record."""
    asked = task("activated", "binary", f'rows = ["record"]\nevents = 2\n{more}')
    return spec_file.parse(f"{HEAD}\nscore_on_customer = true\n{asked}", "a test")


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


def test_activated_says_whether_enough_own_events_follow_the_first_record() -> None:
    spec = activated()
    late = [(0, 2, "shop", -5.0), (0, 3, "fee", -1.0), (0, 11, "shop", -5.0)]
    soon = [(0, 2, "shop", -5.0), (0, 10.9, "salary", 5.0)]

    for moved, expected in ((late, 0.0), (soon, 1.0), (soon[:1], 0.0)):
        log = log_of(spec, moved)
        assert answer(log, spec, tick(log, 1, kind=RECORD)) == expected
        assert answer(log, spec, tick(log, 1)) is None, "no other row is asked"
    short = log_of(spec, soon, until=(10.9,))
    assert answer(short, spec, tick(short, 1, kind=RECORD)) is None


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


def test_an_amount_is_not_rounded_by_what_others_spent_before_it() -> None:
    spec = spec_of(task("outflow"))
    log = log_of(spec, [(0, 1, "shop", -1e12), (0, 2, "shop", -1e12), (1, 5, "shop", -0.01)], until=(100, 100))

    assert answer(log, spec, tick(log, 4, customer=1)) == log1p(0.01)


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


def test_top_type_is_the_own_type_with_the_largest_outflow_within_the_horizon() -> None:
    spec = spec_of(task("top_type"))
    moved = [
        (0, 1, "shop", -4.0),
        (0, 2, "rent", -6.0),
        (0, 3, "shop", -3.0),
        (0, 4, "salary", 900.0),
        (0, 5, "fee", -99.0),
        (0, 12, "rent", -50.0),
    ]
    log = log_of(spec, moved)

    assert answer(log, spec, tick(log, 0.5)) == 2.0  # 7 for shop, 6 for rent
    assert answer(log, spec, event(log, 0)) == 1.0  # its own 4 are no longer the future
    assert answer(log, spec, tick(log, 2.5)) == 1.0


def test_top_type_takes_the_first_type_of_equally_large_ones_and_is_masked_where_nothing_leaves() -> None:
    spec = spec_of(task("top_type"))
    log = log_of(spec, [(0, 1, "shop", -4.0), (0, 2, "rent", -4.0), (0, 20, "salary", 9.0), (0, 21, "shop", 5.0)])

    assert answer(log, spec, tick(log, 0.5)) == 1.0
    assert answer(log, spec, tick(log, 19)) is None


MIXED = [(0, 1, "shop", -10.0), (0, 4, "salary", 900.0), (0, 6, "rent", -40.0), (0, 8, "shop", -5.0)]


@pytest.mark.parametrize(
    ("rule", "of_all", "of_rent_and_other"),
    [
        ("inactive", 0.0, 0.0),
        ("outflow", log1p(45.0), log1p(40.0)),
        ("next_type", 0.0, 0.0),  # salary, the first of all; rent, the first of two
        ("top_type", 1.0, 0.0),
        ("spend_drop", 0.0, None),
    ],
)
def test_types_say_what_counts_and_which_classes_there_are(
    rule: str, of_all: float, of_rent_and_other: float | None
) -> None:
    all_types, two = (spec_of(task(rule, more=more)) for more in ("", 'types = ["rent", "other"]'))

    log = log_of(all_types, MIXED)

    assert answer(log, all_types, tick(log, 2)) == pytest.approx(of_all)
    assert answer(log, two, tick(log, 2)) == pytest.approx(of_rent_and_other)
    assert answer(log, spec_of(task("inactive", more='types = ["other"]')), tick(log, 2)) == 1.0


def test_what_is_settled_when_told_needs_no_whole_horizon_but_counts_only_what_was_observed() -> None:
    spec = spec_of(task("next_type", more='settled = "when_told"'))
    log = log_of(spec, [(0, day, "shop", -5.0) for day in (1, 18, 21)], until=(20,))

    assert answer(log, spec, tick(log, 12)) == 2.0
    assert answer(log, spec, tick(log, 18.5)) is None  # day 21 lies behind the observation
    assert answer(log, spec, tick(log, 20)) is None


def test_a_label_is_settled_by_its_horizon_or_when_it_is_told() -> None:
    moved = [(0, 1.5, "shop", -5.0), (0, 3.5, "rent", -1.0), (0, 3.75, "shop", -2.0)]
    told = 'settled = "when_told"'

    def settled(rule: str, kind: str | None = None, more: str = "") -> float:
        spec = spec_of(task(rule, kind, more))
        log = log_of(spec, moved, OUTCOMES)
        return float(label(log, spec, event(log, 0), np.ones((1, 1), np.bool_)).settled_ms[0, 0])

    assert settled("next_type") == at(11.5)
    assert settled("next_type", more=told) == at(3.5) + 1
    assert settled("next_type", more=told + "\nby_day = true") == at(4)  # the largest of a day is known when it ends
    assert settled("outcome_next", "binary", told) == at(5) + 1


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


AMOUNTS = [(0, 5, "t", "7.5"), (0, 12, "t", "-3"), (0, 13, "t", "2.5"), (0, 13, "else", "much")]


def test_outcomes_of_a_value_are_amounts_that_are_summed_or_taken_as_they_come() -> None:
    within, following, at_it = (spec_of(task(f"outcome_{when}", "value")) for when in ("within", "next", "at"))
    log = log_of(within, [(0, 1, "shop", -1.0)], AMOUNTS)

    assert answer(log, within, tick(log, 5)) == pytest.approx(log1p(10.0))
    assert answer(log, within, tick(log, 14)) == 0.0
    assert answer(log, following, tick(log, 5)) == pytest.approx(log1p(7.5))
    assert answer(log, following, tick(log, 6)) == 0.0  # less than nothing is nothing
    assert answer(log, following, tick(log, 14)) is None
    assert answer(log, at_it, tick(log, 13, kind=OUTCOME)) == pytest.approx(log1p(2.5))


@pytest.mark.parametrize("text", ["much", "nan", "inf", "1e13", ""])
def test_an_outcome_that_is_no_amount_is_refused(text: str) -> None:
    spec = spec_of(task("outcome_next", "value"))
    log = log_of(spec, [(0, 1, "shop", -1.0)], [(0, 5, "t", text)])

    with pytest.raises(InputError, match=rf"Expected an amount of at most 1e\+12 .*, task 't', found '{text}'"):
        answer(log, spec, tick(log, 5))


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
    activated(),
    activated('types = ["shop"]'),
    spec_of(task("spend_drop")),
    spec_of(task("outflow")),
    spec_of(task("next_type")),
    spec_of(task("next_type", more="by_day = true")),
    spec_of(task("next_type", more='settled = "when_told"')),
    spec_of(task("next_type", more='by_day = true\nsettled = "when_told"')),
    spec_of(task("top_type")),
    spec_of(task("top_type", more='types = ["shop", "rent"]')),
    spec_of(task("inactive", more='types = ["rent"]')),
    spec_of(task("outflow", more='types = ["rent", "shop"]')),
    spec_of(task("next_type", more='types = ["shop", "rent"]\nsettled = "when_told"')),
    spec_of(task("outcome_within", "binary")),
    spec_of(task("outcome_within", "value")),
    spec_of(task("outcome_next", "value", 'settled = "when_told"')),
    spec_of(task("outcome_within", "multiclass", 'classes = ["none", "0", "1"]')),
    spec_of(task("outcome_next", "binary")),
    spec_of(task("outcome_at", "binary")),
]


@settings(max_examples=60)
@given(events=events, outcomes=outcomes, until=st.tuples(days, days), cuts=st.lists(days, min_size=1, max_size=4))
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.tasks[0].label + "-" + spec.tasks[0].kind)
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
    parts += [tick(log, cut, customer, kind) for cut in cuts for customer in (0, 1) for kind in (TICK, OUTCOME, RECORD)]
    columns = ([getattr(part, name) for part in parts] for name in ("customer", "time_ms", "kind", "after"))
    return Rows(*(np.concatenate(column) for column in columns))


def slow_label(log: Log, spec: Spec, rows: Rows, index: int) -> float | None:  # noqa: PLR0911  (case by case)
    """Label one row by going through the whole log."""
    asked = spec.tasks[0]
    customer, time, kind = int(rows.customer[index]), int(rows.time_ms[index]), int(rows.kind[index])
    end = time + round(asked.horizon_days * DAY_MS)
    seen = int(log.observed_until[customer])
    at_once = asked.settled == "when_told"
    if (kind == OUTCOME) != (asked.label == "outcome_at") or (kind == RECORD) != (asked.label == "activated"):
        return None
    if asked.label != "outcome_at" and (time >= seen if at_once else end > seen):
        return None
    mine = [
        (
            int(log.transactions.time_ms[k]),
            spec.types[log.transactions.kind[k]].name,
            float(log.transactions.amount[k]),
            k,
        )
        for k in range(len(log.transactions.kind))
        if log.transactions.customer[k] == customer
    ]
    first = min((item[0] for item in mine), default=None)
    if asked.min_history_days and (first is None or time < first + asked.min_history_days * DAY_MS):
        return None
    types = asked.types or tuple(item.name for item in spec.types if item.initiator == "customer")
    own = [item for item in mine if item[1] in types]
    past = [item for item in own if item[3] < rows.after[index]]
    future = [item for item in own if item[3] >= rows.after[index] and item[0] < end]
    if asked.label.startswith("outcome"):
        return slow_outcome(log, asked, spec, (customer, time, end, kind))
    if asked.label in {"inactive", "activated"}:
        return float(len(future) >= asked.events if asked.label == "activated" else not future)
    if asked.label != "next_type":
        return slow_spending(asked, types, future, [item for item in past if item[0] >= time - (end - time)])
    if asked.by_day:
        return slow_by_day(spec, mine, rows, index, seen if at_once else None)
    if not future or (at_once and future[0][0] >= seen):
        return None
    return float(types.index(future[0][1]))


def slow_spending(
    asked: Task,
    types: tuple[str, ...],
    future: list[tuple[int, str, float, int]],
    past: list[tuple[int, str, float, int]],
) -> float | None:
    spent, before = (sum(max(-item[2], 0.0) for item in items) for items in (future, past))
    if asked.label == "outflow":
        return log1p(spent)
    if asked.label == "spend_drop":
        return float(spent < asked.drop * before) if before else None
    by_type = [sum(max(-item[2], 0.0) for item in future if item[1] == name) for name in types]
    return float(by_type.index(max(by_type))) if max(by_type) else None


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
        limit = min(end, int(log.outcomes_until[customer])) if asked.settled == "when_told" else end
        values = [value for when, value in told if (when > time or (when == time and kind != EVENT)) and when < limit]
    if asked.label == "outcome_within" and asked.kind != "multiclass":
        return float("1" in values) if asked.kind == "binary" else log1p(values.count("1"))
    if asked.label == "outcome_within":
        return float(spec.classes(asked).index(values[0] if values else "none"))
    if not values:
        return None
    return log1p(float(values[0])) if asked.kind == "value" else float(values[0])


def slow_by_day(
    spec: Spec, mine: list[tuple[int, str, float, int]], rows: Rows, index: int, seen: int | None
) -> float | None:
    asked = spec.tasks[0]
    time, kind, after = int(rows.time_ms[index]), int(rows.kind[index]), int(rows.after[index])
    days: dict[int, list[tuple[int, str, float, int]]] = defaultdict(list)
    for item in mine:
        days[item[0] // DAY_MS].append(item)
    today = days[time // DAY_MS]
    own = {day: [item for item in items if item[1] in spec.own_types] for day, items in days.items()}
    if kind == EVENT and (today[-1][3] != after - 1 or not own[time // DAY_MS]):
        return None
    for day in sorted(own):
        rest = [item for item in own[day] if item[3] >= after]
        if day < time // DAY_MS + (kind == EVENT) or not rest:
            continue
        if rest[0][0] >= time + round(asked.horizon_days * DAY_MS):
            return None
        if seen is not None and (day + 1) * DAY_MS > seen:
            return None
        largest = max(rest, key=lambda item: (abs(item[2]), -item[3]))
        return float(spec.own_types.index(largest[1]))
    return None
