"""Faults while records arrive leave no trace in what a worker puts out; and the comparison that says so can fail."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.integration import live
from tests.kit import every_kind
from tests.kit.evidence import differences
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 4
CUSTOMERS = 3_000
WORKER = {"FORETELL_SESSION_TIMEOUT_MS": "6000", "FORETELL_RESIDENT_ROWS": "1000"}
"""Few rows stay in memory, so that rows are read from Redis all the time."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@dataclass(frozen=True)
class Scene:
    """Where a fault is played."""

    kafka: Kafka
    topics: Topics
    redis: RedisServer
    start: Start
    bundle: Bundle

    def differences(self, *repeats: str) -> list[str]:
        """Return where what was put out differs from the replay of what came in."""
        shelf = Shelf(self.bundle)
        wanted = live.expected(self.kafka, self.topics, shelf)
        return differences(wanted, live.seen(self.kafka, self.topics, shelf), repeats=("alerts", *repeats))


@pytest.fixture
def scene(kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path) -> Iterator[Scene]:
    """Give a scene with a Redis of its own, which may be killed and robbed."""
    server = RedisServer(tmp_path / "redis", appendfsync="everysec")
    server.start()
    topics.environment["FORETELL_REDIS"] = server.url
    yield Scene(kafka, topics, server, foretell, bundle)
    server.kill()


def lose_writes(redis: RedisServer, size: int) -> None:
    """Kill Redis and take the last bytes of what it has written from it."""
    redis.kill()
    redis.cut_aof(min(size, redis.written))
    redis.start()


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_crashes_of_worker_store_and_broker_and_a_second_worker_leave_no_trace(
    scene: Scene, tmp_path: Path, delivery: str
) -> None:
    rows = every_kind.records(36_000, CUSTOMERS)
    log = every_kind.write_log(tmp_path / "log.parquet", rows, PARTITIONS)

    def start() -> Foretell:
        options = {"FORETELL_FLUSH_MS": "300", "FORETELL_DELIVERY": delivery}
        return scene.start("worker", "--bundle", scene.bundle.path, **WORKER, **options)

    publisher = scene.start("publish", log, "--create", str(PARTITIONS), "--rate", "900")
    worker = start()
    for _ in range(3):
        worker.wait_ready()
        time.sleep(1)
        worker.kill()
        worker = start()
    worker.wait_ready()
    lose_writes(scene.redis, 200_000)
    time.sleep(2)
    scene.kafka.restart()
    second = start()
    second.wait_ready()
    time.sleep(1)
    assert second.terminate().code == 0
    assert publisher.wait(120) == 0
    live.wait_until_scored(scene.kafka, scene.topics)
    assert worker.terminate().code == 0

    repeats = () if delivery == "exactly_once" else ("scores", "letters")
    assert scene.differences(*repeats) == []


@pytest.mark.parametrize("without", ["", "marker-with-rows,idle-probe"])
def test_a_worker_that_does_not_look_at_the_marker_is_caught(scene: Scene, tmp_path: Path, without: str) -> None:
    rows = every_kind.records(16_000, CUSTOMERS)
    first, second = (
        every_kind.write_log(tmp_path / f"{name}.parquet", part, PARTITIONS)
        for name, part in (("first", rows[:8_000]), ("second", rows[8_000:]))
    )
    command = ["worker", "--bundle", scene.bundle.path]
    if without:
        worker = scene.start(without, *command, module="tests.kit.unprotected", **WORKER, FORETELL_FLUSH_MS="1500")
    else:
        worker = scene.start(*command, **WORKER, FORETELL_FLUSH_MS="1500")
    assert scene.start("publish", first, "--create", str(PARTITIONS)).wait() == 0
    live.wait_until_scored(scene.kafka, scene.topics)
    time.sleep(3)  # until the rows are in Redis, and most no longer in memory
    lose_writes(scene.redis, scene.redis.written // 2)
    assert scene.start("publish", second).wait() == 0
    live.wait_until_scored(scene.kafka, scene.topics)
    worker.terminate()

    told = scene.differences()

    if without:
        assert any("scores different" in line for line in told)
    else:
        assert told == []
