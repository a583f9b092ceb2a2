"""The audit finds what was changed in a live system, and nothing where nothing was."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from stream_app.bundle import Bundle
from stream_app.store.slices import slice_of
from tests.integration import live
from tests.integration.moved import ended
from tests.kit import every_kind, interventions
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.records import Message, Record
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 2
CUSTOMERS = 200
RECORDS = 6_000
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "6000", "FORETELL_FLUSH_MS": "200"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@dataclass(frozen=True)
class Scene:
    """A live system, and an auditor."""

    kafka: Kafka
    topics: Topics
    redis: RedisServer
    start: Start
    bundle: Bundle
    folder: Path

    def audit(self, *arguments: str | Path, customers: int = 60) -> tuple[int, str]:
        """Audit; return exit code and output."""
        which = () if "--customer" in arguments else ("--customers", str(customers))
        process = self.start("audit", "--bundle", self.bundle.path, *which, *arguments)
        code = process.wait()
        return code, process.output

    def worker(self) -> Foretell:
        """Start a worker."""
        return self.start("worker", "--bundle", self.bundle.path, **QUICK)

    def settle(self) -> None:
        """Wait until all is scored, and the rows are in Redis."""
        live.wait_until_scored(self.kafka, self.topics)
        time.sleep(1.5)

    def log(self, first: int = 0, end: int = RECORDS) -> Path:
        """Write a part of the log."""
        rows = every_kind.records(RECORDS, CUSTOMERS)[first:end]
        return every_kind.write_log(self.folder / f"log-{first}.parquet", rows, PARTITIONS)

    def scored(self) -> Foretell:
        """Let a worker score the log and go on running."""
        ended(self.start("publish", self.log(), "--create", str(PARTITIONS)))
        worker = self.worker()
        self.settle()
        return worker

    def rows(self) -> dict[bytes, tuple[str, bytes]]:
        """Return the key under which each customer's row stands, and the row."""
        found = dict[bytes, tuple[str, bytes]]()
        for number in range(PARTITIONS):
            prefix = f"{{{self.topics.transactions}-{number}}}:{self.topics.group}:{self.bundle.manifest.layout}"
            for name in (b"c-%d" % k for k in range(CUSTOMERS)):
                key = f"{prefix}:{slice_of(name)}"
                row = self.redis.ask("HGET", key, name)
                if row:
                    found[name] = (key, row)
        return found


@pytest.fixture
def scene(kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path) -> Iterator[Scene]:
    """Give a scene with a Redis of its own."""
    with RedisServer(tmp_path / "redis").start() as server:
        topics.environment["FORETELL_REDIS"] = server.url
        yield Scene(kafka, topics, server, foretell, bundle, tmp_path)


def test_one_flipped_bit_of_a_row_is_found_and_nothing_before_that(scene: Scene) -> None:
    scene.scored()
    metrics = scene.folder / "audit.prom"
    code, told = scene.audit("--metrics", metrics)
    assert (code, "verdict: all equal" in told) == (0, True), told
    page = metrics.read_text(encoding="utf-8")
    assert ("foretell_audit_equal 1.0" in page, "foretell_audit_customers 60.0" in page) == (True, True)

    name, (key, row) = min(scene.rows().items())
    scene.redis.ask("HSET", key, name, bytes([row[0] ^ 1]) + row[1:])
    code, told = scene.audit("--metrics", metrics, customers=2 * CUSTOMERS)
    assert (code, "verdict: 1 differences" in told) == (1, True), told
    assert f"rows of customer {name.decode()} in {scene.topics.transactions}-" in told
    assert 'foretell_audit_differences{kind="rows"} 1.0' in metrics.read_text(encoding="utf-8")
    assert scene.audit("--other-machine", "--customer", name.decode())[0] == 1

    scene.redis.ask("HSET", key, name, row)
    assert scene.audit("--customer", name.decode())[0] == 0
    gone, (key, _) = max(scene.rows().items())
    scene.redis.ask("HDEL", key, gone)
    code, told = scene.audit(customers=2 * CUSTOMERS)
    assert (code, f"rows of customer {gone.decode()} in" in told) == (1, True), told


def altered(message: bytes) -> bytes:
    """Return a score in which the last digit of one number is another."""
    facts: dict[str, Any] = json.loads(message)
    text = next(str(task["score"]) for task in facts["tasks"].values() if "band" in task)
    digit = message.index(text.encode()) + len(text) - 1
    return message[:digit] + (b"2" if message[digit : digit + 1] == b"1" else b"1") + message[digit + 1 :]


SPOILT: Final[dict[str, Callable[[bytes], list[bytes]]]] = {
    "whole": lambda message: [message],
    "altered": lambda message: [altered(message)],
    "missing": lambda _: [],
    "repeated": lambda message: [message, message],
}


def copied(scene: Scene, scores: list[Record], at: int, name: str) -> str:
    """Write the scores to another topic, but for one that is spoilt."""
    topic = f"{scene.topics.scores}.{name}"
    scene.kafka.make_topic(topic, PARTITIONS)
    for number in range(PARTITIONS):
        messages = list[Message]()
        for place, each in enumerate(scores):
            if each.partition == number:
                values = SPOILT[name](each.value or b"") if place == at else [each.value or b""]
                messages += [(each.key, value) for value in values]
        scene.kafka.produce(topic, messages, partition=number)
    return topic


def test_one_score_that_is_not_what_it_should_be_is_found(scene: Scene) -> None:
    assert scene.scored().terminate().code == 0
    scores = scene.kafka.read(scene.topics.scores)
    at = next(k for k, each in enumerate(scores) if b'"band"' in (each.value or b"") and each.offset > 50)
    name = (scores[at].key or b"").decode()

    outcomes = {}
    for kind in SPOILT:
        code, told = scene.audit("--customer", name, "--scores-topic", copied(scene, scores, at, kind))
        outcomes[kind] = (code, told.rpartition("verdict: ")[2].partition(";")[0].strip())

    assert outcomes == {"whole": (0, "all equal")} | dict.fromkeys(
        ("altered", "missing", "repeated"), (1, "1 differences")
    )


def test_a_worker_under_load_is_audited_again_and_again_and_takes_no_notice(scene: Scene) -> None:
    scene.kafka.make_topic(scene.topics.transactions, PARTITIONS)
    worker = scene.worker()
    worker.wait_ready()
    publisher = scene.start("publish", scene.log(), "--rate", "120")
    time.sleep(8)

    outcomes = list[tuple[int, str]]()
    while publisher.running and len(outcomes) < 3:
        outcomes.append(scene.audit())

    assert publisher.wait(120) == 0
    assert len(outcomes) > 1
    assert [code for code, _ in outcomes] == [0] * len(outcomes), outcomes
    assert "partition starts again" not in worker.output


def test_where_the_logs_beginning_has_gone_a_snapshot_is_where_it_begins_and_without_one_it_says_so(
    scene: Scene,
) -> None:
    ended(scene.start("publish", scene.log(0, RECORDS // 2), "--create", str(PARTITIONS)))
    worker = scene.worker()
    scene.settle()
    snapshots = scene.folder / "snapshots"
    ended(scene.start("snapshot", "save", "--bundle", scene.bundle.path, "--snapshots", snapshots))
    ended(scene.start("publish", scene.log(RECORDS // 2, RECORDS)))
    scene.settle()
    interventions.cut_log(scene.kafka, scene.topics.transactions, dict.fromkeys(range(PARTITIONS), 500))

    code, told = scene.audit()
    assert (code, "no such snapshot" in told, "verdict: nothing could be audited" in told) == (2, True, True), told
    code, told = scene.audit("--snapshots", snapshots)
    assert (code, "verdict: all equal" in told) == (0, True), told
    name, (key, row) = min(scene.rows().items())
    scene.redis.ask("HSET", key, name, row[:-1] + bytes([row[-1] ^ 128]))
    assert scene.audit("--snapshots", snapshots, "--customer", name.decode())[0] == 1
    assert worker.running


def test_where_there_is_nothing_to_compare_with_there_is_no_verdict(scene: Scene) -> None:
    scene.kafka.make_topic(scene.topics.transactions, PARTITIONS)

    code, told = scene.audit()

    assert (code, f"foretell: Expected the topic {scene.topics.scores}" in told) == (2, True), told
