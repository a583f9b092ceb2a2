"""A store in this process's memory: for tests and newcomers. Nothing outlives the process."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_app.store.port import (
    LostWritesError,
    Marker,
    OtherLayoutError,
    RowStore,
    StoreError,
    StoreFacts,
    check_write,
    kept,
)
from stream_app.store.slices import slice_of

_FLOAT_BYTES: Final = 4


@dataclass
class _Partition:
    layout: str | None = None
    markers: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, dict[bytes, bytes]] = field(default_factory=dict)


class MemoryStores:
    """All partitions' rows, in dicts."""

    problem: str = ""

    def __init__(self) -> None:
        """Start empty."""
        self._partitions: dict[tuple[str, int], _Partition] = {}

    def open(self, topic: str, partition: int, layout: str, row_width: int) -> RowStore:
        """Return the store of a partition's rows in a state layout."""
        return MemoryStore(self, (topic, partition), layout, row_width)

    async def facts(self) -> StoreFacts:
        """Return that nothing is as safe as it should be and nothing needs to be done about it."""
        return StoreFacts(server="memory", version="", appendonly=False)

    async def close(self) -> None:
        """Keep the rows: who opens a partition again finds them."""

    def wipe(self) -> None:
        """Lose everything, as Redis does at FLUSHALL."""
        self._partitions.clear()

    def partition(self, name: tuple[str, int]) -> _Partition:
        """Return what is kept of a partition now."""
        return self._partitions.setdefault(name, _Partition())


class MemoryStore:
    """Rows of one partition."""

    def __init__(self, stores: MemoryStores, name: tuple[str, int], layout: str, row_width: int) -> None:
        """Name the partition and the layout of its rows."""
        self._stores, self._name, self._layout = stores, name, layout
        self._row_width, self._row_bytes = row_width, _FLOAT_BYTES * row_width

    async def take_over(self, owner: str) -> Marker:
        """Put ``owner`` into the marker, keeping the rest, and return it."""
        kept_here = self._stores.partition(self._name)
        if kept_here.layout not in {None, self._layout}:
            raise OtherLayoutError(self._where, self._layout, str(kept_here.layout))
        marker = Marker.decode(self._marker, self._where)._replace(owner=owner)
        kept_here.layout = self._layout
        kept_here.markers[self._layout] = marker.encode()
        return marker

    async def read(self, customers: list[bytes]) -> tuple[bytes, NDArray[np.float32]]:
        """Return the marker and rows, float32 [n, row width]."""
        rows, empty = self._rows, bytes(self._row_bytes)
        found = [rows.get(customer, empty) for customer in customers]
        if any(len(row) != self._row_bytes for row in found):
            message = (
                f"Expected rows of {self._row_bytes} bytes in {self._where}, found another width; use one for a layout."
            )
            raise StoreError(message)
        return self._marker, np.frombuffer(b"".join(found), np.float32).reshape(len(customers), self._row_width)

    async def customers(self, slice_number: int) -> tuple[bytes, list[bytes]]:
        """Return the marker and the customers of a slice whose rows are kept."""
        return self._marker, [customer for customer in self._rows if slice_of(customer) == slice_number]

    async def write(self, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker) -> None:
        """Keep rows and the new marker, if the marker is ``old``."""
        check_write(customers, rows, self._row_width, old, new)
        if self._marker == new.encode() != old.encode():
            return
        if self._marker != old.encode():
            raise LostWritesError(old.encode(), self._marker)
        mine = self._rows
        for customer, row, keep in zip(customers, rows, kept(rows), strict=True):
            if keep:
                mine[customer] = row.tobytes()
            else:
                mine.pop(customer, None)
        self._stores.partition(self._name).markers[self._layout] = new.encode()

    @property
    def _where(self) -> str:
        return f"{self._name[0]}-{self._name[1]}"

    @property
    def _marker(self) -> bytes:
        return self._stores.partition(self._name).markers.get(self._layout, b"")

    @property
    def _rows(self) -> dict[bytes, bytes]:
        return self._stores.partition(self._name).rows.setdefault(self._layout, {})
