"""Which rows are chosen to learn from."""

from datetime import UTC, datetime

import numpy as np
import pytest

from schemas.spec import Spec
from tests.logs import START_MS, at, log_of, spec_of
from training.log import Log
from training.rows import BETWEEN, EVENT, OUTCOME, TICK, Rows, choose, cut_times, day_ends

CHURN = '[[tasks]]\nname = "churn"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 10\n'
LOAN = '[[tasks]]\nname = "loan"\nkind = "binary"\nlabel = "outcome_at"\nhorizon_days = 10\n'
BY_DAY = (
    '[[tasks]]\nname = "next"\nkind = "multiclass"\nlabel = "next_type"\n'
    'horizon_days = 10\nby_day = true\nrows = ["event"]\n'
)


def of_kind(rows: Rows, kind: int) -> list[tuple[int, float]]:
    chosen = rows.take(rows.kind == kind)
    return [
        (int(who), (int(when) - START_MS) / 86_400_000)
        for who, when in zip(chosen.customer, chosen.time_ms, strict=True)
    ]


def shopping(*days: float, customer: int = 0) -> list[tuple[int, float, str, float]]:
    return [(customer, day, "shop", -1.0) for day in days]


def test_ticks_lie_at_every_cut_from_the_first_event_on_while_the_horizon_is_observed() -> None:
    spec = spec_of(CHURN, 'cut_every = "5d"\nmax_event_rows = 0')
    log = log_of(spec, shopping(2, 3), until=(31,))
    first = int((START_MS // 86_400_000) % 5)

    days = [day for _, day in of_kind(choose(log, spec, 1), TICK)]

    assert days == [day for day in range(3, 22) if (day + first) % 5 == 0]


def test_a_customer_of_whom_nothing_is_known_has_no_tick() -> None:
    spec = spec_of(CHURN, 'cut_every = "1d"\nmax_event_rows = 0')
    log = log_of(spec, shopping(2), until=(31, 31))

    assert {who for who, _ in of_kind(choose(log, spec, 1), TICK)} == {0}


def test_monthly_cuts_are_the_first_of_each_month_at_local_midnight() -> None:
    spec = spec_of(CHURN + "\n", 'cut_every = "month"')
    east = Spec(**{**{name: getattr(spec, name) for name in spec.__struct_fields__}, "utc_offset_minutes": 120})
    start, end = (round(datetime(2024, month, 1, tzinfo=UTC).timestamp() * 1000) for month in (1, 4))

    cuts = [datetime.fromtimestamp(int(time) / 1000, UTC).isoformat()[:16] for time in cut_times(start, end, east)]

    assert cuts == ["2024-01-31T22:00", "2024-02-29T22:00", "2024-03-31T22:00"]


def test_cuts_begin_on_the_day_that_the_spec_names_and_count_from_it() -> None:
    spec = spec_of(CHURN, 'cut_every = "9d"\ncut_from = 2024-01-05\nmax_event_rows = 0')
    log = log_of(spec, shopping(2), until=(50,))

    assert [day for _, day in of_kind(choose(log, spec, 1), TICK)] == [4, 13, 22, 31, 40]


def test_rows_to_learn_from_lie_between_the_cuts_and_never_on_one() -> None:
    spec = spec_of(CHURN, 'cut_every = "9d"\ncut_from = 2024-01-05\nlearn_every = "3d"\nmax_event_rows = 0')
    log = log_of(spec, shopping(2), until=(30,))

    rows = choose(log, spec, 1)

    assert [day for _, day in of_kind(rows, TICK)] == [4, 13]
    assert [day for _, day in of_kind(rows, BETWEEN)] == [7, 10, 16, 19]
    assert rows.asked.tolist() == [True] * 2 + [False] * 4
    assert not of_kind(choose(log, spec_of(CHURN, 'cut_every = "9d"\nmax_event_rows = 0'), 1), BETWEEN)


def test_monthly_cuts_begin_on_the_day_that_the_spec_names() -> None:
    spec = spec_of(CHURN, 'cut_every = "month"\ncut_from = 2024-02-01\nmax_event_rows = 0')

    assert cut_times(at(-100), at(62), spec).tolist() == [at(31), at(60)]


def test_rows_that_a_label_may_be_told_for_at_once_reach_to_the_end_of_the_observation() -> None:
    told = BY_DAY.replace("by_day = true", 'settled = "when_told"')
    log = log_of(spec_of(told), shopping(1, 25, 30), until=(31,))

    by_horizon, when_told = (
        [day for _, day in of_kind(choose(log, spec_of(tasks), 1), EVENT)]
        for tasks in (told.replace('settled = "when_told"', ""), told)
    )

    assert (by_horizon, when_told) == ([1], [1, 25, 30])


def test_event_rows_are_a_seeded_sample_of_those_that_can_be_labelled() -> None:
    spec = spec_of(CHURN, 'cut_every = "999d"\nmax_event_rows = 5')
    log = log_of(spec, shopping(*range(1, 31)), until=(31,))

    chosen = [of_kind(choose(log, spec, seed), EVENT) for seed in (1, 1, 2)]

    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]
    assert len(chosen[0]) == 5
    assert max(day for _, day in chosen[0]) <= 21


def test_rows_stand_behind_exactly_the_events_that_their_features_know() -> None:
    spec = spec_of(CHURN, 'cut_every = "1d"')
    log = log_of(spec, shopping(1, 2, 2, 2.5), until=(31,))

    rows = choose(log, spec, 1)

    assert rows.after[rows.kind == EVENT].tolist() == [1, 2, 3, 4]
    assert rows.after[rows.kind == TICK].tolist()[:3] == [1, 4, 4]  # days 2, 3 and 4


def test_days_end_with_the_last_event_of_a_day_on_which_the_customer_did_something() -> None:
    spec = spec_of(CHURN)
    log = log_of(spec, [*shopping(1.1, 1.2, 2.1), (0, 2.2, "fee", -1.0), (0, 3.1, "fee", -1.0)])

    assert day_ends(log, spec).tolist() == [False, True, False, True, False]


def test_a_task_by_day_takes_its_event_rows_from_the_ends_of_days() -> None:
    spec = spec_of(BY_DAY, 'cut_every = "1d"\nmax_event_rows = 4')
    log = log_of(spec, shopping(*np.arange(1, 15, 0.25)), until=(31,))

    rows = choose(log, spec, 1)

    assert [day % 1 for _, day in of_kind(rows, EVENT)] == [0.75] * 4
    assert of_kind(rows, TICK) == []


def test_beside_other_tasks_half_of_the_event_rows_are_ends_of_days() -> None:
    spec = spec_of(BY_DAY + CHURN, 'cut_every = "1d"\nmax_event_rows = 8')
    log = log_of(spec, shopping(*np.arange(1, 15, 0.25)), until=(31,))

    ends = [day % 1 == 0.75 for _, day in of_kind(choose(log, spec, 1), EVENT)]

    assert len(ends) == 8
    assert sum(ends) >= 4


@pytest.mark.parametrize("spec", [spec_of(LOAN), spec_of(LOAN + CHURN)])
def test_outcomes_that_are_asked_at_their_time_have_a_row_there(spec: Spec) -> None:
    log = log_of(spec, shopping(1, 4), [(0, 4, "loan", "1"), (0, 6, "loan", "0"), (0, 7, "else", "1")], until=(31,))

    rows = choose(log, spec, 1)

    assert of_kind(rows, OUTCOME) == [(0, 4.0), (0, 6.0)]
    assert rows.after[rows.kind == OUTCOME].tolist() == [1, 2]


def test_an_observation_that_ended_before_the_log_gives_no_row_behind_its_end() -> None:
    spec = spec_of(CHURN)
    log: Log = log_of(spec, shopping(*range(1, 40)), until=(20,))

    assert choose(log, spec, 1).time_ms.max() == at(10)
