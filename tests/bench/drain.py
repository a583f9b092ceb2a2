"""Drain: how fast a filled topic is taken out, and what that costs whom."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app import offsets
from tests.bench import checking
from tests.bench.figures import Sample
from tests.bench.filling import fill
from tests.bench.generator import Workload
from tests.bench.place import Place, cpu_s, resident_bytes
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

STEADY: Final = (0.3, 0.9)
"""From so much of the output on up to so much of it, the rate counts."""
_LOOK_S: Final = 0.05
_ENDED_S: Final = 1.0
_PATIENCE_S: Final = 900.0


class Look(NamedTuple):
    """How far the output is at an instant, and what each process has used until then."""

    at_s: float
    records: float
    worker_s: float
    broker_s: float
    redis_s: float


def drain(place: Place, work: Workload, delivery: str) -> Iterator[Sample]:
    """Fill a topic, start a worker, and yield its rate and costs once all scores have been found to be right."""
    topics = place.topics("drain", delivery)
    fill(place, topics, work)
    before = redis_facts(place)
    with place.worker(topics) as worker:
        looks = asyncio.run(watch(place, topics, worker, work))
        resident = resident_bytes(worker.pid)
        time.sleep(1.5)  # the last rows leave after flush_ms
        after = redis_facts(place)
        ended = worker.terminate()
        assert ended.code == 0, worker.output
    checking.scored_once(topics, work.records, work.partitions)
    checking.as_replayed(place, topics, work.partitions)
    name = f"drain {delivery}, {work.name}"
    yield from rates(name, looks)
    yield from _stored(name, work, before, after)
    yield Sample(f"{name}: worker's memory", resident / 2**20, "MB", "lower")
    place.drop(topics)


def rates(name: str, looks: list[Look]) -> Iterator[Sample]:
    """Yield rate and CPU time per event of the steady part, by the straight lines between the looks around its ends."""
    columns = np.array(looks)
    ends = [share * looks[-1].records for share in STEADY]
    records = ends[1] - ends[0]
    taken, *used_s = (float(np.diff(np.interp(ends, columns[:, 1], columns[:, k]))[0]) for k in (0, 2, 3, 4))
    yield Sample(name, records / taken, "events/s", "higher")
    for who, used in zip(("worker", "broker", "Redis"), used_s, strict=True):
        yield Sample(f"{name}: CPU of the {who}", 1e6 * used / records, "µs/event", "lower")


async def watch(place: Place, topics: Topics, process: Foretell, work: Workload) -> list[Look]:
    """Return looks at the output until it is complete and no longer grows.

    The ends of a topic also count what ends transactions; that is taken out in proportion.
    """
    consumer = AIOKafkaConsumer(**place.kafka.internal)
    await consumer.start()
    names = [TopicPartition(topics.scores, number) for number in range(work.partitions)]
    looks: list[Look] = []
    try:
        consumer.assign(names)
        end, moved = time.monotonic() + _PATIENCE_S, time.monotonic()
        while looks == [] or looks[-1].records < work.records or time.monotonic() < moved + _ENDED_S:
            assert process.running, process.output
            assert time.monotonic() < end, f"Expected {work.records} scores, found {looks[-1].records}."
            ends = await offsets.ends(consumer, names)
            used = (cpu_s(pid) for pid in (process.pid, place.kafka.pid, place.redis.pid))
            look = Look(time.monotonic(), float(sum(ends.values())), *used)
            if not looks or look.records > looks[-1].records:
                looks.append(look)
                moved = look.at_s
            elif look.records < work.records:
                looks[-1] = look  # what has grown next has grown since then
            await asyncio.sleep(_LOOK_S)
    finally:
        await consumer.stop()
    share = work.records / looks[-1].records
    return [look._replace(records=look.records * share) for look in looks]


def redis_facts(place: Place) -> Mapping[str, Any]:
    """Return what Redis tells of itself."""
    text: Any = place.redis.ask("INFO", "everything")
    if isinstance(text, Mapping):  # the client may have read it
        return text
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def _stored(name: str, work: Workload, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Sample]:
    thousands, customers = work.records / 1000, len(np.unique(work.chosen))
    for label, field, divisor, unit in (
        ("Redis' commands", "total_commands_processed", thousands, "/1,000 events"),
        ("bytes to Redis", "total_net_input_bytes", thousands, "/1,000 events"),
        ("bytes from Redis", "total_net_output_bytes", thousands, "/1,000 events"),
        ("stored bytes", "used_memory", customers, "/customer"),
    ):
        yield Sample(f"{name}: {label}", (float(after[field]) - float(before[field])) / divisor, unit, "lower")
