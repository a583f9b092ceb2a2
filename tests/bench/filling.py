"""Fills a topic as fast as it goes: batches are put together here and sent whole."""

import asyncio

from aiokafka import AIOKafkaProducer

from stream_app import kafka
from stream_app.settings import Settings
from tests.bench.generator import Record, Workload
from tests.bench.place import KEEP, Place
from tests.integration import live
from tests.kit import records as raw
from tests.kit.topics import Topics

_LARGEST = 500_000
_PER_BATCH = 2_000


class Batches:
    """Records on their way into batches, one for each partition."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self._producer, self._topic = producer, topic
        self._waiting: dict[int, list[Record]] = {}

    def add(self, record: Record) -> bool:
        """Take a record; return whether a batch is full."""
        part = self._waiting.setdefault(record.partition, [])
        part.append(record)
        return len(part) >= _PER_BATCH

    async def send(self) -> None:
        """Hand all over to the producer."""
        for partition, records in self._waiting.items():
            batch = self._producer.create_batch()
            for record in records:
                if batch.append(key=record.key, value=record.value, timestamp=None) is None:
                    batch.close()
                    _ = await self._producer.send_batch(batch, self._topic, partition=partition)
                    batch = self._producer.create_batch()
                    batch.append(key=record.key, value=record.value, timestamp=None)
            batch.close()
            _ = await self._producer.send_batch(batch, self._topic, partition=partition)
        self._waiting.clear()


def producer(settings: Settings) -> AIOKafkaProducer:
    """Return an idempotent producer of large batches; not started."""
    return AIOKafkaProducer(**kafka.connection(settings), max_batch_size=_LARGEST, enable_idempotence=True, acks="all")


def fill(place: Place, topics: Topics, work: Workload) -> None:
    """Make the topic of a workload, with all of its transactions in it."""
    make(place, topics, work.partitions)
    asyncio.run(_fill(live.settings_of(topics), topics.transactions, work))


def make(place: Place, topics: Topics, partitions: int) -> None:
    """Make empty topics."""
    for name in (topics.transactions, topics.scores):
        asyncio.run(raw.make_topic(place.kafka.internal, name, partitions, KEEP))


async def _fill(settings: Settings, topic: str, work: Workload) -> None:
    sender = producer(settings)
    await sender.start()
    try:
        batches = Batches(sender, topic)
        for record in work:
            if batches.add(record):
                await batches.send()
        await batches.send()
        await sender.flush()
    finally:
        await sender.stop()
