"""Servers that go away, logs that change and workers that differ, while a worker runs and when it starts again."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_app.bundle import Bundle
from tests.integration import live, operation
from tests.integration.operation import QUICK, Start
from tests.kit import every_kind, interventions
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

RATE = ("--rate", "150")
LONG = 30_000
"""Records that no test waits for the end of."""

MOVED = (
    "foretell_events_total",
    "foretell_scores_total",
    'foretell_dead_letters_total{reason="malformed"}',
    'foretell_alerts_total{rule="busy"}',
    "foretell_resident_rows",
    "foretell_ready",
    "foretell_commit_seconds_count",
    "foretell_flush_seconds_count",
    "foretell_chunk_records_sum",
)
ANEW = re.compile(r"partition opened partition=\d+ flushed=0 committed=[1-9]")
NO_LAG = {'foretell_lag{partition="0"}': 0.0, 'foretell_lag{partition="1"}': 0.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@pytest.fixture(autouse=True)
def discreet(tmp_path: Path) -> Iterator[None]:
    """Fail a test whose processes have logged what they must not."""
    yield
    assert operation.told_too_much(tmp_path) == []


@pytest.fixture
def redis(tmp_path: Path, topics: Topics) -> Iterator[RedisServer]:
    """Give a Redis of the test's own."""
    with RedisServer(tmp_path / "redis").start() as server:
        topics.environment["FORETELL_REDIS"] = server.url
        yield server


@pytest.fixture
def load(kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path) -> Foretell:
    """Write records into two partitions at a steady rate."""
    kafka.make_topic(topics.transactions, 2)
    log = every_kind.write_log(tmp_path / "log.parquet", operation.payments(LONG), 2)
    return foretell("publish", log, *RATE)


def test_servers_that_go_away_are_told_and_nothing_is_lost_or_repeated(
    kafka: Kafka, topics: Topics, redis: RedisServer, load: Foretell, foretell: Start, bundle: Bundle
) -> None:
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    worker.wait_ready()
    live.wait_for_scores(kafka, topics, 100)
    redis.kill()
    operation.says(worker, f"Redis at 127.0.0.1:{redis.port}", "refused")
    redis.start()
    worker.wait_ready()
    redis.pause()
    operation.says(worker, f"Redis at 127.0.0.1:{redis.port}", "no answer")
    redis.resume()
    worker.wait_ready()
    redis.ask("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lfu")
    kafka.pause()
    operation.says(worker, "allkeys-lfu", "set maxmemory-policy noeviction")
    operation.says(worker, f"Kafka at {kafka.bootstrap}", "no answer")
    assert worker.status("/health/live") == 200
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    kafka.resume()
    worker.wait_ready()
    kafka.stop()
    operation.says(worker, f"Kafka at {kafka.bootstrap}", "no answer")
    kafka.restart()
    worker.wait_ready()
    redis.flushall()
    worker.wait_until(lambda: bool(ANEW.search(worker.output)), "the log to be taken in again from its beginning")
    load.terminate()
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    found = operation.metrics(worker)
    assert [name for name in MOVED if not found.get(name)] == []
    assert {name: value for name, value in found.items() if name.startswith("foretell_lag{")} == NO_LAG
    assert operation.in_time(worker.terminate())
    assert operation.faults(kafka, topics, bundle) == []


def test_a_worker_stops_within_ten_seconds_whatever_it_is_at(
    kafka: Kafka, topics: Topics, redis: RedisServer, load: Foretell, foretell: Start, bundle: Bundle
) -> None:
    for server in (redis, kafka):
        worker = foretell("worker", "--bundle", bundle.path, **QUICK)
        worker.wait_ready()
        server.pause()
        time.sleep(1)  # until it waits for an answer
        ended = operation.halt(worker)
        server.resume()
        assert operation.in_time(ended), worker.output
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    worker.wait_ready()
    assert operation.in_time(operation.halt(worker, signal.SIGINT)), worker.output
    load.terminate()
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    assert operation.in_time(operation.halt(worker)), worker.output
    assert operation.faults(kafka, topics, bundle) == []


def test_partitions_added_to_the_input_are_refused_and_nothing_is_scored(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle
) -> None:
    kafka.make_topic(topics.transactions, 2)
    kafka.produce(topics.transactions, operation.payments(300))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    scores = len(kafka.read(topics.scores))

    interventions.add_partitions(kafka, 3, topics.transactions)
    operation.says(worker, f"2 partitions of {topics.transactions}", "found 3", "customers have moved")
    kafka.produce(topics.transactions, operation.payments(300, seed=1))
    assert operation.stays_unready(worker, 2)
    assert operation.in_time(worker.terminate())

    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    operation.says(worker, f"3 partitions of {topics.scores}", "found 2", "customers have moved")
    interventions.add_partitions(kafka, 3, topics.scores, topics.alerts, topics.dlq)
    operation.says(worker, f"2 partitions of {topics.transactions}", "found 3", "customers have moved")
    assert operation.stays_unready(worker, 1)
    assert operation.in_time(worker.terminate())
    assert len(kafka.read(topics.scores)) == scores


def test_a_topic_that_was_made_anew_is_refused(kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle) -> None:
    kafka.make_topic(topics.transactions, 2)
    kafka.produce(topics.transactions, operation.payments(300))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    ends, scores = interventions.committed(kafka, topics.group), len(kafka.read(topics.scores))

    kafka.delete_topic(topics.transactions)
    operation.says(worker, f"the topic {topics.transactions}", "not there")
    kafka.make_topic(topics.transactions, 2)
    kafka.produce(topics.transactions, operation.payments(60, seed=1))
    operation.says(worker, f"{topics.transactions}-0 to reach", "was made anew")
    kafka.produce(topics.transactions, operation.payments(600, seed=2))
    operation.says(worker, "Expected a committed offset", "was made anew")
    assert operation.in_time(worker.terminate())

    interventions.set_offsets(kafka, topics.group, topics.transactions, ends)
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    operation.says(worker, f"of {topics.transactions}-0 the record", "found another", "was made anew")
    assert operation.stays_unready(worker, 6)  # it has looked again
    assert operation.in_time(worker.terminate())
    assert len(kafka.read(topics.scores)) == scores


def test_offsets_and_records_that_are_gone_are_refused(
    kafka: Kafka, topics: Topics, redis: RedisServer, foretell: Start, bundle: Bundle
) -> None:
    kafka.make_topic(topics.transactions)
    kafka.produce(topics.transactions, operation.payments(300))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    assert operation.in_time(worker.terminate())

    interventions.delete_group(kafka, topics.group)
    kafka.produce(topics.transactions, operation.payments(300, seed=1))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    operation.says(worker, "Expected a committed offset", "--to-offset 300")
    assert operation.in_time(worker.terminate())

    interventions.set_offsets(kafka, topics.group, topics.transactions, {0: 300})
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    assert operation.faults(kafka, topics, bundle) == []

    interventions.cut_log(kafka, topics.transactions, {0: 200})
    assert not operation.stays_unready(worker, 1)
    redis.flushall()
    operation.says(worker, "to reach back to offset 0", "first record at 200")
    assert operation.in_time(worker.terminate())


def test_workers_that_differ_from_the_others_of_their_group_are_refused(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle
) -> None:
    other = every_kind.bundle(bundle.path.parent / "other", seed=8)
    wider = every_kind.bundle(bundle.path.parent / "wider", windows=(7, 14))
    kafka.make_topic(topics.transactions, 3)
    kafka.produce(topics.transactions, operation.payments(300))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)

    differing = [foretell("worker", "--bundle", made.path, **QUICK) for made in (other, wider)]
    operation.says(differing[0], f"the bundle {bundle.short}", f"found {other.short}", "foretell activate")
    operation.says(differing[1], wider.manifest.layout, bundle.manifest.layout, "give all the same")
    kafka.produce(topics.transactions, operation.payments(300, seed=1))
    worker.wait_ready()
    for refused in differing:
        assert operation.in_time(refused.terminate())
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    assert operation.in_time(worker.terminate())
    assert operation.faults(kafka, topics, bundle) == []
