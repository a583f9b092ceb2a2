"""Matrices whose memory is taken only where something is written: room for many rows costs nothing until they come.

So a growing matrix is not copied, and the system gives its memory in large pages, which is much faster than small ones.
"""

import mmap
from typing import Final

import numpy as np
from numpy.typing import NDArray

_SMALL: Final = 1 << 21
"""So many bytes come in small pages: a matrix of few rows stays small."""
_NUMBER_BYTES: Final = 4


def zeros(rows: int, width: int, least: int) -> NDArray[np.float32]:
    """Return float32 zeros [rows, width]; fewer rows, down to ``least``, where the system does not give as much."""
    while rows > least and hasattr(mmap, "MAP_ANONYMOUS"):
        try:
            content = mmap.mmap(-1, rows * width * _NUMBER_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, ValueError):
            rows //= 2
            continue
        if len(content) > _SMALL and hasattr(mmap, "MADV_HUGEPAGE"):
            content.madvise(mmap.MADV_HUGEPAGE, _SMALL)
        return np.frombuffer(content, np.float32).reshape(rows, width)
    return np.zeros((least, width), np.float32)
