"""The rows of one partition that are in memory: one matrix, where each customer stands in it, and what has changed."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.interned import Interned
from stream_app.steps.texts import Texts
from stream_app.store.slices import slice_of

Names = Texts | Sequence[bytes]

_FIRST_ROWS: Final = 1024
_Kind = TypeVar("_Kind", bound=np.generic)


class Residents:
    """Rows in memory. A row enters as its store (or nothing) has it, before the first item that needs it."""

    def __init__(self, row_width: int) -> None:
        """Start with no row."""
        self._place = Interned()
        self._customers: list[bytes] = []
        self._slices = defaultdict[int, list[bytes]](list)
        self._changed: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, np.bool_)
        self._changes = 0
        self.matrix: NDArray[np.float32] = np.zeros((_FIRST_ROWS, row_width), np.float32)

    def __len__(self) -> int:
        """Return how many rows are in memory."""
        return len(self._customers)

    @property
    def customers(self) -> list[bytes]:
        """Return whose rows are in memory, in the order of ``matrix``."""
        return self._customers

    def missing(self, customers: Names) -> list[bytes]:
        """Return the customers whose rows are not in memory, each once, in order."""
        texts = _texts(customers)
        unknown = np.flatnonzero(self._place.find(texts) < 0)
        return list(dict.fromkeys(texts.take(unknown).words())) if len(unknown) else []

    def enter(self, customers: list[bytes], rows: NDArray[np.float32] | None = None) -> None:
        """Take in rows of customers that are missing: float32 [n, row width], empty ones if not given."""
        if not customers:
            return
        first = len(self._customers)
        needed = first + len(customers)
        if needed > len(self.matrix):
            room = max(needed, 2 * len(self.matrix))
            self.matrix = _grown(self.matrix, first, room)
            self._changed = _grown(self._changed, first, room)
        self.matrix[first:needed] = 0.0 if rows is None else rows
        self._changed[first:needed] = False
        self._place.add(Texts.of(customers))
        self._customers += customers
        for customer in customers:
            self._slices[slice_of(customer)].append(customer)

    def places(self, customers: Names) -> NDArray[np.int64]:
        """Return the index of each customer's row in ``matrix``, int64 [n]; all must be in memory.

        Raises:
            KeyError: one is not.
        """
        texts = _texts(customers)
        places = self._place.find(texts)
        if len(places) and int(places.min()) < 0:
            raise KeyError(texts.word(int(places.argmin())))
        return places

    def slice(self, number: int) -> list[bytes]:
        """Return the customers in memory of a slice, in the byte order of their ids."""
        return sorted(self._slices.get(number, ()))

    def mark_changed(self, places: NDArray[np.int64]) -> None:
        """Remember that rows were changed since the last ``take_changed``."""
        self._changes += _mark(self._changed, places)

    def take_changed(self) -> tuple[list[bytes], NDArray[np.float32]]:
        """Return copies of the rows changed since the last call, as of this instant, and whose they are."""
        places = np.flatnonzero(self._changed[: len(self)])
        self._changed[places] = False
        self._changes = 0
        return [self._customers[k] for k in places.tolist()], self.matrix[places]

    @property
    def changed(self) -> int:
        """Return how many rows have changed since the last ``take_changed``."""
        return self._changes

    def evict(self) -> None:
        """Forget all rows but those changed since the last ``take_changed``; the store must have the others."""
        places = np.flatnonzero(self._changed[: len(self)])
        customers, rows = [self._customers[k] for k in places.tolist()], self.matrix[places]
        self._place = Interned()
        self._customers = []
        self._slices.clear()
        self._changed[:] = False
        self.enter(customers, rows)
        self._changed[: len(customers)] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(changed, places):  # type: ignore[no-untyped-def]
    """Mark places; return how many were not."""
    new = 0
    for k in range(len(places)):
        new += not changed[places[k]]
        changed[places[k]] = True
    return new


def _texts(names: Names) -> Texts:
    return names if isinstance(names, Texts) else Texts.of(names)


def _grown(array: NDArray[_Kind], kept: int, rows: int) -> NDArray[_Kind]:
    grown = np.zeros((rows, *array.shape[1:]), array.dtype)
    grown[:kept] = array[:kept]
    return grown
