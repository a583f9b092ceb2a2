"""Records are moved between files and topics whole, once and in order, whatever becomes of the broker meanwhile."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import LeaderNotAvailableError

from stream_app import kafka as clients
from stream_app.commands.broker import PATIENCE_S, opened
from stream_app.commands.outgoing import Outgoing
from stream_app.offline.log import partition_of
from stream_app.outage import stop_producer
from stream_app.settings import Settings
from tests.integration.live import settings_of
from tests.integration.moved import by_partition, ended, replayed, write_folder
from tests.kit import java, require
from tests.kit.access import Operation
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 3
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "1000"}
"""So that a killed relay's partitions are free again soon."""


def test_a_published_folder_is_what_a_replay_takes_it_for(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bank", 9_000)
    before_ms = time.time() * 1000

    told = ended(foretell("publish", folder, "--create", str(PARTITIONS)))

    records = kafka.read(topics.transactions)
    assert replayed(folder, PARTITIONS) == by_partition(records)
    assert f"published 9,040 records to {topics.transactions} (3 partitions)" in told
    assert min(record.timestamp_ms for record in records) >= before_ms - 1000  # event time is long ago


def test_a_log_is_published_in_parts_at_a_rate(kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "bank", 600)
    kafka.make_topic(topics.transactions, PARTITIONS)

    ended(foretell("publish", folder, "--limit", "250"))
    ended(foretell("publish", folder, "--skip", "250", "--rate", "300"))

    records = kafka.read(topics.transactions)
    slow = [record.timestamp_ms for record in records if b"t-" in (record.value or b"")]
    assert replayed(folder, PARTITIONS) == by_partition(records)
    assert 390 / 300 - 0.2 < (max(slow) - sorted(slow)[210]) / 1000 < 10


def test_a_captured_topic_is_published_again_byte_for_byte(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    kafka.make_topic(topics.transactions, PARTITIONS + 1)  # the last one stays empty
    odd = [(b"c-1", b"\xff\x00"), (None, b"{}"), (b"c-2", None), (b"\xfe", b"x" * 1_048_000)]
    for partition in range(PARTITIONS):
        kafka.produce(topics.transactions, odd * (partition + 1), partition=partition)
    kafka.produce(topics.transactions, [(b"k", b"v")], partition=1, headers=[("h", b"\x01"), ("h", b"")])
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    again = {"FORETELL_TRANSACTIONS_TOPIC": f"{topics.transactions}.again"}

    ended(foretell("capture", "--out", first))
    ended(foretell("publish", first, "--create", str(PARTITIONS + 1), **again))
    ended(foretell("capture", "--out", second, **again))

    columns = ["partition", "offset", "key", "value", "headers"]
    assert pq.read_table(first, columns=columns).equals(pq.read_table(second, columns=columns))
    assert [(r.partition, r.offset, r.key, r.value, r.headers) for r in kafka.read(topics.transactions)] == [
        (r.partition, r.offset, r.key, r.value, r.headers) for r in kafka.read(again["FORETELL_TRANSACTIONS_TOPIC"])
    ]


def test_a_captured_topic_goes_by_its_keys_where_there_are_other_partitions(
    kafka: Kafka, topics: Topics, foretell: Start
) -> None:
    kafka.make_topic(topics.transactions, 2)
    kafka.produce(topics.transactions, [(b"c-%d" % k, b"%d" % k) for k in range(20)], partition=1)
    kafka.produce(topics.transactions, [(None, b"a tick")], partition=1)
    wider = {"FORETELL_TRANSACTIONS_TOPIC": f"{topics.transactions}.wider"}

    ended(foretell("capture", "--out", "log.parquet"))
    ended(foretell("publish", "log.parquet", "--create", "5", **wider))

    found = by_partition(kafka.read(wider["FORETELL_TRANSACTIONS_TOPIC"]))
    expected: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    for k in range(20):
        expected.setdefault(partition_of(b"c-%d" % k, 5), []).append((b"c-%d" % k, b"%d" % k))
    expected.setdefault(1, []).append((None, b"a tick"))
    assert expected == found


def test_a_capture_ends_behind_aborted_and_before_open_transactions(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    kafka.make_topic(topics.transactions, PARTITIONS)
    kafka.produce(topics.transactions, [(b"a", b"1")], partition=0, transactional_id=f"{topics.group}-0")
    kafka.produce(topics.transactions, [(b"b", b"2")], partition=1)
    asyncio.run(leave_transactions(kafka, topics))
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"

    told = ended(foretell("capture", "--out", first))
    ended(foretell("capture", "--topic", topics.transactions, "--out", second))

    columns = ["partition", "key", "value"]
    assert pq.read_table(first, columns=columns).to_pylist() == [
        {"partition": 0, "key": b"a", "value": b"1"},
        {"partition": 1, "key": b"b", "value": b"2"},
    ]
    assert f"captured 2 records of {topics.transactions} (3 partitions) in {first}" in told
    assert first.read_bytes() == second.read_bytes()
    assert len(kafka.read(topics.transactions, committed=False)) == 4  # there was something to leave out


async def leave_transactions(kafka: Kafka, topics: Topics) -> None:
    """Abort a transaction in partition 0 and leave one open in partition 1."""
    for name, partition in (("aborted", 0), ("open", 1)):
        producer = AIOKafkaProducer(**kafka.internal, transactional_id=f"{topics.group}-{name}")
        await producer.start()
        await producer.begin_transaction()
        await (await producer.send(topics.transactions, name.encode(), partition=partition))
        if name == "aborted":
            await producer.abort_transaction()
            await producer.stop()
        else:
            await stop_producer(producer, within_s=0.1)


def test_a_publisher_outlives_a_broker_that_is_killed(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bank", 6_000)
    kafka.make_topic(topics.transactions, PARTITIONS)

    process = foretell("publish", folder, "--rate", "500")
    seen = len(kafka.read(topics.transactions, at_least=500))
    kafka.kill()
    kafka.restart()
    told = ended(process)

    assert seen < 6_040

    assert replayed(folder, PARTITIONS) == by_partition(kafka.read(topics.transactions))
    assert "published 6,040 records" in told


def test_an_outage_longer_than_any_time_out_loses_and_repeats_nothing(kafka: Kafka, topics: Topics) -> None:
    plain, patient = f"{topics.group}.plain", f"{topics.group}.patient"
    for name in (plain, patient):
        kafka.make_topic(name, 2)

    told = asyncio.run(outage(kafka, settings_of(topics), plain, patient))

    values = [b"%d" % number for number in range(200)]
    found = by_partition(kafka.read(patient))
    assert {partition: [value for _, value in own] for partition, own in found.items()} == {0: values, 1: values}
    assert told
    assert told[0] > 0


async def outage(kafka: Kafka, settings: Settings, plain: str, patient: str) -> list[int]:
    """Send 200 records to each partition while the broker is away for longer than time-outs; return what was told."""
    told: list[int] = []

    def make() -> AIOKafkaProducer:
        return clients.idempotent_producer(settings, patience_ms=1_000)

    async with opened(make, settings, PATIENCE_S) as first, opened(make, settings, PATIENCE_S) as second:
        outgoing = Outgoing(second, patient, told.append, notice_s=1.0)
        await first.send_and_wait(plain, b"before", partition=0)
        await send(outgoing, range(100))
        await asyncio.to_thread(kafka.stop)
        for producer in (first, second):
            lose_leaders(producer)
        sending = asyncio.create_task(send(outgoing, range(100, 200)))
        with pytest.raises(LeaderNotAvailableError):  # what becomes of a producer that nobody told to be patient
            await first.send_and_wait(plain, b"while it is away", partition=0)
        await asyncio.to_thread(kafka.restart)
        await sending
        await outgoing.settle()
        assert (outgoing.acknowledged, outgoing.unanswered) == (400, 0)
    return told


async def send(outgoing: Outgoing, numbers: range) -> None:
    for number in numbers:
        for partition in range(2):
            await outgoing.send(partition, [(None, b"%d" % number, [])])


def lose_leaders(producer: AIOKafkaProducer) -> None:
    """Let a producer know what a broker that leaves in good order tells, if there is time: nobody leads any more."""
    for partitions in producer.client.cluster._partitions.values():  # noqa: SLF001
        for number, known in list(partitions.items()):
            partitions[number] = known._replace(leader=-1)


def test_an_interrupted_publisher_says_how_many_are_there(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bank", 3_000)
    process = foretell("publish", folder, "--create", "1", "--speed", "1000")
    process.wait_until(lambda: topics.transactions in kafka.topics(), "the topic")
    kafka.read(topics.transactions, at_least=100)

    os.kill(process.pid, signal.SIGINT)

    code = process.wait()
    found = len(kafka.read(topics.transactions))
    assert (code, f"interrupted: published {found:,} records" in process.output) == (130, True), process.output
    assert 100 <= found < 3_040


def test_a_publisher_waits_for_a_broker_and_says_so(
    kafka: Kafka, topics: Topics, foretell: Start, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "bank", 100)
    kafka.stop()
    process = foretell("publish", folder, "--create", "1")
    process.wait_for(f"foretell: waiting for Kafka at {kafka.bootstrap}")
    kafka.restart()

    assert f"published 140 records to {topics.transactions}" in ended(process)
    assert process.output.count("waiting for Kafka") == 1


def test_a_publisher_that_is_refused_a_record_says_how_many_are_there(
    kafka: Kafka, topics: Topics, foretell: Start
) -> None:
    small = f"{topics.transactions}.small"
    kafka.make_topic(topics.transactions)
    kafka.make_topic(small, configs={"max.message.bytes": "2000"})
    kafka.produce(topics.transactions, [(b"c", b"x" * size) for size in (1000, 3000, 1000)])
    ended(foretell("capture", "--out", "log.parquet"))

    process = foretell("publish", "log.parquet", "--rate", "20", FORETELL_TRANSACTIONS_TOPIC=small)

    assert process.wait() == 1
    told, refused = process.output.splitlines()[-2:]
    assert told.startswith(f"foretell: published 1 records to {small} (1 partitions)")
    assert (
        f"Expected the topic {small} at {kafka.bootstrap} to take a record of this size, found it too large" in refused
    )
    assert len(kafka.read(small)) == 1


VERBS: dict[str, Callable[[Topics], tuple[str, ...]]] = {
    "publish": lambda _: ("publish", "bank"),
    "capture": lambda _: ("capture",),
    "tail": lambda _: ("tail", "alerts"),
    "relay": lambda topics: ("relay", topics.scores),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_topic_that_is_not_there_is_one_sentence(topics: Topics, foretell: Start, tmp_path: Path, verb: str) -> None:
    write_folder(tmp_path / "bank", 10)

    process = foretell(*VERBS[verb](topics), **QUICK)

    assert process.wait() == 1
    (line,) = process.output.splitlines()
    assert line.startswith("foretell: Expected the topic ")
    assert "found it not there; " in line


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Kafka]:
    """Give a Kafka that lets its user do everything but what a test denies."""
    require.need(require.KAFKA, java.missing_kafka())
    with Kafka.start(tmp_path / "guarded", security="SASL_PLAINTEXT", authorizer=True) as server:
        yield server


def test_what_is_not_allowed_is_one_sentence(guarded: Kafka, tmp_path: Path) -> None:
    write_folder(tmp_path / "bank", 10)
    for name in ("written", "read", "copied"):
        guarded.make_topic(name)
    guarded.deny("alice", "written", Operation.WRITE)
    guarded.deny("alice", "read", Operation.READ)
    topics = {"FORETELL_TRANSACTIONS_TOPIC": "written", "FORETELL_ALERTS_TOPIC": "read"}
    for name in ("read", "copied"):
        guarded.produce(name, [(b"c-1", b"{}")])
    found = {}
    for verb, *arguments in (
        ("publish", "bank"),
        ("capture", "--topic", "read"),
        ("tail", "alerts", "--from", "beginning"),
        ("relay", "copied"),
    ):
        environment = guarded.environment() | topics | QUICK
        with Foretell(verb, *arguments, environment=environment, folder=tmp_path).start() as process:
            found[verb] = process.wait(), process.output.splitlines()[-1].split("; ")[0]

    words = "foretell: Expected the user alice to be allowed to use the topic {} at {}, found it refused"
    assert found == {
        "publish": (1, words.format("written", guarded.bootstrap)),
        "capture": (1, words.format("read", guarded.bootstrap)),
        "tail": (1, words.format("read", guarded.bootstrap)),
        "relay": (1, words.format("written", guarded.bootstrap)),
    }
