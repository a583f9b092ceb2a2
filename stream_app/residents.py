"""The customers' rows of one partition: one matrix, and where each customer stands in it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_app.store.port import RowStore
from stream_app.store.slices import slice_of

_FIRST_ROWS: Final = 1024


class Residents:
    """Rows in memory in front of a store.

    A row enters when its customer is first seen and stays; what the store holds of the customer is read then.
    """

    def __init__(self, store: RowStore, row_width: int) -> None:
        """Start with no row in memory."""
        self._store = store
        self._place: dict[bytes, int] = {}
        self.matrix: NDArray[np.float32] = np.zeros((_FIRST_ROWS, row_width), np.float32)

    def __len__(self) -> int:
        """Return how many rows are in memory."""
        return len(self._place)

    def places(self, customers: list[bytes]) -> NDArray[np.int64]:
        """Return the index of each customer's row in ``matrix``, int64 [n], reading rows that are not there yet."""
        place = self._place
        try:
            return np.array([place[customer] for customer in customers], np.int64)
        except KeyError:
            self._enter([customer for customer in dict.fromkeys(customers) if customer not in place])
            return np.array([place[customer] for customer in customers], np.int64)

    def slice(self, number: int) -> list[bytes]:
        """Return the customers of a slice, in memory or stored, in the byte order of their ids."""
        known = {customer for customer in self._place if slice_of(customer) == number}
        return sorted(known.union(self._store.customers(number)))

    def save(self) -> None:
        """Write all rows to the store."""
        self._store.write(list(self._place), self.matrix[: len(self._place)])

    def _enter(self, customers: list[bytes]) -> None:
        first = len(self._place)
        needed = first + len(customers)
        if needed > len(self.matrix):
            grown = np.zeros((max(needed, 2 * len(self.matrix)), self.matrix.shape[1]), np.float32)
            grown[:first] = self.matrix[:first]
            self.matrix = grown
        self.matrix[first:needed] = self._store.read(customers)
        self._place.update(zip(customers, range(first, needed), strict=True))
