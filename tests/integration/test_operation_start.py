"""A worker that cannot work yet waits and says why; one that never could exits and says why."""

import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from stream_app.bundle import MODEL, Bundle
from stream_app.embedded import ports
from tests.integration import live, operation
from tests.integration.operation import QUICK, Start
from tests.kit import every_kind, interventions, java, require
from tests.kit.access import Operation, Resource
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

GUESSED = {"FORETELL_REDIS_PASSWORD": "guessed-it"}
SCORED = 193
"""Of 200 payments, those that are JSON."""
TOLD = {
    "reader": ".transactions",
    "scorer": ".scores",
    "alerter": ".alerts",
    "writer": "transactional ids",
    "member": "the group",
    "guesser": "the password refused",
}
USERS = {name: f"{name}s-password" for name in TOLD}


class Denial(NamedTuple):
    """What a user must not do with a resource that ``Topics`` names."""

    name: Callable[[Topics], str]
    operation: Operation
    resource: Resource = Resource.TOPIC

    def of(self, topics: Topics) -> tuple[str, Operation, Resource]:
        """Return it for the resources of one test."""
        return self.name(topics), self.operation, self.resource


def transactional_id(topics: Topics) -> str:
    """Return the transactional id of partition 0."""
    return f"{topics.group}-{topics.transactions}-0"


DENIED = {
    "reader": Denial(lambda topics: topics.transactions, Operation.READ),
    "scorer": Denial(lambda topics: topics.scores, Operation.WRITE),
    "alerter": Denial(lambda topics: topics.alerts, Operation.WRITE),
    "writer": Denial(transactional_id, Operation.WRITE, Resource.TRANSACTIONAL_ID),
    "member": Denial(lambda topics: topics.group, Operation.READ, Resource.GROUP),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@pytest.fixture(autouse=True)
def discreet(tmp_path: Path) -> Iterator[None]:
    """Fail a test whose processes have logged what they must not."""
    yield
    assert operation.told_too_much(tmp_path) == []


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give a Kafka with users and access rules."""
    require.need(require.KAFKA, java.missing_kafka())
    folder = tmp_path_factory.mktemp("guarded")
    with Kafka.start(folder, security="SASL_PLAINTEXT", users=USERS, authorizer=True) as server:
        yield server


def test_what_can_never_work_exits_with_one_sentence(foretell: Start, bundle: Bundle, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle.path, damaged)
    with (damaged / MODEL).open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with closing(socket.create_server((ports.HOST, 0))) as taken:
        place = f"{ports.HOST}:{taken.getsockname()[1]}"
        given = {
            "name one": (2, foretell("worker")),
            "nowhere": (4, foretell("worker", "--bundle", tmp_path / "nowhere")),
            "damaged": (4, foretell("worker", "--bundle", damaged)),
            place: (2, foretell("worker", "--bundle", bundle.path, FORETELL_WEB=place)),
            "FORETELL_COMMIT_MS": (2, foretell("worker", "--bundle", bundle.path, FORETELL_COMMIT_MS="soon")),
            "FORETELL_KAFKA_PASSWORD": (2, foretell("worker", FORETELL_KAFKA_SECURITY="SASL_SSL")),
        }
        for text, (code, worker) in given.items():
            assert worker.wait() == code, worker.output
            assert worker.output.startswith("foretell: Expected "), worker.output
            assert worker.output.count("\n") == 1, worker.output
            assert text in worker.output


def test_a_worker_waits_for_what_is_missing_and_works_when_all_is_there(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    rows = operation.payments(600)
    kafka.make_topic(topics.scores, 3)
    kafka.stop()
    with RedisServer(tmp_path / "redis", maxmemory="100mb", maxmemory_policy="allkeys-lru") as redis:
        topics.environment["FORETELL_REDIS"] = redis.url
        worker = foretell("worker", "--bundle", bundle.path, **QUICK)
        operation.says(worker, f"Redis at {ports.HOST}:{redis.port}", "refused")
        operation.says(worker, f"Kafka at {kafka.bootstrap}", "no answer")
        redis.start()
        operation.says(worker, "allkeys-lru", "set maxmemory-policy noeviction")
        redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        kafka.restart()
        operation.says(worker, f"the topic {topics.transactions}", "not there")
        kafka.make_topic(topics.transactions, 2)
        operation.says(worker, f"2 partitions of {topics.scores}", "found 3")
        assert worker.status("/health/live") == 200
        kafka.delete_topic(topics.scores)
        worker.wait_ready()
        kafka.produce(topics.transactions, rows)
        live.wait_until_scored(kafka, topics)
        assert operation.in_time(worker.terminate())
        assert operation.faults(kafka, topics, bundle) == []


def test_a_worker_that_waits_stops_when_told(foretell: Start, bundle: Bundle) -> None:
    nowhere = f"{ports.HOST}:{ports.free()}"
    for_kafka = [foretell("worker", "--bundle", bundle.path, FORETELL_KAFKA=nowhere) for _ in range(2)]
    for_redis = foretell("worker", "--bundle", bundle.path, FORETELL_REDIS=f"redis://{nowhere}/0")
    workers = [*for_kafka, for_redis]
    for worker in workers:
        operation.says(worker, nowhere)
    for worker, number in zip(workers, (signal.SIGTERM, signal.SIGINT, signal.SIGTERM), strict=True):
        assert operation.in_time(operation.halt(worker, number)), worker.output


def test_a_wrong_password_of_redis_is_told_until_it_is_right(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    kafka.make_topic(topics.transactions)
    with RedisServer(tmp_path / "redis", users=["worker on >right-one ~* &* +@all"]).start() as redis:
        topics.environment["FORETELL_REDIS"] = redis.url.replace("//", "//worker@")
        worker = foretell("worker", "--bundle", bundle.path, **GUESSED, **QUICK)
        operation.says(worker, "FORETELL_REDIS_PASSWORD")
        redis.ask("ACL", "SETUSER", "worker", ">guessed-it")
        worker.wait_ready()


def test_what_a_user_must_not_do_is_told_and_done_once_it_may(
    guarded: Kafka, redis_server: RedisServer, tmp_path: Path, bundle: Bundle
) -> None:
    rows = operation.payments(200)
    started: dict[str, tuple[Topics, Foretell]] = {}
    try:
        for user in USERS:
            topics = Topics.unique(user, guarded.environment(user) | {"FORETELL_REDIS": redis_server.url})
            guarded.make_topic(topics.transactions)
            guarded.produce(topics.transactions, rows)
            if user in DENIED:
                guarded.deny(user, *DENIED[user].of(topics))
            wrong = {} if user in DENIED else {"FORETELL_KAFKA_PASSWORD": "guessed-it"}
            environment = topics.environment | QUICK | wrong
            worker = Foretell("worker", "--bundle", bundle.path, environment=environment, folder=tmp_path)
            started[user] = topics, worker.start()
        for user, (_, worker) in started.items():
            operation.says(worker, f"the user {user}", TOLD[user])
        for user, denial in DENIED.items():
            topics, worker = started[user]
            assert operation.stays_unready(worker, 1)
            interventions.allow_again(guarded, user, *denial.of(topics))
        for user in DENIED:
            topics, worker = started[user]
            worker.wait_ready()
            live.wait_until_scored(guarded, topics)
            assert len(guarded.read(topics.scores)) == SCORED
    finally:
        for _, worker in started.values():
            worker.kill()


def test_fausts_own_command_starts_a_worker(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, redis_server: RedisServer
) -> None:
    other = Topics.unique("without-web", kafka.environment() | {"FORETELL_REDIS": redis_server.url})
    for names in (topics, other):
        kafka.make_topic(names.transactions)
        kafka.produce(names.transactions, operation.payments(300))
    command = ("-A", "stream_app.app", "worker", "--loglevel", "info")
    given = QUICK | {"FORETELL_BUNDLE": str(bundle.path)}
    served = foretell(*command, module="faust", **given)
    silent = foretell(*command, "--without-web", module="faust", **given, **other.environment)
    served.wait_ready()
    for names, worker in ((topics, served), (other, silent)):
        live.wait_until_scored(kafka, names)
        assert worker.status("/health/ready") == (200 if worker is served else 0)
        assert operation.in_time(worker.terminate())
        assert " info stream_app.engine.partition partition opened" in worker.output  # our log, not Faust's
        assert operation.faults(kafka, names, bundle) == []


def test_fausts_own_command_says_what_is_wrong_and_exits(foretell: Start) -> None:
    worker = foretell("-A", "stream_app.app", "worker", module="faust")
    assert worker.wait() == 2
    assert worker.output.startswith("foretell: Expected the folder of a bundle"), worker.output
