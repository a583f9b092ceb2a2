"""A store that loses writes, and that is asked over a wire."""

import copy
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from stream_app.store.memory import MemoryStores
from stream_app.store.port import Marker, RowStore
from tests.kit.wire import Process, Wire

_T = TypeVar("_T")


class Losing(MemoryStores):
    """Stores that may go back to what they were some writes ago, as a Redis does whose disk lost the end of its log."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._past: list[dict[Any, Any]] = []

    def remember(self) -> None:
        """Note the present state, before a write."""
        self._past.append(copy.deepcopy(self._partitions))

    def lose(self, writes: int) -> None:
        """Lose the last writes."""
        for _ in range(min(writes, len(self._past))):
            self._partitions = self._past.pop()


class Rows:
    """A partition's store, behind a wire."""

    def __init__(self, stores: Losing, opened: RowStore, wire: Wire, process: Process) -> None:
        """Belong to a process."""
        self._stores, self._opened, self._wire, self._process = stores, opened, wire, process

    async def take_over(self, owner: str) -> Marker:
        """Take over as the store does."""
        return await self._ask("store take_over", lambda: self._written(self._opened.take_over(owner)))

    async def read(self, customers: list[bytes]) -> tuple[bytes, NDArray[np.float32]]:
        """Read as the store does."""
        return await self._ask("store read", lambda: _now(self._opened.read(customers)))

    async def customers(self, slice_number: int) -> tuple[bytes, list[bytes]]:
        """Name a slice's customers as the store does."""
        return await self._ask("store customers", lambda: _now(self._opened.customers(slice_number)))

    async def write(self, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker) -> None:
        """Write as the store does."""
        kept = list(customers), rows.copy()
        await self._ask("store write", lambda: self._written(self._opened.write(*kept, old, new)))

    async def _ask(self, kind: str, act: Callable[[], _T]) -> _T:
        return await self._wire.ask(self._process, kind, act)

    def _written(self, call: Coroutine[Any, Any, _T]) -> _T:
        self._stores.remember()
        return _now(call)


def _now(call: Coroutine[Any, Any, _T]) -> _T:
    """Return what a store answers that waits for nothing."""
    try:
        call.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    message = "a store in memory has waited"
    raise AssertionError(message)
