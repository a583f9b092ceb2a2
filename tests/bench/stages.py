"""Every step of a chunk alone, in µs of thread time per event; together they are the whole."""

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from schemas.accepted import NO_RECORD_TIME
from stream_app.bundle import Bundle
from stream_app.residents import Residents
from stream_app.scorer import Scorer
from stream_app.shelf import Shelf
from stream_app.steps import alerts, encode, features, numbers
from stream_app.steps.decode import decode
from stream_app.steps.stages import Batch, Chunk
from tests.bench.figures import Sample
from tests.bench.generator import Workload

CHUNK: Final = 4_000
WARM: Final = 5
"""So many chunks do not count."""


def stages(bundle: Bundle, work: Workload) -> Iterator[Sample]:
    """Yield the median of each step over all chunks of a workload, and of their sum."""
    scorer = Scorer(Shelf(bundle), Residents(bundle.rolling.layout.row_width), "bench", 0)
    taken = defaultdict[str, list[float]](list)
    for number, chunk in enumerate(chunks(work)):
        times = list(_timed(chunk, scorer))
        if number >= WARM:
            for step, seconds in times:
                taken[step].append(1e6 * seconds / len(chunk.offsets))
            taken["all steps"].append(1e6 * sum(seconds for _, seconds in times) / len(chunk.offsets))
    for step, each in taken.items():
        yield Sample(f"stage {step}", statistics.median(each), "µs/event", "lower")


def chunks(work: Workload) -> Iterator[Chunk]:
    """Yield a workload of one partition as chunks."""
    records = list(work)
    for start in range(0, len(records), CHUNK):
        part = records[start : start + CHUNK]
        messages = [record.key for record in part], [record.value for record in part]
        yield Chunk.of(
            ("bench", 0), np.arange(start, start + len(part)), messages, np.full(len(part), NO_RECORD_TIME, np.int64)
        )


def _timed(chunk: Chunk, scorer: Scorer) -> Iterator[tuple[str, float]]:
    """Yield each step of the pipeline with the time that it took, s."""
    clock, residents, bundle = time.thread_time, scorer.residents, scorer.bundle
    began = clock()
    decoded = decode(chunk, scorer.vocabulary)
    yield "decode", clock() - began
    (batch,) = decoded.parts
    assert isinstance(batch, Batch)
    began = clock()
    residents.enter(residents.missing(batch.customers))
    places = residents.places(batch.customers)
    yield "rows", clock() - began
    began = clock()
    read = features.read(batch, places, residents.matrix, bundle.rolling, bundle.eligibility)
    residents.mark_changed(places)
    yield "features", clock() - began
    began = clock()
    values: Any = numbers.six_decimals(scorer.predict(read.features))
    yield "predict", clock() - began
    began = clock()
    fired = alerts.fire(batch, read, residents.matrix, values, scorer.rules)
    yield "alerts", clock() - began
    began = clock()
    scores = scorer.encode(batch, read, values, chunk)
    _ = encode.alerts(fired, scorer.reasoner(read, fired), scores, chunk)
    yield "encode", clock() - began
