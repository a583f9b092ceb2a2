"""What the live tests do again and again: publish, wait until all is scored, compare with the replay."""

import asyncio
import time
from typing import Any, Protocol

from stream_app import settings
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from tests.kit import evidence
from tests.kit.evidence import Evidence
from tests.kit.records import Record
from tests.kit.topics import Topics


class Brokers(Protocol):
    """Brokers that a test can look into: a Kafka, or the embedded one."""

    @property
    def internal(self) -> dict[str, Any]:
        """What an aiokafka client needs to come in."""

    def topics(self) -> dict[str, int]:
        """Return how many partitions each topic has."""

    def read(self, topic: str, **options: Any) -> list[Record]:  # noqa: ANN401  (those of ``records.read``)
        """Return what stands in a topic."""


def settings_of(topics: Topics) -> Settings:
    """Return the settings of a worker on these topics."""
    return settings.load({}, topics.environment)


def wait_until_scored(kafka: Brokers, topics: Topics, seconds: float = 120.0) -> None:
    """Wait until the group has committed the whole input."""
    end = time.monotonic() + seconds
    while not asyncio.run(evidence.caught_up(kafka.internal, settings_of(topics))):
        assert time.monotonic() < end, (
            f"Expected the whole input to be committed within {seconds:g} s, found it not to be."
        )
        time.sleep(0.2)


def expected(kafka: Brokers, topics: Topics, shelf: Shelf) -> Evidence:
    """Return what a replay of the captured topic gives."""
    records = kafka.read(topics.transactions)
    return evidence.replayed(evidence.captured(records, topics.transactions), shelf)


def seen(kafka: Brokers, topics: Topics, shelf: Shelf) -> Evidence:
    """Return what consumers see, and what is in the store."""
    layout = shelf.first.rolling.layout
    partitions = kafka.topics()[topics.transactions]
    return asyncio.run(evidence.found(kafka.internal, settings_of(topics), (layout.hash, layout.row_width), partitions))


def wait_for_scores(kafka: Brokers, topics: Topics, at_least: int, seconds: float = 60.0) -> None:
    """Wait until so many scores are there, whether committed or not."""
    kafka.read(topics.scores, committed=False, at_least=at_least, seconds=seconds)
