"""The rows of one partition that are in memory: one matrix, where each customer stands in it, and what has changed."""

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app import mapped
from stream_app.interned import Interned
from stream_app.steps.texts import Texts
from stream_app.store.slices import slice_of

Names = Texts | Sequence[bytes]

_FIRST_ROWS: Final = 1024
_ROOM_ROWS: Final = 1 << 20
"""So many rows need no copying when they come."""
MOST_EVICTED: Final = 8_000
"""At once: so that nothing else waits long."""
_OFTEN: Final = 3
_Kind = TypeVar("_Kind", bound=np.generic)


class Residents:
    """Rows in memory. A row enters as its store (or nothing) has it, before the first item that needs it."""

    def __init__(self, row_width: int) -> None:
        """Start with no row."""
        self._ids = Interned()
        self.matrix = mapped.zeros(_ROOM_ROWS, row_width, _FIRST_ROWS)
        self._changed: NDArray[np.bool_] = np.zeros(_FIRST_ROWS, np.bool_)
        self._used: NDArray[np.uint8] = np.zeros(_FIRST_ROWS, np.uint8)
        self._slice: NDArray[np.int16] = np.zeros(_FIRST_ROWS, np.int16)
        self._changes = self._hand = 0

    def __len__(self) -> int:
        """Return how many rows are in memory."""
        return len(self._ids)

    @property
    def customers(self) -> list[bytes]:
        """Return whose rows are in memory, in the order of ``matrix``."""
        return self._ids.texts(np.arange(len(self))).words()

    def missing(self, customers: Names) -> list[bytes]:
        """Return the customers whose rows are not in memory, each once, in order."""
        texts = _texts(customers)
        unknown = np.flatnonzero(self._ids.find(texts) < 0)
        return list(dict.fromkeys(texts.take(unknown).words())) if len(unknown) else []

    def enter(self, customers: list[bytes], rows: NDArray[np.float32] | None = None) -> None:
        """Take in rows of customers that are missing: float32 [n, row width], empty ones if not given."""
        if not customers:
            return
        first = len(self)
        needed = first + len(customers)
        if needed > len(self.matrix):
            room = mapped.zeros(max(needed, 2 * len(self.matrix)), self.matrix.shape[1], needed)
            room[:first] = self.matrix[:first]
            self.matrix = room
        self._changed, self._used = _grown(self._changed, needed), _grown(self._used, needed)
        self._slice = _grown(self._slice, needed)
        self.matrix[first:needed] = 0.0 if rows is None else rows
        self._changed[first:needed], self._used[first:needed] = False, 0
        self._slice[first:needed] = [slice_of(customer) for customer in customers]
        self._ids.add(Texts.of(customers))

    def places(self, customers: Names) -> NDArray[np.int64]:
        """Return the index of each customer's row in ``matrix``, int64 [n]; all must be in memory.

        Raises:
            KeyError: one is not.
        """
        texts = _texts(customers)
        places = self._ids.find(texts)
        if len(places) and int(places.min()) < 0:
            raise KeyError(texts.word(int(places.argmin())))
        return places

    def slice(self, number: int) -> list[bytes]:
        """Return the customers in memory of a slice, in the byte order of their ids."""
        return sorted(self._ids.texts(np.flatnonzero(self._slice[: len(self)] == number)).words())

    def mark_changed(self, places: NDArray[np.int64]) -> None:
        """Remember that rows were changed since the last ``take_changed``."""
        self._changes += _mark(self._changed, self._used, places)

    def take_changed(self) -> tuple[list[bytes], NDArray[np.float32]]:
        """Return copies of the rows changed since the last call, as of this instant, and whose they are."""
        places = np.flatnonzero(self._changed[: len(self)])
        self._changed[places] = False
        self._changes = 0
        return self._ids.texts(places).words(), self.matrix.take(places, axis=0)

    @property
    def changed(self) -> int:
        """Return how many rows have changed since the last ``take_changed``."""
        return self._changes

    def evict(self, most: int) -> None:
        """Forget rows until at most ``most`` are left; the store must have them.

        Those changed since the last ``take_changed`` stay. Of the others those go first that are seldom used: a clock's
        hand passes by, takes one from what each row counts, up to ``_OFTEN``, and chooses those that have nothing left.
        No more than ``MOST_EVICTED`` go.
        """
        wanted = min(len(self) - most, MOST_EVICTED)
        if wanted <= 0:
            return
        chosen = np.empty(wanted, np.int64)
        found, self._hand = _choose(self._changed, self._used, len(self), self._hand, chosen)
        before, after = self._ids.remove(np.sort(chosen[:found]))
        for array in (self.matrix, self._changed, self._used, self._slice):
            array[after] = array[before]


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(changed, used, places):  # type: ignore[no-untyped-def]
    """Mark places; return how many were not changed."""
    new = 0
    for k in range(len(places)):
        new += not changed[places[k]]
        changed[places[k]] = True
        used[places[k]] = min(used[places[k]] + 1, _OFTEN)
    return new


@njit(cache=True, nogil=True, error_model="numpy")
def _choose(changed, used, rows, hand, chosen):  # type: ignore[no-untyped-def]
    """Fill in rows to be forgotten; return how many, and where the hand stands."""
    found = 0
    for _ in range((_OFTEN + 1) * rows):
        if found == len(chosen):
            break
        hand = hand + 1 if hand + 1 < rows else 0
        if changed[hand]:
            continue
        if used[hand] > 0:
            used[hand] -= 1
        else:
            chosen[found] = hand
            found += 1
            changed[hand] = True  # it is not chosen twice; the mark goes with the row
    return found, hand


def _texts(names: Names) -> Texts:
    return names if isinstance(names, Texts) else Texts.of(names)


def _grown(array: NDArray[_Kind], needed: int) -> NDArray[_Kind]:
    if needed <= len(array):
        return array
    grown = np.zeros(max(needed, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown
