"""What every store of rows must do. A new store joins the list in ``conftest.py`` and inherits all tests."""

import asyncio
import zlib
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.messages import SLICES
from stream_app.store.port import MOST_ROWS, LostWritesError, Marker, OtherLayoutError, RowStore, StoreError, Stores
from stream_app.store.slices import slice_of
from tests.contract.conftest import TOPICS, Kind, in_loop

WIDTH = 32
LAYOUT = "0123abcd"
CUSTOMERS = [b"a", b"b", b"\x01", "é".encode(), b"x" * 256, b"{t-0}:1", b"*", b" ", b"marker", b"\r\n$1"]


@dataclass
class Owner:
    """Whoever works on a partition: writes under the marker that it wrote last."""

    store: RowStore
    marker: Marker = field(default_factory=Marker)

    @classmethod
    async def of(cls, stores: Stores, topic: str, name: str = "one", layout: str = LAYOUT) -> "Owner":
        store = stores.open(topic, 0, layout, WIDTH)
        return cls(store, await store.take_over(name))

    @property
    def next_marker(self) -> Marker:
        return self.marker._replace(flushed=self.marker.flushed + 1)

    async def write(self, **firsts: float) -> None:
        await self.write_rows([name.encode() for name in firsts], rows(*firsts.values()))

    async def write_rows(self, customers: list[bytes], content: NDArray[np.float32]) -> None:
        new = self.next_marker
        await self.store.write(customers, content, self.marker, new)
        self.marker = new

    async def read(self, *customers: bytes) -> list[float]:
        marker, found = await self.store.read(list(customers))
        assert marker == self.marker.encode()
        assert (found == found[:, :1]).all()
        return [float(first) for first in found[:, 0]]


def rows(*firsts: float) -> NDArray[np.float32]:
    """Make one row for each number, which stands in it everywhere."""
    return np.repeat(np.array(firsts, np.float32)[:, None], WIDTH, axis=1)


@cache
def of_one_slice(count: int) -> list[bytes]:
    """List so many customers of slice 7: crc32 by its table, over all endings of three bytes at once."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, np.uint32(0xEDB8_8320) ^ (table >> 1), table >> 1)
    crc = np.array([zlib.crc32(b"c") ^ 0xFFFF_FFFF], np.uint32)
    for _ in range(3):
        crc = (table[(crc[:, None] ^ np.arange(256, dtype=np.uint32)) & 0xFF] ^ (crc[:, None] >> 8)).ravel()
    endings = np.flatnonzero(~crc % SLICES == 7)[:count]
    return [b"c" + int(ending).to_bytes(3, "big") for ending in endings]


@in_loop
async def test_an_unknown_customer_has_an_empty_row(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    marker, found = await owner.store.read([b"a", b"b"])
    assert marker == owner.marker.encode()
    assert found.dtype == np.float32
    assert found.tolist() == rows(0, 0).tolist()


@in_loop
async def test_a_partition_never_seen_has_no_marker_and_no_customers(stores: Stores, topic: str) -> None:
    store = stores.open(topic, 0, LAYOUT, WIDTH)
    assert (await store.read([b"a"]))[0] == b""
    assert await store.customers(0) == (b"", [])


@in_loop
async def test_no_customers_have_no_rows_and_a_write_of_none_moves_the_marker(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write()
    marker, found = await owner.store.read([])
    assert (marker, found.shape) == (owner.marker.encode(), (0, WIDTH))
    assert Marker.decode(marker).flushed == 1


@in_loop
async def test_rows_come_back_in_the_order_that_is_asked(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1, b=2)
    assert await owner.read(b"b", b"c", b"a", b"b") == [2, 0, 1, 2]


@in_loop
async def test_rows_come_back_to_the_last_bit(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    bits = np.array([0, 1 << 31, 1, 0x7F7F_FFFF, 0x7FC0_0001, 0xFF80_0000, 0x3F80_0001] + [7] * 25, np.uint32)
    minus_zeros = np.full(WIDTH, 1 << 31, np.uint32)
    content = np.stack([bits, minus_zeros]).view(np.float32)
    await owner.write_rows([b"a", b"b"], content)
    assert (await owner.store.read([b"a", b"b"]))[1].tobytes() == content.tobytes()


@in_loop
async def test_any_bytes_are_a_customer(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write_rows(CUSTOMERS, rows(*range(1, len(CUSTOMERS) + 1)))
    assert await owner.read(*CUSTOMERS) == list(range(1, len(CUSTOMERS) + 1))


@in_loop
async def test_a_row_is_replaced(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1)
    await owner.write(a=2)
    assert await owner.read(b"a") == [2]
    assert await owner.store.customers(slice_of(b"a")) == (owner.marker.encode(), [b"a"])


@in_loop
async def test_of_one_customer_twice_in_a_write_the_last_row_is_kept(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write_rows([b"a", b"b", b"a", b"c", b"c", b"d", b"d"], rows(1, 2, 3, 4, 0, 0, 5))
    assert await owner.read(b"a", b"b", b"c", b"d") == [3, 2, 0, 5]


@in_loop
async def test_what_was_written_does_not_follow_the_writers_array(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    mine = rows(1, 2)
    await owner.write_rows([b"a", b"b"], mine)
    mine[:] = 9
    assert await owner.read(b"a", b"b") == [1, 2]


@in_loop
async def test_what_was_read_is_the_readers_alone(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1)
    np.array((await owner.store.read([b"a"]))[1])[:] = 9
    assert await owner.read(b"a") == [1]


@in_loop
async def test_a_part_of_a_larger_matrix_may_be_written(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    matrix = np.arange(8 * WIDTH, dtype=np.float32).reshape(4, 2 * WIDTH)
    await owner.write_rows([b"a", b"b"], matrix[::2, :WIDTH])
    assert (await owner.store.read([b"b"]))[1].tolist() == [matrix[2, :WIDTH].tolist()]


@in_loop
async def test_an_empty_row_is_no_longer_kept(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1, b=2)
    await owner.write(a=0, z=0)
    assert await owner.read(b"a", b"b", b"z") == [0, 2, 0]
    assert [await members(owner, number) for number in range(SLICES)].count([]) == SLICES - 1


@in_loop
async def test_every_customer_is_in_its_slice_and_in_no_other(stores: Stores, topic: str) -> None:
    owner, names = await Owner.of(stores, topic), [b"c-%d" % number for number in range(3000)]
    await owner.write_rows(names, rows(*range(1, 3001)))
    found = [await members(owner, number) for number in range(SLICES)]
    assert sorted(chain.from_iterable(found)) == sorted(names)
    assert all(slice_of(name) == number for number, part in enumerate(found) for name in part)
    assert await owner.read(*names) == list(range(1, 3001))


@in_loop
async def test_a_write_has_room_for_many_rows_and_many_deletions_in_one_slice(stores: Stores, topic: str) -> None:
    owner, crowd = await Owner.of(stores, topic), of_one_slice(10_000)
    assert {slice_of(name) for name in crowd} == {7}
    names = [*crowd, *(b"c-%d" % number for number in range(10_000))]
    await owner.write_rows(names, rows(*range(1, 20_001)))
    assert await owner.read(*names) == list(range(1, 20_001))
    assert set(crowd) <= set(await members(owner, 7))
    await owner.write_rows(crowd, rows(*[0] * 10_000))
    assert set(await members(owner, 7)).isdisjoint(crowd)
    assert await owner.read(*names) == [*[0] * 10_000, *range(10_001, 20_001)]


@in_loop
async def test_a_write_of_too_many_rows_is_refused(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    with pytest.raises(ValueError, match=f"at most {MOST_ROWS} rows in a write, found {MOST_ROWS + 1}"):
        await owner.write_rows([b"a"] * (MOST_ROWS + 1), np.zeros((MOST_ROWS + 1, WIDTH), np.float32))
    assert await owner.read(b"a") == [0]


@in_loop
async def test_rows_of_another_shape_are_refused(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    doubles: Any = rows(1).astype(np.float64)
    for wrong in (rows(1)[:, 1:], rows(1, 2), doubles):
        with pytest.raises(ValueError, match=rf"Expected float32 \[1, {WIDTH}\], found"):
            await owner.write_rows([b"a"], wrong)
    assert await owner.read(b"a") == [0]


# -- the marker --------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_take_over_keeps_all_but_the_owner(stores: Stores, topic: str) -> None:
    first = await Owner.of(stores, topic, "one")
    assert first.marker == Marker(owner="one")
    marker = Marker("one", 77, 4, 76, "f00d", "beef", "cafe")
    await first.store.write([b"a"], rows(1), first.marker, marker)
    second = await Owner.of(stores, topic, "two")
    assert second.marker == marker._replace(owner="two")
    assert await second.read(b"a") == [1]


@in_loop
async def test_the_former_owners_writes_fail_and_change_nothing(stores: Stores, topic: str) -> None:
    first = await Owner.of(stores, topic, "one")
    await first.write(a=1)
    second = await Owner.of(stores, topic, "two")
    with pytest.raises(LostWritesError, match=r"expected the marker 1:one:1:.*, found 1:two:1:"):
        await first.write(a=5, b=5)
    assert await second.read(b"a", b"b") == [1, 0]
    await second.write(a=2)
    assert await second.read(b"a", b"b") == [2, 0]


@in_loop
async def test_a_former_owner_sees_that_the_marker_is_not_his(stores: Stores, topic: str) -> None:
    first = await Owner.of(stores, topic, "one")
    await first.write(a=1)
    second = await Owner.of(stores, topic, "two")
    assert (await first.store.read([b"a"]))[0] == second.marker.encode() != first.marker.encode()
    assert (await first.store.customers(0))[0] == second.marker.encode()


@in_loop
async def test_a_write_without_a_take_over_fails(stores: Stores, topic: str) -> None:
    owner = Owner(stores.open(topic, 0, LAYOUT, WIDTH))
    with pytest.raises(LostWritesError, match="found none"):
        await owner.write(a=1)
    assert (await owner.store.read([b"a"]))[1].any() == np.False_


@in_loop
async def test_a_repeated_write_is_done_once(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    old, new = owner.marker, owner.next_marker
    await owner.store.write([b"a"], rows(1), old, new)
    await owner.store.write([b"a"], rows(1), old, new)
    owner.marker = new
    assert await owner.read(b"a") == [1]
    await owner.write(a=2)
    with pytest.raises(LostWritesError):  # the repeat of a write that others have followed
        await owner.store.write([b"a"], rows(1), old, new)
    assert await owner.read(b"a") == [2]


@in_loop
async def test_rows_need_a_new_marker(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    with pytest.raises(ValueError, match="new marker"):
        await owner.store.write([b"a"], rows(1), owner.marker, owner.marker)
    await owner.store.write([], rows(), owner.marker, owner.marker)
    assert await owner.read(b"a") == [0]


@in_loop
async def test_lost_writes_are_seen_by_who_reads_and_by_who_writes(stores: Stores, topic: str, kind: Kind) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1)
    assert await owner.read(b"a") == [1]
    kind.wipe()
    assert (await owner.store.read([b"a"]))[0] == b""
    assert await owner.store.customers(slice_of(b"a")) == (b"", [])
    with pytest.raises(LostWritesError, match="found none"):
        await owner.write(a=2)
    again = await Owner.of(stores, topic)
    assert again.marker == Marker(owner="one")
    assert await again.read(b"a") == [0]


@in_loop
async def test_readers_never_see_a_part_of_a_write(stores: Stores, topic: str) -> None:
    owner, names = await Owner.of(stores, topic), [b"c-%d" % number for number in range(4500)]  # read in several calls
    await owner.write_rows(names, rows(*[0] * len(names)))

    for number in range(1, 13):
        reading = [asyncio.create_task(owner.store.read(names)) for _ in range(3)]
        for _ in range(8 * number):  # the write meets them at different points
            await asyncio.sleep(0)
        await owner.write_rows(names, rows(*[number] * len(names)))
        for marker, found in await asyncio.gather(*reading):
            flushed = Marker.decode(marker).flushed
            assert np.unique(found).tolist() == [flushed - 1]
            assert flushed in {number, number + 1}


# -- partitions and layouts --------------------------------------------------------------------------------------------


@in_loop
async def test_partitions_and_topics_are_apart(stores: Stores, topic: str) -> None:
    mine = await Owner.of(stores, topic)
    await mine.write(a=1)
    for other in (stores.open(topic, 1, LAYOUT, WIDTH), stores.open(topic + "-0", 0, LAYOUT, WIDTH)):
        assert (await other.read([b"a"]))[1].any() == np.False_
        assert await other.take_over("two") == Marker(owner="two")
    assert await mine.read(b"a") == [1]


@in_loop
async def test_rows_of_another_layout_are_other_rows(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1)
    other = stores.open(topic, 0, "other", WIDTH)
    assert (await other.read([b"a"]))[0] == b""
    assert (await other.read([b"a"]))[1].any() == np.False_
    assert await other.customers(slice_of(b"a")) == (b"", [])


@in_loop
async def test_a_take_over_by_another_layout_is_refused_and_changes_nothing(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    with pytest.raises(OtherLayoutError, match=f"state layout other, found {LAYOUT}.*FORETELL_GROUP") as refused:
        await Owner.of(stores, topic, "two", "other")
    assert refused.value.found == LAYOUT
    await owner.write(a=1)
    assert await owner.read(b"a") == [1]
    assert (await stores.open(topic, 0, "other", WIDTH).read([]))[0] == b""


@in_loop
async def test_after_everything_is_lost_another_layout_may_take_over(stores: Stores, topic: str, kind: Kind) -> None:
    await Owner.of(stores, topic)
    kind.wipe()
    assert (await Owner.of(stores, topic, "two", "other")).marker == Marker(owner="two")


@in_loop
async def test_a_row_of_another_width_is_refused(stores: Stores, topic: str) -> None:
    owner = await Owner.of(stores, topic)
    await owner.write(a=1)
    wider = stores.open(topic, 0, LAYOUT, 2 * WIDTH)
    with pytest.raises(StoreError, match=f"Expected rows of {8 * WIDTH} bytes in .*{topic}-0"):
        await wider.read([b"z", b"a"])
    assert (await wider.read([b"z"]))[1].shape == (1, 2 * WIDTH)


@in_loop
async def test_another_connection_finds_the_same_rows(stores: Stores, topic: str, kind: Kind) -> None:
    await (await Owner.of(stores, topic)).write(a=1)
    await stores.close()
    other = kind.connect()
    try:
        again = await Owner.of(other, topic, "two")
        assert await again.read(b"a") == [1]
    finally:
        await other.close()


@in_loop
async def test_a_store_that_answers_has_no_problem_and_tells_about_itself(stores: Stores, topic: str) -> None:
    await Owner.of(stores, topic)
    facts = await stores.facts()
    assert stores.problem == ""
    assert (facts.maxmemory_policy, facts.primary, abs(facts.skew_s) < 5) == ("noeviction", True, True)


def test_slices_are_crc32_of_the_id_modulo_1024() -> None:
    assert [slice_of(name) for name in (b"", b"a", b"123456789")] == [0, 0xE8B7BE43 % 1024, 0xCBF43926 % 1024]


# -- any sequence of it ------------------------------------------------------------------------------------------------

OWNERS = st.sampled_from([0, 1])
CHANGES = st.dictionaries(st.sampled_from(CUSTOMERS), st.sampled_from([0.0, 1.0, 2.5]), max_size=4)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("take over"), OWNERS, st.none()),
        st.tuples(st.just("write"), OWNERS, CHANGES),
        st.tuples(st.just("repeat"), OWNERS, st.none()),
        st.tuples(st.just("wipe"), st.none(), st.none()),
    ),
    max_size=12,
)


@dataclass
class Oracle:
    """What a store must hold: the obvious dict, and the marker that stands beside it."""

    rows: dict[bytes, float] = field(default_factory=dict)
    marker: Marker | None = None

    def apply(self, changes: dict[bytes, float], old: Marker, new: Marker) -> bool:
        if self.marker == new:
            return True
        if self.marker != old:
            return False
        self.rows = {name: first for name, first in (self.rows | changes).items() if first}
        self.marker = new
        return True


@given(actions=ACTIONS)
def test_a_store_is_a_dict_under_a_marker(
    kind: Kind, actions: list[tuple[str, int | None, dict[bytes, float]]]
) -> None:
    async def compare() -> None:
        stores, oracle, topic = kind.connect(), Oracle(), next(TOPICS)
        owners = [Owner(stores.open(topic, 0, LAYOUT, WIDTH)) for _ in range(2)]
        writes = [(Marker("x"), Marker("x"), dict[bytes, float]())] * 2
        names = (f"owner{number}" for number in range(100))
        try:
            for action, number, changes in actions:
                if action == "wipe" or number is None:
                    kind.wipe()
                    oracle = Oracle()
                elif action == "take over":
                    owners[number].marker = await owners[number].store.take_over(name := next(names))
                    oracle.marker = (oracle.marker or Marker())._replace(owner=name)
                    assert owners[number].marker == oracle.marker
                else:
                    if action == "write":
                        writes[number] = (owners[number].marker, owners[number].next_marker, changes)
                    await write_both(owners[number], oracle, writes[number])
                await compare_all(owners[0].store, oracle)
        finally:
            await stores.close()

    asyncio.run(compare())


async def write_both(owner: Owner, oracle: Oracle, write: tuple[Marker, Marker, dict[bytes, float]]) -> None:
    old, new, changes = write
    if old == new:
        return
    content = rows(*changes.values())
    if oracle.apply(changes, old, new):
        await owner.store.write(list(changes), content, old, new)
        owner.marker = new
    else:
        with pytest.raises(LostWritesError):
            await owner.store.write(list(changes), content, old, new)


async def compare_all(store: RowStore, oracle: Oracle) -> None:
    marker, found = await store.read(CUSTOMERS)
    assert marker == (oracle.marker.encode() if oracle.marker else b"")
    assert found[:, 0].tolist() == [oracle.rows.get(name, 0) for name in CUSTOMERS]
    numbers = sorted({slice_of(name) for name in CUSTOMERS})
    kept = [name for number in numbers for name in (await store.customers(number))[1]]
    assert sorted(kept) == sorted(oracle.rows)


async def members(owner: Owner, number: int) -> list[bytes]:
    marker, names = await owner.store.customers(number)
    assert marker == owner.marker.encode()
    return names
