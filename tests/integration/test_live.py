"""A worker on a real Kafka and a real Redis puts out what a replay of the same log gives, byte for byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas import codec
from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.chunks import as_value, transaction
from tests.integration import live
from tests.kit import every_kind
from tests.kit.evidence import Evidence, differences
from tests.kit.kafka import Kafka
from tests.kit.poisoned import POISON
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 4
LARGE_BYTES = 1_048_000
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "6000", "FORETELL_FLUSH_MS": "300"}


def without(customer: bytes, evidence: Evidence) -> Evidence:
    """Return what a replay gives without a customer's scores, alerts and row."""
    quoted = b'"' + customer + b'"'
    for kind in (evidence.scores, evidence.alerts):
        for key in [key for key, message in kind.items() if quoted in message]:
            del kind[key]
    evidence.rows = {key: row for key, row in evidence.rows.items() if key[1] != customer}
    return evidence


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_records_of_every_kind_give_what_a_replay_of_the_topic_gives(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path, delivery: str
) -> None:
    log = every_kind.write_log(tmp_path / "log.parquet", every_kind.records(12_000), PARTITIONS)
    foretell("publish", log, "--create", str(PARTITIONS)).wait()
    worker = foretell("worker", "--bundle", bundle.path, FORETELL_DELIVERY=delivery, **QUICK)
    live.wait_until_scored(kafka, topics)
    ended = worker.terminate()
    assert (ended.code, ended.seconds < 10) == (0, True)

    shelf = Shelf(bundle)
    wanted, found = live.expected(kafka, topics, shelf), live.seen(kafka, topics, shelf)

    assert min(len(wanted.scores), len(wanted.alerts), len(wanted.letters), len(wanted.rows)) > 100
    assert differences(wanted, found) == []
    assert not found.repeated


def test_an_activate_in_mid_stream_changes_the_bundle_at_its_offset(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path
) -> None:
    second = every_kind.bundle(bundle.path.parent / "second", seed=8)
    rows = every_kind.records(6_000)
    first_half = every_kind.write_log(tmp_path / "a.parquet", rows[:3000], PARTITIONS)
    second_half = every_kind.write_log(tmp_path / "b.parquet", rows[3000:], PARTITIONS)
    worker = foretell("worker", "--bundle", bundle.path, **QUICK)
    foretell("publish", first_half, "--create", str(PARTITIONS)).wait()
    assert foretell("activate", second.path).wait() == 0
    foretell("publish", second_half).wait()
    live.wait_until_scored(kafka, topics)
    worker.terminate()

    shelf = Shelf(bundle)
    wanted, found = live.expected(kafka, topics, shelf), live.seen(kafka, topics, shelf)

    assert {codec.facts(score)["bundle"] for score in found.scores.values()} == {bundle.short, second.short}
    assert differences(wanted, found) == []


def test_a_poison_record_a_large_one_and_mutated_ones_harm_no_neighbour(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle
) -> None:
    good, bad = every_kind.records(2_000), every_kind.mutated(1_000)
    rows = [row for pair in zip(good[:1000], bad, strict=True) for row in pair] + good[1000:]
    rows.insert(700, (POISON, as_value(transaction(customer_id="poison"))))
    rows.insert(1500, (b"c-1", b'{"transaction_id":"'.ljust(LARGE_BYTES, b"x")))
    kafka.make_topic(topics.transactions, PARTITIONS)
    kafka.produce(topics.transactions, rows)
    worker = foretell("worker", "--bundle", bundle.path, module="tests.kit.poisoned", **QUICK)
    live.wait_until_scored(kafka, topics)
    worker.wait_ready()
    worker.terminate()

    shelf = Shelf(bundle)
    wanted, found = live.expected(kafka, topics, shelf), live.seen(kafka, topics, shelf)
    poisoned = [key for key, letter in found.letters.items() if letter[0] == POISON]
    large = [key for key, letter in found.letters.items() if "length" in dict(letter[2])]

    assert [dict(found.letters[key][2])["reason"] for key in poisoned] == [b"internal_error"]
    assert LARGE_BYTES in [int(dict(found.letters[key][2])["length"]) for key in large]
    assert len(found.letters) > 500
    wanted.letters |= {key: found.letters[key] for key in poisoned}
    assert differences(without(POISON, wanted), found) == []
