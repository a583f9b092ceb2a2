"""Latency: from a transaction's creation to a read_committed consumer that has its score or its alert.

A loader and a reader run as processes of their own; the reader looks at nothing but the ids.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import checking
from tests.bench.figures import Sample, percentiles
from tests.bench.filling import make
from tests.bench.generator import Workload
from tests.bench.place import Place

WARM_S = 3.0
"""What was created in the first seconds does not count."""
_PATIENCE_S = 60.0


def latency(place: Place, work: Workload, delivery: str, rate: int, seconds: float) -> Iterator[Sample]:
    """Yield percentiles of the time that scores and alerts take at a steady rate."""
    topics = place.topics("latency", delivery)
    work = replace(work, records=int(rate * (seconds + WARM_S)))
    make(place, topics, work.partitions)
    sent, got = place.folder / f"{topics.group}-sent.npy", place.folder / f"{topics.group}-got.npz"
    with place.worker(topics) as worker:
        worker.wait_ready()
        with place.run("tests.bench.reader", topics, work.partitions, work.records, got) as reader:
            reader.wait_for("reading")
            arguments = (work.customers, work.records, work.zipf, work.partitions, rate, sent)
            with place.run("tests.bench.pacer", topics, *map(str, arguments)) as pacer:
                assert pacer.wait(2 * seconds + _PATIENCE_S) == 0, pacer.output
            assert reader.wait(_PATIENCE_S) == 0, reader.output
        ended = worker.terminate()
        assert ended.code == 0, worker.output
    name = f"latency {delivery} at {rate:,}/s"
    for what, taken in _joined(sent, got, work.records).items():
        if len(taken):
            yield from percentiles(f"{name}: {what}", taken)
        yield Sample(f"{name}: {what} counted", len(taken), "")
    place.drop(topics)


def _joined(sent: Path, got: Path, records: int) -> dict[str, Any]:
    """Return the times in ms from creation to arrival, of scores and of alerts; fail where a score is not there."""
    created, found = np.load(sent), np.load(got)
    scores, alerts = found["scores"], found["alerts"]  # partition, offset, number, and partition, offset
    numbers = scores[:, 2]
    checking.each_once(numbers, records)
    counted = created - created[0] >= WARM_S
    place = {(partition, offset): number for partition, offset, number in scores.tolist()}
    of_alerts = np.array([place[partition, offset] for partition, offset in alerts.tolist()], np.int64)
    taken = {}
    for what, which, arrived in (("scores", numbers, found["scores_s"]), ("alerts", of_alerts, found["alerts_s"])):
        keep = counted[which]
        taken[what] = 1000.0 * (arrived - created[which])[keep]
    return taken
