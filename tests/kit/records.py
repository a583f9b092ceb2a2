"""Topics and records of a Kafka for tests, as coroutines; ``Kafka`` in kafka.py offers the same as plain calls.

``options`` are what every aiokafka client takes: ``bootstrap_servers`` and security.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from stream_app import offsets

_POLL_MS: Final = 50
_LEADER_POLLS: Final = 400
_TLS_END_S: Final = 0.1

Options = Mapping[str, Any]
Message = tuple[bytes | None, bytes | None]
"""Key and value."""


class Record(NamedTuple):
    """What stands in a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


@asynccontextmanager
async def admin(options: Options) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give a started admin client."""
    client = AIOKafkaAdminClient(**options)
    try:
        await client.start()
        yield client
    finally:
        await client.close()
        await let_close(options)


async def make_topic(
    options: Options, name: str, partitions: int = 1, configs: Mapping[str, str] | None = None
) -> None:
    """Create a topic and wait until each partition has a leader."""
    async with admin(options) as client:
        answer = await client.create_topics([NewTopic(name, partitions, 1, topic_configs=dict(configs or {}))])
        for _, code, message in answer.topic_errors:
            if code:
                raise for_code(code)(message)
        for _ in range(_LEADER_POLLS):
            if await _has_leaders(client, name, partitions):
                return
            await asyncio.sleep(_POLL_MS / 1000)
        message = f"Expected {partitions} partitions of {name} with a leader, found some without."
        raise AssertionError(message)


async def delete_topic(options: Options, name: str) -> None:
    """Delete a topic."""
    async with admin(options) as client:
        answer = await client.delete_topics([name])
        for _, code in answer.topic_error_codes:
            if code:
                raise for_code(code)(name)


async def topics(options: Options) -> dict[str, int]:
    """Return how many partitions each topic has."""
    async with admin(options) as client:
        found = await client.describe_topics()
    return {topic["topic"]: len(topic["partitions"]) for topic in found}


async def produce(
    options: Options,
    topic: str,
    messages: Iterable[Message],
    *,
    partition: int | None = None,
    headers: Iterable[tuple[str, bytes]] = (),
    transactional_id: str | None = None,
) -> None:
    """Write records in their order; with a transactional id all or none become visible."""
    producer = AIOKafkaProducer(
        **options, enable_idempotence=True, transactional_id=transactional_id, max_request_size=2_000_000
    )
    await producer.start()
    try:
        if transactional_id:
            await producer.begin_transaction()
        sent = []
        for key, value in messages:
            sent.append(await producer.send(topic, value, key, partition, headers=list(headers)))  # a future
        await asyncio.gather(*sent)
        if transactional_id:
            await producer.commit_transaction()
    finally:
        await producer.stop()
        await let_close(options)


async def read(
    options: Options, topic: str, *, committed: bool = True, at_least: int = 0, seconds: float = 60.0
) -> list[Record]:
    """Return what stands in a topic, by partition and offset, from its beginning to where it ended at the call.

    Where a transaction is open, it waits for its end: right after a commit, Kafka has often not yet written it down in
    the topic, and what a reader finds at that moment is less than all.

    Args:
        options: of a client.
        topic: an existing topic.
        committed: leave out what was not committed; else all, without waiting for transactions.
        at_least: wait for so many records.
        seconds: no longer than so.

    Raises:
        AssertionError: they were not there in time, or a transaction stayed open.
    """
    deadline = time.monotonic() + seconds
    partitions = [TopicPartition(topic, number) for number in range((await topics(options))[topic])]
    async with _consumer(options, "read_uncommitted") as consumer:
        ends = await offsets.ends(consumer, partitions)
        if not committed:
            return await _read(consumer, ends, at_least, deadline)
    async with _consumer(options, "read_committed") as consumer:
        return await _read(consumer, ends, at_least, deadline)


async def let_close(options: Options) -> None:
    """Let TLS connections end: aiokafka does not wait for it, and the loop's end would leave their sockets open."""
    if "ssl_context" in options:
        await asyncio.sleep(_TLS_END_S)


@asynccontextmanager
async def _consumer(options: Options, level: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**options, isolation_level=level, enable_auto_commit=False, fetch_max_wait_ms=_POLL_MS)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
        await let_close(options)


async def _read(
    consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int], at_least: int, deadline: float
) -> list[Record]:
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    found: list[Record] = []
    while True:
        positions = {partition: await consumer.position(partition) for partition in ends}
        behind = {partition.partition: at for partition, at in positions.items() if at < ends[partition]}
        if not behind and len(found) >= at_least:
            return sorted(found)
        short = f"Expected {at_least} records and the ends {ends}, found {len(found)} and these partitions at {behind}."
        assert time.monotonic() < deadline, short
        for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            found.extend(Record(r.partition, r.offset, r.key, r.value, tuple(r.headers), r.timestamp) for r in batch)


async def _has_leaders(client: AIOKafkaAdminClient, name: str, partitions: int) -> bool:
    (topic,) = await client.describe_topics([name])
    return len([p for p in topic["partitions"] if p["leader"] >= 0]) == partitions
