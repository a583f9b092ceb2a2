"""Rows come back from snapshots of real servers, and nothing differs from a replay of the whole log."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from stream_app.snapshot.file import SnapshotFile
from tests.integration import live, operation
from tests.integration.moved import ended
from tests.integration.operation import metrics
from tests.kit import every_kind, evidence, interventions
from tests.kit.evidence import Evidence, differences
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.records import Record
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 2
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "6000", "FORETELL_FLUSH_MS": "200", "FORETELL_RESIDENT_ROWS": "1000"}
RECORDS = 12_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@pytest.fixture
def redis(topics: Topics, tmp_path: Path) -> Iterator[RedisServer]:
    """Give a Redis that may lose everything."""
    with RedisServer(tmp_path / "redis").start() as server:
        topics.environment["FORETELL_REDIS"] = server.url
        yield server


def logs(folder: Path) -> list[Path]:
    """Write a log in three parts."""
    rows, part = every_kind.records(RECORDS, customers=3_000), RECORDS // 3
    return [
        every_kind.write_log(folder / f"{start}.parquet", rows[start : start + part], PARTITIONS)
        for start in range(0, RECORDS, part)
    ]


def replayed(records: list[Record], topics: Topics, bundle: Bundle) -> Evidence:
    return evidence.replayed(evidence.captured(records, topics.transactions), Shelf(bundle))


def saved(folder: Path, topics: Topics) -> dict[int, list[SnapshotFile]]:
    """Return the snapshots in a folder by partition, the oldest first."""
    found = dict[int, list[SnapshotFile]]()
    for path in sorted(folder.glob(f"{topics.group}/*/*.parquet")):
        opened = SnapshotFile.open(path)
        found.setdefault(opened.stamp.partition, []).append(opened)
    return found


def cut_up_to(kafka: Kafka, topics: Topics, snapshots: dict[int, list[SnapshotFile]]) -> None:
    """Delete what stands before the newest snapshots."""
    before = {number: files[-1].stamp.flushed for number, files in snapshots.items()}
    assert all(before.values())
    interventions.cut_log(kafka, topics.transactions, before)


def test_workers_save_while_they_work_and_begin_there_when_rows_and_the_logs_beginning_are_gone(
    kafka: Kafka, topics: Topics, redis: RedisServer, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    folder, (first, second, _) = tmp_path / "snapshots", logs(tmp_path)
    keeping = {"FORETELL_SNAPSHOTS": str(folder), "FORETELL_SNAPSHOT_MINUTES": "1"}
    kafka.make_topic(topics.transactions, PARTITIONS)
    worker = foretell("worker", "--bundle", bundle.path, **QUICK, **keeping)
    worker.wait_ready()
    publisher = foretell("publish", first, "--rate", "150")
    worker.wait_until(lambda: len(saved(folder, topics)) == PARTITIONS, "snapshots of all partitions", 60)
    under_load = saved(folder, topics)
    assert publisher.running, "they were not saved under load"
    assert publisher.wait(120) == 0
    live.wait_until_scored(kafka, topics)
    assert metrics(worker)['foretell_snapshots_total{outcome="saved"}'] >= PARTITIONS
    worker.kill()
    everything = kafka.read(topics.transactions)

    for number, files in under_load.items():
        before = [each for each in everything if each.partition == number and each.offset < files[0].stamp.flushed]
        assert rows_of(files[0]) == replayed(before, topics, bundle).rows != {}

    cut_up_to(kafka, topics, under_load)
    redis.flushall()
    worker = foretell("worker", "--bundle", bundle.path, **QUICK, **keeping)
    ended(foretell("publish", second))
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    assert operation.in_time(worker.terminate())
    everything = sorted({*everything, *kafka.read(topics.transactions)})
    assert differences(replayed(everything, topics, bundle), live.seen(kafka, topics, Shelf(bundle))) == []


def rows_of(snapshot: SnapshotFile) -> dict[tuple[int, bytes], bytes]:
    """Return the rows that count."""
    found = dict[tuple[int, bytes], bytes]()
    for customers, rows in snapshot.parts():
        found |= {(snapshot.stamp.partition, name): row.tobytes() for name, row in zip(customers, rows, strict=True)}
    return {name: row for name, row in found.items() if any(row)}


def test_an_operator_saves_and_restores_and_what_cannot_be_right_is_refused(
    kafka: Kafka, topics: Topics, redis: RedisServer, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    folder, (first, second, third) = tmp_path / "snapshots", logs(tmp_path)
    ended(foretell("publish", first, "--create", str(PARTITIONS)))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    time.sleep(1)
    told = ended(foretell("snapshot", "save", "--bundle", bundle.path, "--snapshots", folder))
    assert [f"{topics.transactions}-{number}: as of offset" in told for number in range(PARTITIONS)] == [True] * 2
    restoring = ("snapshot", "restore", folder, "--bundle", bundle.path)
    assert "found 1: they write to the same rows; stop them" in refused(foretell(*restoring))
    assert operation.in_time(worker.terminate())

    files = {number: found[0].path for number, found in saved(folder, topics).items()}
    ended(foretell(*restoring))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    ended(foretell("publish", second))
    live.wait_until_scored(kafka, topics)
    assert operation.in_time(worker.terminate())
    assert "found them at" in refused(foretell(*restoring))
    assert "found one of" in refused(foretell("snapshot", "restore", files[0], FORETELL_GROUP="another"))
    content = files[0].read_bytes()
    for number, spoilt in enumerate((content[:-1], content[:200] + bytes([content[200] ^ 1]) + content[201:])):
        (tmp_path / f"{number}.parquet").write_bytes(spoilt)
        assert "Expected a snapshot at" in refused(foretell("snapshot", "restore", tmp_path / f"{number}.parquet"))

    before = kafka.read(topics.transactions)
    cut_up_to(kafka, topics, saved(folder, topics))
    redis.flushall()
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    operation.says(worker, "to reach back to offset 0", "`foretell snapshot restore`")
    told = ended(foretell(*restoring, "--force"))
    assert "records to take in" in told
    worker.wait_ready()
    ended(foretell("publish", third))
    live.wait_until_scored(kafka, topics)
    assert operation.in_time(worker.terminate())
    everything = sorted({*before, *kafka.read(topics.transactions)})
    assert differences(replayed(everything, topics, bundle), live.seen(kafka, topics, Shelf(bundle))) == []


def test_a_worker_under_whose_feet_rows_are_restored_begins_there_and_repeats_nothing(
    kafka: Kafka, topics: Topics, redis: RedisServer, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    assert redis.running
    folder, (first, second, _) = tmp_path / "snapshots", logs(tmp_path)
    ended(foretell("publish", first, "--create", str(PARTITIONS)))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    time.sleep(1)
    ended(foretell("snapshot", "save", "--bundle", bundle.path, "--snapshots", folder))
    publisher = foretell("publish", second, "--rate", "1000")
    time.sleep(2)
    ended(foretell("snapshot", "restore", folder, "--bundle", bundle.path, "--force"))
    assert publisher.wait(60) == 0
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    assert operation.in_time(operation.halt(worker, signal.SIGTERM))
    expected = live.expected(kafka, topics, Shelf(bundle))
    assert differences(expected, live.seen(kafka, topics, Shelf(bundle))) == []


def test_a_snapshot_of_a_topic_that_was_made_anew_is_refused(
    kafka: Kafka, topics: Topics, redis: RedisServer, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    folder = tmp_path / "snapshots"
    kafka.make_topic(topics.transactions)
    kafka.produce(topics.transactions, operation.payments(300))
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    assert operation.in_time(worker.terminate())
    ended(foretell("snapshot", "save", "--bundle", bundle.path, "--snapshots", folder))
    redis.flushall()
    kafka.delete_topic(topics.transactions)
    asyncio.run(asyncio.sleep(2))
    kafka.make_topic(topics.transactions)
    kafka.produce(topics.transactions, operation.payments(400, seed=5))

    (file,) = saved(folder, topics)[0]
    told = refused(foretell("snapshot", "restore", file.path))
    assert f"Expected at offset {file.stamp.last} of {topics.transactions}-0 the record" in told


def refused(process: Foretell) -> str:
    """Wait for a process that refuses what it is asked for; return the sentence."""
    assert process.wait() not in {0, None}
    (sentence,) = [line for line in process.output.splitlines() if line.startswith("foretell: Expected")]
    return sentence
