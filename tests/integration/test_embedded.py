"""A worker on the embedded broker and store gives what a replay gives, though that broker can do less than Kafka."""

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Final

import pytest

from schemas import codec
from stream_app import embedded
from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.integration import live, operation
from tests.kit import every_kind, require
from tests.kit.embedded import Embedded
from tests.kit.evidence import differences
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS: Final = 4
REFUSED: Final = "Expected idempotent producers and transactions at {}, found brokers without; use Apache Kafka, or "


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give a broker and a store that these tests share."""
    require.need(require.DEMO, embedded.missing())
    with Embedded(tmp_path_factory.mktemp("embedded")) as running:
        yield running


@pytest.fixture
def own_servers(tmp_path: Path) -> Iterator[Embedded]:
    """Give a broker and a store that a test may harm."""
    require.need(require.DEMO, embedded.missing())
    with Embedded(tmp_path / "servers") as running:
        yield running


@pytest.fixture
def topics(request: pytest.FixtureRequest) -> Topics:
    """Give names of topics and a group that are this test's alone, on its own servers where it has such."""
    own = "own_servers" in request.fixturenames
    running: Embedded = request.getfixturevalue("own_servers" if own else "servers")
    return Topics.unique(request.node.name, running.environment | {"FORETELL_FLUSH_MS": "300"})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


def write_log(folder: Path, count: int) -> Path:
    return every_kind.write_log(folder / "log.parquet", every_kind.records(count), PARTITIONS)


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Hold a process up (SIGSTOP): connections stay open, nothing answers."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def in_order(messages: Mapping[tuple[int, str], bytes]) -> dict[int, list[str]]:
    """Return the ids of messages by partition, in the order in which each was there first."""
    parts = groupby(sorted(messages, key=lambda key: key[0]), key=lambda key: key[0])
    return {number: [name for _, name in part] for number, part in parts}


def compare(servers: Embedded, topics: Topics, bundle: Bundle, *repeats: str) -> list[str]:
    """Return where what was put out differs from the replay of what came in, also in its order."""
    shelf = Shelf(bundle)
    wanted, found = live.expected(servers, topics, shelf), live.seen(servers, topics, shelf)
    assert min(len(wanted.scores), len(wanted.alerts), len(wanted.letters), len(wanted.rows)) > 0
    told = differences(wanted, found, repeats=("alerts", *repeats))
    return told + [
        f"{kind} in another order"
        for kind, ours, theirs in (("scores", wanted.scores, found.scores), ("alerts", wanted.alerts, found.alerts))
        if in_order(ours) != in_order(theirs)
    ]


def test_records_of_every_kind_give_what_a_replay_of_the_topic_gives(
    servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    publish = foretell("publish", write_log(tmp_path, 12_000), "--create", str(PARTITIONS))
    assert publish.wait() == 0
    worker = foretell("worker", "--bundle", bundle.path)
    live.wait_until_scored(servers, topics)
    assert operation.in_time(worker.terminate())

    assert compare(servers, topics, bundle) == []
    assert "have no idempotent producers: an outage loses nothing, but some records may then be there" in publish.output
    assert "error" not in worker.output


def test_a_worker_that_is_killed_goes_on_where_it_was(
    servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    publish = foretell("publish", write_log(tmp_path, 12_000), "--create", str(PARTITIONS), "--rate", "900")
    for _ in range(2):
        worker = foretell("worker", "--bundle", bundle.path)
        worker.wait_ready()
        live.wait_for_scores(servers, topics, at_least=100)
        worker.kill()
    worker = foretell("worker", "--bundle", bundle.path)
    assert publish.wait(120) == 0
    live.wait_until_scored(servers, topics)
    assert operation.in_time(worker.terminate())

    assert compare(servers, topics, bundle, "scores", "letters") == []


def test_two_workers_share_the_partitions_and_one_takes_all_when_the_other_is_killed(
    servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    publish = foretell("publish", write_log(tmp_path, 12_000), "--create", str(PARTITIONS), "--rate", "900")
    first, second = (foretell("worker", "--bundle", bundle.path) for _ in range(2))
    for worker in (first, second):
        worker.wait_ready()
        worker.wait_until(lambda ours=worker: "partition opened" in ours.output, "a share of the partitions")  # type: ignore[misc]
    second.kill()
    assert publish.wait(120) == 0
    live.wait_until_scored(servers, topics)
    assert operation.in_time(first.terminate())

    assert compare(servers, topics, bundle, "scores", "letters") == []


def test_an_outage_of_the_broker_loses_nothing_and_keeps_the_order(
    own_servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    publish = foretell("publish", write_log(tmp_path, 12_000), "--create", str(PARTITIONS), "--rate", "900")
    worker = foretell("worker", "--bundle", bundle.path)
    worker.wait_ready()
    live.wait_for_scores(own_servers, topics, at_least=100)
    with suspended(own_servers.broker.pid):
        operation.says(worker, f"Expected Kafka at {own_servers.broker.bootstrap}, found no answer")
        worker.wait_for("Got error produce response")  # from here on it is not known whether a batch has arrived
    assert publish.wait(120) == 0
    live.wait_until_scored(own_servers, topics)
    assert operation.in_time(worker.terminate())

    assert compare(own_servers, topics, bundle, "scores", "letters") == []


def test_a_store_that_has_lost_everything_is_filled_again_from_the_log(
    own_servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    log = write_log(tmp_path, 6_000)
    assert foretell("publish", log, "--create", str(PARTITIONS)).wait() == 0
    worker = foretell("worker", "--bundle", bundle.path)
    live.wait_until_scored(own_servers, topics)
    own_servers.store.stop()
    with own_servers.store.child(own_servers.store.port):
        worker.wait_until(lambda: worker.output.count("partition opened") == 2 * PARTITIONS, "to be opened again")
        assert foretell("publish", log).wait() == 0
        live.wait_until_scored(own_servers, topics)
        assert operation.in_time(worker.terminate())

        assert compare(own_servers, topics, bundle) == []


def test_exactly_once_is_refused_in_one_sentence_by_all_who_need_it(
    servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    log, other = write_log(tmp_path, 100), f"{topics.group}.other"
    assert foretell("publish", log, "--create", str(PARTITIONS)).wait() == 0
    assert foretell("publish", log, "--create", "1", "--transactions-topic", other).wait() == 0
    topics.environment["FORETELL_DELIVERY"] = "exactly_once"
    refused = REFUSED.format(servers.broker.bootstrap)

    worker = foretell("worker", "--bundle", bundle.path)
    sentence = operation.says(worker, refused)
    assert operation.stays_unready(worker, 12)  # in which it looks twice again
    doctor, relay = foretell("doctor", "--bundle", bundle.path, "--json"), foretell("relay", other)

    assert sentence == f"{refused}set FORETELL_DELIVERY to at_least_once, with which a restart may repeat scores."
    assert [line.count(sentence) for line in worker.output.splitlines()] == [1]
    assert doctor.wait() == 1
    found = [json.loads(line) for line in doctor.output.splitlines()]
    assert [(each["subject"], each["text"]) for each in found if each["level"] == "FAIL"] == [
        ("transactions", sentence)
    ]
    assert (relay.wait(), f"{refused}`foretell capture --topic {other}`" in relay.output) == (1, True)
    assert operation.in_time(worker.terminate())


def test_the_other_verbs_work(
    servers: Embedded, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    second = every_kind.bundle(bundle.path.parent / "second", seed=8)

    def told(*arguments: str | Path) -> str:
        process = foretell(*arguments)
        assert process.wait() == 0, process.output
        return process.output

    told("publish", write_log(tmp_path, 3_000), "--create", str(PARTITIONS))
    worker = foretell("worker", "--bundle", bundle.path)
    live.wait_until_scored(servers, topics)
    assert "is in force" in told("activate", second.path)
    assert "4,096 ticks" in told("tick", "--time", "2024-02-01T02:00:00Z")
    told("forget", "c-1")
    live.wait_until_scored(servers, topics)
    captured = told("capture", "--out", tmp_path / "captured.parquet")
    tailed = told("tail", "scores", "--from", "beginning", "--idle", "2", "--json")
    found = [json.loads(line) for line in told("doctor", "--bundle", bundle.path, "--json").splitlines()]
    worker.terminate()

    assert f"captured {3_000 + PARTITIONS + 4_096 + 1:,} records" in captured
    assert compare(servers, topics, bundle) == []
    scores = [line for line in tailed.splitlines() if line.startswith("{")]
    assert len(scores) == len(live.seen(servers, topics, Shelf(bundle)).scores)
    assert {codec.facts(line.encode())["bundle"] for line in scores} == {bundle.short, second.short}
    assert [(each["level"], each["subject"]) for each in found if each["level"] != "OK"] == [
        ("WARN", "permissions"),
        ("WARN", "delivery"),
        ("WARN", "store"),
    ]


def test_another_order_is_seen() -> None:
    ours = {(1, "b"): b"", (0, "a"): b"", (1, "a"): b""}
    assert in_order(ours) == {0: ["a"], 1: ["b", "a"]}
    assert in_order(ours) != in_order(dict(sorted(ours.items())))


def test_two_demos_at_once_do_not_meet(servers: Embedded, own_servers: Embedded) -> None:
    assert len({server.port for each in (servers, own_servers) for server in (each.broker, each.store)}) == 4
    assert servers.topics().keys().isdisjoint(own_servers.topics())
