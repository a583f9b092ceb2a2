"""Rows in memory in front of a store."""

from itertools import chain

import numpy as np

from stream_app.residents import Residents
from stream_app.store.memory import MemoryStore
from stream_app.store.slices import slice_of

WIDTH = 16


def names(count: int, prefix: str = "c") -> list[bytes]:
    return [f"{prefix}-{k}".encode() for k in range(count)]


def test_a_customer_has_one_place_and_new_ones_get_the_next() -> None:
    residents = Residents(MemoryStore(WIDTH), WIDTH)
    assert residents.places([b"b", b"a", b"b", b"c", b"a"]).tolist() == [0, 1, 0, 2, 1]
    assert residents.places([b"c", b"d", b"a"]).tolist() == [2, 3, 1]
    assert len(residents) == 4


def test_nobody_has_no_place() -> None:
    assert Residents(MemoryStore(WIDTH), WIDTH).places([]).tolist() == []


def test_a_new_row_is_empty_or_what_the_store_holds() -> None:
    store = MemoryStore(WIDTH)
    store.write([b"a"], np.full((1, WIDTH), 7.0, np.float32))
    residents = Residents(store, WIDTH)
    places = residents.places([b"b", b"a"])
    assert residents.matrix[places].tolist() == [[0.0] * WIDTH, [7.0] * WIDTH]


def test_a_row_that_is_there_is_not_read_again() -> None:
    store = MemoryStore(WIDTH)
    residents = Residents(store, WIDTH)
    places = residents.places([b"a"])
    residents.matrix[places] = 1.0
    store.write([b"a"], np.full((1, WIDTH), 7.0, np.float32))
    places = residents.places([b"a", b"b"])
    assert residents.matrix[places, 0].tolist() == [1.0, 0.0]


def test_growing_keeps_all_rows() -> None:
    residents = Residents(MemoryStore(WIDTH), WIDTH)
    customers = names(5000)
    for start in range(0, 5000, 700):
        places = residents.places(customers[start : start + 700])
        residents.matrix[places, 0] = np.arange(start, start + len(places))
    places = residents.places(customers)
    assert residents.matrix[places, 0].tolist() == list(range(5000))


def test_one_call_may_bring_more_customers_than_twice_the_rows() -> None:
    residents = Residents(MemoryStore(WIDTH), WIDTH)
    assert residents.places(names(10_000)).tolist() == list(range(10_000))
    assert len(residents.matrix) >= 10_000


def test_a_slice_holds_who_is_in_memory_or_stored_once_and_in_byte_order() -> None:
    store = MemoryStore(WIDTH)
    stored, fresh = names(3000, "stored"), names(3000, "é")
    store.write(stored, np.ones((3000, WIDTH), np.float32))
    residents = Residents(store, WIDTH)
    residents.places([*fresh, *stored[:1500]])
    found = [residents.slice(number) for number in range(1024)]
    assert all(customers == sorted(set(customers)) for customers in found)
    assert all(slice_of(name) == number for number, customers in enumerate(found) for name in customers)
    assert sorted(chain.from_iterable(found)) == sorted([*stored, *fresh])


def test_an_empty_slice_is_empty() -> None:
    assert Residents(MemoryStore(WIDTH), WIDTH).slice(5) == []


def test_saved_rows_are_found_by_the_next_residents() -> None:
    store = MemoryStore(WIDTH)
    first = Residents(store, WIDTH)
    places = first.places(names(2000))
    first.matrix[places, 3] = np.arange(2000)
    first.save()
    second = Residents(store, WIDTH)
    customers = names(2000)[::-1]
    places = second.places(customers)
    assert second.matrix[places, 3].tolist() == list(range(1999, -1, -1))
