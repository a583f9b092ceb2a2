"""A consumer's fetch answers as chunks, without an object for each record.

aiokafka's fetcher goes on to do all that has to do with brokers and positions; the two classes by which it takes
answers apart are exchanged for ours, for one consumer and not for the process.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import codec as codecs
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.memory_records import MemoryRecords
from crc32c import crc32c

from schemas.accepted import NO_RECORD_TIME
from stream_app import record_batches
from stream_app.exchange import exchange
from stream_app.record_batches import CODEC, CONTROL, CRC_END, HEADER, LENGTH_END, MAGIC, TRANSACTIONAL, Columns, Header
from stream_app.steps.stages import Chunk
from stream_app.steps.texts import Texts

_MAGIC_AT: Final = 16
_CODECS: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_SMALLEST_RECORD: Final = 7
"""Bytes: of a record without key and value."""


def in_chunks(consumer: AIOKafkaConsumer) -> None:
    """Let a consumer that has been started return chunks: ``getmany`` has one for each partition then.

    To be called before anything is assigned to it.
    """
    own = consumer._fetcher  # noqa: SLF001  (aiokafka has no place for this)
    exchange(own, "_proc_fetch_request", MemoryRecords=Answer, PartitionRecords=PartitionChunks)


class Answer:
    """The bytes that a fetch has brought of one partition, with what aiokafka asks of them."""

    def __init__(self, data: bytes) -> None:
        """Take the bytes; the last batch may be cut off."""
        self.data = data

    def has_next(self) -> bool:
        """Return whether there is a whole batch, or something else that is found out about when it is read."""
        try:
            return next(self.batches(), None) is not None
        except CorruptRecordException:  # raised here, it would end aiokafka's fetching for good
            return True

    def size_in_bytes(self) -> int:
        """Return how many bytes there are."""
        return len(self.data)

    def batches(self) -> Iterator[tuple[int, int]]:
        """Yield where each whole batch starts and ends.

        Raises:
            CorruptRecordException: a batch is too short for one.
        """
        at = 0
        while len(self.data) - at > _MAGIC_AT:
            end = at + LENGTH_END + int.from_bytes(self.data[at + 8 : at + LENGTH_END], "big", signed=True)
            smallest = HEADER.size if self.data[at + _MAGIC_AT] == MAGIC else _MAGIC_AT
            if end - at < smallest:
                message = f"a batch of {end - at} bytes"
                raise CorruptRecordException(message)
            if end > len(self.data):
                return
            yield at, end
            at = end


class _Run:
    """Batches that follow each other; what was compressed stands behind the answer.

    Attributes:
        headers: of the batches.
        places: where the records of each start and end in the content.
    """

    def __init__(self, data: bytes) -> None:
        """Begin with no batch of an answer."""
        self.headers, self.places = list[Header](), list[tuple[int, int]]()
        self._contents, self._size = [data], len(data)

    def add(self, start: int, end: int, header: Header) -> None:
        """Take a batch whose records stand there in the answer.

        Raises:
            UnsupportedCodecError: the library for its compression is not installed.
        """
        codec = header.attributes & CODEC
        if codec:
            content = _uncompressed(codec, self._contents[0][start:end])
            self._contents.append(content)
            start, end = self._size, self._size + len(content)
            self._size = end
        self.headers.append(header)
        self.places.append((start, end))

    def content(self) -> bytes:
        """Return what the places are of."""
        return self._contents[0] if len(self._contents) == 1 else b"".join(self._contents)


def _uncompressed(codec: int, content: bytes) -> bytes:
    name = _CODECS.get(codec, "an unknown one")
    if codec not in _CODECS or not getattr(codecs, f"has_{name}")():
        message = f"Libraries for {name} compression codec not found"
        raise UnsupportedCodecError(message)
    try:
        return bytes(getattr(codecs, f"{name}_decode")(content))
    except Exception as error:
        message = f"content that is not compressed by {name}"
        raise CorruptRecordException(message) from error  # each library has errors of its own


class PartitionChunks(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """What a fetch has brought of one partition: an iterator over one chunk, or none where nothing is to be seen."""

    def _unpack_records(self) -> Iterator[Chunk]:
        """Yield the records; the position then is behind all batches.

        Raises:
            CorruptRecordException: a batch is damaged.
        """
        first, parts = self.next_fetch_offset, list(self._parts())
        if not parts:
            return
        chunk = parts[0] if len(parts) == 1 else Chunk.joined(parts)
        wanted = chunk.offsets >= first  # a batch is fetched as a whole
        if not wanted.all():
            chunk = chunk.take(np.flatnonzero(wanted))
        if len(chunk.offsets):
            yield chunk

    def _parts(self) -> Iterator[Chunk]:
        """Yield runs of batches that are read by the compiled loop, and each of an older format by itself."""
        run = _Run(self._records.data)
        for at, end, header in self._visible():
            if header is not None:
                run.add(at + HEADER.size, end, header)
                continue
            if run.headers:
                yield self._read(run)
                run = _Run(self._records.data)
            yield self._iterated(at, end)
        if run.headers:
            yield self._read(run)

    def _visible(self) -> Iterator[tuple[int, int, Header | None]]:
        """Yield where batches of records stand that may be seen, and their headers; none where the format is older."""
        data = self._records.data
        for at, end in self._records.batches():
            if data[at + _MAGIC_AT] != MAGIC:
                yield at, end, None
                continue
            header = Header.of(data, at)
            if self._check_crcs and crc32c(memoryview(data)[at + CRC_END : end]) != header.crc:
                message = f"Invalid CRC - {self._tp}"
                raise CorruptRecordException(message)
            if not (self._is_aborted(header, at, end) or header.attributes & CONTROL):
                yield at, end, header
            self.next_fetch_offset = header.base_offset + header.last_offset_delta + 1

    def _is_aborted(self, header: Header, at: int, end: int) -> bool:
        """Return whether a batch is of a transaction that was aborted, where those are not to be seen."""
        if self._isolation_level != fetcher.READ_COMMITTED:
            return False
        self._consume_aborted_up_to(header.base_offset)
        control = header.attributes & CONTROL
        if control and self._contains_abort_marker(MemoryRecords(self._records.data[at:end]).next_batch()):
            self._aborted_producers.discard(header.producer_id)
        return bool(header.attributes & TRANSACTIONAL) and header.producer_id in self._aborted_producers

    def _read(self, run: "_Run") -> Chunk:
        data = np.frombuffer(run.content(), np.uint8)
        whole = all(
            0 <= header.records <= (end - start) // _SMALLEST_RECORD
            for header, (start, end) in zip(run.headers, run.places, strict=True)
        )
        found, first = Columns.room(sum(header.records for header in run.headers) if whole else 0), 0
        for header, place in zip(run.headers, run.places, strict=True):
            if not whole or not record_batches.read(data, place, header, found, first):
                expected = f"{header.records} records at offset {header.base_offset} of {self._tp}"
                message = f"Expected {expected}, found others"
                raise CorruptRecordException(message)
            first += header.records
        keys, values = (Texts(data, place[:, 0].copy(), place[:, 1].copy()) for place in (found.key, found.value))
        return Chunk(self._tp.topic, self._tp.partition, found.offsets, keys, values, found.times)

    def _iterated(self, at: int, end: int) -> Chunk:
        """Return a batch as aiokafka reads it."""
        batch: Any = MemoryRecords(self._records.data[at:end]).next_batch()
        if self._check_crcs and not batch.validate_crc():
            message = f"Invalid CRC - {self._tp}"
            raise CorruptRecordException(message)
        chunk = chunk_of(self._tp, list(batch))
        self.next_fetch_offset = batch.next_offset
        return chunk


def chunk_of(name: TopicPartition, records: Sequence[Any]) -> Chunk:
    """Return aiokafka's records of a partition as a chunk."""
    times = [NO_RECORD_TIME if record.timestamp is None else record.timestamp for record in records]
    messages = [record.key for record in records], [record.value for record in records]
    offsets = np.array([record.offset for record in records], np.int64)
    return Chunk.of((name.topic, name.partition), offsets, messages, np.array(times, np.int64))
