"""Clients of Kafka are made as the settings say, and what goes wrong with them is one sentence."""

import asyncio
import logging
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import errors
from aiokafka.protocol.fetch import FetchRequest

from stream_app import kafka, kafka_errors
from stream_app.embedded import ports
from stream_app.settings import Settings, SettingsError, load
from tests.kit.certificates import Certificates

PLAIN = Settings(kafka="a:1, b:2")
PASSWORD = "a-password"  # noqa: S105  (of no server)
USER = Settings(kafka="a:1", kafka_security="SASL_PLAINTEXT", kafka_user="alice", kafka_password=PASSWORD)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget what other tests' brokers have said."""
    kafka_errors._refusals.clear()  # noqa: SLF001  (there is no other way to a fresh process)
    logger = logging.getLogger("aiokafka")
    filters, handlers, level = list(logger.filters), list(logger.handlers), logger.level
    yield
    logger.filters[:], logger.handlers[:] = filters, handlers
    logger.setLevel(level)


# Clients


def test_brokers_and_time_outs_are_the_same_for_every_client() -> None:
    assert kafka.connection(PLAIN) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
        "request_timeout_ms": 10_000,
        "retry_backoff_ms": 20,
    }


def test_a_user_and_a_password_go_with_sasl_only() -> None:
    found = kafka.connection(USER)
    assert {name: found[name] for name in found if name.startswith("sasl")} == {
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "alice",
        "sasl_plain_password": PASSWORD,
    }
    assert "ssl_context" not in found


def test_with_tls_a_broker_must_prove_who_it_is() -> None:
    context = kafka.connection(Settings(kafka_security="SSL"))["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_aiokafka_takes_all_that_is_asked_of_it() -> None:
    async def make() -> None:
        for client in (
            kafka.input_consumer(USER),
            kafka.reader(USER),
            kafka.transactional_producer(USER, "id"),
            kafka.idempotent_producer(USER),
            kafka.idempotent_producer(USER, idempotent=False, patience_ms=60_000),
        ):
            await client.stop()
        await kafka.admin(USER).close()

    asyncio.run(make())


class Searching:
    """A client of a broker that looks for records no longer than a fetch may wait, and then says there are none."""

    def __init__(self, takes_ms: int, *, silent: bool = False) -> None:
        self.waits = list[int]()
        self._takes_ms, self._silent = takes_ms, silent

    async def send(self, node: int, request: FetchRequest | str, **options: int) -> SimpleNamespace | str:
        assert (node, options) == (1, {"group": 2})
        if isinstance(request, str):
            return request
        wait_ms = request._max_wait_ms  # noqa: SLF001  (told nowhere else)
        self.waits.append(wait_ms)
        content = b"records" if wait_ms >= self._takes_ms else None
        parts = [(0, 0, 9, 9, 0, None, -1, None), (1, 0, 9, 9, 0, None, -1, content)]
        return SimpleNamespace(topics=[] if self._silent else [("t", parts)])


def waits_of(client: Searching, position: int = 5, fetches: int = 12) -> list[int]:
    """Return how long the fetches of a consumer may wait one after the other; it has all of partition 0."""

    async def fetch() -> list[int]:
        kafka.give_time_to_look(client)
        assert await client.send(1, "another request", group=2) == "another request"
        for _ in range(fetches):
            await client.send(1, FetchRequest(20, 1, 1000, 1, [("t", [(0, 9, 100), (1, position, 100)])]), group=2)
        return client.waits

    return asyncio.run(fetch())


def test_a_fetch_may_wait_longer_once_one_has_found_nothing_of_what_there_is() -> None:
    assert waits_of(Searching(takes_ms=70), fetches=6) == [20, 40, 80, 80, 80, 80]
    assert max(waits_of(Searching(takes_ms=100_000))) == 1_000


@pytest.mark.parametrize(
    ("client", "position"),
    [
        pytest.param(Searching(takes_ms=20), 5, id="records are found at once"),
        pytest.param(Searching(takes_ms=100_000), 9, id="there is nothing more"),
        pytest.param(Searching(takes_ms=20, silent=True), 5, id="nothing is told"),
    ],
)
def test_else_fetches_wait_as_they_were_made_to(client: Searching, position: int) -> None:
    assert set(waits_of(client, position)) == {20}


@pytest.mark.parametrize("session_ms", [1_000, 60_000])
def test_joining_the_group_may_take_as_long_as_the_others_may_take_to_leave_it(session_ms: int) -> None:
    async def times() -> tuple[int, int]:
        consumer = kafka.input_consumer(Settings(session_timeout_ms=session_ms))
        found = consumer._rebalance_timeout_ms, consumer._client._request_timeout_ms  # noqa: SLF001  (told nowhere else)
        await consumer.stop()
        return found

    rebalance_ms, request_ms = asyncio.run(times())
    assert session_ms < rebalance_ms < request_ms


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kafka_ca": "none.pem"}, "Expected certificates in none.pem (FORETELL_KAFKA_CA), found: No such file"),
        ({"kafka_ca": __file__}, "(FORETELL_KAFKA_CA), found: [X509"),
        ({"kafka_cert": "none.pem"}, "Expected a client's certificate and its key in none.pem, found: No such file"),
        ({"kafka_cert": __file__, "kafka_key": "k.pem"}, "_clients.py and k.pem, found: "),
    ],
)
def test_certificates_that_cannot_be_used_are_told(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        kafka.connection(load({"kafka_security": "SSL", **settings}, {}))
    assert words in str(caught.value)


def test_a_key_with_a_password_never_asks_on_the_terminal(tmp_path: Path) -> None:
    made = Certificates.make(tmp_path / "tls")
    locked = tmp_path / "locked.key"
    lock = ["openssl", "pkey", "-in", str(made.key), "-aes256", "-passout", f"pass:{PASSWORD}", "-out", str(locked)]
    subprocess.run(lock, check=True)
    files = {"kafka_security": "SSL", "kafka_cert": str(made.certificate), "kafka_key": str(locked)}
    assert "ssl_context" in kafka.connection(load(files, {"FORETELL_KAFKA_KEY_PASSWORD": PASSWORD}))
    for wrong in ("", "another"):
        with pytest.raises(SettingsError, match="FORETELL_KAFKA_KEY_PASSWORD"):
            kafka.connection(load(files, {"FORETELL_KAFKA_KEY_PASSWORD": wrong}))


# Sentences


def every_error() -> list[type[errors.KafkaError]]:
    found, todo = [], [errors.KafkaError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    found.remove(errors.BrokerResponseError)  # abstract
    return found


@pytest.mark.parametrize("error", [*every_error(), OSError, TimeoutError], ids=lambda kind: kind.__name__)
def test_every_error_is_one_sentence(error: type[Exception]) -> None:
    said = kafka.sentence(error(), USER, "scores")
    assert said.startswith("Expected ")
    assert said.endswith(".")
    assert said.count("; ") == 1, "expected, found; what to do"
    assert not set("{}\n") & set(said)
    assert PASSWORD not in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            errors.KafkaConnectionError("closed"),
            "Expected Kafka at a:1, found no answer; start it or correct FORETELL_KAFKA.",
        ),
        (ConnectionRefusedError(111, "x"), "found no answer (connection refused); start it"),
        (TimeoutError(), "Expected Kafka at a:1, found no answer; start it"),
        (errors.SaslAuthenticationFailed(), "Expected a:1 to accept the user alice by SCRAM-SHA-512"),
        (errors.TopicAuthorizationFailedError("t"), "the user alice to be allowed to use the topic t at a:1"),
        (errors.TopicAuthorizationFailedError({"u", "t"}), "to use the topic t, u at a:1"),
        (errors.GroupAuthorizationFailedError("g"), "to be allowed to use the group foretell at a:1"),
        (errors.TransactionalIdAuthorizationFailed("x"), "transactional ids that begin with foretell-"),
        (errors.UnknownTopicOrPartitionError(), "Expected the topic at a:1, found it not there; make it"),
        (errors.MessageSizeTooLargeError("The message is 9 bytes"), "Expected the topic at a:1 to take a record"),
        (errors.UnsupportedVersionError(), "or set FORETELL_DELIVERY to at_least_once"),
        (errors.IncompatibleBrokerVersion("API 22"), "cannot do what was asked (IncompatibleBrokerVersion: API 22)"),
        (errors.InvalidSessionTimeoutError(), "found 6000 ms; correct FORETELL_SESSION_TIMEOUT_MS"),
        (errors.InvalidTransactionTimeout(), "allow transactions of 15 s"),
        (errors.ProducerFenced(), "stop the other worker of group foretell"),
        (errors.KafkaError("odd"), "to do what was asked, found: KafkaError: odd; look into the broker's log."),
    ],
)
def test_an_error_is_told_with_where_and_what_to_do(error: Exception, words: str) -> None:
    assert words in kafka.sentence(error, USER)


def test_an_error_that_aiokafka_has_wrapped_is_told_all_the_same() -> None:
    wrapped = errors.KafkaError("Unexpected error during batch delivery")
    wrapped.__cause__ = errors.GroupAuthorizationFailedError()
    assert "to be allowed to use the group foretell" in kafka.sentence(wrapped, USER)


def test_a_topic_that_is_known_is_named_and_so_is_a_client_without_a_user() -> None:
    said = kafka.sentence(errors.TopicAuthorizationFailedError(), PLAIN, "scores")
    assert "Expected this client to be allowed to use the topic scores at a:1, b:2" in said


LOST = errors.KafkaConnectionError("Unable to bootstrap from []")


def refused(place: str, error: Exception) -> None:
    """Log what aiokafka logs, and raises no more."""
    kafka_errors.remember_refusals()
    logging.getLogger("aiokafka").error('Unable connect to "%s:%s": %s', *place.split(":"), error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.SaslAuthenticationFailed("x"), "found the user or the password refused"),
        (errors.UnsupportedSaslMechanismError("x"), "Expected a:1 to offer SCRAM-SHA-512"),
        (errors.IllegalSaslStateError("x"), "found a listener without SASL; correct FORETELL_KAFKA_SECURITY"),
        (errors.KafkaConnectionError("Connection at a:1 closed"), "found the connection closed at once"),
        (ssl.SSLCertVerificationError("self-signed"), "that can be trusted, found: "),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "Expected a:1 to talk SASL_PLAINTEXT, found something else"),
        (ConnectionResetError(), "found something else (ConnectionResetError)"),
        (socket.gaierror(-2, "Name or service not known"), "Expected brokers at a:1, found no such host"),
        (ConnectionRefusedError(111, "x"), "found no answer (connection refused)"),
        (TimeoutError(), "found no answer; start it"),
    ],
)
def test_why_no_broker_was_reached_is_told_although_the_error_has_lost_it(error: Exception, words: str) -> None:
    refused("a:1", error)
    assert words in kafka.sentence(LOST, USER)
    assert words in kafka_errors.unreachable(error, USER)


def test_a_broker_that_refuses_says_more_than_one_that_is_silent() -> None:
    refused("b:2", errors.SaslAuthenticationFailed())
    refused("a:1", ConnectionRefusedError(111, "x"))
    assert "refused; correct FORETELL_KAFKA_USER" in kafka.sentence(LOST, PLAIN)


def test_what_other_brokers_said_does_not_count() -> None:
    refused("c:3", errors.SaslAuthenticationFailed())
    assert "found no answer; start it" in kafka.sentence(LOST, PLAIN)


def test_what_is_remembered_does_not_grow_without_end() -> None:
    for k in range(1_000):
        refused(f"a:{k}", TimeoutError())
    assert len(kafka_errors._refusals) <= 64  # noqa: SLF001  (nothing else shows what is kept)


def test_a_broker_that_is_not_there_is_told_as_that() -> None:
    settings = Settings(kafka=f"127.0.0.1:{ports.free()}")

    async def start() -> str:
        client = kafka.admin(settings)
        try:
            await client.start()
        except errors.KafkaError as error:
            return kafka.sentence(error, settings)
        finally:
            await client.close()
        return "started"

    assert asyncio.run(start()) == (
        f"Expected Kafka at {settings.kafka}, found no answer (connection refused); start it or correct FORETELL_KAFKA."
    )
