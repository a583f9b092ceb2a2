"""What stands in the topics at the end, and what the loader was told."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream_app import offsets
from stream_app.offline.capture import HEADERS, CaptureFile
from tests.chaos.loader import NUMBER
from tests.kit.kafka import Kafka
from tests.kit.records import Options, topics

_POLL_MS: Final = 200
_SILENT_S: Final = 60.0


@dataclass(frozen=True)
class Acknowledged:
    """Records that the broker has acknowledged: consecutive numbers of one partition at consecutive offsets."""

    partition: int
    first: int
    records: int
    offset: int


def read_acknowledged(path: Path) -> list[Acknowledged]:
    """Return what the loader has written down, whole lines only."""
    content = path.read_bytes() if path.exists() else b""
    return [Acknowledged(**json.loads(line)) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def acknowledged(path: Path) -> int:
    """Return how many records have been acknowledged so far."""
    return sum(item.records for item in read_acknowledged(path))


def ends(kafka: Kafka, topic: str) -> dict[int, int]:
    """Return where each partition of a topic ends."""
    return asyncio.run(_ends(kafka.internal, topic))


async def _ends(options: Options, topic: str) -> dict[int, int]:
    names = [TopicPartition(topic, number) for number in range((await topics(options))[topic])]
    consumer = AIOKafkaConsumer(**options)
    await consumer.start()
    try:
        return {name.partition: end for name, end in (await offsets.ends(consumer, names)).items()}
    finally:
        await consumer.stop()


async def read_partition(options: Options, topic: str, number: int) -> AsyncIterator[list[ConsumerRecord]]:
    """Yield all committed records of a partition, up to where it ends now.

    Raises:
        AssertionError: a transaction stayed open.
    """
    name = TopicPartition(topic, number)
    end = (await _ends(options, topic))[number]
    consumer = AIOKafkaConsumer(**options, isolation_level="read_committed", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([name])
        consumer.seek(name, 0)
        silent_s = 0.0
        while await consumer.position(name) < end:
            found = await consumer.getmany(timeout_ms=_POLL_MS)
            silent_s = 0.0 if found else silent_s + _POLL_MS / 1000
            assert silent_s < _SILENT_S, f"Expected {name} to end at {end}, found nothing behind {consumer.position}."
            for part in found.values():
                yield part
    finally:
        await consumer.stop()


async def capture(options: Options, topic: str, partitions: int, path: Path) -> None:
    """Write a topic as a captured log."""
    with CaptureFile(path, partitions) as file:
        for number in range(partitions):
            async for part in read_partition(options, topic, number):
                file.add(part)


def read_captured(path: Path, partition: int) -> pa.Table:
    """Return the captured records of a partition, in the order of their offsets."""
    table = pq.read_table(path, filters=[("partition", "=", partition)])
    return table.sort_by("offset")


def misplaced(numbers: Iterable[int | None], offsets_: Iterable[int], told: Iterable[Acknowledged]) -> list[str]:
    """Return where a partition's log is not what the loader was told; nothing if all is.

    Args:
        numbers: the loader's number of each record of the partition in the order of the log; None of another's record.
        offsets_: of each record.
        told: what was acknowledged in this partition.
    """
    at = dict[int, int]()
    wrong, before = list[str](), -1
    for number, offset in zip(numbers, offsets_, strict=True):
        if number is None:
            continue
        if number in at:
            wrong.append(f"number {number} stands at {at[number]} and again at {offset}")
        elif number < before:
            wrong.append(f"number {number} stands at {offset}, behind number {before}")
        at[number], before = offset, max(before, number)
    for item in told:
        for k in range(item.records):
            if at.get(item.first + k) != item.offset + k:
                wrong.append(
                    f"number {item.first + k} was acknowledged at {item.offset + k}, found at {at.get(item.first + k)}"
                )
    return wrong


def numbers_of(table: pa.Table) -> list[int | None]:
    """Return the loader's number of each captured record."""
    return [_number(headers) for headers in table.column(HEADERS).to_pylist()]


def _number(headers: list[dict[str, Any]] | None) -> int | None:
    return next((int(header["value"]) for header in headers or [] if header["key"] == NUMBER), None)
