"""Record batches, read and written: what aiokafka reads and writes is the reference."""

import struct
from typing import Any, Final

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka import codec as codecs
from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from stream_app.fetch import Answer, PartitionChunks
from stream_app.record_batches import CONTROL, CRC_AT, CRC_END, HEADER, LOG_TIME, Columns, Header, read, written
from stream_app.steps.texts import Texts

NAME: Final = TopicPartition("t", 3)
GZIP: Final = 1
ABORT, COMMIT = 0, 1
CHECKED: Final = True

Record = tuple[int, int, bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Delta of the offset, time, key, value, headers."""

PARTS = st.none() | st.binary(max_size=200)
RECORDS: Final = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 10**13), PARTS, PARTS, st.lists(st.just(("h", b"v")), max_size=2)),
    min_size=1,
    max_size=20,
)


def building(producer: int, transactional: bool, *, codec: int = 0) -> DefaultRecordBatchBuilder:  # noqa: FBT001
    """Return aiokafka's own writer."""
    return DefaultRecordBatchBuilder(
        2,
        codec,
        is_transactional=transactional,
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )


def batch(
    base: int, records: list[Record], *, codec: int = 0, producer: int = -1, attributes: int = 0
) -> tuple[bytes, int]:
    """Return a batch as aiokafka writes it, and the offset behind it."""
    builder = DefaultRecordBatchBuilder(
        2,
        codec,
        is_transactional=producer >= 0,
        producer_id=producer,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 20,
    )
    delta = -1
    for step, time, key, value, headers in records:
        delta += step
        assert builder.append(delta, time, key, value, headers) is not None
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, base)
    struct.pack_into(">h", data, CRC_END, Header.of(bytes(data), 0).attributes | attributes)
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(bytes(data[CRC_END:])))
    return bytes(data), base + delta + 1


def marker(base: int, producer: int, kind: int) -> tuple[bytes, int]:
    """Return the control batch that ends a transaction."""
    key, value = struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 0)
    return batch(base, [(1, 0, key, value, [])], producer=producer, attributes=CONTROL)


def usual(data: bytes, first: int, aborted: list[tuple[int, int]], isolation: int) -> tuple[list[Any], int]:
    """Return the records and the position as aiokafka has them."""
    found = PartitionRecords(NAME, MemoryRecords(data), list(aborted), first, None, None, CHECKED, isolation)
    return [(record.offset, record.timestamp, record.key, record.value) for record in found], found.next_fetch_offset


def ours(data: bytes, first: int, aborted: list[tuple[int, int]], isolation: int) -> tuple[list[Any], int]:
    """Return the same as our chunks have them."""
    found = PartitionChunks(NAME, Answer(data), list(aborted), first, None, None, CHECKED, isolation)
    records = list[Any]()
    for chunk in found:
        assert (chunk.topic, chunk.partition) == NAME
        columns = chunk.offsets.tolist(), chunk.record_times.tolist(), chunk.keys.listed(), chunk.values.listed()
        records += zip(*columns, strict=True)
    return records, found.next_fetch_offset


def some(number: int, size: int = 3) -> list[Record]:
    return [(1, 10 * number + k, b"k%d" % k, b"v%d-%d" % (number, k), []) for k in range(size)]


@given(
    st.lists(st.tuples(RECORDS, st.sampled_from([0, GZIP]), st.sampled_from([0, LOG_TIME])), max_size=4),
    st.integers(0, 30),
    st.integers(0, 60),
)
def test_what_is_fetched_is_what_aiokafka_finds(
    parts: list[tuple[list[Record], int, int]], first: int, cut: int
) -> None:
    data, ends = b"", [5]
    for records, codec, attributes in parts:
        piece, end = batch(ends[-1], records, codec=codec, attributes=attributes)
        data, ends = data + piece, [*ends, end]
    first = min(first, ends[:2][-1] - 1)  # a broker begins with the batch that has the offset
    data = data[: len(data) - cut] if cut < len(data) else data
    assert ours(data, first, [], READ_COMMITTED) == usual(data, first, [], READ_COMMITTED)


@pytest.mark.parametrize("isolation", [READ_COMMITTED, READ_UNCOMMITTED])
@pytest.mark.parametrize("kind", [ABORT, COMMIT])
def test_transactions_that_were_aborted_are_seen_by_those_alone_who_want_to(isolation: int, kind: int) -> None:
    data, end = b"", 0
    for piece in (
        batch(0, some(0)),
        batch(3, some(1), producer=7),
        batch(6, some(2), producer=8),
        marker(9, 7, kind),
        batch(10, some(3), producer=7),
        marker(13, 8, COMMIT),
    ):
        data, end = data + piece[0], piece[1]
    aborted = [(7, 3)] if kind == ABORT else []
    records, position = ours(data, 0, aborted, isolation)
    assert (records, position) == usual(data, 0, aborted, isolation)
    assert (len(records), position) == (9 if aborted and isolation == READ_COMMITTED else 12, end)


def test_where_there_are_markers_alone_the_position_is_behind_them() -> None:
    data, end = marker(4, 7, COMMIT)
    assert ours(data, 4, [], READ_COMMITTED) == ([], end)


def test_an_older_format_is_read_by_aiokafka() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 10_000)
    for k in range(3):
        builder.append(k, timestamp=100 + k, key=b"k", value=b"%d" % k)
    data = bytes(builder.build())
    assert ours(data, 1, [], READ_COMMITTED) == usual(data, 1, [], READ_COMMITTED)


@pytest.mark.parametrize("place", [CRC_END, HEADER.size - 1, HEADER.size + 4, -1])
@pytest.mark.parametrize("codec", [0, GZIP])
def test_a_damaged_batch_is_refused(place: int, codec: int) -> None:
    data = bytearray(batch(0, some(0, 40), codec=codec)[0])
    assert len(ours(bytes(data), 0, [], READ_COMMITTED)[0]) == 40
    data[place] ^= 1
    with pytest.raises(CorruptRecordException):
        ours(bytes(data), 0, [], READ_COMMITTED)


@given(st.binary(max_size=120), st.integers(-1, 12))
def test_bytes_that_are_no_records_are_not_read_beyond_their_end(content: bytes, records: int) -> None:
    head = HEADER.pack(0, HEADER.size - 12 + len(content), -1, 2, 0, 0, 0, 0, 0, -1, -1, -1, records)
    data = bytearray(head + content)
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(bytes(data[CRC_END:])))
    try:
        found, _ = ours(bytes(data), 0, [], READ_COMMITTED)
    except CorruptRecordException:
        return
    for _, _, key, value in found:
        assert len(key or b"") + len(value or b"") <= len(content)


def test_a_batch_that_says_that_it_is_shorter_than_a_batch_is_refused() -> None:
    data = bytearray(batch(0, some(0))[0])
    struct.pack_into(">i", data, 8, 20)
    with pytest.raises(CorruptRecordException):
        ours(bytes(data), 0, [], READ_COMMITTED)


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=80), st.binary(max_size=400)), max_size=30),
    st.integers(80, 2_000),
    st.booleans(),
)
def test_what_is_written_is_what_aiokafka_reads(
    messages: list[tuple[bytes, bytes]],
    most: int,
    transactional: bool,  # noqa: FBT001  (an example's)
) -> None:
    keys, values = Texts.of([key for key, _ in messages]), b"".join(value for _, value in messages)
    starts = np.cumsum([0, *(len(value) for _, value in messages)])
    batches = list(written(keys, (np.frombuffer(values, np.uint8), starts), most, 1234, transactional=transactional))
    found = list[tuple[bytes | None, bytes | None]]()
    for number, item in enumerate(batches):
        item._set_producer_state(7, 2, len(found))  # noqa: SLF001  (as the producer calls it)
        data = bytes(item._build())  # noqa: SLF001
        told: Any = MemoryRecords(data).next_batch()
        assert told.validate_crc()
        assert (told.is_transactional, told.producer_id, told.base_offset) == (transactional, 7, 0)
        assert (told.producer_epoch, told.base_sequence, told.next_offset) == (2, len(found), item.record_count())
        records = list(told)
        assert [(record.offset, record.timestamp) for record in records] == [(k, 1234) for k in range(len(records))]
        assert (item.size(), item.closed()) == (len(data), True)
        assert len(data) <= most or len(records) == 1
        assert number == 0 or len(batches[number - 1]._build()) + _bytes_of(records[0]) > most  # noqa: SLF001
        found += [(record.key, record.value) for record in records]
    assert found == messages


def _bytes_of(record: Any) -> int:  # noqa: ANN401  (aiokafka's)
    return len(record.key) + len(record.value) + 12


def test_a_batch_is_written_byte_for_byte_as_aiokafka_writes_it() -> None:
    messages = [(b"k%d" % k, b"v" * k) for k in range(300)]
    starts = np.cumsum([0, *(len(value) for _, value in messages)])
    content = np.frombuffer(b"".join(value for _, value in messages), np.uint8)
    [item] = written(Texts.of([key for key, _ in messages]), (content, starts), 1 << 20, 99, transactional=True)
    item._set_producer_state(5, 0, 0)  # noqa: SLF001  (as the producer calls it)
    builder = building(5, transactional=True)
    for k, (key, value) in enumerate(messages):
        builder.append(k, 99, key, value, [])
    assert bytes(item._build()) == bytes(builder.build())  # noqa: SLF001


def test_records_that_do_not_fill_their_batch_are_told() -> None:
    data = batch(0, some(0))[0]
    header, place, array = Header.of(data, 0), (HEADER.size, len(data)), np.frombuffer(data, np.uint8)
    assert read(array, place, header, Columns.room(3), 0)
    assert not read(array, place, header._replace(records=2), Columns.room(3), 0)
    assert not read(array, (HEADER.size, len(data) - 1), header, Columns.room(3), 0)


@pytest.mark.parametrize("length", [-12, -1, 0, 20])
def test_a_batch_of_a_wrong_length_is_told_when_it_is_read_and_not_before(length: int) -> None:
    data = bytearray(batch(0, some(0))[0])
    struct.pack_into(">i", data, 8, length)
    assert Answer(bytes(data)).has_next(), "else aiokafka's fetching would end, or not be told"
    with pytest.raises(CorruptRecordException):
        ours(bytes(data), 0, [], READ_COMMITTED)


def test_what_says_that_it_is_compressed_and_is_not_is_refused() -> None:
    with pytest.raises(CorruptRecordException, match="gzip"):
        ours(batch(0, some(0), attributes=GZIP)[0], 0, [], READ_COMMITTED)


def test_a_compression_without_its_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "has_gzip", lambda: False)
    with pytest.raises(UnsupportedCodecError, match="gzip"):
        ours(batch(0, some(0), attributes=GZIP)[0], 0, [], READ_COMMITTED)
