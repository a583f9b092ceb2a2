"""Doubles of Kafka for one partition: its log and transactions, producers, a source."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

import numpy as np
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, InvalidTxnState, OutOfOrderSequenceNumber, ProducerFenced
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import OffsetAndMetadata

from stream_app.engine.ports import Fetched
from stream_app.record_batches import RecordBatch
from stream_app.steps.stages import Chunk
from tests.kit.wire import Process, Wire

_T = TypeVar("_T")
INPUT: Final = TopicPartition("transactions", 0)
LARGEST_BATCH: Final = 3
"""Messages, so that chunks need several batches."""


class Message(NamedTuple):
    """What stands in an output topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass
class Broker:
    """One input partition with its group's offset, and the output topics.

    Attributes:
        offsets: of the records; gaps are where other transactions' markers stand.
        records: key, value and record time of each.
        first: offset of the first record that the log still has.
        end: behind the last record and the markers after it.
        partitions: of the input topic.
        committed: the group's offset.
        owner: name of the process that the group has given the partition to.
        visible: what a read_committed consumer sees.
        epochs: of each transactional id, the one that may write.
        open: what the open transaction of an id has written, and the offset that it will commit.
    """

    offsets: list[int]
    records: list[tuple[bytes | None, bytes | None, int]]
    first: int = 0
    end: int = 0
    partitions: int = 1
    committed: OffsetAndMetadata | None = None
    owner: str = ""
    visible: list[Message] = field(default_factory=list)
    epochs: Counter[str] = field(default_factory=Counter)
    open: dict[str, tuple[list[Message], list[OffsetAndMetadata]]] = field(default_factory=dict)

    def become_writer(self, name: str) -> int:
        """Fence the former writer, drop its open transaction, and return the new epoch."""
        self.open.pop(name, None)
        self.epochs[name] += 1
        return self.epochs[name]

    def in_transaction(self, name: str, epoch: int) -> tuple[list[Message], list[OffsetAndMetadata]]:
        """Return the open transaction of a writer.

        Raises:
            ProducerFenced: another one has become the writer.
        """
        if self.epochs[name] != epoch:
            raise ProducerFenced
        return self.open.setdefault(name, ([], []))

    def end_transaction(self, name: str, epoch: int) -> None:
        """Make all that a transaction has written visible."""
        messages, offsets = self.in_transaction(name, epoch)
        self.visible += messages
        self.committed = offsets[-1] if offsets else self.committed
        del self.open[name]

    def commit(self, process: Process, offset: OffsetAndMetadata) -> None:
        """Commit an offset outside a transaction.

        Raises:
            CommitFailedError: the group has given the partition to another one.
        """
        if process.name != self.owner:
            raise CommitFailedError
        self.committed = offset


class Batch:
    """A batch as aiokafka's producer makes it."""

    def __init__(self) -> None:
        """Start empty."""
        self.messages: list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]] = []

    def append(
        self, *, key: bytes | None, value: bytes | None, timestamp: int | None, headers: list[tuple[str, bytes]]
    ) -> object | None:
        """Take a message; return None if there is no room for it."""
        assert timestamp is None
        if len(self.messages) == LARGEST_BATCH:
            return None
        self.messages.append((key, value, tuple(headers)))
        return self.messages

    def record_count(self) -> int:
        """Return how many messages there are."""
        return len(self.messages)

    def close(self) -> None:
        """Take no more."""


def _messages(batch: Batch | RecordBatch) -> list[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]]:
    if isinstance(batch, Batch):
        return batch.messages
    written = MemoryRecords(bytes(batch._build())).next_batch()  # noqa: SLF001  (as the producer calls it)
    assert written is not None
    assert written.validate_crc()
    return [(record.key, record.value, tuple(record.headers)) for record in written]


class Producer:
    """A producer as aiokafka's, with the traps of aiokafka's.

    It commits a transaction although a batch of it has failed; after one refused batch it refuses all, unless the
    broker does not number what comes; when it is stopped by force, nobody is told what became of the batches under way.

    Attributes:
        open: whether it has been started and not been stopped.
        name: the transactional id, if there is one.
        idempotent: whether the broker numbers what it sends.
        sent: topic and number of records of each batch that was handed over.
    """

    _txn_manager = None

    def __init__(
        self, broker: Broker, wire: Wire, process: Process, name: str = "", *, idempotent: bool = True
    ) -> None:
        """Belong to a process."""
        self.name, self.open, self._closed = name, False, False
        self.client = self._sender = self
        self._broker, self._wire, self._process, self.idempotent = broker, wire, process, idempotent
        self._epoch, self._begun, self._broken = 0, False, False
        self.sent = list[tuple[str, int]]()
        self._under_way: set[asyncio.Future[object]] = set()

    async def start(self) -> None:
        """Fence the former producer of the name."""
        self.open = True
        self._epoch = await self._ask("start", lambda: self._broker.become_writer(self.name))

    async def stop(self) -> None:
        """Deliver what is under way."""
        await self._process.pass_on()
        await self.flush()
        await self.close()

    async def close(self) -> None:
        """Stop without looking at what is under way."""
        self.open = False

    async def flush(self) -> None:
        """Wait until everything under way has been delivered or has failed."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def create_batch(self) -> Batch:
        """Return an empty batch."""
        return Batch()

    async def send_batch(self, batch: Batch | RecordBatch, topic: str, *, partition: int) -> "asyncio.Future[object]":
        """Send a batch; return what becomes of it."""
        del partition
        await self._process.pass_on()
        await asyncio.sleep(0)
        if self.name and not self._begun:
            raise InvalidTxnState
        self.sent.append((topic, batch.record_count()))
        kind = "alert" if topic == "alerts" else "batch"
        sent: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._under_way.add(sent)
        self._wire.send(kind, lambda: self._write(topic, batch)).add_done_callback(
            lambda answer: self._tell(sent, answer)
        )
        return sent

    async def begin_transaction(self) -> None:
        """Begin a transaction."""
        await self._process.pass_on()
        if self._begun:
            raise InvalidTxnState
        self._begun = True

    async def send_offsets_to_transaction(self, offsets: dict[object, OffsetAndMetadata], group: str) -> None:
        """Put the input offset into the transaction."""
        assert (len(offsets), group) == (1, "foretell")
        (offset,) = offsets.values()
        await self._ask("offsets", lambda: self._broker.in_transaction(self.name, self._epoch)[1].append(offset))

    async def commit_transaction(self) -> None:
        """Commit, whether the batches have arrived or not."""
        await self.flush()
        await self._ask("commit", lambda: self._broker.end_transaction(self.name, self._epoch))
        self._begun = False

    async def _ask(self, kind: str, act: Callable[[], _T]) -> _T:
        return await self._wire.ask(self._process, kind, act)

    def _write(self, topic: str, batch: Batch | RecordBatch) -> None:
        if self._broken:
            raise OutOfOrderSequenceNumber
        to = self._broker.in_transaction(self.name, self._epoch)[0] if self.name else self._broker.visible
        to += [Message(topic, *message) for message in _messages(batch)]

    def _tell(self, sent: "asyncio.Future[object]", answer: "asyncio.Future[None]") -> None:
        """Tell what became of a batch."""
        error = None if answer.cancelled() else answer.exception()
        self._broken = self._broken or (self.idempotent and (answer.cancelled() or error is not None))
        if not self.open or sent.done():
            return
        self._under_way.discard(sent)
        if answer.cancelled():
            sent.cancel()
        elif error is not None:
            sent.set_exception(error)
        else:
            sent.set_result(None)


class Feed:
    """The input topic as a worker's source sees it."""

    def __init__(self, broker: Broker, wire: Wire, process: Process) -> None:
        """Belong to a process."""
        self.seeks: list[int] = []
        self._broker, self._wire, self._process = broker, wire, process
        self._position, self._generation = 0, -1

    async def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """Return the group's committed offset."""
        del partition
        return await self._wire.ask(self._process, "committed", lambda: self._broker.committed)

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return where the log begins and ends."""
        del partition
        return await self._wire.ask(self._process, "bounds", lambda: (self._broker.first, self._broker.end))

    def partitions(self) -> int:
        """Return how many partitions the topic has."""
        return self._broker.partitions

    def seek(self, partition: TopicPartition, offset: int, generation: int) -> None:
        """Fetch from an offset on."""
        del partition
        self.seeks.append(offset)
        self._position, self._generation = offset, generation

    def delivered(self, partition: TopicPartition) -> int | None:
        """Return the position behind the last chunk."""
        del partition
        return self._position

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many records the position is behind the end."""
        return {INPUT: max(self._broker.end - self._position, 0)}

    async def commit(self, partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        """Commit an offset outside a transaction."""
        del partition
        await self._wire.ask(self._process, "offset commit", lambda: self._broker.commit(self._process, offset))

    def fetch(self, most: int, *, beyond: bool) -> Fetched | None:
        """Return the next chunk of at most so many records, if there are any.

        Args:
            most: records.
            beyond: whether the position passes the markers behind the last record, as far as the next one.
        """
        broker, start = self._broker, self._position
        at = [k for k, offset in enumerate(broker.offsets) if start <= offset < broker.end][:most]
        if not at:
            return None
        following = [*broker.offsets, broker.end][at[-1] + 1]
        self._position = min(following, broker.end) if beyond else broker.offsets[at[-1]] + 1
        keys, values, times = zip(*(broker.records[k] for k in at), strict=True)
        offsets = np.array([broker.offsets[k] for k in at], np.int64)
        chunk = Chunk.of((INPUT.topic, INPUT.partition), offsets, (keys, values), np.array(times, np.int64))
        return Fetched(INPUT, self._generation, start, self._position, chunk)
