"""The servers that the other tests here rely on: they keep what they were given, and refuse whom they should refuse."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, TopicAuthorizationFailedError
from redis import Redis

from stream_app.embedded import ports
from tests.kit import java, records, require
from tests.kit.access import Operation
from tests.kit.kafka import Kafka
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

HEADERS = (("h", b"1"),)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give a Kafka with everything: TLS, users and access rules."""
    require.need(require.KAFKA, java.missing_kafka())
    users = {"alice": "alices-password", "bob": "bobs-password"}
    with Kafka.start(tmp_path_factory.mktemp("secured"), security="SASL_SSL", users=users, authorizer=True) as server:
        yield server


def test_what_a_transaction_wrote_survives_a_kill(kafka: Kafka, topics: Topics) -> None:
    kafka.make_topic(topics.transactions, 2)
    messages = [(b"a", b"1"), (None, b""), (b"a", None)]
    kafka.produce(topics.transactions, messages, partition=1, headers=HEADERS, transactional_id=topics.group)
    # Reading waits until the commit stands in the topic: Kafka 4.4.0 may lose it between its acknowledgement and that,
    # where the broker goes then (KAFKA-20734).
    before = kafka.read(topics.transactions)
    kafka.kill()
    assert not ports.answers(kafka.ports.client)
    kafka.restart()
    assert kafka.read(topics.transactions) == before
    assert [record[:5] for record in before] == [
        (1, offset, key, value, HEADERS) for offset, (key, value) in enumerate(messages)
    ]


def test_an_open_transaction_is_waited_for_and_an_aborted_one_left_out(kafka: Kafka, topics: Topics) -> None:
    async def write_and_abort() -> None:
        async with AIOKafkaProducer(**kafka.client(), transactional_id=topics.group) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topics.scores, b"never")
            with pytest.raises(AssertionError, match=r"found 0 and these partitions at \{0: 0\}"):
                await records.read(kafka.internal, topics.scores, seconds=0.5)
            await producer.abort_transaction()

    kafka.make_topic(topics.scores)
    asyncio.run(write_and_abort())
    kafka.produce(topics.scores, [(None, b"sent")])
    assert [record.value for record in kafka.read(topics.scores)] == [b"sent"]
    assert [record.value for record in kafka.read(topics.scores, committed=False)] == [b"never", b"sent"]


def test_reading_waits_for_records_no_longer_than_it_is_told(kafka: Kafka, topics: Topics) -> None:
    kafka.make_topic(topics.alerts)
    assert kafka.read(topics.alerts) == []
    with pytest.raises(AssertionError, match="Expected 1 records"):
        kafka.read(topics.alerts, at_least=1, seconds=0.2)


def test_topics_are_made_and_deleted_by_the_test_alone(kafka: Kafka, topics: Topics) -> None:
    assert topics.dlq not in kafka.topics()
    kafka.make_topic(topics.dlq, 3)
    assert kafka.topics()[topics.dlq] == 3
    kafka.delete_topic(topics.dlq)
    assert topics.dlq not in kafka.topics()


def test_a_paused_kafka_keeps_its_connections_and_goes_on_later(kafka: Kafka, topics: Topics) -> None:
    kafka.make_topic(topics.scores)
    kafka.pause()

    async def asked() -> dict[str, int]:
        answer = asyncio.ensure_future(records.topics(kafka.internal))
        done, _ = await asyncio.wait([answer], timeout=0.5)
        assert not done
        kafka.resume()
        return await answer

    assert asyncio.run(asked())[topics.scores] == 1


def test_names_belong_to_one_test_and_the_environment_says_them(kafka: Kafka, topics: Topics) -> None:
    other = Topics.unique("test", kafka.environment())
    assert {topics.transactions, topics.scores, topics.group}.isdisjoint(
        [other.transactions, other.scores, other.group]
    )
    assert topics.environment["FORETELL_TRANSACTIONS_TOPIC"] == topics.transactions
    assert topics.environment["FORETELL_GROUP"] == topics.group
    assert topics.environment["FORETELL_KAFKA"] == kafka.bootstrap
    with Redis.from_url(topics.environment["FORETELL_REDIS"]) as client:
        assert client.ping()


@pytest.mark.parametrize("leave", [RedisServer.kill, RedisServer.pause], ids=["kill", "pause"])
def test_a_test_may_leave_a_shared_server_as_it_is(
    redis_server: RedisServer, leave: Callable[[RedisServer], None]
) -> None:
    assert redis_server.ask("PING")  # also after the one before
    leave(redis_server)


def test_the_next_test_finds_it_answering(redis_server: RedisServer) -> None:
    assert redis_server.ask("PING")


def test_a_user_writes_and_reads_through_tls(secured: Kafka) -> None:
    secured.make_topic("open")
    asyncio.run(records.produce(secured.client("alice"), "open", [(b"a", b"1")], transactional_id="alice"))
    assert [record.value for record in asyncio.run(records.read(secured.client("bob"), "open"))] == [b"1"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"sasl_plain_password": "guessed"}, "SaslAuthenticationFailed"),
        ({"sasl_plain_username": "mallory"}, "SaslAuthenticationFailed"),
        ({"ssl_context": ssl.create_default_context()}, "CERTIFICATE_VERIFY_FAILED"),
        ({"security_protocol": "SSL"}, "closed"),
    ],
    ids=["password", "user", "authority", "no login"],
)
def test_who_comes_wrongly_is_refused(
    secured: Kafka, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(KafkaConnectionError):
        asyncio.run(records.topics(secured.client("alice") | wrong))
    assert reason in caplog.text


def test_a_user_is_denied_one_topic_and_nobody_else_is(secured: Kafka) -> None:
    for name in ("closed", "beside"):
        secured.make_topic(name)
        secured.produce(name, [(b"a", b"1")])
    secured.deny("alice", "closed", Operation.READ)
    with pytest.raises(TopicAuthorizationFailedError):
        asyncio.run(records.read(secured.client("alice"), "closed"))
    assert len(asyncio.run(records.read(secured.client("alice"), "beside"))) == 1
    assert len(asyncio.run(records.read(secured.client("bob"), "closed"))) == 1


def test_the_environment_of_a_secured_kafka_says_all_that_a_client_needs(secured: Kafka) -> None:
    assert secured.certificates
    assert secured.environment("bob") == {
        "FORETELL_KAFKA": secured.bootstrap,
        "FORETELL_KAFKA_SECURITY": "SASL_SSL",
        "FORETELL_KAFKA_SASL": "SCRAM-SHA-512",
        "FORETELL_KAFKA_USER": "bob",
        "FORETELL_KAFKA_PASSWORD": "bobs-password",
        "FORETELL_KAFKA_CA": str(secured.certificates.ca),
    }


def test_a_kafka_that_cannot_start_says_why_with_the_end_of_its_log(tmp_path: Path) -> None:
    require.need(require.KAFKA, java.missing_kafka())
    with pytest.raises(AssertionError, match=r"(?s)found exit code 1.*Class no\.such\.Reporter cannot be found"):
        Kafka.start(tmp_path, settings={"metric.reporters": "no.such.Reporter"})
