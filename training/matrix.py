"""Matrices of rows that may be larger than memory.

Up to a bound a matrix is in memory; beyond it, it is a file that has no name, which the system pages in and out and
which is gone with the process. Whoever reads one takes parts of its rows, and never a copy of all.
"""

import tempfile
from collections.abc import Iterator
from typing import Final

import numpy as np

from training.arrays import Ints, Singles

BOUND: Final = 2 << 30
"""Bytes of a matrix that is kept in memory."""
PART: Final = 16_384
"""Rows that are looked at together."""
_BYTES: Final = 4


def room(rows: int, width: int, bound: int = BOUND) -> Singles:
    """Return room for a matrix, float32 [rows, width], in memory or in a file where it has more than ``bound`` bytes.

    The file is where temporary files are (``TMPDIR``).
    """
    if rows * width * _BYTES <= bound:
        return np.empty((rows, width), np.float32)
    with tempfile.TemporaryFile(prefix="foretell-") as file:
        return np.memmap(file, np.float32, "w+", shape=(rows, width))


def is_paged(matrix: Singles) -> bool:
    """Say if a matrix is in a file."""
    return isinstance(matrix, np.memmap)


def like(matrix: Singles, rows: int) -> Singles:
    """Return room for other rows of the same width, in memory or in a file as those of ``matrix`` are."""
    return room(rows, matrix.shape[1], -1 if is_paged(matrix) else rows * matrix.shape[1] * _BYTES)


def parts(rows: int, size: int = PART) -> Iterator[slice]:
    """Return slices that cover so many rows, of ``size`` each but the last."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def kept(matrix: Singles, rows: Ints) -> Singles:
    """Return some rows as a matrix of its own; the same one where these are all."""
    if len(rows) == len(matrix):
        return matrix
    found = like(matrix, len(rows))
    for part in parts(len(rows)):
        found[part] = matrix[rows[part]]
    return found


def evenly(rows: Ints, most: int) -> Ints:
    """Return at most so many of the rows, evenly spread over all of them."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
