"""What a store of rows must do."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class RowStore(Protocol):
    """Rows of one partition by customer. An unknown customer has an empty row (zeros)."""

    def read(self, customers: list[bytes]) -> NDArray[np.float32]:
        """Return the customers' rows, float32 [n, row width]."""

    def write(self, customers: list[bytes], rows: NDArray[np.float32]) -> None:
        """Keep the customers' rows; a row that is all zeros is no longer kept."""

    def customers(self, slice_number: int) -> list[bytes]:
        """Return the customers of a slice whose rows are kept, in any order."""
