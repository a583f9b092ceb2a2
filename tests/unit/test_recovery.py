"""What is remembered from failure to failure."""

import random
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.engine.errors import RefusedError
from stream_app.engine.recovery import LONGEST_PAUSE_S, MOST_IN_A_ROW, TRIES, Recovery
from stream_app.steps.stages import Chunk
from tests.chunks import chunk

MOST_FAILURES = 400


def some(first: int, count: int, gap: int = 1) -> Chunk:
    records = chunk(*[b""] * count)
    records.offsets[:] = first + gap * np.arange(count)
    return records


def cut(recovery: Recovery, records: Chunk, committed: int = 0) -> list[list[int]]:
    return [part.offsets.tolist() for part in recovery.parts(records, committed)]


def fail(recovery: Recovery, first: int, count: int) -> None:
    recovery.trying(some(first, count))
    recovery.failed(infrastructure=False, fenced=False)


def take(recovery: Recovery, bad: Iterable[int], cuts: Iterator[int], offsets: range) -> int:
    """Take a log in as the engine does, from the marker on after each failure; return how many failures it took.

    Raises:
        RefusedError: the recovery gives up.
    """
    for failures in range(MOST_FAILURES):
        if _passes(recovery, set(bad), cuts, offsets):
            return failures
        recovery.failed(infrastructure=False, fenced=False)
    message = f"not through after {MOST_FAILURES} failures"
    raise AssertionError(message)


def _passes(recovery: Recovery, bad: set[int], cuts: Iterator[int], offsets: range) -> bool:
    while offsets:
        size = min(next(cuts), len(offsets))
        for part in recovery.parts(some(offsets.start, size, offsets.step), 0):
            recovery.trying(part)
            seen = set(part.offsets.tolist()) - recovery.poison
            if seen & bad:
                return False
            recovery.done(part)
        offsets = offsets[size:]
    return True


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def by_chance(seed: int, sizes: Iterable[int]) -> Iterator[int]:
    chance, sizes = random.Random(seed), list(sizes)  # noqa: S311  (not for secrets)
    while True:
        yield chance.choice(sizes)


# How long to wait


def test_pauses_grow_from_a_tenth_of_a_second_to_ten() -> None:
    recovery = Recovery()
    pauses = [recovery.failed(infrastructure=True, fenced=False) for _ in range(9)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, LONGEST_PAUSE_S]


def test_one_who_was_fenced_lets_the_group_say_so_first() -> None:
    assert Recovery().failed(infrastructure=True, fenced=True) == 1.0


def test_infrastructure_makes_no_record_suspect() -> None:
    recovery = Recovery()
    for _ in range(5 * TRIES):
        recovery.trying(some(0, 8))
        recovery.failed(infrastructure=True, fenced=False)
    assert cut(recovery, some(0, 8)) == [list(range(8))]


def test_what_fails_while_no_step_is_at_work_makes_no_record_suspect() -> None:
    recovery = Recovery()
    for _ in range(5 * TRIES):
        recovery.trying(some(0, 8))
        recovery.done(some(0, 8))
        recovery.failed(infrastructure=False, fenced=False)
    assert cut(recovery, some(0, 8)) == [list(range(8))]


# Parts


def test_a_chunk_goes_through_whole_where_there_is_no_reason_to_cut_it() -> None:
    assert cut(Recovery(), some(5, 4)) == [[5, 6, 7, 8]]
    assert cut(Recovery(), some(5, 0)) == []


@pytest.mark.parametrize(
    ("committed", "parts"), [(4, [[5, 6, 7]]), (5, [[5, 6, 7]]), (6, [[5], [6, 7]]), (8, [[5, 6, 7]])]
)
def test_a_chunk_is_cut_where_emission_begins(committed: int, parts: list[list[int]]) -> None:
    assert cut(Recovery(), some(5, 3), committed) == parts


def test_a_cut_may_lie_in_a_gap() -> None:
    records = some(0, 4)
    gaps = Chunk(records.topic, 0, np.array([1, 2, 7, 9]), records.keys, records.values, records.record_times)
    assert cut(Recovery(fence=5), gaps, 8) == [[1, 2], [7], [9]]


def test_what_cannot_be_passed_is_cut_off_from_what_is_before_it() -> None:
    assert cut(Recovery(fence=7), some(5, 4)) == [[5, 6], [7, 8]]


def test_poison_goes_alone() -> None:
    assert cut(Recovery(poison={6, 7}), some(5, 5)) == [[5], [6], [7], [8, 9]]


def test_after_three_failures_the_part_is_tried_in_halves() -> None:
    recovery = Recovery()
    for _ in range(TRIES):
        assert cut(recovery, some(0, 10)) == [list(range(10))]
        fail(recovery, 0, 10)
    assert cut(recovery, some(0, 10)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_a_half_that_passes_is_no_longer_suspect() -> None:
    recovery = Recovery()
    for _ in range(TRIES):
        fail(recovery, 0, 4)
    recovery.done(some(0, 2))
    fail(recovery, 2, 2)
    assert cut(recovery, some(0, 6)) == [[0, 1], [2], [3], [4, 5]]


def test_suspects_that_all_pass_are_cleared() -> None:
    recovery = Recovery()
    for _ in range(TRIES):
        fail(recovery, 0, 4)
    recovery.done(some(0, 2))
    recovery.done(some(2, 2))
    assert cut(recovery, some(0, 4)) == [[0, 1, 2, 3]]


# Who is to blame


@given(
    places=st.sets(st.integers(0, 59), max_size=3),
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    gap=st.sampled_from([1, 2, 1000]),
)
def test_the_records_that_fail_alone_are_found_and_no_others(
    places: set[int], seed: int, sizes: list[int], gap: int
) -> None:
    recovery, bad = Recovery(), {gap * place for place in places}
    take(recovery, bad, by_chance(seed, sizes), range(0, 60 * gap, gap))
    assert recovery.poison == bad


@pytest.mark.parametrize("gap", [1, 2, 1000])
@pytest.mark.parametrize("place", [0, 1, 511, 512, 700, 1023])
def test_one_record_among_a_thousand_is_found_within_a_dozen_failures(place: int, gap: int) -> None:
    assert take(Recovery(), {gap * place}, always(1024), range(0, 1024 * gap, gap)) <= TRIES + 10


def test_three_failures_count_however_the_chunks_are_cut() -> None:
    recovery = Recovery()
    fail(recovery, 0, 10)
    fail(recovery, 4, 8)
    assert cut(recovery, some(0, 12)) == [list(range(12))]
    fail(recovery, 2, 4)
    assert cut(recovery, some(2, 4)) == [[2, 3], [4, 5]]


def test_failures_at_different_places_are_different_ones() -> None:
    recovery = Recovery()
    for first in (0, 10, 20, 0, 10):
        fail(recovery, first, 8)
    assert cut(recovery, some(10, 8)) == [list(range(10, 18))]


@pytest.mark.parametrize("good", [0, 1, 20])
@pytest.mark.parametrize("size", [1, 3, 64])
def test_where_every_record_fails_it_is_not_the_records(good: int, size: int) -> None:
    recovery = Recovery()
    with pytest.raises(
        RefusedError, match=r"^Expected the steps to fail at single records, found 8 in a row that do, from offset"
    ):
        take(recovery, range(good, 1000), always(size), range(1000))
    assert recovery.poison == set()


def test_it_goes_on_refusing_while_every_record_fails() -> None:
    recovery = Recovery()
    for _ in range(3):
        with pytest.raises(RefusedError):
            take(recovery, range(5, 1000), always(64), range(1000))
    assert len(recovery.poison) < MOST_IN_A_ROW


def test_bad_records_with_good_ones_between_them_are_not_all_records() -> None:
    bad = set(range(0, 60, 3))
    recovery = Recovery()
    take(recovery, bad, always(16), range(60))
    assert recovery.poison == bad


def test_a_record_that_could_not_be_passed_is_not_blamed_for_what_fails_later() -> None:
    recovery = Recovery()
    for _ in range(2 * TRIES):
        recovery.trying(some(7, 1))  # refused: an activate whose bundle is not here
        recovery.stopped(7)
        recovery.failed(infrastructure=False, fenced=False)  # and then opening failed
    assert recovery.poison == set()


def test_a_pause_is_short_again_when_something_has_been_committed_and_not_before() -> None:
    recovery = Recovery()
    for _ in range(3):
        recovery.failed(infrastructure=True, fenced=False)
    recovery.trying(some(0, 8))
    recovery.done(some(0, 8))
    assert recovery.failed(infrastructure=True, fenced=False) == 0.8
    recovery.got_on()
    assert recovery.failed(infrastructure=True, fenced=False) == 0.1
