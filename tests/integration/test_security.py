"""Kafka behind TLS and SCRAM is reached as the settings say; what is wrong is one sentence; no secret is ever told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import spec_file
from stream_app.bundle import Bundle
from stream_app.commands import COMMANDS
from tests.bundles import random_bundle
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

PARTITIONS: Final = 2
JANUARY: Final = "2026-01-31T12:00:00Z"
WRONG: Final = "zw'irbel\"kräh"
OF_A_FILE: Final = "wrong-and-of-a-file"
OF_A_URL: Final = "wr%2Fng-and-of-a-url"
SECRETS: Final = ("irbel", OF_A_FILE, OF_A_URL, "wr/ng-and-of-a-url")
"""What is looked for: of one that would be escaped, its middle."""
Start = Callable[..., Foretell]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, kafka: Kafka) -> Iterator[Kafka]:
    """Give a Kafka that takes users by SCRAM through TLS only."""
    assert kafka.running, "where no Kafka can be started, this one is not tried either"
    with Kafka.start(tmp_path_factory.mktemp("secured"), security="SASL_SSL") as server:
        yield server


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("security") / "bundle", spec_file.bank())


def ended(process: Foretell) -> tuple[int, str]:
    return process.wait(60), process.output


# Reached


@pytest.mark.parametrize("from_a_file", [False, True])
def test_a_kafka_behind_tls_and_scram_is_reached(
    secured: Kafka,
    topics: Topics,
    foretell: Start,
    tmp_path: Path,
    from_a_file: bool,  # noqa: FBT001  (a case)
) -> None:
    secured.make_topic(topics.transactions, PARTITIONS, {"retention.ms": "-1"})
    environment = secured.environment()
    if from_a_file:
        (tmp_path / "password").write_text(environment["FORETELL_KAFKA_PASSWORD"] + "\n", encoding="utf-8")
        environment |= {"FORETELL_KAFKA_PASSWORD": "", "FORETELL_KAFKA_PASSWORD_FILE": str(tmp_path / "password")}
    code, said = ended(foretell("doctor", **environment))
    findings = [line.split(":")[0] for line in said.splitlines() if not line.startswith("OK ")]
    assert (code, findings) == (0, ["WARN  bundle"])
    assert ended(foretell("forget", "c-1", **environment))[0] == 0
    assert len(secured.read(topics.transactions)) == 1


def test_a_kafka_that_asks_for_a_certificate_is_reached_with_one(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    assert kafka.running, "as above"
    authority = tmp_path / "kafka" / "tls" / "ca.pem"
    asking = {"ssl.client.auth": "required", "ssl.truststore.type": "PEM", "ssl.truststore.location": str(authority)}
    settings = {f"listener.name.client.{name}": value for name, value in asking.items()}
    with Kafka.start(tmp_path / "kafka", security="SSL", settings=settings) as server:
        server.make_topic(topics.transactions, PARTITIONS)
        made = server.certificates
        assert made is not None
        environment = server.environment()
        shown = {"FORETELL_KAFKA_CERT": str(made.certificate), "FORETELL_KAFKA_KEY": str(made.key)}
        code, said = ended(foretell("forget", "c-1", **environment))
        assert (code, said.count("\n")) == (1, 1)
        assert "found the connection closed at once" in said or "found something else" in said
        assert "FORETELL_KAFKA_CERT" in said or "FORETELL_KAFKA_SECURITY" in said
        assert ended(foretell("forget", "c-1", **environment, **shown))[0] == 0
        assert len(server.read(topics.transactions)) == 1


# Not reached


@pytest.mark.parametrize("arguments", [["forget", "c-1"], ["tick", "--time", JANUARY], ["activate", "BUNDLE"]])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"FORETELL_KAFKA_PASSWORD": WRONG},
            "to accept the user alice by SCRAM-SHA-512, found the user or the password refused",
        ),
        (
            {"FORETELL_KAFKA_USER": "eve"},
            "to accept the user eve by SCRAM-SHA-512, found the user or the password refused",
        ),
        ({"FORETELL_KAFKA_SASL": "PLAIN"}, "to offer PLAIN, found only other mechanisms"),
        ({"FORETELL_KAFKA_CA": ""}, "Expected a certificate of "),
        ({"FORETELL_KAFKA_CA": "", "FORETELL_KAFKA_SECURITY": "SASL_PLAINTEXT"}, "found the connection closed at once"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    secured: Kafka, foretell: Start, bundle: Bundle, arguments: list[str], change: dict[str, str], words: str
) -> None:
    given = [str(bundle.path) if argument == "BUNDLE" else argument for argument in arguments]
    code, said = ended(foretell(*given, **(secured.environment() | change)))
    assert code == 1
    assert words in said
    assert said.startswith("foretell: Expected ")
    assert said.count("\n") == 1
    assert WRONG not in said


def test_tls_to_a_broker_without_it_is_one_sentence(kafka: Kafka, secured: Kafka, foretell: Start) -> None:
    environment = secured.environment() | {"FORETELL_KAFKA": kafka.bootstrap}
    code, said = ended(foretell("forget", "c-1", **environment))
    assert (code, said.count("\n")) == (1, 1)
    assert f"Expected {kafka.bootstrap} to talk SASL_SSL, found something else" in said


# No secret is told


def shown(output: str) -> list[str]:
    return [secret for secret in SECRETS if secret in output]


def test_what_is_looked_for_would_be_found() -> None:
    told = [WRONG, repr(WRONG), f"AUTH {WRONG}", f"redis://u:{OF_A_URL}@h", "wr/ng-and-of-a-url", OF_A_FILE]
    assert [text for text in told if not shown(text)] == []
    assert shown("Expected one, found another; correct FORETELL_REDIS_PASSWORD") == []


@pytest.fixture
def precious(
    secured: Kafka, tmp_path: Path, topics: Topics, request: pytest.FixtureRequest
) -> Iterator[dict[str, str]]:
    """Give the environment of a failing start: real servers, and a password that Redis refuses."""
    secured.make_topic(topics.transactions, PARTITIONS)
    (tmp_path / "password").write_text(OF_A_FILE + "\n", encoding="utf-8")
    environment = secured.environment() | {"FORETELL_LOG_LEVEL": "debug", "FORETELL_LOG_FORMAT": str(request.param)}
    with RedisServer(tmp_path / "redis", users=["carol on >carols-password ~* +@all"]) as server:
        server.start()
        environment["FORETELL_REDIS"] = server.url.replace("//", f"//carol:{OF_A_URL}@")
        yield environment


def arguments_of(verb: str, bundle: Bundle, folder: Path) -> list[str]:
    """Return arguments with which a verb gets as far as to Kafka or Redis."""
    time = pa.array([1_769_860_800_000], pa.timestamp("ms", tz="UTC"))
    row = {"transaction_id": ["t"], "customer_id": ["c"], "time": time, "amount": [1.0], "type": ["cash"]}
    pq.write_table(pa.table(row), folder / "transactions.parquet")
    given: dict[str, list[str]] = {
        "activate": [str(bundle.path)],
        "audit": ["--bundle", str(bundle.path)],
        "capture": [],
        "doctor": ["--bundle", str(bundle.path)],
        "forget": ["c-1"],
        "portrait": ["c-1", "--bundle", str(bundle.path)],
        "publish": [str(folder)],
        "relay": ["customers"],
        "snapshot": ["save", "--bundle", str(bundle.path), "--snapshots", str(folder)],
        "tail": ["scores"],
        "tick": ["--time", JANUARY],
        "worker": ["--bundle", str(bundle.path)],
    }
    return [verb, *given[verb]]


VERBS: Final = sorted(command.__name__.rsplit(".", 1)[1] for command in COMMANDS)


def settle(process: Foretell) -> None:
    """Let a process end, or say what it waits for."""

    def settled() -> bool:
        return not process.running or "Expected" in process.output

    process.wait_until(settled, "a sentence", 90)
    process.kill()


@pytest.mark.parametrize(
    ("verb", "precious"), [*((verb, "text") for verb in VERBS), ("worker", "json")], indirect=["precious"]
)
def test_no_output_of_a_failing_start_holds_a_secret(
    precious: dict[str, str], foretell: Start, bundle: Bundle, tmp_path: Path, verb: str
) -> None:
    arguments = arguments_of(verb, bundle, tmp_path)
    of_a_file = {"FORETELL_KAFKA_PASSWORD": "", "FORETELL_KAFKA_PASSWORD_FILE": str(tmp_path / "password")}
    starts = [
        foretell(*arguments, **precious),  # Kafka lets it in, Redis does not
        foretell(*arguments, **(precious | {"FORETELL_KAFKA_PASSWORD": WRONG})),
        foretell(*arguments, **(precious | of_a_file)),
        foretell(*arguments, **(precious | {"FORETELL_KAFAK": WRONG})),
        foretell(*arguments, "--redis", precious["FORETELL_REDIS"], **precious),
        foretell(*arguments, "--kafka-password", WRONG, **precious),
    ]
    for process in starts:
        settle(process)
    outputs = [process.output for process in starts]
    assert [shown(output) for output in outputs] == [[]] * len(outputs)
    assert ["Expected" in output for output in outputs[1:4]] == [True] * 3, "the control: it did fail"
