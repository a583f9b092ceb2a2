"""The engine under crashes, failures, lost writes and rebalances gives what the replay of the same log gives.

The broker, the store and the time are doubles (``tests.kit``); the engine is the real one. That the comparison sees
what each protection is for, ``test_protections`` shows.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.bundle import Bundle
from tests.properties.story import FAULTS, KINDS, PAUSES_S, REPEATS, Event, Schedule, spiced, two_bundles, wrong
from tests.properties.test_replay import dense, rows


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """Make two bundles of one state layout that answer differently."""
    return two_bundles(tmp_path_factory.mktemp("engine"))


def by_chance(seed: int, other: Bundle) -> Schedule:
    """Return a schedule of which much goes wrong."""
    chance = random.Random(seed)  # noqa: S311  (not for secrets)
    kinds = [chance.choice(list(FAULTS)) for _ in range(chance.choice([0, 3, 8]))]
    return Schedule(
        log=spiced(dense(chance.choice([20, 60, 120]), seed=seed), other, seed),
        events=[
            Event(chance.choice(PAUSES_S), chance.choice(KINDS), chance.random()) for _ in range(chance.randint(1, 8))
        ],
        faults={(kind, chance.randint(1, 25)): chance.choice(FAULTS[kind]) for kind in kinds},
        seed=seed,
        mishaps=chance.random() < 1 / 2,
        settings={
            "resident_rows": chance.choice([2, 5, 1000]),
            "flush_ms": chance.choice([50, 300, 1000]),
            "commit_ms": chance.choice([5, 50, 200]),
        },
    )


@st.composite
def schedules(draw: st.DrawFn, other: Bundle) -> Schedule:
    """Draw a log of all kinds of records, and what happens meanwhile."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(1, 12)), max_size=4))
    event = st.builds(Event, st.sampled_from(PAUSES_S), st.sampled_from(KINDS), st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    return Schedule(
        log=draw(rows(other.sha256)),
        events=draw(st.lists(event, max_size=5)),
        faults={kind: draw(st.sampled_from(FAULTS[kind[0]])) for kind in kinds},
        seed=draw(st.integers(0, 1000)),
        mishaps=draw(st.booleans()),
        settings={
            "resident_rows": draw(st.sampled_from([1, 3, 1000])),
            "flush_ms": draw(st.sampled_from([50, 1000])),
            "commit_ms": draw(st.sampled_from([5, 100])),
        },
    )


@pytest.mark.parametrize("mode", REPEATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_happens_what_comes_out_is_what_the_replay_gives(
    bundles: tuple[Bundle, Bundle], mode: str, data: st.DataObject
) -> None:
    assert wrong(bundles, data.draw(schedules(bundles[1])), mode) == []


@pytest.mark.parametrize("mode", REPEATS)
@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_to_a_longer_log_what_comes_out_is_what_the_replay_gives(
    bundles: tuple[Bundle, Bundle], seed: int, mode: str
) -> None:
    assert wrong(bundles, by_chance(seed, bundles[1]), mode) == []
