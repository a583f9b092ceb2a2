"""Another topic's records on their way into the transactions topic, exactly once.

Each partition has a lane: a transactional producer that commits the records and how far the partition has been copied
together. Whatever fails, all lanes are closed and opened again. Opening has an order: first start the producer, which
fences a former owner and settles what it left open, only then ask how far it came.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalOperation, KafkaError, NoOffsetForPartitionError
from aiokafka.structs import OffsetAndMetadata

from schemas import codec
from stream_app import abilities, kafka
from stream_app.commands.broker import FOR_EVER, BrokerError, is_refusal, opened, partitions_of, translated
from stream_app.offline.log import partition_of
from stream_app.offsets import committed_offset
from stream_app.outage import pace_metadata, stop_producer
from stream_app.settings import Settings

_log: Final = logging.getLogger(__name__)
START_S: Final = 20.0
COMMIT_S: Final = 60.0
AGAIN_S: Final = 1.0
"""Long enough for the group to take a partition from one that lost it without noticing."""
POLL_MS: Final = 200
AT_ONCE: Final = 5000
_anything: Final = msgspec.json.Decoder()

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers."""


def relayed(record: ConsumerRecord, kind: str | None = None) -> Message:
    """Return a record as it enters the transactions topic: its key is the customer it is about.

    What is no message of ours keeps its key; it is for the worker to refuse it. So does a tombstone.

    Args:
        record: of the other topic.
        kind: what a JSON object without ``kind`` is said to be; None leaves it as it is.
    """
    value = record.value if kind is None or record.value is None else _with_kind(record.value, kind)
    customer = None if value is None else getattr(codec.decode(value), "customer_id", None)
    key = record.key if customer is None else customer.encode()
    return key, value, list(record.headers)


class Lane:
    """One partition of the other topic."""

    def __init__(self, settings: Settings, name: TopicPartition, partitions: int) -> None:
        """Make the producer; ``settings`` are those of the relay's group."""
        self._settings, self._name, self._partitions = settings, name, partitions
        self.done = 0
        self._producer = kafka.transactional_producer(settings, f"{settings.group}-{name.topic}-{name.partition}")
        pace_metadata(self._producer.client)

    async def open(self, consumer: AIOKafkaConsumer) -> None:
        """Become the only one that copies this partition, and seek behind what has been copied.

        Raises:
            BrokerError: records were deleted before they were copied, or the topic was made anew.
        """
        await asyncio.wait_for(self._producer.start(), START_S)
        done = await committed_offset(consumer, self._settings.group, self._name)
        first = (await consumer.beginning_offsets([self._name]))[self._name]
        end = (await consumer.end_offsets([self._name]))[self._name]
        if done is not None and not first <= done <= end:
            raise BrokerError(self._gap(done, first, end))
        self.done = first if done is None else done
        consumer.seek(self._name, self.done)

    async def copy(self, messages: list[Message], reached: int) -> None:
        """Write what the records from ``done`` up to the offset ``reached`` have become, which may be nothing."""
        places = defaultdict[int, list[Message]](list)
        for message in messages:
            places[partition_of(message[0] or b"", self._partitions)].append(message)
        async with asyncio.timeout(COMMIT_S):
            await self._producer.begin_transaction()
            for partition, own in places.items():
                await self._send(partition, own)
            offset = OffsetAndMetadata(reached, "")
            await self._producer.send_offsets_to_transaction({self._name: offset}, self._settings.group)
            await self._producer.commit_transaction()
        self.done = reached

    async def close(self) -> None:
        """Stop the producer; an open transaction is settled by the next one, or by the broker."""
        await stop_producer(self._producer)

    async def _send(self, partition: int, messages: list[Message]) -> None:
        """Send messages and wait until all have arrived: aiokafka would commit although a batch has failed."""
        topic, batch = self._settings.transactions_topic, self._producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                await (await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        batch.close()
        await (await self._producer.send_batch(batch, topic, partition=partition))

    def _gap(self, done: int, first: int, end: int) -> str:
        where = f"{self._name.topic}-{self._name.partition}"
        found = f"begins at {first}: records were deleted before they were copied"
        if done > end:
            found = f"ends at {end}: the topic was made anew"
        return (
            f"Expected {where} to hold offset {done}, up to which it has been copied, found that it {found}. To copy "
            f"what there is: kafka-consumer-groups.sh --bootstrap-server {self._settings.kafka} --group "
            f"{self._settings.group} --topic {self._name.topic}:{self._name.partition} --reset-offsets --to-earliest "
            "--execute"
        )


class Relay(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Copies the partitions that the group gives it until it is told to stop."""

    def __init__(self, settings: Settings, topic: str, kind: str | None) -> None:
        """Connect to nothing yet."""
        self._settings = replace(settings, group=f"{settings.group}-relay", instance="")
        self._topic, self._kind = topic, kind
        self._partitions = self._source_partitions = 0
        self._lanes: dict[TopicPartition, Lane] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._busy = asyncio.Lock()
        self.counts = Counter[str]()

    async def run(self, stop: asyncio.Event, *, until_end: bool) -> None:
        """Copy until told to stop, or until all that stood in the topic at first has been copied.

        Raises:
            BrokerError: a topic is not there, Kafka refuses, or copying on would leave out records.
        """
        target = self._settings.transactions_topic
        self._partitions = await partitions_of(
            self._settings, target, FOR_EVER, "make it with `foretell publish --create PARTITIONS`, or correct the name"
        )
        self._source_partitions = await partitions_of(self._settings, self._topic, FOR_EVER, "correct the name")
        with translated(self._settings):
            numbered = await abilities.can_number(self._settings)
        if not numbered:
            instead = f"`foretell capture --topic {self._topic}` and `foretell publish`, which copy once"
            raise BrokerError(abilities.no_transactions(self._settings, instead))
        async with opened(lambda: kafka.input_consumer(self._settings), self._settings, FOR_EVER) as consumer:
            consumer.subscribe([self._topic], listener=self)
            try:
                while not stop.is_set():
                    if await self._step_or_recover(consumer, until_end=until_end):
                        return
            finally:
                await self._close_all()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  (all are, always)
        """Finish the transaction under way before another relay takes over."""
        async with self._busy:
            await self._close_all()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002  (as above)
        """Close what was opened while partitions changed hands: what it has sought was not in this assignment.

        Nothing is opened in here, where no heartbeat is sent.
        """
        async with self._busy:
            await self._close_all()

    async def _step_or_recover(self, consumer: AIOKafkaConsumer, *, until_end: bool) -> bool:
        """Copy what has come; return whether that was all that there is to do."""
        try:
            await self._step(consumer)
            return until_end and await self._is_done(consumer)
        except NoOffsetForPartitionError:  # of a partition that we had not sought yet
            pass
        except (KafkaError, IllegalOperation, OSError) as error:
            if is_refusal(error, self._settings):
                with translated(self._settings):  # the error tells which topic
                    raise
            _log.warning("opening all partitions again", extra={"error": f"{type(error).__name__}: {error}"})
            async with self._busy:
                await self._close_all()
            await asyncio.sleep(AGAIN_S)
        return False

    async def _step(self, consumer: AIOKafkaConsumer) -> None:
        async with self._busy:
            for name in consumer.assignment() - self._lanes.keys():
                self._lanes[name] = Lane(self._settings, name, self._partitions)  # a failure closes it with the others
                await self._lanes[name].open(consumer)
        if not self._lanes:
            await asyncio.sleep(POLL_MS / 1000)
            return
        lanes = dict(self._lanes)
        fetched = await consumer.getmany(*lanes, timeout_ms=POLL_MS, max_records=AT_ONCE)
        lanes = {name: lane for name, lane in lanes.items() if lane is self._lanes.get(name)}
        # Nothing but this loop moves positions on: all up to them is in `fetched`, or was before. Markers of
        # transactions and what was aborted are passed without a record.
        reached = {name: await consumer.position(name) for name in lanes}
        for name, lane in lanes.items():
            async with self._busy:
                current = self._lanes.get(name) is lane  # no longer where partitions have changed hands meanwhile
                if current and reached[name] > lane.done:
                    records = fetched.get(name, [])
                    messages = [relayed(record, self._kind) for record in records]
                    await lane.copy(messages, reached[name])
                    self._count(records, messages)

    async def _is_done(self, consumer: AIOKafkaConsumer) -> bool:
        """Return whether all has been copied, by whatever relay, that stood in the topic when this was first asked."""
        if not self._ends:
            names = [TopicPartition(self._topic, number) for number in range(self._source_partitions)]
            self._ends = await consumer.end_offsets(names)
        for name, end in self._ends.items():
            lane = self._lanes.get(name)
            if lane is None:  # another relay's, or nobody's: one that was killed keeps its share for a while
                first = (await consumer.beginning_offsets([name]))[name]
                done = await committed_offset(consumer, self._settings.group, name) or first
            else:
                done = lane.done
            if done < end:
                return False
        return True

    async def _close_all(self) -> None:
        lanes, self._lanes = list(self._lanes.values()), {}
        await asyncio.gather(*(lane.close() for lane in lanes))

    def _count(self, records: list[ConsumerRecord], messages: list[Message]) -> None:
        self.counts["records"] += len(records)
        for record, (key, value, _) in zip(records, messages, strict=True):
            self.counts["keyed"] += key != record.key
            self.counts["refused"] += value is not None and isinstance(codec.decode(value), tuple)


def _with_kind(value: bytes, kind: str) -> bytes:
    """Return a JSON object with a kind, where it has none; all else as it is."""
    try:
        fields = _anything.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return value
    if not isinstance(fields, dict) or "kind" in fields:
        return value
    head = b'{"kind":' + codec.encode(kind)
    return head + (b"," if fields else b"") + value.lstrip()[1:]
