"""Reads scores and alerts as they are committed, and notes when each arrived.

python -m tests.bench.reader PARTITIONS SCORES FILE: it begins at the end of the topics, and ends when it has so many
scores of transactions, and a second has passed. Scores and alerts of ticks do not count.
"""

import gc
import sys
import time
from pathlib import Path

import numpy as np
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream_app import kafka, settings
from tests.bench.generator import MARK, number_of

_LAST_S = 1.0
_ID = b'"score_id":"'
_HEAD = 500
"""So many bytes of a message are kept; the ids stand in them."""


def place_of(value: bytes) -> tuple[int, int]:
    """Return partition and offset of the record that a score or an alert is about."""
    at = value.index(_ID) + len(_ID)
    _, partition, offset = value[at : value.index(b'"', at)].rsplit(b"-", 2)
    return int(partition), int(offset)


def is_of_tick(value: bytes) -> bool:
    """Return whether an alert is about a tick: its score's id ends with the customer's then."""
    at = value.index(_ID) + len(_ID)
    return not value[at : value.index(b'"', at)].rsplit(b"-", 1)[1].isdigit()


async def _run(partitions: int, scores: int, out: Path) -> None:
    chosen = settings.load()
    consumer = AIOKafkaConsumer(
        **kafka.connection(chosen), isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await consumer.start()
    both = (chosen.scores_topic, chosen.alerts_topic)
    names = [TopicPartition(topic, number) for topic in both for number in range(partitions)]
    consumer.assign(names)
    await consumer.seek_to_end(*names)
    for name in names:
        await consumer.position(name)
    heads: dict[str, list[bytes]] = {topic: [] for topic in both}
    arrived: dict[str, list[float]] = {topic: [] for topic in both}
    gc.disable()
    print("reading", flush=True)
    end = 0.0
    while not end or time.time() < end:
        for name, batch in (await consumer.getmany(timeout_ms=100)).items():
            now = time.time()
            found = [record.value[:_HEAD] for record in batch]
            if name.topic == chosen.scores_topic:
                found = [head for head in found if MARK in head]
            heads[name.topic] += found
            arrived[name.topic] += [now] * len(found)
        if not end and len(heads[both[0]]) >= scores:
            end = time.time() + _LAST_S
    await consumer.stop()
    places = np.array([(*place_of(head), number_of(head)) for head in heads[both[0]]], np.int64)
    pairs = zip(heads[both[1]], arrived[both[1]], strict=True)
    alerts = [(*place_of(head), at_s) for head, at_s in pairs if not is_of_tick(head)]
    columns = np.array(alerts, np.float64).reshape(-1, 3)
    places_of_alerts = columns[:, :2].astype(np.int64)
    np.savez(out, scores=places, alerts=places_of_alerts, scores_s=arrived[both[0]], alerts_s=columns[:, 2])


if __name__ == "__main__":
    uvloop.run(_run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
