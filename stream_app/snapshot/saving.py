"""Rows of a partition to a snapshot, whether they stand still or are being written.

What a store holds is a function of its marker, so rows belong together if they were read under one marker. A worker
that is busy moves it every second, and a large partition takes longer to read. Then the rows are read as they come, a
slice at a time, and every write that the worker makes meanwhile is added behind them, in its order: a row that was read
too early is corrected, one that was read late is repeated, and all rows are those of the last write.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import numpy as np
from aiokafka import TopicPartition
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.messages import SLICES
from stream_app.engine.work import PartitionWork, Snapshot
from stream_app.snapshot.file import SnapshotFile, SnapshotWriter
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.stamp import Part
from stream_app.store.port import Marker, RowStore

ATTEMPTS: Final = 5
_ROWS_AT_ONCE: Final = 500
"""To take more out of an answer would keep the worker's loop from its chunks for too long."""
_SETTLE_S: Final = 0.05


class GoneError(Exception):
    """The partition was opened anew, or let go, while its rows were read."""


class _MovedError(Exception):
    """A worker has written while the rows were read."""


class Reader(Protocol):
    """Where rows are read from; each call proves that what it returns may stand beside the rest."""

    async def names(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice."""

    async def read(self, customers: list[bytes]) -> NDArray[np.float32]:
        """Return their rows, float32 [n, row width]."""


class Standing:
    """Rows of a store that nobody writes to meanwhile."""

    def __init__(self, store: RowStore, marker: bytes) -> None:
        """Expect the marker to stand."""
        self._store, self._marker = store, marker

    async def names(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice."""
        found, names = await self._store.customers(slice_number)
        self._expect(found)
        return names

    async def read(self, customers: list[bytes]) -> NDArray[np.float32]:
        """Return their rows, float32 [n, row width]."""
        found, rows = await self._store.read(customers)
        self._expect(found)
        return rows

    def _expect(self, marker: bytes) -> None:
        if marker != self._marker:
            raise _MovedError


async def all_rows(reader: Reader) -> AsyncIterator[Part]:
    """Yield the rows of all slices, some thousand at a time.

    Whatever the reader raises ends it.
    """
    waiting = list[bytes]()
    for number in range(SLICES):
        waiting += await reader.names(number)
        while len(waiting) >= _ROWS_AT_ONCE or (waiting and number == SLICES - 1):
            customers, waiting = waiting[:_ROWS_AT_ONCE], waiting[_ROWS_AT_ONCE:]
            yield customers, await reader.read(customers)


async def save_standing(store: RowStore, snapshots: Snapshots, name: TopicPartition) -> SnapshotFile | None:
    """Save a partition that no worker writes to for as long as it takes; None where nothing is known of it.

    Raises:
        InputError: workers have written in between each time.
        OutputError: the folder cannot be written to.
        StoreError: the store holds something else, or refuses us.
    """
    for _ in range(ATTEMPTS):
        found, _rows = await store.read([])
        marker = Marker.decode(found)
        if not marker.flushed:
            return None
        try:
            return await _save_at(Standing(store, found), snapshots, name, marker)
        except _MovedError:
            continue
    message = (
        f"Expected the rows of {name.topic}-{name.partition} to stand still while they are read, found that a worker "
        f"wrote in between {ATTEMPTS} times; let the workers save them (FORETELL_SNAPSHOTS), or save while they rest."
    )
    raise InputError(message)


async def _save_at(reader: Reader, snapshots: Snapshots, name: TopicPartition, marker: Marker) -> SnapshotFile:
    apart, place = snapshots.apart, snapshots.place(name, marker.flushed)
    with await apart(SnapshotWriter, snapshots.home(name), snapshots.stamp(name)) as writer:
        async for customers, rows in all_rows(reader):
            await apart(writer.add, customers, rows)
        return SnapshotFile(place, await apart(writer.finish, place, marker))


class Moving:
    """Rows of a partition that its worker goes on writing; ``writes`` holds what it has written since the beginning."""

    def __init__(self, work: PartitionWork, alive: Callable[[], bool]) -> None:
        """Begin to note what is written; ``alive`` tells whether the worker still works on it."""
        self._work, self._alive = work, alive
        self._markers = {work.marker.encode()}
        self.writes = deque[Snapshot]()
        work.written = self._note

    async def names(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice."""
        before = self._work.pending
        found, names = await self._work.store.customers(slice_number)
        self._expect(found, before)
        return names

    async def read(self, customers: list[bytes]) -> NDArray[np.float32]:
        """Return their rows, float32 [n, row width]."""
        before = self._work.pending
        found, rows = await self._work.store.read(customers)
        self._expect(found, before)
        return rows

    async def settled(self) -> Marker:
        """Return the marker of the last write, once no write is under way: rows that were read may be of that one."""
        while self._work.pending is not None:
            await asyncio.sleep(_SETTLE_S)
            self._expect(self._work.marker.encode(), None)
        return self._work.marker

    def stop(self) -> None:
        """Note no more: what is written from now on is of a later marker."""
        self._work.written = None

    def _note(self, write: Snapshot) -> None:
        self.writes.append(write)
        self._markers.add(write.marker.encode())

    def _expect(self, marker: bytes, pending: Marker | None) -> None:
        """Raise where a row may be of another history than the writes; the worker itself finds out why."""
        under_way = {each.encode() for each in (pending, self._work.pending) if each is not None}
        if not self._alive() or marker not in self._markers | under_way:
            raise GoneError


async def save_moving(
    work: PartitionWork, alive: Callable[[], bool], snapshots: Snapshots, name: TopicPartition
) -> SnapshotFile:
    """Save a partition that its worker works on.

    Args:
        work: its rows and their store.
        alive: whether they are still worked on.
        snapshots: where to.
        name: topic and partition.

    Raises:
        GoneError: the worker has let go of it, or has to open it anew.
        OutputError: the folder cannot be written to.
    """
    apart, moving = snapshots.apart, Moving(work, alive)
    try:
        with await apart(SnapshotWriter, snapshots.home(name), snapshots.stamp(name)) as writer:
            async for customers, rows in all_rows(moving):
                await apart(writer.add, customers, rows)
                await _add(moving.writes, writer, snapshots)
            marker = await moving.settled()
            moving.stop()
            await _add(moving.writes, writer, snapshots)
            place = snapshots.place(name, marker.flushed)
            return SnapshotFile(place, await apart(writer.finish, place, marker))
    finally:
        moving.stop()


async def _add(writes: deque[Snapshot], writer: SnapshotWriter, snapshots: Snapshots) -> None:
    """Append what has been written, oldest first."""
    while writes:
        write = writes.popleft()
        await snapshots.apart(writer.add, write.customers, write.rows)
