"""A campaign's plan follows from its seed, has of every fault what it should, and never two that exclude each other."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.faults.known import FAULTS
from tests.chaos.options import Options
from tests.chaos.plan import PlanError, Round, plan


def options(**changes: Any) -> Options:  # noqa: ANN401  (the fields of Options)
    plain: dict[str, Any] = {"seed": 7, "out": Path("nowhere")}
    return Options(**plain | changes)


def struck(rounds: list[Round]) -> Counter[str]:
    return Counter(strike.name for item in rounds for strike in item.strikes)


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert plan(options()) == plan(options())
    assert plan(options()) != plan(options(seed=8))


@pytest.mark.parametrize("seed", range(5))
def test_three_campaigns_have_what_must_be_shown(seed: int) -> None:
    found = sum((struck(plan(options(seed=3 * seed + k))) for k in range(3)), Counter[str]())
    redis = sum(found[name] for name in ("redis-tail", "redis-flushall", "redis-failover"))
    broker = sum(found[name] for name in found if name.startswith("broker-"))
    assert found["kill"] >= 100
    assert redis >= 20
    assert broker >= 10
    assert found["zombie"] >= 10
    assert found["scale"] >= 10
    assert found.keys() == FAULTS.keys()


@pytest.mark.parametrize("seed", range(20))
def test_two_faults_of_one_place_never_come_together_but_for_kills(seed: int) -> None:
    together = [
        [FAULTS[strike.name].fault for strike in item.strikes if strike.name != "kill" or len(item.strikes) == 1]
        for item in plan(options(seed=seed))
    ]
    assert any(len(faults) == 2 for faults in together)
    for faults in together:
        assert len({fault.place for fault in faults}) == len(faults)
        assert len(faults) < 2 or not any(fault.alone for fault in faults)
    zombies = [item for item in plan(options(seed=seed)) if item.strikes[0].name == "zombie"]
    assert all(len(item.strikes) == 1 for item in zombies)


def test_strikes_come_in_order_and_each_decides_by_a_seed_of_its_own() -> None:
    rounds = plan(options())
    strikes = [strike for item in rounds for strike in item.strikes]
    assert len({strike.seed for strike in strikes}) == len(strikes)
    for item in rounds:
        assert [strike.at_s for strike in item.strikes] == sorted(strike.at_s for strike in item.strikes)
    for strike in strikes:
        least, most = FAULTS[strike.name].fault.hold_s
        assert least - 0.01 <= strike.hold_s <= most + 0.01


def test_a_longer_campaign_has_more_faults_and_a_short_one_a_handful() -> None:
    usual, double, short = (struck(plan(options(**changes))) for changes in ({}, {"minutes": 16.0}, {"short": True}))
    assert double["zombie"] == 2 * usual["zombie"]
    assert 0 < short["kill"] < usual["kill"]
    assert short["zombie"] == short["scale"] == short["broker-kill"] == 1
    assert short["redis-tail"] >= 1


def test_only_the_named_faults_come() -> None:
    assert struck(plan(options(faults=("zombie", "storm")))).keys() == {"zombie", "storm"}
    assert struck(plan(options(faults=("disk-full",), short=True))) == {"disk-full": 1}


def test_workers_without_a_protection_get_no_poison_since_they_run_another_module() -> None:
    assert "poison" not in struck(plan(options(without="marker")))


def test_a_fault_that_nobody_knows_is_refused() -> None:
    with pytest.raises(PlanError, match=r"Expected faults among kill, .*, found flood; correct --faults"):
        plan(options(faults=("kill", "flood")))
