"""`foretell activate`, `forget` and `tick` write into a real log what the stream takes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from schemas import codec, spec_file
from schemas.messages import Activate, Forget, Score, Tick
from stream_app import cli
from stream_app.bundle import Bundle
from stream_app.commands import orders
from stream_app.commands.tick import told
from stream_app.offline.log import partition_of
from stream_app.settings import Settings, load
from tests.bundles import random_bundle
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

BUNDLE_REFUSED = 4
JANUARY = 1_769_860_800_000
PARTITIONS = 3
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("orders") / "bundle", spec_file.bank())


@pytest.fixture
def run(topics: Topics, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs a verb in this process and returns its exit code and what it said."""
    for name, value in topics.environment.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        caught = capsys.readouterr()
        return code, caught.out, caught.err

    return call


@pytest.fixture
def log(kafka: Kafka, topics: Topics) -> str:
    """Make the input topic; return its name."""
    kafka.make_topic(topics.transactions, PARTITIONS)
    return topics.transactions


def score(layout: str) -> bytes:
    return codec.encode(
        Score(
            score_id="t-0-0",
            kind="transaction",
            customer_id="c",
            time=JANUARY,
            bundle="b",
            layout=layout,
            late=False,
            tasks={},
        )
    )


# activate


def test_an_activate_stands_once_in_every_partition_where_the_verb_says(
    kafka: Kafka, log: str, run: Run, bundle: Bundle
) -> None:
    kafka.produce(log, [(None, b"{}")] * 5, partition=1)
    code, said, _ = run("activate", bundle.path)
    found = [record for record in kafka.read(log) if record.value != b"{}"]
    assert [(record.partition, record.offset, record.key) for record in found] == [
        (0, 0, None),
        (1, 5, None),
        (2, 0, None),
    ]
    assert {codec.decode(record.value or b"") for record in found} == {Activate(bundle=bundle.sha256)}
    places = "".join(f"  from partition {record.partition}, offset {record.offset} on\n" for record in found)
    assert (code, said) == (0, f"bundle {bundle.sha256} is in force\n{places}")


def test_a_bundle_that_was_changed_is_not_activated(
    kafka: Kafka, log: str, run: Run, bundle: Bundle, tmp_path: Path
) -> None:
    for name in ("manifest.json", "model.onnx"):
        (tmp_path / name).write_bytes((bundle.path / name).read_bytes() + b" ")
    code, _, said = run("activate", tmp_path)
    assert code == BUNDLE_REFUSED
    assert "the file was changed or cut" in said
    assert kafka.read(log) == []


def test_a_bundle_of_another_layout_than_the_newest_score_is_refused_unless_forced(
    kafka: Kafka, log: str, topics: Topics, run: Run, bundle: Bundle
) -> None:
    kafka.make_topic(topics.scores, 2)
    layout = bundle.manifest.layout
    kafka.produce(topics.scores, [(b"c", score(layout))], partition=0)
    kafka.produce(topics.scores, [(b"c", score("0123abcd"))], partition=1, transactional_id=f"{topics.group}-other")
    code, _, said = run("activate", bundle.path)
    assert code == BUNDLE_REFUSED
    assert (
        f"Expected a bundle of the state layout 0123abcd, which the newest score of {topics.scores} has, found {layout}"
        in said
    )
    assert kafka.read(log) == []
    assert run("activate", bundle.path, "--force")[0] == 0
    assert len(kafka.read(log)) == PARTITIONS


def test_a_bundle_of_the_newest_scores_layout_is_activated(
    kafka: Kafka, log: str, topics: Topics, run: Run, bundle: Bundle
) -> None:
    kafka.make_topic(topics.scores, 2)
    kafka.produce(
        topics.scores, [(b"c", score("0123abcd"))] * 200 + [(b"c", score(bundle.manifest.layout))], partition=1
    )
    assert run("activate", bundle.path)[0] == 0
    assert len(kafka.read(log)) == PARTITIONS


def test_what_is_no_score_tells_nothing_about_a_layout(
    kafka: Kafka, log: str, topics: Topics, run: Run, bundle: Bundle
) -> None:
    kafka.make_topic(topics.scores, 1)
    kafka.produce(topics.scores, [(None, b"no score")])
    assert run("activate", bundle.path)[0] == 0
    assert len(kafka.read(log)) == PARTITIONS


# forget


@pytest.mark.parametrize("customer", ["c-4711", "Jäger 12", "x" * 256])
def test_a_forget_goes_to_the_customers_partition(kafka: Kafka, log: str, run: Run, customer: str) -> None:
    code, said, _ = run("forget", customer)
    (found,) = kafka.read(log)
    partition = partition_of(customer.encode(), PARTITIONS)
    assert (found.partition, found.key) == (partition, customer.encode())
    assert codec.decode(found.value or b"") == Forget(customer_id=customer)
    assert (code, said) == (0, f"forgotten from partition {partition}, offset 0 on\n")


# tick


def ticks(kafka: Kafka, log: str) -> list[tuple[int, int, int]]:
    """Return the ticks of a log: partition, slice and time."""
    found = []
    for record in kafka.read(log):
        message = codec.decode(record.value or b"")
        assert isinstance(message, Tick)
        assert isinstance(message.time, int)
        assert record.key is None
        found.append((record.partition, message.slice, message.time))
    return found


def test_a_round_of_ticks_is_one_for_each_slice_and_partition(kafka: Kafka, log: str, run: Run) -> None:
    code, said, _ = run("tick", "--time", "2026-01-31T12:00:00Z")
    assert ticks(kafka, log) == [
        (partition, number, JANUARY) for partition in range(PARTITIONS) for number in range(1024)
    ]
    assert (code, said) == (0, "2026-01-31T12:00:00Z: 3,072 ticks, slices 0-1023\n")


def test_a_part_of_a_round_can_be_made_up_for(kafka: Kafka, log: str, run: Run) -> None:
    assert run("tick", "--time", str(JANUARY), "--slices", "1022-1023")[0] == 0
    assert ticks(kafka, log) == [
        (partition, number, JANUARY) for partition in range(PARTITIONS) for number in (1022, 1023)
    ]


def test_rounds_follow_each_other_and_the_last_ends_the_verb(
    kafka: Kafka, log: str, foretell: Callable[..., Foretell]
) -> None:
    first = (time.time_ns() // 1_000_000_000 + 6) * 1_000
    process = foretell(
        "tick", "--time", told(first), "--every", "2s", "--until", told(first + 4_000), "--slices", "0-3"
    )
    assert process.wait(60) == 0
    expected = [first + 2_000 * k for k in range(3)]
    assert ticks(kafka, log) == [
        (partition, number, at_ms) for partition in range(PARTITIONS) for at_ms in expected for number in range(4)
    ]
    assert [f"{told(at_ms)}: all slices are written" in process.output for at_ms in expected] == [True] * 3
    for record in kafka.read(log):
        message = codec.decode(record.value or b"")
        assert isinstance(message, Tick)
        assert isinstance(message.time, int)
        due = message.time + message.slice * 500
        assert due <= record.timestamp_ms <= due + 3_000, "written before it was due, or long after"


def test_rounds_go_on_after_the_broker_was_away(kafka: Kafka, log: str, foretell: Callable[..., Foretell]) -> None:
    first = (time.time_ns() // 1_000_000_000 + 4) * 1_000
    process = foretell(
        "tick", "--time", told(first), "--every", "2s", "--until", told(first + 12_000), "--slices", "5", "--at-once"
    )
    process.wait_for("all slices are written")
    kafka.stop()
    process.wait_for("found no answer")
    kafka.restart()
    assert process.wait(90) == 0
    expected = [first + 2_000 * k for k in range(7)]
    assert sorted({at_ms for _, _, at_ms in ticks(kafka, log)}) == expected
    assert {number for _, number, _ in ticks(kafka, log)} == {5}


# What does not work


def test_a_topic_that_is_not_there_is_told_and_not_made(kafka: Kafka, topics: Topics, run: Run, bundle: Bundle) -> None:
    for arguments in (["forget", "c-1"], ["activate", str(bundle.path)], ["tick", "--time", str(JANUARY)]):
        code, said, problem = run(*arguments)
        assert (code, said) == (1, "")
        assert f"Expected the topic {topics.transactions} at {kafka.bootstrap}, found it not there; make it" in problem
        assert problem.count("\n") == 1
    assert topics.transactions not in kafka.topics()


def settings_of(environment: Mapping[str, str]) -> Settings:
    return load({}, {name: value for name, value in environment.items() if name.startswith("FORETELL_")})


async def written(settings: Settings, wanted: list[orders.Order]) -> int:
    async with orders.opened(settings) as desk:
        return len(await desk.write(wanted))


def test_where_only_some_records_arrive_it_is_said_which(kafka: Kafka, topics: Topics) -> None:
    kafka.make_topic(topics.transactions, PARTITIONS, {"max.message.bytes": "300"})
    settings = settings_of(topics.environment)
    small, large = orders.Order(b"{}", partition=0), orders.Order(b"x" * 1_000, partition=2)
    assert asyncio.run(written(settings, [small])) == 1
    with pytest.raises(orders.OrderError) as caught:
        asyncio.run(written(settings, [small, large]))
    assert f"Expected the topic {topics.transactions} at {kafka.bootstrap} to take a record of this size" in str(
        caught.value
    )
    assert str(caught.value).endswith("Written to partition 0 only; give the command again.")
    assert [record.partition for record in kafka.read(topics.transactions)] == [0, 0]
