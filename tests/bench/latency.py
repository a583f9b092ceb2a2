"""Latency: from a transaction's creation to a read_committed consumer that has its score or its alert.

A loader and a reader run as processes of their own; the reader looks at nothing but the ids. A broker that has just
been started compiles its own code for a minute under such a load, on half a core; so it is warmed up, and what its
compilers take while it is measured is told.
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
from tests.bench.place import Place, compilers_s, cpu_s
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

WARM_S = 3.0
"""What was created in the first seconds does not count."""
_PATIENCE_S = 60.0


def warm_up(place: Place, work: Workload, rate: int, seconds: float) -> Iterator[Sample]:
    """Let the servers work as they will when it is measured; yield how far the broker's compilers are."""
    topics = place.topics("warm")
    make(place, topics, work.partitions)
    with place.worker(topics) as worker:
        worker.wait_ready()
        work = replace(work, records=int(rate * seconds))
        with _pacer(place, topics, work, rate, place.folder / "warm.npy") as pacer:
            assert pacer.wait(2 * seconds + _PATIENCE_S) == 0, pacer.output
        assert worker.terminate().code == 0, worker.output
    place.drop(topics)
    yield Sample("broker's compilers until the latencies", compilers_s(place.kafka.pid), "s")


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
            with _pacer(place, topics, work, rate, sent) as pacer:
                before = _used(place, worker.pid)
                assert pacer.wait(2 * seconds + _PATIENCE_S) == 0, pacer.output
            assert reader.wait(_PATIENCE_S) == 0, reader.output
            after = _used(place, worker.pid)
        ended = worker.terminate()
        assert ended.code == 0, worker.output
    name = f"latency {delivery} at {rate:,}/s"
    for what, taken in _joined(sent, got, work.records).items():
        if len(taken):
            yield from percentiles(f"{name}: {what}", taken)
        yield Sample(f"{name}: {what} counted", len(taken), "")
    due, left = np.load(sent)
    yield Sample(f"{name}: sent late p99", 1000.0 * float(np.percentile(left - due, 99)), "ms")
    for who in before:
        yield Sample(f"{name}: CPU of the {who}", 100.0 * (after[who] - before[who]) / float(left[-1] - due[0]), "%")
    place.drop(topics)


def _pacer(place: Place, topics: Topics, work: Workload, rate: int, file: Path) -> Foretell:
    arguments = (work.customers, work.records, work.zipf, work.partitions, rate, file)
    return place.run("tests.bench.pacer", topics, *map(str, arguments))


def _used(place: Place, worker: int) -> dict[str, float]:
    broker = place.kafka.pid
    return {"worker": cpu_s(worker), "broker": cpu_s(broker), "broker's compilers": compilers_s(broker)}


def _joined(sent: Path, got: Path, records: int) -> dict[str, Any]:
    """Return the times in ms from creation to arrival, of scores and of alerts; fail where a score is not there."""
    (created, _), found = np.load(sent), np.load(got)
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
