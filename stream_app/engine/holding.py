"""What a worker keeps of a partition from one opening to the next, and what it tells of it."""

import asyncio
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from stream_app.engine.ports import Fetched, Surroundings
from stream_app.engine.recovery import Recovery
from stream_app.engine.work import Kept


@dataclass
class Progress:
    """How far a partition is; for readiness and metrics.

    Attributes:
        opened: whether it is worked on.
        refused: what the operator must do before it is; empty if nothing.
        trouble: why it was opened again, until something has been committed.
        position: offset of the first record that is not taken in.
        committed: what consumers see goes up to it.
        flushed: what the store holds is of the records before it.
        rows: in memory.
        moved_s: when the last chunk was taken, on the loop's clock.
    """

    opened: bool = False
    refused: str = ""
    trouble: str = ""
    position: int = 0
    committed: int = 0
    flushed: int = 0
    rows: int = 0
    moved_s: float = 0.0


@dataclass
class Holding:
    """What a worker keeps of a partition from one opening to the next.

    Attributes:
        name: topic and partition.
        around: what all partitions share.
        room: set when there is room for another chunk.
        commit_s: time between transactions.
        most_rows: how many rows may stay in memory.
        waiting: chunks to take; None wakes the loop.
        kept: rows of the last opening, if it ended in good order.
        stopping: whether the partition is to be let go.
    """

    name: TopicPartition
    around: Surroundings
    room: asyncio.Event
    commit_s: float
    most_rows: int
    waiting: "asyncio.Queue[Fetched | None]" = field(default_factory=asyncio.Queue)
    recovery: Recovery = field(default_factory=Recovery)
    progress: Progress = field(default_factory=Progress)
    kept: Kept | None = None
    stopping: bool = False
