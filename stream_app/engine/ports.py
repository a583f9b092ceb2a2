"""What the engine needs of its surroundings, and what passes between them."""

from dataclasses import dataclass
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from stream_app.engine.compute import Compute, in_place
from stream_app.engine.delivery import AlertDelivery
from stream_app.metrics import Metrics
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from stream_app.snapshot.folder import Snapshots
from stream_app.steps.stages import Chunk


@dataclass(frozen=True, slots=True)
class Fetched:
    """A chunk as it was fetched.

    The engine takes only the one that continues its position, so a source may drop or repeat.

    Attributes:
        partition: whose records they are.
        generation: of the seek that it was fetched after.
        start: the position before it.
        end: the position after it (control records of transactions count too).
        chunk: the records.
    """

    partition: TopicPartition
    generation: int
    start: int
    end: int
    chunk: Chunk


class Source(Protocol):
    """Where records come from."""

    async def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """Return the group's committed offset as the broker has it now; None if there is none."""

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the offsets of the first record that the log still has and behind the last."""

    def partitions(self) -> int:
        """Return how many partitions the input topic has."""

    def seek(self, partition: TopicPartition, offset: int, generation: int) -> None:
        """Fetch from ``offset`` on, stamping chunks with ``generation``."""

    def delivered(self, partition: TopicPartition) -> int | None:
        """Return the position behind the last chunk that was handed over."""

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many records each assigned partition is behind what the broker last told."""

    async def commit(self, partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        """Commit an offset outside a transaction."""


@dataclass(frozen=True)
class Surroundings:
    """What all partitions of a worker share."""

    settings: Settings
    source: Source
    shelf: Shelf
    alerts: AlertDelivery
    metrics: Metrics
    snapshots: Snapshots | None = None
    compute: Compute = in_place
