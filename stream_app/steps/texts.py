"""Columns of texts that stand in one array of bytes: no Python object for any of them before it is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]
At = Whole | slice
"""Which of a column: indices, or a range."""
_Kind = TypeVar("_Kind", bound=np.generic)
NONE: Final = -1
"""Where a text that there is not starts."""


@dataclass(frozen=True, eq=False)
class Texts:
    """n texts, in any order and with gaps between them.

    Attributes:
        content: uint8, the bytes of all texts.
        start: int64 [n], where each text starts; -1 where there is none.
        stop: int64 [n], where it ends.
    """

    content: Bytes
    start: Whole
    stop: Whole

    @classmethod
    def of(cls, texts: Sequence[bytes | None]) -> "Texts":
        """Return texts one behind the other."""
        lengths = np.fromiter((0 if text is None else len(text) for text in texts), np.int64, len(texts))
        stop = np.cumsum(lengths, dtype=np.int64)
        start = stop - lengths
        start[np.fromiter((text is None for text in texts), np.bool_, len(texts))] = NONE
        content = b"".join(text for text in texts if text)
        return cls(np.frombuffer(content, np.uint8), start, stop)

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self.start)

    def __iter__(self) -> Iterator[bytes | None]:
        """Yield all texts."""
        return iter(self.listed())

    def __eq__(self, other: object) -> bool:
        """Return whether the other's are the same texts, wherever they stand."""
        return isinstance(other, Texts) and self.listed() == other.listed()

    __hash__ = None  # type: ignore[assignment]  # as of a list

    def __getitem__(self, k: int) -> bytes | None:
        """Return one text."""
        start = int(self.start[k])
        return None if start == NONE else self._view[start : int(self.stop[k])].tobytes()

    @classmethod
    def joined(cls, *parts: "Texts") -> "Texts":
        """Return the texts of all parts."""
        before = np.cumsum([0, *(len(part.content) for part in parts)])
        starts = [
            np.where(part.start == NONE, NONE, part.start + skipped)
            for part, skipped in zip(parts, before[:-1], strict=True)
        ]
        stops = [part.stop + skipped for part, skipped in zip(parts, before[:-1], strict=True)]
        return cls(np.concatenate([part.content for part in parts]), np.concatenate(starts), np.concatenate(stops))

    @cached_property
    def arrays(self) -> tuple[Bytes, Whole, Whole]:
        """Return content, starts and stops, as compiled loops take them: to be read only."""
        return readable(self.content), readable(self.start), readable(self.stop)

    def take(self, at: At) -> "Texts":
        """Return some of the texts."""
        return Texts(self.content, self.start[at], self.stop[at])

    def listed(self) -> list[bytes | None]:
        """Return all texts."""
        content = self._view
        return [
            None if start == NONE else content[start:stop].tobytes()
            for start, stop in zip(self.start.tolist(), self.stop.tolist(), strict=True)
        ]

    def word(self, k: int) -> bytes:
        """Return one text that there is."""
        return self._view[int(self.start[k]) : int(self.stop[k])].tobytes()

    def words(self) -> list[bytes]:
        """Return all texts, which there are."""
        content = self._view
        spans = zip(self.start.tolist(), self.stop.tolist(), strict=True)
        return [content[start:stop].tobytes() for start, stop in spans]

    def packed(self) -> "Texts":
        """Return the texts one behind the other; one that there is not becomes empty."""
        lengths = np.where(self.start == NONE, 0, self.stop - self.start)
        stop = np.cumsum(lengths, dtype=np.int64)
        content = np.empty(int(stop[-1]) if len(stop) else 0, np.uint8)
        _pack(*self.arrays, content)
        return Texts(content, stop - lengths, stop)

    @cached_property
    def _view(self) -> memoryview:
        return self.content.data


def readable(array: NDArray[_Kind]) -> NDArray[_Kind]:
    """Return an array as one that is contiguous and not written to.

    A compiled loop is compiled anew for each kind of array; this makes one kind of them.
    """
    flags = array.flags
    if flags.c_contiguous and not flags.writeable:
        return array
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(content, starts, stops, packed):  # type: ignore[no-untyped-def]
    at = 0
    for i in range(len(starts)):
        if starts[i] >= 0:
            for j in range(starts[i], stops[i]):
                packed[at] = content[j]
                at += 1
