"""What a demo remembers of what has happened."""

from itertools import pairwise

import numpy as np
import pytest

from schemas.messages import Alert, Score, TaskScore
from training.demo.cast import Role
from training.demo.state import LATENCY_S, RATE_S, SHOWN_S, Actor, State

NOTHING = np.empty(0)


def alert(rule: str = "churn_high", severity: str = "warning", customer: str = "c1", time: int = 5) -> Alert:
    return Alert(
        alert_id=f"t-0-{time}-{rule}",
        score_id=f"t-0-{time}",
        customer_id=customer,
        time=time,
        rule=rule,
        score=0.7,
        threshold=0.5,
        severity=severity,  # type: ignore[arg-type]  # one of three texts
        suppressed=0,
        bundle="b",
    )


def score(customer: str, time: int, **tasks: TaskScore) -> Score:
    return Score(
        score_id="t-0-1", kind="transaction", customer_id=customer, time=time, bundle="b", layout="l", late=False,
        tasks=tasks,
    )  # fmt: skip


def role(customer: str = "c1", task: str = "churn", class_: str = "", came_ms: int | None = None) -> Role:
    kind = "multiclass" if class_ else "binary"
    return Role(
        customer=customer, task=task, class_=class_, kind=kind, title="drifting", low=0.1, high=0.6, came_ms=came_ms,
        came="did nothing" if came_ms else "",
    )  # fmt: skip


def watching(*roles: Role) -> State:
    state = State("a bank", ["one", "two"])
    state.watch(roles, 100, (0, 1000))
    return state


def test_a_phase_runs_from_its_beginning_to_its_end() -> None:
    state = State("a bank", ["one", "two"])
    under_way = [state.phase]
    state.begin("one", 10.0)
    state.step("part", 3, 4, "a figure")
    under_way.append(state.phase)
    assert state.phases[0].part == "part: a figure"
    assert state.phases[0].took_s(12.0) == pytest.approx(2.0)
    state.end("one", 13.0)
    assert [*under_way, state.phase] == [None, state.phases[0], None]
    assert (state.phases[0].took_s(99.0), state.phases[1].took_s(99.0)) == (3.0, 0.0)


def test_the_rate_is_that_of_the_last_seconds_only() -> None:
    state = watching()
    for tenth in range(100):
        state.read(tenth / 10, 10 if tenth < 50 else 200, NOTHING)
    assert state.scored == 50 * 10 + 50 * 200
    assert state.meter.rate(9.9) == pytest.approx(2000, rel=0.06)
    assert state.meter.rate(9.9 + 2 * RATE_S) == 0.0


def test_latencies_are_those_of_the_last_seconds_and_all_are_kept() -> None:
    state = watching()
    state.read(0.0, 2, np.array([1000.0, 1000.0]))
    state.read(LATENCY_S + 1, 3, np.array([10.0, 20.0, 30.0]))
    assert state.meter.latency(LATENCY_S + 1) == pytest.approx((20.0, np.percentile([10, 20, 30], 99)))
    assert state.meter.latency(3 * LATENCY_S) is None
    assert state.meter.all_latency == pytest.approx(tuple(np.percentile([1000, 1000, 10, 20, 30], [50, 99])))
    assert watching().meter.all_latency is None


def test_alerts_are_all_counted_and_shown_no_faster_than_they_can_be_read() -> None:
    state = watching()
    for tenth in range(20):
        state.alert(alert(time=tenth))
        state.tick(tenth / 10)
    shown = [item.time for item in state.feed]
    assert state.alerts == {"churn_high": 20}
    assert len(shown) == pytest.approx(2.0 / SHOWN_S, abs=1)
    assert all((b - a) / 10 >= SHOWN_S - 1e-9 for a, b in pairwise(shown))


def test_of_the_alerts_that_wait_the_most_severe_is_shown() -> None:
    state = watching()
    for rule, severity in (("info", "info"), ("bad", "high"), ("later", "warning")):
        state.alert(alert(rule, severity))
    state.tick(1.0)
    assert [item.rule for item in state.feed] == ["bad"]


def test_a_watched_customer_gets_points_where_the_task_is_asked() -> None:
    state = watching(role(), role("c2", "wish", "fund"))
    state.score(score("c1", 1, churn=TaskScore(eligible=True, score=0.25, band="low")))
    state.score(score("c1", 2, churn=TaskScore(eligible=False)))
    state.score(score("c1", 3, other=TaskScore(eligible=True, score=0.9)))
    wish = TaskScore(eligible=True, score=0.9, choice="none", probabilities={"none": 0.9, "fund": 0.1})
    state.score(score("c2", 4, wish=wish))
    state.score(score("c3", 5, churn=TaskScore(eligible=True, score=0.5)))
    first, second = state.actors
    assert (first.points, first.band, first.score) == ([(1, 0.25)], "low", 0.25)
    assert (second.points, second.score) == ([(4, 0.1)], 0.1)


def test_a_customer_s_story_holds_what_happened_and_its_alerts_and_of_no_one_else() -> None:
    state = watching(role())
    state.happen("c1", 1, "paid")
    state.happen("c2", 2, "received")
    state.alert(alert(time=3))
    state.alert(alert(customer="c2", time=4))
    assert [tuple(item) for item in state.actors[0].story] == [(1, "paid", False), (3, "alert churn_high", True)]


def test_the_bank_s_date_never_goes_back() -> None:
    state = watching()
    state.send(10, 500)
    state.send(5, 400)
    state.send(1, 0)
    assert (state.sent, state.now_ms) == (16, 500)


def test_dead_letters_are_counted_by_reason() -> None:
    state = watching()
    for reason in ("time", "id", "time"):
        state.refuse(reason)
    assert (state.letters, state.reasons) == (3, {"time": 2, "id": 1})


def test_who_has_no_points_has_no_score() -> None:
    assert Actor(role()).score is None
