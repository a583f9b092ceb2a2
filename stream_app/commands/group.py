"""What a group has of its input topic: how far the log reaches, how far the group came, who works for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream_app import kafka, offsets
from stream_app.commands.broker import PATIENCE_S, opened, translated
from stream_app.engine.beginning import Beginning
from stream_app.fetch import chunk_of
from stream_app.settings import Settings
from stream_app.steps.stages import Chunk

_POLL_MS: Final = 500
_AT_ONCE: Final = 20_000


@dataclass(frozen=True)
class Reach:
    """How far a partition's log reaches, and how far its group came.

    Attributes:
        first: offset of the first record that the log still has.
        end: behind the last one.
        committed: the group's offset; None if there is none.
        beginning: what the group began the partition with, where that is known.
    """

    first: int
    end: int
    committed: int | None
    beginning: Beginning | None


@contextlib.asynccontextmanager
async def group_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer that knows the group, does not join it, and reads committed records.

    Raises:
        BrokerError: the brokers stayed away, or refuse.
    """
    async with opened(lambda: kafka.input_consumer(settings), settings, PATIENCE_S) as consumer:
        yield consumer


async def reach(consumer: AIOKafkaConsumer, settings: Settings, name: TopicPartition) -> Reach:
    """Return how far a partition and its group are.

    Raises:
        BrokerError: something is wrong with Kafka.
    """
    with translated(settings, name.topic):
        consumer.assign([name])
        async with asyncio.timeout(PATIENCE_S):
            committed = await offsets.committed(consumer, settings.group, name)
            first = await consumer.beginning_offsets([name])
            ends = await offsets.ends(consumer, [name])
    offset = None if committed is None else int(committed.offset)
    return Reach(int(first[name]), ends[name], offset, Beginning.of(committed))


async def written(settings: Settings, names: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset behind the last record of each partition, be it that its transaction has not ended.

    A group's offset can be seen before what was committed with it: the broker tells each partition in its own time.
    Who reads committed records up to here has waited for that.

    Raises:
        BrokerError: something is wrong with Kafka.
    """

    def uncommitted() -> AIOKafkaConsumer:
        options = kafka.connection(settings)
        return AIOKafkaConsumer(**options, enable_auto_commit=False, isolation_level="read_uncommitted")

    async with opened(uncommitted, settings, PATIENCE_S) as consumer:
        with translated(settings):
            consumer.assign(names)
            return await offsets.ends(consumer, names)


async def workers(settings: Settings) -> int:
    """Return how many members the group has just now.

    Raises:
        BrokerError: the brokers stayed away, or refuse.
    """
    async with opened(lambda: kafka.admin(settings), settings, PATIENCE_S) as client:
        with translated(settings):
            answers = await client.describe_consumer_groups([settings.group])
    return sum(len(group[5]) for answer in answers for group in answer.groups)  # the sixth field: its members


async def chunks(
    consumer: AIOKafkaConsumer, settings: Settings, name: TopicPartition, first: int, end: int
) -> AsyncIterator[Chunk]:
    """Yield the committed records of a partition from one offset up to another.

    Raises:
        BrokerError: something is wrong with Kafka, or it no longer answers.
    """
    consumer.assign([name])
    consumer.seek(name, first)
    async for found in records(consumer, settings, name, end):
        yield chunk_of(name, found)


async def records(
    consumer: AIOKafkaConsumer, settings: Settings, name: TopicPartition, end: int
) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield records up to an offset; the position decides when that is: markers of transactions may stand last."""
    loop = asyncio.get_running_loop()
    position, moved_s = -1, loop.time()
    while True:
        with translated(settings, name.topic):
            reached = await consumer.position(name)
            if reached >= end:
                return
            if reached != position:
                position, moved_s = reached, loop.time()
            elif loop.time() - moved_s > PATIENCE_S:
                raise TimeoutError
            fetched = await consumer.getmany(name, timeout_ms=_POLL_MS, max_records=_AT_ONCE)
        found = [record for part in fetched.values() for record in part if record.offset < end]
        if found:
            yield found
