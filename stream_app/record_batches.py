"""Kafka's record batches (format 2), read and written by compiled loops: no Python object for any record.

https://kafka.apache.org/documentation/#recordbatch
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from crc32c import crc32c
from numba import njit
from numpy.typing import NDArray

from stream_app.native import copy
from stream_app.steps.texts import Bytes, Texts, Whole, readable

HEADER: Final = struct.Struct(">qiibIhiqqqhii")
"""What ``Header`` has."""
MAGIC: Final = 2
LENGTH_END: Final = 12
CRC_AT: Final = 17
CRC_END: Final = 21
CODEC, LOG_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
"""Bits of the attributes."""
_MOST_OVERHEAD: Final = 40
"""Bytes of a record besides key and value, at most."""


class Header(NamedTuple):
    """The fixed part of a record batch; the names are those of the format."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_time: int
    last_time: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int

    @classmethod
    def of(cls, data: bytes | memoryview, at: int) -> "Header":
        """Read the header that stands at a place; there must be room for it."""
        return cls._make(HEADER.unpack_from(data, at))


class Columns(NamedTuple):
    """Records as columns, n of them.

    Attributes:
        offsets: int64 [n].
        times: int64 [n], in ms.
        key: int64 [n, 2], where in the data it starts and ends; a start of -1 is none.
        value: int64 [n, 2], as the key.
    """

    offsets: Whole
    times: Whole
    key: Whole
    value: Whole

    @classmethod
    def room(cls, n: int) -> "Columns":
        """Return columns to be filled in."""
        return cls(np.empty(n, np.int64), np.empty(n, np.int64), np.empty((n, 2), np.int64), np.empty((n, 2), np.int64))


def read(data: Bytes, place: tuple[int, int], header: Header, found: Columns, first: int) -> bool:
    """Read the records of one batch.

    Args:
        data: uint8, in which the records stand, not compressed.
        place: where they start, and where they end.
        header: of the batch.
        found: filled in from ``first`` on.
        first: the next place in ``found``.

    Returns:
        Whether all records were as the format has them.
    """
    by_log = bool(header.attributes & LOG_TIME)
    time = header.last_time if by_log else header.first_time
    numbers = (*place, header.records, header.base_offset, time, 0 if by_log else 1)
    return bool(_read(readable(data), numbers, found, first))


class RecordBatch:
    """A batch that has been written, as aiokafka's producer takes one.

    aiokafka's own ``BatchBuilder`` is appended to record by record; this one is full from the beginning. Its methods
    are those that the producer calls.
    """

    def __init__(self, content: Bytes, records: int, time_ms: int, *, transactional: bool) -> None:
        """Take records that stand behind room for a header, all of one time."""
        self._content, self._records, self._time_ms = content, records, time_ms
        self._attributes = TRANSACTIONAL if transactional else 0
        self._producer = (-1, -1, 0)
        self._built: memoryview | None = None

    def append(self, **_: Any) -> None:
        """Return None: the batch is full."""

    def close(self) -> None:
        """Do nothing: the batch is full."""

    def closed(self) -> bool:
        """Return whether the batch is full."""
        return True

    def record_count(self) -> int:
        """Return how many records there are."""
        return self._records

    def size(self) -> int:
        """Return the batch's size in bytes."""
        return len(self._content)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> memoryview:
        if self._built is None:
            whole, last = self._content.data, self._records - 1
            kind = (MAGIC, 0, self._attributes)
            times, producer = (self._time_ms, self._time_ms), self._producer
            HEADER.pack_into(whole, 0, 0, len(whole) - LENGTH_END, -1, *kind, last, *times, *producer, self._records)
            struct.pack_into(">I", whole, CRC_AT, crc32c(whole[CRC_END:]))
            self._built = whole
        return self._built


def written(
    keys: Texts, values: tuple[Bytes, Whole], most_bytes: int, time_ms: int, *, transactional: bool
) -> Iterator[RecordBatch]:
    """Yield messages as batches, in order.

    Args:
        keys: of the messages, which all have one.
        values: all values one behind the other, and int64 [n + 1] where each starts.
        most_bytes: a batch is no larger, if it has more than one record.
        time_ms: of all records.
        transactional: whether they belong to a transaction.
    """
    content, starts = readable(values[0]), readable(values[1])
    arrays, first = keys.arrays, 0
    lengths = keys.stop - keys.start + np.diff(values[1])
    while first < len(keys):
        room = HEADER.size + max(most_bytes, int(lengths[first]) + _MOST_OVERHEAD)
        buffer = np.empty(min(room, HEADER.size + int((lengths[first:] + _MOST_OVERHEAD).sum())), np.uint8)
        stop, size = _write(buffer, (HEADER.size, most_bytes), arrays, (content, starts), first)
        yield RecordBatch(buffer[:size], stop - first, time_ms, transactional=transactional)
        first = stop


@njit(error_model="numpy")
def _varint(data, at, end):  # type: ignore[no-untyped-def]
    """Return a number, and the place behind it, which is -1 if it does not end before ``end``."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(64):
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < np.uint64(128):
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at
        shift += np.uint64(7)
    return np.int64(0), -1


@njit(error_model="numpy")
def _part(data, at, end, place):  # type: ignore[no-untyped-def]
    """Note where bytes stand whose length comes first; return the place behind them, -1 if there is none."""
    length, at = _varint(data, at, end)
    if at < 0 or length > end - at:
        return -1
    if length < 0:
        place[0] = -1
        place[1] = -1
        return at
    place[0] = at
    place[1] = at + length
    return at + length


@njit(cache=True, nogil=True, error_model="numpy")
def _read(data, numbers, found, first):  # type: ignore[no-untyped-def]
    at, end, records, base_offset, base_time, deltas_count = numbers
    for i in range(first, first + records):
        length, at = _varint(data, at, end)
        if at < 0 or length < 1 or length > end - at:
            return False
        behind = at + length
        time_delta, at = _varint(data, at + 1, behind)  # behind the record's attributes, which mean nothing yet
        if at < 0:
            return False
        offset_delta, at = _varint(data, at, behind)
        if at < 0:
            return False
        at = _part(data, at, behind, found.key[i])
        if at < 0:
            return False
        at = _part(data, at, behind, found.value[i])
        if at < 0:
            return False
        found.offsets[i] = base_offset + offset_delta
        found.times[i] = base_time + deltas_count * time_delta
        at = behind  # headers are not looked at
    return at == end


@njit(error_model="numpy")
def _put_varint(buffer, at, value):  # type: ignore[no-untyped-def]
    """Write a number that is not negative; return the place behind it."""
    rest = np.uint64(value) << np.uint64(1)
    while rest > np.uint64(127):
        buffer[at] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        at += 1
    buffer[at] = np.uint8(rest)
    return at + 1


@njit(error_model="numpy")
def _varint_bytes(value):  # type: ignore[no-untyped-def]
    rest = np.uint64(value) << np.uint64(1)
    size = 1
    while rest > np.uint64(127):
        rest >>= np.uint64(7)
        size += 1
    return size


@njit(cache=True, nogil=True, error_model="numpy")
def _write(buffer, bounds, keys, values, first):  # type: ignore[no-untyped-def]
    key_content, key_starts, key_stops = keys
    content, starts = values
    at, most = bounds
    i = first
    while i < len(key_starts):
        key = key_stops[i] - key_starts[i]
        value = starts[i + 1] - starts[i]
        delta = i - first
        # attributes and delta of the time: a byte each, as is the number of headers
        length = 3 + _varint_bytes(delta) + _varint_bytes(key) + key + _varint_bytes(value) + value
        if i > first and at + _varint_bytes(length) + length > most:
            break
        at = _put_varint(buffer, at, length)
        buffer[at] = 0
        buffer[at + 1] = 0
        at = _put_varint(buffer, at + 2, delta)
        at = _put_varint(buffer, at, key)
        copy(buffer, at, key_content, key_starts[i], key)
        at = _put_varint(buffer, at + key, value)
        copy(buffer, at, content, starts[i], value)
        at += value
        buffer[at] = 0
        at += 1
        i += 1
    return i, at


def warm_up() -> NDArray[np.int64]:
    """Compile what reads and writes; return the offsets of what was read back."""
    [batch] = written(Texts.of([b"k"]), (np.zeros(1, np.uint8), np.array([0, 1])), 1000, 0, transactional=False)
    data = np.frombuffer(batch._build(), np.uint8)  # noqa: SLF001  (as the producer calls it)
    found = Columns.room(1)
    read(data, (HEADER.size, len(data)), Header.of(data.data, 0), found, 0)
    return found.offsets
