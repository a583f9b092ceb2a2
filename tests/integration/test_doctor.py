"""The doctor beside real servers: what is right is OK, and each thing that is made wrong is found."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas import spec_file
from stream_app import cli
from stream_app import kafka as clients
from stream_app.bundle import Bundle
from stream_app.embedded import ports
from stream_app.settings import load
from stream_app.store.connect import connect
from tests.bundles import random_bundle
from tests.kit.access import Operation, Resource
from tests.kit.kafka import Kafka
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

PARTITIONS = 3
FOR_GOOD = {"retention.ms": "-1"}
Doctor = Callable[..., dict[str, list[tuple[str, str]]]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("doctor") / "bundle", spec_file.bank())


@pytest.fixture
def doctor(
    topics: Topics, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Doctor:
    """Give a function that returns level and text of all findings by subject (topics and group by their settings)."""
    names = {
        f"topic {topics.transactions}": "input",
        f"topic {topics.scores}": "scores",
        f"topic {topics.alerts}": "alerts",
        f"topic {topics.dlq}": "dlq",
        f"group {topics.group}": "group",
    }

    def call(**variables: str) -> dict[str, list[tuple[str, str]]]:
        given = topics.environment | {"FORETELL_BUNDLE": str(bundle.path), "FORETELL_WEB": f"127.0.0.1:{ports.free()}"}
        for name, value in (given | variables).items():
            monkeypatch.setenv(name, value)
        code = cli.main(["doctor", "--json"])
        caught = capsys.readouterr()
        found: dict[str, list[tuple[str, str]]] = {}
        for line in caught.out.splitlines():
            finding: dict[str, Any] = json.loads(line)
            found.setdefault(names.get(finding["subject"], finding["subject"]), []).append(
                (finding["level"], finding["text"])
            )
        assert code == int(any(level == "FAIL" for texts in found.values() for level, _ in texts))
        assert caught.err == ""
        return found

    return call


@pytest.fixture
def log(kafka: Kafka, topics: Topics) -> str:
    """Make an input topic that is kept for good; return its name."""
    kafka.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    return topics.transactions


def bad(found: dict[str, list[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [(subject, level) for subject, texts in found.items() for level, _ in texts if level != "OK"]


def told(found: dict[str, list[tuple[str, str]]], subject: str) -> str:
    return " | ".join(text for _, text in found[subject])


@pytest.mark.usefixtures("log")
def test_where_all_is_as_it_should_be_all_is_ok(kafka: Kafka, topics: Topics, doctor: Doctor) -> None:
    kafka.make_topic(topics.scores, PARTITIONS)
    kafka.produce(topics.transactions, [(b"c", b"{}")] * 5)
    found = doctor()
    assert bad(found) == []
    assert sorted(found) == sorted(
        [
            "bundle",
            "bundles",
            "web",
            "kafka",
            "input",
            "scores",
            "alerts",
            "dlq",
            "group",
            "transactions",
            "store",
            "rows",
        ]
    )
    assert told(found, "kafka").startswith(f"{kafka.bootstrap} answers, 1 broker, protocol versions Produce ")
    assert told(found, "scores") == f"{PARTITIONS} partitions"
    assert told(found, "alerts") == f"not there yet: the worker will make it with {PARTITIONS} partitions"
    assert told(found, "input") == "3 partitions | kept for good"
    assert told(found, "transactions") == "one was begun, given an offset and aborted"
    assert told(found, "group") == "not there yet, nobody in it, 0 of 3 partitions begun, 5 records behind"
    assert told(found, "store").startswith("Redis ")


def test_the_doctor_changes_nothing(
    kafka: Kafka, topics: Topics, log: str, redis_server: RedisServer, doctor: Doctor
) -> None:
    commit(topics, {0: 1})
    kafka.produce(log, [(b"c", b"{}")] * 5, partition=0)
    before = set(kafka.topics()), kafka.read(log), committed(topics)
    assert bad(doctor()) == []
    assert (
        set(kafka.topics()) - {"__consumer_offsets", "__transaction_state"},
        kafka.read(log),
        committed(topics),
    ) == (
        before[0] - {"__consumer_offsets", "__transaction_state"},
        *before[1:],
    )
    assert redis_server.ask("KEYS", f"*{topics.group}*") == []


def committed(topics: Topics) -> int | None:
    async def ask() -> int | None:
        settings = load({}, topics.environment)
        consumer = clients.input_consumer(settings)
        try:
            await consumer.start()
            found: int | None = await consumer.committed(TopicPartition(topics.transactions, 0))
        finally:
            await consumer.stop()
        return found

    return asyncio.run(ask())


def commit(topics: Topics, offsets: dict[int, int]) -> None:
    async def write() -> None:
        settings = load({}, topics.environment)
        consumer = clients.input_consumer(settings)
        try:
            await consumer.start()
            consumer.assign([TopicPartition(topics.transactions, number) for number in offsets])
            places = {
                TopicPartition(topics.transactions, number): OffsetAndMetadata(at, "") for number, at in offsets.items()
            }
            await consumer.commit(places)
        finally:
            await consumer.stop()

    asyncio.run(write())


def test_a_topic_that_is_missing_or_has_other_partitions_fails(kafka: Kafka, topics: Topics, doctor: Doctor) -> None:
    found = doctor()
    assert bad(found) == [("input", "FAIL")]
    assert "Expected the input topic, found it not there" in told(found, "input")
    assert topics.transactions not in kafka.topics()
    kafka.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    kafka.make_topic(topics.dlq, PARTITIONS + 1)
    found = doctor()
    assert bad(found) == [("dlq", "FAIL")]
    assert "Expected 3 partitions, as the input has, found 4" in told(found, "dlq")


def test_how_long_a_topic_keeps_records_and_how_large_they_may_be_is_looked_at(
    kafka: Kafka, topics: Topics, doctor: Doctor
) -> None:
    kafka.make_topic(topics.transactions, PARTITIONS, {"retention.ms": str(30 * 86_400_000)})
    kafka.make_topic(topics.scores, PARTITIONS, {"max.message.bytes": "999999"})
    found = doctor()
    assert bad(found) == [("input", "WARN"), ("scores", "FAIL")]
    assert "found 30.0 days" in told(found, "input")
    assert "found 999,999; raise it" in told(found, "scores")


def test_a_log_that_is_compacted_fails(kafka: Kafka, topics: Topics, doctor: Doctor) -> None:
    kafka.make_topic(topics.transactions, PARTITIONS, {"cleanup.policy": "compact", **FOR_GOOD})
    assert bad(doctor()) == [("input", "FAIL")]


@pytest.mark.usefixtures("log")
def test_committed_offsets_past_the_end_of_the_log_fail(kafka: Kafka, topics: Topics, doctor: Doctor) -> None:
    kafka.produce(topics.transactions, [(b"c", b"{}")] * 5, partition=0)
    commit(topics, {0: 5, 1: 0})
    found = doctor()
    assert bad(found) == []
    assert told(found, "group").endswith("2 of 3 partitions begun, 0 records behind")
    commit(topics, {0: 6})
    found = doctor()
    assert bad(found) == [("group", "FAIL")]
    assert "found them past its end on partition 0: the topic was made anew" in told(found, "group")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Kafka]:
    """Give a Kafka with limits of its own, and with no topic for transactions: it would need three brokers."""
    settings = {
        "group.min.session.timeout.ms": "6000",
        "transaction.max.timeout.ms": "14999",
        "offsets.retention.minutes": "60",
        "transaction.state.log.replication.factor": "3",
    }
    assert kafka.running, "where no Kafka can be started, this one is not tried either"
    with Kafka.start(tmp_path_factory.mktemp("strict"), settings=settings) as server:
        yield server


def test_limits_of_the_brokers_that_do_not_fit_are_found(strict: Kafka, topics: Topics, doctor: Doctor) -> None:
    strict.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    environment = strict.environment()
    found = doctor(**environment, FORETELL_SESSION_TIMEOUT_MS="5999")
    assert bad(found) == [
        ("session time-out", "FAIL"),
        ("transactions", "FAIL"),
        ("transactions", "FAIL"),
        ("committed offsets", "WARN"),
    ]
    assert "Expected FORETELL_SESSION_TIMEOUT_MS from 6000 to 1800000" in told(found, "session time-out")
    assert "raise transaction.max.timeout.ms" in told(found, "transactions")
    assert "transaction.state.log.replication.factor 1" in told(found, "transactions")
    found = doctor(**environment, FORETELL_SESSION_TIMEOUT_MS="6000", FORETELL_DELIVERY="at_least_once")
    assert bad(found) == [("committed offsets", "WARN")]
    assert told(found, "delivery") == "idempotent, at least once"


# Permissions


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Kafka]:
    """Give a Kafka with users and access rules."""
    assert kafka.running, "as above"
    users = {"alice": "alices-password", "bob": "bobs-password"}
    folder = tmp_path_factory.mktemp("guarded")
    with Kafka.start(folder, security="SASL_PLAINTEXT", authorizer=True, users=users) as server:
        yield server


def test_what_is_allowed_is_found_ok(guarded: Kafka, topics: Topics, doctor: Doctor) -> None:
    guarded.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    guarded.make_topic(topics.scores, PARTITIONS)
    assert bad(doctor(**guarded.environment())) == []


@dataclass(frozen=True)
class Refused:
    """Something that a user may not do, and what the doctor says of it."""

    of: str
    operation: Operation
    words: str
    resource: Resource = Resource.TOPIC


@pytest.mark.parametrize(
    "refused",
    [
        Refused("transactions", Operation.READ, "Expected to be allowed Read, found it refused"),
        Refused("transactions", Operation.DESCRIBE, "found none that this user may see"),
        Refused("scores", Operation.WRITE, "Expected to be allowed Write, found it refused"),
        Refused("group", Operation.READ, "Expected to be allowed Read, found only Describe", Resource.GROUP),
        Refused("group", Operation.DESCRIBE, "the user alice to be allowed to use the group", Resource.GROUP),
    ],
)
def test_what_is_refused_is_found(guarded: Kafka, topics: Topics, doctor: Doctor, refused: Refused) -> None:
    guarded.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    guarded.make_topic(topics.scores, PARTITIONS)
    guarded.deny("alice", str(getattr(topics, refused.of)), refused.operation, refused.resource)
    found = doctor(**guarded.environment())
    subject = "input" if refused.of == "transactions" else refused.of
    assert (subject, "FAIL") in bad(found)
    assert refused.words in told(found, subject)


def test_transactions_that_are_refused_are_found_by_trying_one(guarded: Kafka, topics: Topics, doctor: Doctor) -> None:
    guarded.make_topic(topics.transactions, PARTITIONS, FOR_GOOD)
    # The id that is tried has a random end, so all are denied, to a user that no other test has.
    guarded.deny("bob", "*", Operation.WRITE, Resource.TRANSACTIONAL_ID)
    found = doctor(**guarded.environment("bob"))
    assert bad(found) == [("transactions", "FAIL")]
    assert f"transactional ids that begin with {topics.group}-" in told(found, "transactions")
    assert bad(doctor(**guarded.environment("bob"), FORETELL_DELIVERY="at_least_once")) == []


# The store


@pytest.mark.usefixtures("log")
def test_a_redis_that_may_lose_rows_is_found(doctor: Doctor, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", maxmemory="64mb", maxmemory_policy="allkeys-lru", appendonly="no") as server:
        server.start()
        found = doctor(FORETELL_REDIS=server.url)
        assert bad(found) == [("store", "FAIL"), ("store", "WARN")]
        assert "set maxmemory-policy noeviction" in told(found, "store")
        server.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.ask("CONFIG", "SET", "appendonly", "yes")
        assert bad(doctor(FORETELL_REDIS=server.url)) == []


@pytest.mark.usefixtures("log")
def test_a_redis_that_does_not_let_us_in_is_found(doctor: Doctor, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", users=["carol on >carols-password ~* +@all"]) as server:
        server.start()
        url = server.url.replace("//", "//carol@")
        assert bad(doctor(FORETELL_REDIS=url, FORETELL_REDIS_PASSWORD="carols-password")) == []  # noqa: S106  (of this server)
        found = doctor(FORETELL_REDIS=url, FORETELL_REDIS_PASSWORD="wrong-password")  # noqa: S106  (of none)
        assert bad(found) == [("store", "FAIL")]
        assert "FORETELL_REDIS_PASSWORD" in told(found, "store")
        assert "wrong-password" not in told(found, "store")


@pytest.mark.usefixtures("log")
def test_rows_of_another_bundle_are_found(topics: Topics, doctor: Doctor, bundle: Bundle) -> None:
    async def begin(sha256: str) -> None:
        stores = connect(load({}, topics.environment))
        try:
            layout = bundle.rolling.layout
            rows = stores.open(topics.transactions, 1, layout.hash, layout.row_width)
            old = await rows.take_over("a-worker")
            new = old._replace(flushed=7, partitions=PARTITIONS, bundle=sha256, started=sha256)
            await rows.write([], np.zeros((0, layout.row_width), np.float32), old, new)
        finally:
            await stores.close()

    asyncio.run(begin(bundle.sha256))
    found = doctor()
    assert bad(found) == []
    assert told(found, "rows") == "of 1 of 3 partitions, in the bundle's layout"
    asyncio.run(begin("f" * 64))
    found = doctor()
    assert bad(found) == [("rows", "FAIL")]
    assert f"found {bundle.short} beside {'f' * 16}; start with that one" in told(found, "rows")
