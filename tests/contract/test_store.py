"""What every store of rows must do. A new store joins ``STORES`` and inherits all tests."""

from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.messages import SLICES
from stream_app.store.memory import MemoryStore
from stream_app.store.port import RowStore
from stream_app.store.slices import slice_of

WIDTH = 32
STORES: dict[str, Callable[[int], RowStore]] = {"memory": MemoryStore}
"""Each makes an empty store of a row width."""
CUSTOMERS = st.sampled_from([b"a", b"b", b"\x01", "é".encode(), b"x" * 256, b"{t-0}:1", b"*", b" "])


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> RowStore:
    """Give an empty store."""
    name: str = request.param
    return STORES[name](WIDTH)


def rows(*firsts: float) -> NDArray[np.float32]:
    """Make one row for each number, which stands in it everywhere."""
    return np.repeat(np.array(firsts, np.float32)[:, None], WIDTH, axis=1)


def test_an_unknown_customer_has_an_empty_row(store: RowStore) -> None:
    found = store.read([b"a", b"b"])
    assert found.dtype == np.float32
    assert found.tolist() == rows(0, 0).tolist()


def test_no_customers_have_no_rows(store: RowStore) -> None:
    assert store.read([]).shape == (0, WIDTH)
    store.write([], rows())
    assert store.customers(0) == []


def test_rows_come_back_in_the_order_that_is_asked(store: RowStore) -> None:
    store.write([b"a", b"b"], rows(1, 2))
    assert store.read([b"b", b"c", b"a", b"b"]).tolist() == rows(2, 0, 1, 2).tolist()


def test_rows_come_back_to_the_last_bit(store: RowStore) -> None:
    bits = np.array([0, 1 << 31, 1, 0x7F7F_FFFF, 0x7FC0_0001, 0x3F80_0001] + [7] * 26, np.uint32).view(np.float32)
    store.write([b"a"], bits[None, :])
    assert store.read([b"a"]).tobytes() == bits.tobytes()


def test_a_row_is_replaced(store: RowStore) -> None:
    store.write([b"a"], rows(1))
    store.write([b"a"], rows(2))
    assert store.read([b"a"]).tolist() == rows(2).tolist()
    assert store.customers(slice_of(b"a")) == [b"a"]


def test_of_one_customer_twice_in_a_write_the_last_row_is_kept(store: RowStore) -> None:
    store.write([b"a", b"b", b"a"], rows(1, 2, 3))
    assert store.read([b"a"]).tolist() == rows(3).tolist()


def test_what_was_written_does_not_follow_the_writers_array(store: RowStore) -> None:
    mine = rows(1, 2)
    store.write([b"a", b"b"], mine)
    mine[:] = 9
    assert store.read([b"a", b"b"]).tolist() == rows(1, 2).tolist()


def test_what_was_read_is_the_readers_alone(store: RowStore) -> None:
    store.write([b"a"], rows(1))
    found = np.array(store.read([b"a"]))
    found[:] = 9
    assert store.read([b"a"]).tolist() == rows(1).tolist()


def test_a_part_of_a_larger_matrix_may_be_written(store: RowStore) -> None:
    matrix = np.arange(4 * WIDTH, dtype=np.float32).reshape(4, WIDTH)
    store.write([b"a", b"b"], matrix[::2])
    assert store.read([b"b"]).tolist() == [matrix[2].tolist()]


def test_an_empty_row_is_no_longer_kept(store: RowStore) -> None:
    store.write([b"a", b"b"], rows(1, 2))
    store.write([b"a"], rows(0))
    assert not store.read([b"a"]).any()
    assert [name for number in range(SLICES) for name in store.customers(number)] == [b"b"]


def test_forgetting_an_unknown_customer_is_no_error(store: RowStore) -> None:
    store.write([b"a"], rows(0))
    assert store.customers(slice_of(b"a")) == []


def test_every_customer_is_in_its_slice_and_in_no_other(store: RowStore) -> None:
    names = [b"c-%d" % k for k in range(3000)]
    store.write(names, rows(*range(1, 3001)))
    found = [store.customers(number) for number in range(SLICES)]
    assert sorted(chain.from_iterable(found)) == sorted(names)
    assert all(slice_of(name) == number for number, members in enumerate(found) for name in members)


def test_slices_are_crc32_of_the_id_modulo_1024() -> None:
    assert [slice_of(name) for name in (b"", b"a", b"123456789")] == [0, 0xE8B7BE43 % 1024, 0xCBF43926 % 1024]


@pytest.mark.parametrize("make", STORES.values(), ids=STORES)
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(writes=st.lists(st.lists(st.tuples(CUSTOMERS, st.sampled_from([0.0, 1.0, 2.5])), max_size=4), max_size=8))
def test_a_store_is_the_last_row_of_each_customer(
    make: Callable[[int], RowStore], writes: list[list[tuple[bytes, float]]]
) -> None:
    store, oracle = make(WIDTH), dict[bytes, float]()
    for write in writes:
        store.write([name for name, _ in write], rows(*(first for _, first in write)))
        oracle |= dict(write)
    names = list(oracle)
    assert store.read(names)[:, 0].tolist() == list(oracle.values())
    kept = {name for number in {slice_of(name) for name in names} for name in store.customers(number)}
    assert kept == {name for name, first in oracle.items() if first}
