"""Another topic's records enter the transactions topic once, whatever becomes of the relay and the broker."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from stream_app import kafka as clients
from stream_app.commands.broker import PATIENCE_S, opened
from stream_app.commands.lanes import Lane, Message, relayed
from stream_app.offline.log import partition_of
from stream_app.settings import Settings
from tests.integration.live import settings_of
from tests.integration.moved import NOON, ended
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.records import Record, admin
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 3
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "1000"}
"""So that a killed relay's partitions are free again soon."""


def customers(count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return records of a foreign topic: keys of its own, no kind, a tombstone and one that is no message."""
    found: list[tuple[bytes | None, bytes | None]] = [
        (b'"key-%d"' % (k % 50), b' {"customer_id": "c-%d", "time": %d, "income": %d}' % (k % 50, NOON + k, k))
        for k in range(count - 2)
    ]
    return [*found, (b"c-7", None), (b"c-8", b"no message")]


def relayed_customers(count: int) -> dict[bytes | None, list[bytes | None]]:
    """Return what the records must be behind the relay, by key."""
    expected: dict[bytes | None, list[bytes | None]] = {}
    for k, (key, value) in enumerate(customers(count)):
        if k < count - 2:
            assert value is not None
            expected.setdefault(b"c-%d" % (k % 50), []).append(b'{"kind":"customer",' + value.lstrip()[1:])
        else:
            expected.setdefault(key, []).append(value)
    return expected


def by_key(records: Iterable[Record]) -> dict[bytes | None, list[bytes | None]]:
    found: dict[bytes | None, list[bytes | None]] = {}
    for record in records:
        found.setdefault(record.key, []).append(record.value)
        assert record.partition == partition_of(record.key or b"", PARTITIONS)
    return found


def test_a_killed_relay_copies_each_record_once(kafka: Kafka, topics: Topics, foretell: Start) -> None:
    source, count = f"{topics.group}.customers", 40_000
    kafka.make_topic(source, 2)
    kafka.make_topic(topics.transactions, PARTITIONS)
    kafka.produce(source, customers(count))

    seen = 0
    for _ in range(3):
        process = foretell("relay", source, "--kind", "customer", **QUICK)
        seen = len(kafka.read(topics.transactions, committed=False, at_least=seen + 1))
        process.kill()
    told = ended(foretell("relay", source, "--kind", "customer", "--until-end", **QUICK))

    assert relayed_customers(count) == by_key(kafka.read(topics.transactions))
    assert "records of" in told


def test_a_relay_goes_on_after_a_restart_of_the_broker(kafka: Kafka, topics: Topics, foretell: Start) -> None:
    source = f"{topics.group}.customers"
    kafka.make_topic(source, 2)
    kafka.make_topic(topics.transactions, PARTITIONS)
    records = customers(3_000)
    process = foretell("relay", source, "--kind", "customer", **QUICK)
    kafka.produce(source, records[:1_000])
    kafka.read(topics.transactions, at_least=1_000)

    kafka.kill()
    kafka.restart()
    kafka.produce(source, records[1_000:])
    kafka.read(topics.transactions, at_least=3_000)
    stopped = process.terminate()

    assert relayed_customers(3_000) == by_key(kafka.read(topics.transactions))
    assert (stopped.code, stopped.seconds < 10) == (0, True)
    assert f"relayed 3,000 records of {source}" in process.output


def test_what_a_crashed_lane_has_not_committed_is_copied_again_and_seen_once(kafka: Kafka, topics: Topics) -> None:
    source = f"{topics.group}.customers"
    kafka.make_topic(source, 1)
    kafka.make_topic(topics.transactions, PARTITIONS)
    kafka.produce(source, customers(20))

    asyncio.run(crash_and_copy(settings_of(topics), source))

    assert relayed_customers(20) == by_key(kafka.read(topics.transactions))
    assert len(kafka.read(topics.transactions, committed=False)) == 40  # the crash came after all had been written


async def crash_and_copy(settings: Settings, source: str) -> None:
    name = TopicPartition(source, 0)
    async with (
        opened(lambda: clients.input_consumer(settings), settings, PATIENCE_S) as consumer,
        AsyncExitStack() as end,
    ):
        consumer.assign([name])
        crashed, second, third = [Lane(settings, name, PARTITIONS) for _ in range(3)]
        for lane in (crashed, second, third):
            end.push_async_callback(lane.close)
        crashed._producer.commit_transaction = crash  # noqa: SLF001  (the moment is what matters)
        with pytest.raises(ConnectionError):
            await copy_first(consumer, crashed, name)
        await copy_first(consumer, second, name)
        await third.open(consumer)
        assert third.done == 20


async def crash() -> None:
    raise ConnectionError


async def copy_first(consumer: AIOKafkaConsumer, lane: Lane, name: TopicPartition) -> None:
    """Open a lane that is to find nothing copied, and copy all that there is."""
    await lane.open(consumer)
    assert lane.done == 0
    found: list[Message] = []
    while len(found) < 20:
        records = (await consumer.getmany(name, timeout_ms=500)).get(name, [])
        found += [relayed(record, "customer") for record in records]
    await lane.copy(found, 20)


def test_a_relay_does_not_pass_over_records_that_were_deleted_before_they_were_copied(
    kafka: Kafka, topics: Topics, foretell: Start
) -> None:
    source = f"{topics.group}.customers"
    kafka.make_topic(source, 1)
    kafka.make_topic(topics.transactions, PARTITIONS)
    kafka.produce(source, customers(20))
    ended(foretell("relay", source, "--until-end", **QUICK))
    kafka.produce(source, customers(10))
    asyncio.run(delete_records(kafka, TopicPartition(source, 0), 25))

    process = foretell("relay", source, "--until-end", **QUICK)

    assert process.wait() == 1
    assert f"Expected {source}-0 to hold offset 20" in process.output
    assert "begins at 25: records were deleted before they were copied" in process.output
    assert f"--group {topics.group}-relay --topic {source}:0 --reset-offsets --to-earliest" in process.output


async def delete_records(kafka: Kafka, name: TopicPartition, before: int) -> None:
    async with admin(kafka.internal) as client:
        await client.delete_records({name: RecordsToDelete(before)})
