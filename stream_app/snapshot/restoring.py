"""Rows of a snapshot back into a store.

From the first write to the last the store has a marker that no worker takes over. A restore that is cut short leaves it
there, so that half of the rows are never taken for all of them; restoring again begins anew.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from schemas.messages import SLICES
from stream_app.snapshot.folder import Apart
from stream_app.snapshot.stamp import Part
from stream_app.store.port import LostWritesError, Marker, RowStore, Unfinished

if TYPE_CHECKING:
    from stream_app.snapshot.file import SnapshotFile

By = Literal["worker", "operator"]
"""Who restores: what a worker has begun, a worker may begin again; what an operator has, is left to the operator."""
_ROWS_AT_ONCE: Final = 2_000
TRIES: Final = 5
"""Of a restore beside workers."""


def begun_by(marker: Unfinished) -> str:
    """Return who has begun a restore that has not ended."""
    return marker.owner.partition("-")[0]


async def restore(
    snapshot: "SnapshotFile",
    store: RowStore,
    old: Marker,
    by: By,
    apart: Apart = asyncio.to_thread,
    told: Callable[[int], None] | None = None,
) -> Marker:
    """Put a snapshot's rows in the place of those of a store; return the marker that stands there then.

    Args:
        snapshot: of this partition, group and layout.
        store: of its rows.
        old: the marker that stands there, taken over or left by a restore.
        by: who does it.
        apart: what runs that which blocks.
        told: how many rows have been written.

    Raises:
        InputError: the file cannot be read any more.
        LostWritesError: somebody else writes there.
    """
    writing = _Writing(store, by, snapshot.stamp.row_width)
    await writing.begin(old)
    for number in range(SLICES):
        names = await writing.names(number)
        await writing.write((names, np.zeros((len(names), snapshot.stamp.row_width), np.float32)))
    parts, rows = snapshot.parts(), 0
    while part := await apart(next, parts, None):
        await writing.write(part)
        rows += len(part[0])
        if told is not None:
            told(rows)
    return await writing.end(snapshot.stamp.marker())


async def restore_beside(
    snapshot: "SnapshotFile",
    store: RowStore,
    take_over: Callable[[], Awaitable[Marker]],
    tries: int = TRIES,
    told: Callable[[int], None] | None = None,
) -> Marker:
    """Restore as an operator, although workers may be there, which take the store over again: until the first write.

    Args:
        snapshot: of this partition, group and layout.
        store: of its rows.
        take_over: cuts the owner off and returns the marker.
        tries: how often.
        told: how many rows have been written.

    Raises:
        InputError: the file cannot be read any more.
        LostWritesError: somebody else was sooner each time.
    """
    for left in reversed(range(tries)):
        with suppress(*([LostWritesError] if left else [])):
            return await restore(snapshot, store, await take_over(), "operator", told=told)
    raise AssertionError  # the last one has returned or raised


class _Writing:
    """Writes that follow each other, each under a marker of its own."""

    def __init__(self, store: RowStore, by: By, row_width: int) -> None:
        self._store, self._name, self._step = store, f"{by}-{secrets.token_hex(8)}", 0
        self._nothing = np.zeros((0, row_width), np.float32)
        self._marker: Marker = Unfinished()

    async def begin(self, old: Marker) -> None:
        """Take the store from its owner."""
        self._marker = old
        await self._write([], self._nothing, self._next())

    async def names(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice."""
        found, names = await self._store.customers(slice_number)
        if found != self._marker.encode():
            raise LostWritesError(self._marker.encode(), found)
        return names

    async def write(self, part: Part) -> None:
        """Write rows."""
        customers, rows = part
        for start in range(0, len(customers), _ROWS_AT_ONCE):
            few = slice(start, start + _ROWS_AT_ONCE)
            await self._write(customers[few], rows[few], self._next())

    async def end(self, marker: Marker) -> Marker:
        """Say that the rows are whole; return the marker."""
        await self._write([], self._nothing, marker)
        return marker

    async def _write(
        self, customers: list[bytes], rows: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", marker: Marker
    ) -> None:
        await self._store.write(customers, rows, self._marker, marker)
        self._marker = marker

    def _next(self) -> Marker:
        self._step += 1
        return Unfinished(f"{self._name}-{self._step}")
