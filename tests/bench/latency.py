"""Latency: from a transaction's creation to a read_committed consumer that has its score or its alert.

A loader and a reader run as processes of their own; the reader looks at nothing but the ids. A broker that has just
been started compiles its own code for a minute under such a load, on half a core; so it is warmed up, and what its
compilers take while it is measured is told.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
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
    make(place, topics, work.partitions)
    with place.worker(topics) as worker:
        worker.wait_ready()
        yield from beside(place, topics, worker, work, f"latency {delivery} at {rate:,}/s", Load(rate, seconds))
        ended = worker.terminate()
        assert ended.code == 0, worker.output
    place.drop(topics)


class Load(NamedTuple):
    """What is sent: transactions a second, for how long, and beside them a round of ticks in so many seconds."""

    rate: int
    seconds: float
    round_s: float = 0.0


def beside(place: Place, topics: Topics, worker: Foretell, work: Workload, name: str, load: Load) -> Iterator[Sample]:
    """Yield the percentiles beside a worker that is there; its transactions are those of a workload, repeated."""
    work = replace(work, records=int(load.rate * (load.seconds + WARM_S)))
    sent, got = place.folder / "sent.npy", place.folder / "got.npz"
    late = late_looks(worker)
    with place.run("tests.bench.reader", topics, work.partitions, work.records, got) as reader:
        reader.wait_for("reading")
        with _pacer(place, topics, work, load.rate, sent, load.round_s) as pacer:
            before = _used(place, worker.pid)
            assert pacer.wait(2 * load.seconds + _PATIENCE_S) == 0, pacer.output
        assert reader.wait(_PATIENCE_S) == 0, reader.output
        after = _used(place, worker.pid)
    for what, taken in _joined(sent, got, work).items():
        if len(taken):
            yield from percentiles(f"{name}: {what}", taken)
        yield Sample(f"{name}: {what} counted", len(taken), "")
    due, left = np.load(sent)
    yield Sample(f"{name}: sent late p99", 1000.0 * float(np.percentile(left - due, 99)), "ms")
    for who in before:
        yield Sample(f"{name}: CPU of the {who}", 100.0 * (after[who] - before[who]) / float(left[-1] - due[0]), "%")
    looks, beyond = (now - then for now, then in zip(late_looks(worker), late, strict=True))
    yield Sample(f"{name}: loop late by more than 20 ms", 100.0 * beyond / max(looks, 1.0), "% of looks")


def late_looks(worker: Foretell) -> tuple[float, float]:
    """Return how often a worker has looked whether its loop is late, and how often it was by more than 20 ms."""
    page = worker.page("/metrics")
    counts = [
        re.search(rf'^foretell_loop_late_seconds_bucket{{le="{bound}"}} (\S+)', page, re.MULTILINE)
        for bound in (r"\+Inf", r"0\.02")
    ]
    looks, soon = (float(found[1]) if found else 0.0 for found in counts)
    return looks, looks - soon


def _pacer(place: Place, topics: Topics, work: Workload, rate: int, file: Path, round_s: float = 0.0) -> Foretell:
    arguments = (msgspec.json.encode(work).decode(), rate, file, round_s)
    return place.run("tests.bench.pacer", topics, *map(str, arguments))


def _used(place: Place, worker: int) -> dict[str, float]:
    broker = place.kafka.pid
    return {"worker": cpu_s(worker), "broker": cpu_s(broker), "broker's compilers": compilers_s(broker)}


def _joined(sent: Path, got: Path, work: Workload) -> dict[str, Any]:
    """Return the times in ms from creation to arrival, of scores and of alerts; fail where a score is not there."""
    (created, _), found = np.load(sent), np.load(got)
    scores, alerts = found["scores"], found["alerts"]  # partition, offset, number, and partition, offset
    numbers = scores[:, 2] - work.first
    checking.each_once(numbers, work.records)
    counted = created - created[0] >= WARM_S
    place = {(partition, offset): number - work.first for partition, offset, number in scores.tolist()}
    of_alerts = np.array([place[partition, offset] for partition, offset in alerts.tolist()], np.int64)
    taken = {}
    for what, which, arrived in (("scores", numbers, found["scores_s"]), ("alerts", of_alerts, found["alerts_s"])):
        keep = counted[which]
        taken[what] = 1000.0 * (arrived - created[which])[keep]
    return taken
