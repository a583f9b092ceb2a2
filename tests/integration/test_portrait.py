"""A portrait is read from the Redis of a running worker, which takes no notice of it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas.errors import InputError
from schemas.portrait import Portrait
from stream_app.bundle import Bundle
from stream_app.portrait.sources import from_log, from_store
from stream_app.shelf import Shelf
from stream_app.store.connect import connect
from tests.integration import live
from tests.kit import every_kind, evidence
from tests.kit.kafka import Kafka
from tests.kit.privacy import leaked
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 3
QUICK = {"FORETELL_SESSION_TIMEOUT_MS": "6000", "FORETELL_FLUSH_MS": "300"}
LATER_MS = 1_700_000_000_000 + 30 * 86_400_000
RECORDS = 3_000


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """Make a bundle whose rules fire often."""
    return every_kind.bundle(tmp_path / "bundles" / "first")


@pytest.fixture
def worker(kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, tmp_path: Path) -> Foretell:
    """Let a worker score a log, and go on running."""
    log = every_kind.write_log(tmp_path / "log.parquet", every_kind.records(RECORDS, customers=60), PARTITIONS)
    foretell("publish", log, "--create", str(PARTITIONS)).wait()
    started = foretell("worker", "--bundle", bundle.path, **QUICK)
    live.wait_until_scored(kafka, topics)
    return started


async def markers(topics: Topics, bundle: Bundle) -> list[bytes]:
    """Return the markers of all partitions."""
    given, layout = live.settings_of(topics), bundle.rolling.layout
    stores = connect(given)
    try:
        opened = [
            stores.open(given.transactions_topic, number, layout.hash, layout.row_width) for number in range(PARTITIONS)
        ]
        return [(await store.read([]))[0] for store in opened]
    finally:
        await stores.close()


def portraits(topics: Topics, bundle: Bundle) -> dict[str, Portrait | None]:
    """Return each customer's portrait from the store, None where there is none."""
    found: dict[str, Portrait | None] = {}
    for name in (f"c-{number}" for number in range(60)):
        try:
            found[name] = asyncio.run(from_store(live.settings_of(topics), Shelf(bundle), name, LATER_MS))
        except InputError:
            found[name] = None
    return found


@pytest.mark.usefixtures("worker")
def test_portraits_from_the_store_are_those_of_the_replayed_topic_and_the_worker_goes_on(
    kafka: Kafka, topics: Topics, foretell: Start, bundle: Bundle, worker: Foretell, tmp_path: Path
) -> None:
    shelf = Shelf(bundle)
    log = evidence.captured(kafka.read(topics.transactions), topics.transactions)
    rows = evidence.replayed(log, shelf).rows
    known = {name for _, name in rows}

    worker.wait_until(lambda: flushed(topics, bundle) >= RECORDS, "all rows in the store")
    before = asyncio.run(markers(topics, bundle))
    found = portraits(topics, bundle)
    after = asyncio.run(markers(topics, bundle))

    assert len(known) > 40
    assert {name.encode() for name, portrait in found.items() if portrait} == known
    for name, portrait in found.items():
        if portrait:
            assert portrait == from_log(log, shelf, name, LATER_MS)
    assert before == after
    assert worker.running
    more = every_kind.write_log(tmp_path / "more.parquet", every_kind.records(500, customers=60, seed=4), PARTITIONS)
    foretell("publish", more).wait()
    live.wait_until_scored(kafka, topics)
    assert worker.terminate().code == 0
    assert leaked(worker.output, every_kind.records(RECORDS, customers=60)) == []


def flushed(topics: Topics, bundle: Bundle) -> int:
    """Return how many records the rows in the store have taken in."""
    return sum(int(marker.split(b":")[2] or 0) for marker in asyncio.run(markers(topics, bundle)) if marker)


def test_the_verb_tells_a_portrait_from_redis_alone(
    topics: Topics, foretell: Start, bundle: Bundle, worker: Foretell, redis_server: RedisServer
) -> None:
    assert worker.terminate().code == 0
    known = next(name for name, portrait in portraits(topics, bundle).items() if portrait)
    at = ("--bundle", bundle.path, "--at", str(LATER_MS))
    without_kafka = {"FORETELL_KAFKA": "127.0.0.1:1", "FORETELL_REDIS": redis_server.url}

    told = foretell("portrait", known, *at, "--json", **without_kafka)
    assert told.wait() == 0
    expected = asyncio.run(from_store(live.settings_of(topics), Shelf(bundle), known, LATER_MS))
    assert msgspec.json.decode(told.output, type=Portrait) == expected
    chinese = foretell("portrait", known, *at, "--language", "zh", **without_kafka)
    assert chinese.wait() == 0
    assert "生命周期阶段" in chinese.output
    unknown = foretell("portrait", "nobody-at-all", *at, **without_kafka)
    assert unknown.wait() == 3
    assert "Expected a customer who has a row in" in unknown.output
    assert "nobody" not in unknown.output
