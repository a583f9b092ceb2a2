"""What tests of snapshots share: files of a few rows, a worker's folder of them, and a store that fails."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from stream_app.bundle import Bundle
from stream_app.snapshot.file import SnapshotFile, SnapshotWriter
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.stamp import Stamp
from stream_app.store.port import Marker, RowStore
from tests.kit.doubles import INPUT
from tests.kit.workers import World
from tests.properties.test_replay import dense

LOG: Final = dense(300)
END: Final = 601
HALF: Final = 301
WIDTH: Final = 4
STAMP: Final = Stamp(group="foretell", topic="transactions", partition=0, layout="aa", row_width=WIDTH, partitions=1)
MARKER: Final = Marker("owner", 17, 1, 15, "ff", "b" * 64, "c" * 64)


async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  (of any kind)
    """Do what blocks here and now: virtual time does not wait for threads."""
    await asyncio.sleep(0)
    return work(*arguments)


def row(number: float) -> NDArray[np.float32]:
    """Return a row of one number."""
    return np.full(WIDTH, number, np.float32)


def written(folder: Path, *lines: tuple[bytes, float], stamp: Stamp = STAMP) -> SnapshotFile:
    """Write a snapshot of lines."""
    with SnapshotWriter(folder, stamp) as writer:
        for customer, number in lines:
            writer.add([customer], row(number)[None])
        place = folder / "snapshot.parquet"
        writer.finish(place, MARKER)
    return SnapshotFile.open(place)


def rows_of(snapshot: SnapshotFile) -> dict[bytes, bytes]:
    """Return the rows that count: of each customer the last line, if it is not empty."""
    found = dict[bytes, bytes]()
    for customers, rows in snapshot.parts():
        found |= {name: line.tobytes() for name, line in zip(customers, rows, strict=True)}
    return {name: line for name, line in found.items() if any(line)}


def empty(snapshots: Snapshots, flushed: int) -> SnapshotFile:
    """Write a snapshot without rows."""
    place = snapshots.place(INPUT, flushed)
    with SnapshotWriter(snapshots.home(INPUT), snapshots.stamp(INPUT)) as writer:
        stamp = writer.finish(place, MARKER._replace(flushed=flushed))
    return SnapshotFile(place, stamp)


async def taken_in(world: World, upto: int) -> None:
    """Let a worker take a part of the log and leave."""
    whole, world.broker.end = world.broker.end, upto
    worker = await world.join()
    await world.settle(max(offset for offset in world.broker.offsets if offset < upto) + 1)
    await worker.leave()
    world.broker.end = whole


def store_of(world: World) -> RowStore:
    """Return the store of the world's one partition."""
    layout = world.shelf.first.rolling.layout
    return world.stores.open(INPUT.topic, INPUT.partition, layout.hash, layout.row_width)


class Failing:
    """A store whose n-th write is lost."""

    def __init__(self, store: RowStore, after: int) -> None:
        """Do so many writes."""
        self._store, self._left = store, after

    async def write(self, *arguments: Any) -> None:  # noqa: ANN401  (as the store's)
        """Write, or fail."""
        if self._left == 0:
            raise ConnectionResetError
        self._left -= 1
        await self._store.write(*arguments)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the store has)
        return getattr(self._store, name)


def snapshots_of(folder: Path, bundle: Bundle) -> Snapshots:
    """Return a folder of snapshots of a bundle's layout; nothing of it waits for threads."""
    layout = bundle.rolling.layout
    return Snapshots(folder, "foretell", layout.hash, layout.row_width, apart=at_once)
