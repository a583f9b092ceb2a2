"""A store in this process's memory: for replay, tests and newcomers."""

import numpy as np
from numpy.typing import NDArray

from stream_app.store.slices import slice_of


class MemoryStore:
    """Rows in a dict."""

    def __init__(self, row_width: int) -> None:
        """Start empty."""
        self._width = row_width
        self._rows: dict[bytes, bytes] = {}

    def read(self, customers: list[bytes]) -> NDArray[np.float32]:
        """Return the customers' rows, float32 [n, row width]."""
        empty = bytes(4 * self._width)
        content = b"".join([self._rows.get(customer, empty) for customer in customers])
        return np.frombuffer(content, np.float32).reshape(len(customers), self._width)

    def write(self, customers: list[bytes], rows: NDArray[np.float32]) -> None:
        """Keep the customers' rows; a row that is all zeros is no longer kept."""
        for customer, row, kept in zip(customers, rows, np.any(rows, axis=1), strict=True):
            if kept:
                self._rows[customer] = row.tobytes()
            else:
                self._rows.pop(customer, None)

    def customers(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice whose rows are kept, in any order."""
        return [customer for customer in self._rows if slice_of(customer) == slice_number]
