"""Rows in memory: where each customer stands, what has changed since it was last written, and what may be forgotten."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.residents import MOST_EVICTED, Residents
from stream_app.store.slices import slice_of

WIDTH = 16


def names(count: int, prefix: str = "c") -> list[bytes]:
    return [f"{prefix}-{k}".encode() for k in range(count)]


def rows(*firsts: float) -> NDArray[np.float32]:
    """Make one row for each number, which stands in it everywhere."""
    return np.repeat(np.array(firsts, np.float32)[:, None], WIDTH, axis=1)


def holding(**firsts: float) -> Residents:
    """Return residents whose rows have some numbers in them."""
    residents = Residents(WIDTH)
    residents.enter([name.encode() for name in firsts], rows(*firsts.values()))
    return residents


def change(residents: Residents, name: bytes, first: float) -> None:
    places = residents.places([name])
    residents.matrix[places] = first
    residents.mark_changed(places)


def told(changed: tuple[list[bytes], NDArray[np.float32]]) -> dict[bytes, float]:
    return dict(zip(changed[0], changed[1][:, 0].tolist(), strict=True))


def test_who_is_not_in_memory_is_missing_once_and_in_order() -> None:
    residents = holding(a=1)
    assert residents.missing([b"c", b"a", b"b", b"c"]) == [b"c", b"b"]
    assert residents.missing([]) == []


def test_a_customer_keeps_its_place_and_new_ones_get_the_next() -> None:
    residents = Residents(WIDTH)
    residents.enter([b"b", b"a"])
    residents.enter([b"c"])
    assert residents.places([b"c", b"b", b"a", b"b"]).tolist() == [2, 0, 1, 0]
    assert residents.customers == [b"b", b"a", b"c"]
    assert len(residents) == 3


def test_nobody_has_no_place() -> None:
    assert Residents(WIDTH).places([]).tolist() == []


def test_a_row_enters_as_the_store_has_it_or_empty() -> None:
    residents = holding(a=7)
    residents.enter([b"b"])
    assert residents.matrix[:2, 0].tolist() == [7.0, 0.0]


def test_who_is_not_in_memory_has_no_place() -> None:
    with pytest.raises(KeyError):
        holding(a=1).places([b"b"])


def test_growing_keeps_all_rows_and_what_has_changed() -> None:
    residents, customers = Residents(WIDTH), names(5000)
    for start in range(0, 5000, 700):
        part = customers[start : start + 700]
        residents.enter(part, rows(*range(start, start + len(part))))
        residents.mark_changed(residents.places(part[:1]))
    assert residents.matrix[residents.places(customers), 0].tolist() == list(range(5000))
    assert residents.take_changed()[0] == customers[::700]


def test_one_call_may_bring_more_customers_than_twice_the_rows() -> None:
    residents = Residents(WIDTH)
    residents.enter(names(10_000))
    assert residents.places(names(10_000)).tolist() == list(range(10_000))


def test_a_slice_holds_its_customers_in_byte_order_and_no_others() -> None:
    residents, customers = Residents(WIDTH), [*names(3000, "z"), *names(3000, "é")]
    residents.enter(customers)
    found = [residents.slice(number) for number in range(1024)]
    assert all(members == sorted(members) for members in found)
    assert all(slice_of(name) == number for number, members in enumerate(found) for name in members)
    assert sorted(chain.from_iterable(found)) == sorted(customers)


def test_what_has_changed_is_told_once() -> None:
    residents = holding(a=1, b=2, c=3)
    change(residents, b"b", 9)
    assert residents.changed == 1
    assert told(residents.take_changed()) == {b"b": 9.0}
    assert (residents.changed, told(residents.take_changed())) == (0, {})


def test_what_was_taken_does_not_follow_the_rows() -> None:
    residents = holding(a=1)
    change(residents, b"a", 2)
    taken = residents.take_changed()
    change(residents, b"a", 3)
    assert told(taken) == {b"a": 2.0}
    assert told(residents.take_changed()) == {b"a": 3.0}


def test_rows_that_enter_have_not_changed() -> None:
    residents = holding(a=1)
    change(residents, b"a", 2)
    residents.take_changed()
    residents.evict(0)
    residents.enter([b"b"], rows(5))
    assert residents.changed == 0


def test_evicting_forgets_what_has_not_changed_and_keeps_what_has() -> None:
    residents = holding(a=1, b=2, c=3)
    change(residents, b"c", 9)
    residents.evict(0)
    assert residents.customers == [b"c"]
    assert residents.missing([b"a", b"b", b"c"]) == [b"a", b"b"]
    assert told(residents.take_changed()) == {b"c": 9.0}
    residents.enter([b"a"])
    assert residents.matrix[residents.places([b"a", b"c"]), 0].tolist() == [0.0, 9.0]


def test_no_more_rows_are_forgotten_than_must_be_and_not_those_in_use() -> None:
    residents, known = Residents(WIDTH), dict[bytes, float]()
    hot = names(500, "hot")
    for number in range(40):
        for name in residents.missing([*hot, *names(100, f"cold-{number}")]):
            known[name] = float(len(known))
            residents.enter([name], rows(known[name]))
        for used in (hot, hot, names(100, f"cold-{number}")):
            residents.mark_changed(residents.places(used))
        residents.take_changed()
        residents.evict(1000)
        assert len(residents) == min(500 + 100 * (number + 1), 1000)
        assert residents.missing(hot) == []
    left = residents.customers
    assert residents.matrix[residents.places(left), 0].tolist() == [known[name] for name in left]
    assert sorted(chain.from_iterable(residents.slice(number) for number in range(1024))) == sorted(left)


def test_so_many_rows_are_forgotten_at_once_and_no_more() -> None:
    residents = Residents(WIDTH)
    residents.enter(names(MOST_EVICTED + 500))
    residents.evict(100)
    assert len(residents) == 500
    residents.evict(100)
    assert len(residents) == 100


def test_rows_beyond_the_room_that_the_system_gives_are_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        message = "Cannot allocate memory"
        raise OSError(message)

    monkeypatch.setattr("mmap.mmap", none)
    residents, customers = Residents(WIDTH), names(5000)
    for start in range(0, 5000, 900):
        residents.enter(customers[start : start + 900], rows(*range(start, min(start + 900, 5000))))
    assert residents.matrix[residents.places(customers), 0].tolist() == list(range(5000))


STEPS = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(names(6)), st.integers(1, 99)),
    st.tuples(st.just("flush"), st.just(b""), st.just(0)),
    st.tuples(st.just("evict"), st.just(b""), st.integers(0, 4)),
)


@given(st.lists(STEPS, max_size=30))
def test_memory_and_store_together_are_the_last_row_of_each_customer(steps: list[tuple[str, bytes, int]]) -> None:
    residents, store, oracle = Residents(WIDTH), dict[bytes, float](), dict[bytes, float]()
    for kind, name, number in steps:
        if kind == "change":
            missing = residents.missing([name])
            residents.enter(missing, rows(*(store.get(one, 0.0) for one in missing)))
            change(residents, name, number)
            oracle[name] = number
        elif kind == "flush":
            store |= told(residents.take_changed())
        else:
            residents.evict(number)
    there = residents.matrix[: len(residents), 0].tolist()
    assert store | dict(zip(residents.customers, there, strict=True)) == oracle
