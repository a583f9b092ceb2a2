"""Rows of one partition in hashes of Redis.

    {topic-partition}:group:layout             the state layout that the group's rows of the partition are in
    {topic-partition}:group:LAYOUT:marker      the marker
    {topic-partition}:group:LAYOUT:N           a hash of slice N: customer → row

The braces keep all keys of a partition on one node of a Cluster, so that one script can change them at once.

A call that was cancelled or had no answer in time may still be carried out later, even after it was repeated. That is
safe, since a write happens only while the marker is the one that it expects, and no marker comes twice.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_app.store.packed import Packed, pack
from stream_app.store.port import LostWritesError, Marker, OtherLayoutError, StoreError, check_write, kept
from stream_app.store.scripts import NAMES, READ, TAKE_OVER, WRITE, Script
from stream_app.store.slices import slice_of

Argument = bytes | int | Packed
_ROWS_PER_READ: Final = 2_000
"""More would hold up others."""
_FLOAT_BYTES: Final = 4


_AT_ONCE: Final = 500
"""More rows are packed beside the event loop."""


class Server(Protocol):
    """What runs scripts beside the hashes."""

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument], size: int) -> Any:  # noqa: ANN401  (whatever it answers)
        """Return what a script answers, however long it takes.

        Args:
            script: what it does twice must be as if it were done once.
            keys: of one partition.
            arguments: what else the script takes.
            size: bytes that go there and come back, about.
        """


class RedisStore:
    """Rows of one partition in Redis."""

    def __init__(self, server: Server, prefix: str, layout: str, row_width: int) -> None:
        """Name the keys: all begin with ``prefix``."""
        self._server, self._prefix, self._layout = server, prefix, layout
        self._marker_key = f"{prefix}{layout}:marker".encode()
        self._row_width, self._row_bytes = row_width, _FLOAT_BYTES * row_width

    async def take_over(self, owner: str) -> Marker:
        """Put ``owner`` into the marker, keeping the rest, and return it."""
        keys = [f"{self._prefix}layout".encode(), self._marker_key]
        arguments = [self._layout.encode(), owner.encode(), Marker().encode()]
        outcome, found = await self._server.run(TAKE_OVER, keys, arguments, 0)
        if outcome == b"layout":
            where = f"{self._prefix}*"
            raise OtherLayoutError(where, self._layout, found.decode(errors="replace"))
        return Marker.decode(found, self._marker_key.decode())

    async def read(self, customers: list[bytes]) -> tuple[bytes, NDArray[np.float32]]:
        """Return the marker and rows, float32 [n, row width].

        Many customers are read in several calls; what is read under one marker belongs together.
        """
        while True:
            rows: dict[bytes, bytes | None] = {}
            marker = await self._read(customers[:_ROWS_PER_READ], rows)
            for start in range(_ROWS_PER_READ, len(customers), _ROWS_PER_READ):
                if await self._read(customers[start : start + _ROWS_PER_READ], rows) != marker:
                    break
            else:
                return marker, self._matrix([rows[customer] for customer in customers])

    async def customers(self, slice_number: int) -> tuple[bytes, list[bytes]]:
        """Return the marker and the customers of a slice whose rows are kept."""
        marker, names = await self._server.run(NAMES, [self._marker_key, self._slice_key(slice_number)], [], 0)
        return marker, names

    async def write(self, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker) -> None:
        """Keep rows and the new marker, all at once, if the marker is ``old``."""
        check_write(customers, rows, self._row_width, old, new)
        last = dict(zip(customers, range(len(rows)), strict=True))
        if len(last) < len(customers):
            customers, rows = list(last), rows[list(last.values())]
        slices, packed = await _packed(customers, rows)
        keys = [self._marker_key, *map(self._slice_key, slices)]
        found = await self._server.run(WRITE, keys, [old.encode(), new.encode(), packed], len(packed.content))
        if found != new.encode():
            raise LostWritesError(old.encode(), found)

    async def _read(self, customers: list[bytes], rows: dict[bytes, bytes | None]) -> bytes:
        """Read into ``rows`` and return the marker."""
        by_slice = defaultdict[int, list[bytes]](list)
        for customer in customers:
            by_slice[slice_of(customer)].append(customer)
        keys = [self._marker_key, *map(self._slice_key, by_slice)]
        arguments: list[Argument] = []
        for part in by_slice.values():
            arguments += [len(part), *part]
        found: list[bytes] = await self._server.run(READ, keys, arguments, len(customers) * self._row_bytes)
        rows.update(zip([customer for part in by_slice.values() for customer in part], found[1:], strict=True))
        return found[0]

    def _matrix(self, rows: list[bytes | None]) -> NDArray[np.float32]:
        empty = bytes(self._row_bytes)
        found = [empty if row is None else row for row in rows]
        others = {len(row) for row in found} - {self._row_bytes}
        if others:
            message = (
                f"Expected rows of {self._row_bytes} bytes in {self._prefix}{self._layout}:*, found one of "
                f"{min(others)}: something else has written there; stop all workers and remove the keys "
                f"{self._prefix}*, or choose another FORETELL_GROUP: either takes the log in anew."
            )
            raise StoreError(message)
        return np.frombuffer(b"".join(found), np.float32).reshape(len(rows), self._row_width)

    def _slice_key(self, number: int) -> bytes:
        return f"{self._prefix}{self._layout}:{number}".encode()


async def _packed(customers: list[bytes], rows: NDArray[np.float32]) -> tuple[list[int], Packed]:
    if len(customers) <= _AT_ONCE:
        return pack(customers, rows, kept(rows))
    return await asyncio.to_thread(lambda: pack(customers, rows, kept(rows)))
