"""Looks whether what was measured was also right: a score for each transaction, and those of a replay."""

import asyncio
from collections.abc import Mapping

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from schemas import codec
from stream_app import kafka
from stream_app.shelf import Shelf
from tests.bench.generator import number_of
from tests.bench.place import Place
from tests.integration import live
from tests.kit import evidence
from tests.kit.records import Record
from tests.kit.topics import Topics

SAMPLE = 2_000
"""Of each partition so many transactions, from the first on, are replayed."""
_PATIENCE_S = 60.0
_POLL_MS = 100


def each_once(numbers: NDArray[np.int64], records: int) -> None:
    """Fail unless each of so many transactions is there once."""
    found = np.bincount(numbers, minlength=records)
    missing, repeated = int((found[:records] == 0).sum()), int((found > 1).sum())
    beyond = int((found[records:] > 0).sum())
    right = missing == repeated == beyond == 0
    assert right, (
        f"Expected one score for each of {records} transactions, found {missing} without, {repeated} with more than "
        f"one, and {beyond} of none that there was; look at the worker's log."
    )


def scored_once(topics: Topics, records: int, partitions: int) -> None:
    """Fail unless the topic of the scores has one for each transaction."""
    found = asyncio.run(_numbers(topics, partitions, records))
    each_once(np.array(found, np.int64), records)


def as_replayed(place: Place, topics: Topics, partitions: int) -> None:
    """Fail unless the first scores of each partition are those of a replay, byte for byte."""
    told = replayed(place, topics, first(topics, topics.transactions, partitions))
    found = first(topics, topics.scores, partitions)
    seen = {
        (record.partition, str(codec.facts(record.value)["score_id"])): record.value for record in found if record.value
    }
    same(told, seen)


def first(topics: Topics, topic: str, partitions: int) -> list[Record]:
    """Return the first records of each partition of a topic."""
    return asyncio.run(_first(topics, topic, partitions))


def replayed(place: Place, topics: Topics, log: list[Record]) -> Mapping[tuple[int, str], bytes]:
    """Return the scores that a replay gives, by partition and id."""
    return evidence.replayed(evidence.captured(log, topics.transactions), Shelf(place.bundle)).scores


def same(told: Mapping[tuple[int, str], bytes], seen: Mapping[tuple[int, str], bytes]) -> None:
    """Fail unless all expected scores are there with the same bytes."""
    wrong = [place for place, message in told.items() if seen.get(place) != message]
    assert not wrong, (
        f"Expected the scores of a replay, found {len(wrong)} of {len(told)} missing or different, first {min(wrong)}."
    )


async def _numbers(topics: Topics, partitions: int, records: int) -> list[int]:
    found: list[int] = []
    consumer = await _consumer(topics, topics.scores, partitions)
    try:
        silent = 0.0
        while silent < (_PATIENCE_S if len(found) < records else 0.5):
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            silent = 0.0 if batches else silent + _POLL_MS / 1000
            for batch in batches.values():
                found += [number_of(record.value) for record in batch]
    finally:
        await consumer.stop()
    return found


async def _first(topics: Topics, topic: str, partitions: int) -> list[Record]:
    consumer = await _consumer(topics, topic, partitions)
    found: list[Record] = []
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        left = {name.partition: SAMPLE for name, end in ends.items() if end}
        silent = 0.0
        while any(count > 0 for count in left.values()) and silent < 1.0:
            batches = await consumer.getmany(timeout_ms=_POLL_MS)
            silent = 0.0 if batches else silent + _POLL_MS / 1000
            for name, batch in batches.items():
                some = batch[: left[name.partition]]
                left[name.partition] -= len(some)
                found += [Record(r.partition, r.offset, r.key, r.value, (), r.timestamp) for r in some]
    finally:
        await consumer.stop()
    return found


async def _consumer(topics: Topics, topic: str, partitions: int) -> AIOKafkaConsumer:
    consumer = kafka.reader(live.settings_of(topics))
    await consumer.start()
    names = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(names)
    await consumer.seek_to_beginning(*names)
    return consumer
