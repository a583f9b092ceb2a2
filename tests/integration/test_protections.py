"""Protections that rest on what the real Kafka and the real Redis do: with each it holds, without it does not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import numpy as np
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from stream_app.engine.delivery import Delivery
from stream_app.settings import Settings
from stream_app.source import KafkaSource
from stream_app.steps.encode import DeadLetter
from stream_app.store.connect import connect
from stream_app.store.port import LostWritesError, Marker
from tests.integration import live
from tests.kit.kafka import Kafka
from tests.kit.topics import Topics
from tests.kit.unprotected import without

LETTER = DeadLetter(b"k", b"v", ())
WIDTH = 3


@pytest.fixture
def settings(kafka: Kafka, topics: Topics) -> Settings:
    """Give the settings of a worker whose topics are there; a dead letter must be small."""
    kafka.make_topic(topics.transactions)
    kafka.make_topic(topics.dlq, configs={"max.message.bytes": "1000"})
    return live.settings_of(topics)


@asynccontextmanager
async def delivery(settings: Settings) -> AsyncIterator[Delivery]:
    """Give the way out of the topic's one partition, started."""

    async def commit(partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        message = f"nothing is committed outside of a transaction: {partition} {offset}"
        raise AssertionError(message)

    made = Delivery(settings, TopicPartition(settings.transactions_topic, 0), commit)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


def protected(name: str, *, on: bool) -> ExitStack:
    """Return a context with or without a protection."""
    stack = ExitStack()
    if not on:
        stack.enter_context(without(name))
    return stack


async def two_owners(settings: Settings) -> None:
    """Let one owner commit what another one, who came after it, has taken over."""
    async with delivery(settings) as zombie:
        await zombie.begin()
        await zombie.send([], [LETTER])
        async with delivery(settings) as owner:
            await owner.begin()
            await owner.send([], [LETTER])
            await owner.commit(OffsetAndMetadata(1, ""))
            await zombie.commit(OffsetAndMetadata(1, ""))


@pytest.mark.parametrize("on", [True, False])
def test_kafka_fences_the_former_owner(kafka: Kafka, settings: Settings, on: bool) -> None:  # noqa: FBT001  (a case)
    with protected("fencing", on=on):
        if on:
            with pytest.raises(ProducerFenced):
                asyncio.run(two_owners(settings))
        else:
            asyncio.run(two_owners(settings))

    assert len(kafka.read(settings.dlq_topic)) == (1 if on else 2)


async def one_refused(settings: Settings) -> None:
    """Commit a transaction of which Kafka has refused a batch."""
    async with delivery(settings) as made:
        await made.begin()
        await made.send([], [DeadLetter(b"k", b"v" * 2_000, ())])
        await made.commit(OffsetAndMetadata(1, ""))


@pytest.mark.parametrize("on", [True, False])
def test_aiokafka_commits_a_transaction_although_a_batch_was_refused(
    kafka: Kafka,
    settings: Settings,
    on: bool,  # noqa: FBT001  (a case)
) -> None:
    with protected("batches-awaited", on=on):
        if on:
            with pytest.raises(MessageSizeTooLargeError):
                asyncio.run(one_refused(settings))
        else:
            asyncio.run(one_refused(settings))

    assert kafka.read(settings.dlq_topic) == []


async def late_write(settings: Settings) -> bytes:
    """Let a former owner write a row; return the marker that stands then."""
    stores = connect(settings)
    try:
        zombie, owner = (stores.open("t", 0, "layout", WIDTH) for _ in range(2))
        old = await zombie.take_over("zombie")
        await owner.take_over("owner")
        await zombie.write([b"c"], np.ones((1, WIDTH), np.float32), old, old._replace(flushed=7))
        return (await owner.read([b"c"]))[0]
    finally:
        await stores.close()


@pytest.mark.parametrize("on", [True, False])
def test_redis_takes_no_row_of_a_former_owner(settings: Settings, on: bool) -> None:  # noqa: FBT001  (a case)
    with protected("compare-and-set", on=on):
        if on:
            with pytest.raises(LostWritesError):
                asyncio.run(late_write(settings))
        else:
            assert Marker.decode(asyncio.run(late_write(settings))).owner == "zombie"


async def fetched(settings: Settings) -> list[bytes | None]:
    """Return what a worker's source fetches of a transaction that was aborted and of one that was committed."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, transactional_id=settings.group)
    await producer.start()
    for value in (b"aborted", b"committed"):
        await producer.begin_transaction()
        await producer.send_and_wait(settings.transactions_topic, value)
        await (producer.abort_transaction() if value == b"aborted" else producer.commit_transaction())
    await producer.stop()
    source, name, found = KafkaSource(settings), TopicPartition(settings.transactions_topic, 0), list[bytes | None]()

    async def assign(_: set[TopicPartition]) -> None:
        source.seek(name, 0, 1)

    try:
        await source.start(assign, lambda: asyncio.sleep(0))
        async with asyncio.timeout(30):
            while b"committed" not in found:
                found += [value for part in await source.fetch([name]) for value in part.chunk.values]
    finally:
        await source.stop()
    return found


@pytest.mark.parametrize("on", [True, False])
def test_an_aborted_record_is_not_seen(settings: Settings, on: bool) -> None:  # noqa: FBT001  (a case)
    with protected("read-committed", on=on):
        assert asyncio.run(fetched(settings)) == ([b"committed"] if on else [b"aborted", b"committed"])
