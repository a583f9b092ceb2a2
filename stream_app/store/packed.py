"""Rows as arguments of a script, put together as they go to Redis: megabytes of them at once, by a compiled loop."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.steps.texts import Texts, readable
from stream_app.store.slices import slice_of

_ROOM: Final = 32
"""Bytes around an argument, at most: a sign, its length and two ends of a line."""
_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Packed:
    """Arguments that stand one behind the other in Redis's protocol.

    Attributes:
        content: their bytes.
        count: how many there are.
    """

    content: bytes
    count: int

    def __iter__(self) -> Iterator[bytes]:
        """Yield the arguments one by one."""
        content, at = self.content, 0
        for _ in range(self.count):
            start = content.index(_END, at) + len(_END)
            stop = start + int(content[at + 1 : start - len(_END)])
            yield content[start:stop]
            at = stop + len(_END)


def pack(customers: list[bytes], rows: NDArray[np.float32], keep: NDArray[np.bool_]) -> tuple[list[int], Packed]:
    """Return the slices of some customers, ascending, and what the script that writes takes of each.

    For each slice: how many rows are kept, how many customers go, customers and rows that are kept, customers that go.

    Args:
        customers: each once.
        rows: float32 [n, row width].
        keep: bool [n], whether a row is kept or its customer goes.
    """
    slices = np.fromiter(map(slice_of, customers), np.int64, len(customers))
    order = np.lexsort((~keep, slices))
    names, content = Texts.of(customers), np.ascontiguousarray(rows).view(np.uint8)
    numbers = np.unique(slices)
    room = len(names.content) + content.size + _ROOM * (2 * len(customers) + 2 * len(numbers))
    packed = np.empty(room, np.uint8)
    columns = (readable(order), readable(slices), readable(keep))
    size, count = _pack(names.arrays, readable(content), columns, packed)
    return numbers.tolist(), Packed(packed[:size].tobytes(), count)


def warm_up() -> None:
    """Compile what ``pack`` needs."""
    pack([b"a", b"b"], np.zeros((2, 4), np.float32), np.array([True, False]))


@njit(cache=True, nogil=True, error_model="numpy")
def _pack(names, rows, columns, packed):  # type: ignore[no-untyped-def]
    """Write all slices; return how many bytes and how many arguments there are."""
    content, starts, stops = names
    order, slices, keep = columns
    width = rows.shape[1]
    w = 0
    count = 0
    first = 0
    while first < len(order):
        end = first
        kept = 0
        while end < len(order) and slices[order[end]] == slices[order[first]]:
            kept += keep[order[end]]
            end += 1
        w = _number(packed, w, kept)
        w = _number(packed, w, end - first - kept)
        for i in range(first, end):
            k = order[i]
            w = _head(packed, w, stops[k] - starts[k])
            for j in range(starts[k], stops[k]):
                packed[w] = content[j]
                w += 1
            w = _tail(packed, w)
            if i < first + kept:
                w = _head(packed, w, width)
                packed[w : w + width] = rows[k]
                w = _tail(packed, w + width)
        count += 2 + kept + end - first
        first = end
    return w, count


@njit(error_model="numpy")
def _number(packed, w, value):  # type: ignore[no-untyped-def]
    """Write a whole number as an argument."""
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    w = _head(packed, w, digits)
    return _tail(packed, _digits(packed, w, value, digits))


@njit(error_model="numpy")
def _head(packed, w, length):  # type: ignore[no-untyped-def]
    packed[w] = 36  # a dollar sign
    digits = 1
    rest = length // 10
    while rest > 0:
        digits += 1
        rest //= 10
    return _tail(packed, _digits(packed, w + 1, length, digits))


@njit(error_model="numpy")
def _digits(packed, w, value, digits):  # type: ignore[no-untyped-def]
    for i in range(w + digits - 1, w - 1, -1):
        packed[i] = 48 + value % 10
        value //= 10
    return w + digits


@njit(error_model="numpy")
def _tail(packed, w):  # type: ignore[no-untyped-def]
    packed[w] = 13
    packed[w + 1] = 10
    return w + 2
