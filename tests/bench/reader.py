"""Reads scores and alerts as they are committed, and notes when each arrived.

python -m tests.bench.reader PARTITIONS SCORES FILE: it ends when it has so many scores, and a second has passed.
"""

import gc
import sys
import time
from pathlib import Path

import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app import kafka, settings
from tests.bench.generator import number_of

_LAST_S = 1.0
_ID = b'"score_id":"'
_HEAD = 500
"""So many bytes of a message are kept; the ids stand in them."""


def place_of(value: bytes) -> tuple[int, int]:
    """Return partition and offset of the record that a score or an alert is about."""
    at = value.index(_ID) + len(_ID)
    _, partition, offset = value[at : value.index(b'"', at)].rsplit(b"-", 2)
    return int(partition), int(offset)


async def _run(partitions: int, scores: int, out: Path) -> None:
    chosen = settings.load()
    consumer = AIOKafkaConsumer(
        **kafka.connection(chosen), isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await consumer.start()
    both = (chosen.scores_topic, chosen.alerts_topic)
    names = [TopicPartition(topic, number) for topic in both for number in range(partitions)]
    consumer.assign(names)
    await consumer.seek_to_beginning(*names)
    heads: dict[str, list[bytes]] = {topic: [] for topic in both}
    arrived: dict[str, list[float]] = {topic: [] for topic in both}
    gc.disable()
    print("reading", flush=True)
    end = 0.0
    while not end or time.time() < end:
        for name, batch in (await consumer.getmany(timeout_ms=100)).items():
            now = time.time()
            heads[name.topic] += [record.value[:_HEAD] for record in batch]
            arrived[name.topic] += [now] * len(batch)
        if not end and len(heads[both[0]]) >= scores:
            end = time.time() + _LAST_S
    await consumer.stop()
    places = np.array([(*place_of(head), number_of(head)) for head in heads[both[0]]], np.int64)
    alerts = np.array([place_of(head) for head in heads[both[1]]], np.int64).reshape(-1, 2)
    np.savez(out, scores=places, alerts=alerts, scores_s=arrived[both[0]], alerts_s=arrived[both[1]])


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
