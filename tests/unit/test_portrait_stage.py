"""Every row has one stage of the life cycle, and the rule that decided says why."""

from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.portrait import Stage, StageName, StageRule
from schemas.spec import Spec
from stream_app.portrait.reading import Reading, read
from stream_app.portrait.rhythm import Habit, Pace, Return, own_ages
from stream_app.portrait.stage import (
    BACK_DAYS,
    NEW_DAYS,
    PACE_FALLS,
    PACE_RISES,
    QUIET,
    RISK_DAYS,
    RULES,
    Signs,
    decided,
)
from stream_app.portrait.words import words
from tests.chunks import customer, transaction
from tests.portraits import (
    CHURN,
    DAY_MS,
    HEAD,
    PREFERENCE,
    VALUE,
    answering,
    at,
    bundle_of,
    daily,
    drawn,
    life,
    row_of,
    spec_of,
)

BUNDLE = bundle_of(spec_of())
WITH_CHURN = bundle_of(spec_of(CHURN, VALUE))
HOUR = 1 / 24
STEADY_LIFE = daily(0, 300)


def stage_at(events: list[tuple[float, str, float]], day: float) -> tuple[str, str]:
    found = drawn(BUNDLE, life(*events), day).stage
    return found.name, found.rule


# -- lives -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (1, ("new", "not_active_yet")),
        (60, ("new", "not_active_yet")),
        (60 + HOUR, ("lapsed", "never_active")),
        (4000, ("lapsed", "never_active")),
    ],
)
def test_who_was_never_active_is_new_at_first_and_lapsed_later(day: float, expected: tuple[str, str]) -> None:
    found = drawn(BUNDLE, [customer(time=at(0), income=100.0)], day).stage
    assert (found.name, found.rule) == expected
    assert found.silence_days is None


def test_what_the_bank_does_is_no_activity() -> None:
    fees = [(float(day), "fee", -1.0) for day in range(0, 200, 30)]
    assert stage_at(fees, 200) == ("lapsed", "never_active")


@pytest.mark.parametrize(
    ("silence", "expected"),
    [
        (6.9, ("steady", "usual_pace")),
        (7.0, ("at_risk", "silent_beyond_habit")),
        (59.9, ("at_risk", "silent_beyond_habit")),
        (60.0, ("lapsed", "silent_for_long")),
        (900.0, ("lapsed", "silent_for_long")),
    ],
)
def test_a_daily_customer_who_falls_silent_is_at_risk_and_then_lapsed(
    silence: float, expected: tuple[str, str]
) -> None:
    assert stage_at(STEADY_LIFE, 299 + silence) == expected


def test_the_same_silence_is_nothing_unusual_for_a_customer_with_a_slow_rhythm() -> None:
    slow = [(float(day), "shop", -10.0) for day in (0, 25, 60, 80, 120, 150, 170, 210, 240, 270, 299)]
    assert stage_at(slow, 299 + 25) == ("steady", "usual_pace")
    assert stage_at(STEADY_LIFE, 299 + 25) == ("at_risk", "silent_beyond_habit")


def test_for_nobody_is_a_pause_usual_that_is_as_long_as_a_lapse() -> None:
    rare = [(float(day), "shop", -10.0) for day in (0, 90, 200, 320, 410, 500)]
    found = [drawn(BUNDLE, life(*rare), 500 + silence).stage for silence in (59.9, 60, 119.9, 120)]
    assert [item.rule for item in found] == ["usual_pace", *["silent_beyond_habit"] * 2, "silent_for_long"]
    assert {(item.pause_days, item.pause_by, item.lapse_days) for item in found} == {(60.0, "limit", 120.0)}


def test_without_a_rhythm_half_of_a_lapse_counts_as_long() -> None:
    found = [drawn(BUNDLE, life(*daily(0, 2)), 1 + silence).stage for silence in (29.9, 30)]
    assert [item.rule for item in found] == ["first_months", "silent_beyond_habit"]
    assert [item.pause_by for item in found] == ["default"] * 2


def test_lapsed_is_who_is_silent_for_the_horizon_of_the_task_that_asks_who_falls_inactive() -> None:
    inactive = bundle_of(spec_of(CHURN.replace("spend_drop", "inactive").replace("60", "20")))
    records = life(*STEADY_LIFE)
    assert drawn(inactive, records, 299 + 19.9).stage.rule == "silent_beyond_habit"
    assert drawn(inactive, records, 299 + 20).stage.rule == "silent_for_long"
    assert drawn(BUNDLE, records, 299 + 20).stage.rule == "silent_beyond_habit"


def test_who_comes_back_after_a_long_pause_is_won_back_for_a_month() -> None:
    before, back = daily(0, 50), [(150.0, "shop", -10.0), (152.0, "pay", 10.0), (160.0, "rent", -10.0)]
    found = drawn(BUNDLE, life(*before, *back), 165).stage
    assert (found.name, found.rule) == ("won_back", "back_after_pause")
    assert (found.away_days, found.back_days) == pytest.approx((101, 15), abs=0.05)
    later = [*back, (170.0, "fun", -10.0)]
    assert stage_at([*before, *later], 179.9) == ("won_back", "back_after_pause")
    assert stage_at([*before, *later], 180.1)[0] != "won_back"


def test_a_pause_is_measured_by_the_rhythm_before_it() -> None:
    slow = [(float(day), "shop", -10.0) for day in (0, 60, 130, 180, 260, 330, 380, 450)]
    assert stage_at([*slow, (450.0 + 80, "shop", -10.0)], 531)[0] == "steady"
    assert stage_at([*slow, (450.0 + 380, "shop", -10.0)], 831) == ("won_back", "back_after_pause")


def test_who_is_busy_again_after_a_quiet_time_is_won_back_though_single_pauses_are_no_longer_kept() -> None:
    before, after = [*daily(0, 300), *daily(0.5, 300, "fun")], daily(450, 457, every=0.5)
    assert stage_at([*before, *after], 457) == ("won_back", "active_again")


@pytest.mark.parametrize("away", [0, 10, 21])
def test_who_was_never_quiet_or_on_a_holiday_is_not_won_back(away: int) -> None:
    before, after = [*daily(0, 300), *daily(0.5, 300, "fun")], daily(300 + away, 307 + away, every=0.5)
    assert stage_at([*before, *after], 307 + away)[0] == "steady"


def test_a_customer_is_new_for_sixty_days_from_the_first_own_transaction_on() -> None:
    events = daily(0, 80)
    assert stage_at([event for event in events if event[0] <= 60], 60) == ("new", "first_months")
    assert stage_at([event for event in events if event[0] <= 60], 60 + HOUR) == ("steady", "usual_pace")


@pytest.mark.parametrize(
    ("score", "rule"), [(0.59, "usual_pace"), (0.6, "churn_score"), (0.999, "churn_score"), (0.0, "usual_pace")]
)
def test_who_is_in_the_highest_band_of_a_task_about_leaving_is_at_risk(score: float, rule: str) -> None:
    found = drawn(WITH_CHURN, life(*STEADY_LIFE), 299.5, leaves=score).stage
    assert (found.rule, found.task) == (rule, "leaves" if rule == "churn_score" else None)


def test_without_bands_a_likely_leave_is_one_of_at_least_a_half() -> None:
    bare = bundle_of(spec_of(CHURN, VALUE), bands={})
    rules = [drawn(bare, life(*STEADY_LIFE), 299.5, leaves=score).stage.rule for score in (0.49, 0.5)]
    assert rules == ["usual_pace", "churn_score"]


def test_a_score_that_is_not_asked_decides_nothing() -> None:
    ineligible = CHURN.replace("at_least = 3 }]", "at_least = 1000 }]")
    assert drawn(bundle_of(spec_of(ineligible)), life(*STEADY_LIFE), 299.5, leaves=0.99).stage.rule == "usual_pace"


def test_a_new_customer_is_new_whatever_the_score_says() -> None:
    assert drawn(WITH_CHURN, life(*daily(0, 30)), 29.5, leaves=0.99).stage.rule == "first_months"


def test_less_activity_is_a_risk_and_more_of_it_is_growth() -> None:
    busy, rare = daily(0, 300, every=0.5), daily(300, 340, every=5.0)
    assert stage_at([*busy, *rare], 339) == ("at_risk", "pace_falls")
    rare, busy = daily(0, 300, every=5.0), daily(300, 330, every=0.5)
    assert stage_at([*rare, *busy], 330) == ("growing", "pace_rises")
    found = drawn(BUNDLE, life(*rare, *busy), 330).stage
    assert found.pace is not None
    assert found.usual_pace is not None
    assert found.pace > 1.5 * found.usual_pace


def test_pace_is_told_in_transactions_of_thirty_days() -> None:
    found = drawn(BUNDLE, life(*STEADY_LIFE), 299.5).stage
    assert (found.pace, found.usual_pace) == pytest.approx((30, 30), rel=0.05)


def test_a_spec_with_one_decay_constant_or_hours_only_has_stages_too() -> None:
    for decay in ("[30]", "[0.5]", "[365, 400]"):
        bundle = bundle_of(spec_of(head=HEAD.replace("[7, 30, 90, 365]", decay)))
        assert drawn(bundle, life(*STEADY_LIFE), 299.5).stage.rule == "usual_pace"


# -- boundaries --------------------------------------------------------------------------------------------------------

PLAIN = Signs(
    known_days=400.0,
    active_days=400.0,
    silence_days=1.0,
    habit=Habit.of(24.0, 0.0, 100, 60.0),
    returned=None,
    pace=Pace((7.0, 30.0, 90.0, 365.0), (7.0, 30.0, 90.0, 365.0), (7.0, 30.0, 90.0, 365.0)),
    least_lapse_days=60.0,
    churning=None,
)


def paced(*counts: float) -> Pace:
    return Pace((7.0, 30.0, 90.0, 365.0), counts, (7.0, 30.0, 90.0, 365.0))


def quiet(part: float) -> Pace:
    """Return the pace of one a day, but for only so much of it at the ages from 7 to 30 days."""
    return paced(7.0, 7.0 + 23.0 * part, 67.0 + 23.0 * part, 342.0 + 23.0 * part)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({}, "usual_pace"),
        ({"silence_days": RISK_DAYS - 0.001}, "usual_pace"),
        ({"silence_days": RISK_DAYS}, "silent_beyond_habit"),
        ({"silence_days": 59.999}, "silent_beyond_habit"),
        ({"silence_days": 60.0}, "silent_for_long"),
        ({"silence_days": 35.9, "habit": Habit.of(24 * 30.0, 24 * 2.0, 9, 60.0)}, "usual_pace"),
        ({"silence_days": 36.0, "habit": Habit.of(24 * 30.0, 24 * 2.0, 9, 60.0)}, "silent_beyond_habit"),
        ({"silence_days": 71.9, "habit": Habit.of(24 * 30.0, 24 * 2.0, 9, 60.0)}, "silent_beyond_habit"),
        ({"silence_days": 72.0, "habit": Habit.of(24 * 30.0, 24 * 2.0, 9, 60.0)}, "silent_for_long"),
        ({"silence_days": 29.9, "habit": Habit.of(1.0, 0.0, 1, 60.0)}, "usual_pace"),
        ({"silence_days": 30.0, "habit": Habit.of(1.0, 0.0, 1, 60.0)}, "silent_beyond_habit"),
        ({"active_days": NEW_DAYS}, "first_months"),
        ({"active_days": NEW_DAYS + 0.001}, "usual_pace"),
        ({"silence_days": None, "active_days": None, "known_days": NEW_DAYS}, "not_active_yet"),
        ({"silence_days": None, "active_days": None, "known_days": NEW_DAYS + 0.001}, "never_active"),
        ({"returned": Return(90.0, 3.0)}, "back_after_pause"),
        ({"churning": "leaves"}, "churn_score"),
        ({"pace": paced(7.0, 30 * PACE_RISES, 90.0, 365.0)}, "pace_rises"),
        ({"pace": paced(7.0, 30 * PACE_RISES - 0.01, 90.0, 365.0)}, "usual_pace"),
        ({"pace": paced(7.0, 30 * PACE_FALLS, 90.0, 365.0)}, "pace_falls"),
        ({"pace": paced(7.0, 30 * PACE_FALLS + 0.01, 90.0, 365.0)}, "usual_pace"),
        ({"pace": paced(0.2, 3 * PACE_RISES, 9.0, 36.5)}, "usual_pace"),  # six standard deviations of so few are more
        ({"pace": paced(0.9, 4.0 + 2.84, 12.0, 365 / 30 * 4.0)}, "pace_rises"),  # of 4, chance is the root of 4 / 2
        ({"pace": paced(0.9, 4.0 + 2.82, 12.0, 365 / 30 * 4.0)}, "usual_pace"),
        ({"pace": paced(0.0, 0.0, 0.0, 0.0)}, "usual_pace"),
        ({"pace": quiet(QUIET - 0.001)}, "active_again"),
        ({"pace": quiet(QUIET + 0.001)}, "pace_falls"),
        ({"pace": quiet(QUIET - 0.001), "least_lapse_days": 60.001}, "pace_falls"),
        ({"pace": None}, "usual_pace"),
    ],
)
def test_a_rule_begins_to_hold_at_its_bound(change: dict[str, object], rule: str) -> None:
    assert decided(replace(PLAIN, **change)).rule == rule  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"silence_days": 61.0, "returned": Return(90.0, 3.0), "churning": "leaves"}, "silent_for_long"),
        ({"silence_days": 8.0, "returned": Return(90.0, 3.0), "churning": "leaves"}, "silent_beyond_habit"),
        ({"returned": Return(90.0, 3.0), "active_days": 30.0, "churning": "leaves"}, "back_after_pause"),
        ({"active_days": 30.0, "churning": "leaves", "pace": paced(7.0, 60.0, 90.0, 365.0)}, "first_months"),
        ({"churning": "leaves", "pace": paced(7.0, 60.0, 90.0, 365.0)}, "churn_score"),
    ],
)
def test_the_first_rule_that_holds_decides(change: dict[str, object], rule: str) -> None:
    assert decided(replace(PLAIN, **change)).rule == rule  # type: ignore[arg-type]


def test_the_table_has_each_rule_once_every_stage_and_ends_with_one_that_always_holds() -> None:
    assert [rule.name for rule in RULES] == [*dict.fromkeys(rule.name for rule in RULES)]
    assert {rule.name for rule in RULES} == set(get_args(StageRule))
    assert {rule.stage for rule in RULES} == set(get_args(StageName))
    assert RULES[-1].holds(PLAIN)


# -- any row -----------------------------------------------------------------------------------------------------------

EVENTS = st.tuples(
    st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.0, 7.0, 30.0, 61.0, 200.0, 4000.0]),
    st.sampled_from(["pay", "rent", "shop", "fun", "fee", "unheard"]),
)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[float, str, float]]:
    """Draw the days and types of a life."""
    day, found = 0.0, []
    for step, kind in draw(st.lists(EVENTS, min_size=1, max_size=40)):
        day = min(day + step, 12_000.0)
        found.append((day, kind, -1.0))
    return found


SPECS: list[Spec] = [
    spec_of(),
    spec_of(CHURN, VALUE),
    spec_of(PREFERENCE, head=HEAD.replace("[7, 30, 90, 365]", "[1]")),
]


@given(lives(), st.sampled_from(SPECS), st.sampled_from([0.0, 0.5, 8.0, 90.0, 5000.0]), st.sampled_from([0.0, 0.9]))
def test_every_row_has_exactly_one_stage_which_can_be_told(
    events: list[tuple[float, str, float]], spec: Spec, after: float, score: float
) -> None:
    bundle = bundle_of(spec)
    found = drawn(bundle, life(*events), events[-1][0] + after, leaves=score)
    assert isinstance(found.stage, Stage)
    assert [(rule.stage, rule.name) for rule in RULES].count((found.stage.name, found.stage.rule)) == 1
    assert all("None" not in sentence for language in ("en", "zh") for sentence in words(found, language))


def reading_of(events: list[tuple[float, str, float]], day: float) -> Reading:
    found = read("c", row_of(BUNDLE, life(*events)), at(day), BUNDLE, answering(BUNDLE))
    assert found is not None
    return found


@given(lives(), st.sampled_from([0.0, 0.5, 90.0]))
def test_the_newest_own_transactions_that_a_row_proves_are_those_of_the_log(
    events: list[tuple[float, str, float]], after: float
) -> None:
    day = events[-1][0] + after
    hour = at(day) // 3_600_000
    own = sorted(hour - at(moment) // 3_600_000 for moment, kind, _ in events if kind != "fee")
    recent = [float(age) for age in own if age < 87_600]
    proven = own_ages(reading_of(events, day))
    assert proven == recent[: len(proven)]
    assert len(proven) >= min(len(recent), 2)


def test_ages_behind_a_type_that_was_used_twice_are_not_taken_for_neighbours() -> None:
    hidden = [*daily(0, 20), (40.0, "pay", 1.0), *daily(30, 50)]
    proven = own_ages(reading_of(hidden, 50))
    assert len(proven) < len(hidden)
    assert all(older - newer <= 24 for newer, older in pairwise(proven))
    assert max(proven) == 48


def test_a_year_of_transactions_within_a_day_is_no_rhythm() -> None:
    burst = [transaction(transaction_id=f"t-{k}", time=at(0) + k * DAY_MS // 300, type="shop") for k in range(300)]
    found = drawn(BUNDLE, burst, 70).stage
    assert (found.rule, found.pause_days) == ("silent_for_long", 1.0)
    assert BACK_DAYS < NEW_DAYS
