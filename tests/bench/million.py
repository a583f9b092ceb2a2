"""A million customers on one worker: what their rows take, and what a round of ticks does to the live load beside."""

from collections.abc import Iterator
from typing import Final

from tests.bench.drain import redis_facts
from tests.bench.figures import Sample
from tests.bench.filling import fill
from tests.bench.generator import FIRST_MS, SPAN_MS, Workload
from tests.bench.latency import Load, beside
from tests.bench.place import Place, resident_bytes
from tests.integration import live

_PATIENCE_S: Final = 900.0
ROUND_S: Final = 600.0
"""A round of ticks in ten minutes, where a day would do."""
_BEFORE: Final = 10**9
"""From this number on, those that fill the rows are counted."""


def million(place: Place, customers: int, rate: int, seconds: float) -> Iterator[Sample]:
    """Yield memory and bytes of each customer, and latencies without ticks and beside them."""
    topics = place.topics("million", "exactly_once")
    before = float(redis_facts(place)["used_memory"])
    fill(place, topics, Workload(customers, customers, first=_BEFORE, first_ms=FIRST_MS - SPAN_MS, each=True))
    with place.worker(topics) as worker:
        worker.wait_ready()
        empty = resident_bytes(worker.pid)
        live.wait_until_scored(place.kafka, topics, _PATIENCE_S)
        name = f"{customers:,} customers on one worker"
        taken = resident_bytes(worker.pid) - empty
        for number, (what, round_s) in enumerate((("alone", 0.0), ("beside ticks", ROUND_S))):
            work = Workload(customers, 0, seed=2 + number, first=number * 10**8)
            yield from beside(place, topics, worker, work, f"{name}, {what}", Load(rate, seconds, round_s))
        stored = float(redis_facts(place)["used_memory"]) - before
        ended = worker.terminate()
        assert ended.code == 0, worker.output
    yield Sample(f"{name}: memory of the worker for each", taken / customers, "bytes", "lower")
    yield Sample(f"{name}: bytes stored for each", stored / customers, "bytes", "lower")
    place.drop(topics)
