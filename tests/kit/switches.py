"""The engine's protections, each as a function that puts something careless in its place; for tests alone.

A protection is nothing public: it is reached by its private name, and where that has changed, the patch says so.
"""

# ruff: noqa: SLF001

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata
from numpy.typing import NDArray

from stream_app import kafka, offsets
from stream_app.bundle import Bundle
from stream_app.engine import opening, session
from stream_app.engine.delivery import AlertDelivery, Delivery, Outbox, Sent
from stream_app.engine.ports import Fetched, Surroundings
from stream_app.engine.session import Session
from stream_app.engine.work import Kept, PartitionWork
from stream_app.scorer import Emission
from stream_app.steps.stages import Chunk
from stream_app.store import hashes
from stream_app.store.memory import MemoryStore
from stream_app.store.port import Marker
from stream_app.store.scripts import WRITE, Script

Switch = Callable[[pytest.MonkeyPatch], None]
_COMPARED: Final = "if marker ~= ARGV[1] then return marker end"
_NEVER: Final = 1 << 30


# The store


def marker_with_rows(patch: pytest.MonkeyPatch) -> None:
    """Rows are used without a look at the marker that was read with them."""
    probe = PartitionWork._read

    async def read(self: PartitionWork, customers: list[bytes]) -> NDArray[np.float32]:
        if not customers:
            return await probe(self, customers)
        _, rows = await self.store.read(customers)
        return rows

    async def names(self: PartitionWork, slice_number: int) -> list[bytes]:
        _, customers = await self.store.customers(slice_number)
        return customers

    patch.setattr(PartitionWork, "_read", read)
    patch.setattr(PartitionWork, "_names", names)


def idle_probe(patch: pytest.MonkeyPatch) -> None:
    """A partition without records does not look whether the store has lost something."""

    async def look_at_nothing(self: PartitionWork) -> None:
        """See no marker."""

    patch.setattr(PartitionWork, "probe", look_at_nothing)


def compare_and_set(patch: pytest.MonkeyPatch) -> None:
    """Rows are written whoever has taken over, and whatever the store has lost."""
    write = MemoryStore.write

    async def overwrite(
        self: MemoryStore, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker
    ) -> None:
        del old
        await write(self, customers, rows, Marker.decode(self._marker), new)

    patch.setattr(MemoryStore, "write", overwrite)
    assert _COMPARED in WRITE.text, "the script compares markers in other words now"
    patch.setattr(hashes, "WRITE", Script(WRITE.text.replace(_COMPARED, "")))


def kept_rows(patch: pytest.MonkeyPatch) -> None:
    """Rows kept from an earlier opening are used whatever the store has meanwhile."""
    patch.setattr(Kept, "are_of", lambda *_: True)


# Rows, marker and commit


def snapshot_at_boundary(patch: pytest.MonkeyPatch) -> None:
    """What is flushed is copied when it is written, and not when its commit was begun."""
    start_commit, write = Session._start_commit, Session._write

    def start_without(self: Session) -> None:
        with pytest.MonkeyPatch.context() as again:
            again.setattr(self._work, "snapshot", lambda upto: upto)
            start_commit(self)

    async def copy_and_write(self: Session, snapshot: Any) -> None:  # noqa: ANN401  (or the offset it is to be of)
        await write(self, self._work.snapshot(snapshot) if isinstance(snapshot, int) else snapshot)

    patch.setattr(Session, "_start_commit", start_without)
    patch.setattr(Session, "_write", copy_and_write)


def commit_before_flush(patch: pytest.MonkeyPatch) -> None:
    """Rows are written to the store while the commit that they belong to may still fail."""
    start_commit = Session._start_commit

    def write_and_start(self: Session) -> None:
        if self._flush_is_due():
            self._flush = asyncio.create_task(self._write(self._work.snapshot(self._progress.position)))
        start_commit(self)

    patch.setattr(Session, "_start_commit", write_and_start)


def rows_on_their_way(patch: pytest.MonkeyPatch) -> None:
    """Rows leave the memory while they are on their way to the store."""

    def evict(self: Session) -> None:
        self._work.residents.evict(self._holding.most_rows)

    patch.setattr(Session, "_evict", evict)


def suppression(patch: pytest.MonkeyPatch) -> None:
    """What lies below the committed offset is put out again."""
    emit, score = Session._emit, PartitionWork.score

    async def score_all(self: PartitionWork, part: Chunk, *, wanted: bool = True) -> tuple[Emission, int]:
        del wanted
        return await score(self, part)

    async def emit_all(self: Session, part: Chunk, emission: Emission) -> None:
        committed, self._progress.committed = self._progress.committed, 0
        try:
            await emit(self, part, emission)
        finally:
            self._progress.committed = max(committed, self._progress.committed)

    patch.setattr(PartitionWork, "score", score_all)
    patch.setattr(Session, "_emit", emit_all)


# Kafka


def fencing(patch: pytest.MonkeyPatch) -> None:
    """Each opening has a transactional id of its own, so that nobody is fenced."""
    start = Delivery.start

    async def start_as_another(self: Delivery) -> None:
        if not self.in_transactions:
            return await start(self)
        self._outbox = Outbox(kafka.transactional_producer(self._settings, secrets.token_hex(8)), transactional=True)
        return await self._outbox.start()

    patch.setattr(Delivery, "start", start_as_another)


def fence_before_offset(patch: pytest.MonkeyPatch) -> None:
    """The committed offset is asked for before the former owner is fenced."""
    start, begin = Delivery.start, Delivery.begin

    async def start_later(self: Delivery) -> None:
        """Start with the first transaction."""

    async def start_and_begin(self: Delivery) -> None:
        if self._outbox is None:
            await start(self)
        await begin(self)

    patch.setattr(Delivery, "start", start_later)
    patch.setattr(Delivery, "begin", start_and_begin)


def batches_awaited(patch: pytest.MonkeyPatch) -> None:
    """A transaction is committed without a look at what became of its batches, as aiokafka does it."""

    async def look_at_nothing(self: Delivery) -> None:
        """Wait for nothing."""

    patch.setattr(Delivery, "_arrived", look_at_nothing)


def alerts_awaited(patch: pytest.MonkeyPatch) -> None:
    """Records are committed without a look at what became of their alerts."""

    async def settle_nothing(self: AlertDelivery, sent: list[Sent]) -> None:
        """Wait for nothing."""

    patch.setattr(AlertDelivery, "settle", settle_nothing)


def offset_in_transaction(patch: pytest.MonkeyPatch) -> None:
    """The input offset is committed after the transaction, and not in it."""

    async def commit_apart(self: Delivery, offset: OffsetAndMetadata) -> None:
        await self._hand_over([], scores=True)
        await self._arrived()
        if self.in_transactions:
            await self._started.producer.commit_transaction()
        await self._commit(self._partition, offset)

    patch.setattr(Delivery, "commit", commit_apart)


def error_beside_offset(patch: pytest.MonkeyPatch) -> None:
    """The error beside a committed offset is overlooked, as aiokafka does it: a coordinator that loads has none."""

    async def committed(consumer: AIOKafkaConsumer, group: str, partition: TopicPartition) -> OffsetAndMetadata | None:
        coordinator = consumer._coordinator
        await coordinator.ensure_coordinator_known()
        answer = await coordinator._send_req(OffsetFetchRequest(group, [(partition.topic, [partition.partition])]))
        _, offset, metadata, _ = answer.topics[0][1][0] if answer.topics else (0, -1, "", 0)
        return None if offset == -1 else OffsetAndMetadata(int(offset), metadata or "")

    patch.setattr(offsets, "committed", committed)


def read_committed(patch: pytest.MonkeyPatch) -> None:
    """Records of transactions that were aborted are scored, too."""
    make = AIOKafkaConsumer

    def make_careless(**options: Any) -> AIOKafkaConsumer:  # noqa: ANN401  (passed on)
        return make(**options | {"isolation_level": "read_uncommitted"})

    patch.setattr(kafka, "AIOKafkaConsumer", make_careless)


# Chunks


def generation(patch: pytest.MonkeyPatch) -> None:
    """Chunks are taken whatever seek they were fetched after, and wherever they begin."""
    following = Session._next

    async def of_any_seek(self: Session) -> Fetched | None:
        fetched = await following(self)
        return None if fetched is None else replace(fetched, generation=self._generation)

    patch.setattr(Session, "_next", of_any_seek)
    continuity(patch)


def continuity(patch: pytest.MonkeyPatch) -> None:
    """Chunks are taken wherever they begin, and not only where they continue the position."""
    take = Session._take

    async def take_any(self: Session, fetched: Fetched) -> None:
        self._progress.position = fetched.start
        await take(self, fetched)

    patch.setattr(Session, "_take", take_any)


def lost_chunk_probe(patch: pytest.MonkeyPatch) -> None:
    """Nobody notices that a chunk was lost and no other comes."""
    patch.setattr(session, "ASTRAY_PROBES", _NEVER)


# Opening


def fingerprint(patch: pytest.MonkeyPatch) -> None:
    """The record that the rows were computed up to may be another one than the log has now."""

    def believe(self: Session, chunk: Chunk, expected: tuple[int, str]) -> Chunk:
        del expected
        self._verify = None
        return chunk.slice(1, len(chunk.offsets))

    patch.setattr(Session, "_verified", believe)


def refusals(patch: pytest.MonkeyPatch) -> None:
    """A partition is opened also where its log, its offset or its number of partitions cannot be right."""
    patch.setattr(opening, "_check", lambda *_: None)


def bundle_in_marker(patch: pytest.MonkeyPatch) -> None:
    """A partition is opened with the bundle of the settings, whichever the log has put in force."""

    def first(found: object, beginning: object, around: Surroundings) -> Bundle:
        del found, beginning
        return around.shelf.first

    patch.setattr(opening, "_bundle_in_force", first)
