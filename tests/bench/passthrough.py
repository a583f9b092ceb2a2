"""The pass-through without decoding: batches in, the same bytes out, in transactions; the limit of this machine.

As a process: ``python -m tests.bench.passthrough PARTITIONS``, with the settings of a worker in the environment.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Iterator
from typing import Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from stream_app import kafka, settings
from tests.bench import checking
from tests.bench.drain import rates, watch
from tests.bench.figures import Sample
from tests.bench.filling import fill
from tests.bench.generator import Workload
from tests.bench.place import Place

NAME: Final = "pass-through without decoding"
_COMMIT_S: Final = 0.1
_LARGEST: Final = 1_000_000


def passthrough(place: Place, work: Workload) -> Iterator[Sample]:
    """Yield the rate of the pass-through on a filled topic."""
    topics = place.topics("through")
    fill(place, topics, work)
    with place.run("tests.bench.passthrough", topics, work.partitions) as process:
        looks = asyncio.run(watch(place, topics, process, work))
        process.terminate()
    checking.scored_once(topics, work.records, work.partitions)
    yield from rates(NAME, looks)
    place.drop(topics)


async def _run(partitions: int) -> None:
    chosen = settings.load()
    options = kafka.connection(chosen)
    consumer = AIOKafkaConsumer(**options, isolation_level="read_committed", enable_auto_commit=False)
    producer = AIOKafkaProducer(**options, transactional_id=chosen.group, max_batch_size=_LARGEST)
    await consumer.start()
    await producer.start()
    names = [TopicPartition(chosen.transactions_topic, number) for number in range(partitions)]
    consumer.assign(names)
    await consumer.seek_to_beginning(*names)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    while True:
        batches = await consumer.getmany(timeout_ms=100)
        if not batches:
            continue
        async with producer.transaction():
            end, taken = time.monotonic() + _COMMIT_S, dict[TopicPartition, int]()
            while batches and time.monotonic() < end:
                for name, records in batches.items():
                    await _forward(producer, chosen.scores_topic, name.partition, records)
                    taken[name] = records[-1].offset + 1
                batches = await consumer.getmany(timeout_ms=0)
            for name, records in batches.items():
                await _forward(producer, chosen.scores_topic, name.partition, records)
                taken[name] = records[-1].offset + 1
            await producer.send_offsets_to_transaction(taken, chosen.group)


async def _forward(producer: AIOKafkaProducer, topic: str, partition: int, records: list[object]) -> None:
    batch = producer.create_batch()
    for record in records:
        key, value = record.key, record.value  # type: ignore[attr-defined]
        if batch.append(key=key, value=value, timestamp=None) is None:
            batch.close()
            _ = await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    batch.close()
    _ = await producer.send_batch(batch, topic, partition=partition)


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1])))
