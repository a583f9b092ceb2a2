"""Rebuild: Redis has lost everything, and a worker takes the whole log in anew before it goes on."""

import time
from collections.abc import Iterator

import redis

from stream_app.store.port import Marker
from tests.bench.figures import Sample
from tests.bench.filling import fill
from tests.bench.generator import Workload
from tests.bench.place import Place
from tests.integration import live
from tests.kit.topics import Topics

_LOOK_S = 0.02
_PATIENCE_S = 600.0


def rebuild(place: Place, work: Workload) -> Iterator[Sample]:
    """Yield records a second, from the first partition's opening until Redis has the rows of the whole log."""
    topics = place.topics("rebuild")
    fill(place, topics, work)
    with place.worker(topics) as worker:
        live.wait_until_scored(place.kafka, topics, _PATIENCE_S)
        worker.terminate()
    ends = {partition: taken for partition, taken in _flushed(place, topics).items() if taken}
    assert sum(ends.values()) >= work.records, f"Expected {work.records} records in the rows, found {ends}."
    place.redis.flushall()
    with place.worker(topics) as worker:
        worker.wait_until(lambda: bool(_flushed(place, topics)), "a marker in Redis", _PATIENCE_S)
        began = time.monotonic()
        while any(_flushed(place, topics).get(key, 0) < end for key, end in ends.items()):
            assert worker.running, worker.output
            assert time.monotonic() < began + _PATIENCE_S, "Expected the rows to be rebuilt, found them not to be."
            time.sleep(_LOOK_S)
        taken = time.monotonic() - began
        worker.terminate()
    yield Sample("rebuild after FLUSHALL", work.records / taken, "records/s", "higher")
    place.drop(topics)


def _flushed(place: Place, topics: Topics) -> dict[bytes, int]:
    """Return up to which offset the rows of each partition are in Redis, by the key of its marker."""
    pattern = f"*{topics.group}:*:marker"
    with redis.Redis.from_url(place.redis.url, protocol=2) as client:
        keys = list(client.scan_iter(match=pattern, count=10_000))
        found = client.mget(keys) if keys else []
    return {key: Marker.decode(value, key.decode()).flushed for key, value in zip(keys, found, strict=True) if value}
