"""Ids by number, in the order in which they came: a compiled hash table, without a Python object for any of them."""

import secrets
from typing import Final, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.steps.texts import Bytes, Texts, Whole

_FIRST_SLOTS: Final = 2048
_FIRST_BYTES: Final = 16_384
_KEY: Final = np.array([secrets.randbits(64), secrets.randbits(64) | 1], np.uint64)
"""Drawn anew in each process: nobody can choose ids that meet in one slot. Nothing that leaves depends on it."""

Hashes = NDArray[np.uint64]
_Kind = TypeVar("_Kind", bound=np.generic)


class Interned:
    """Different texts, numbered from 0 on without gaps."""

    def __init__(self) -> None:
        """Start with none."""
        self._content: Bytes = np.empty(_FIRST_BYTES, np.uint8)
        self._start: Whole = np.empty(_FIRST_SLOTS, np.int64)
        self._stop: Whole = np.empty(_FIRST_SLOTS, np.int64)
        self._hashes: Hashes = np.empty(_FIRST_SLOTS, np.uint64)
        self._slots: NDArray[np.int32] = np.zeros(_FIRST_SLOTS, np.int32)  # number + 1, or 0
        self._count = self._end = self._gone = 0  # texts, bytes of content, and how many of these are of removed texts

    def __len__(self) -> int:
        """Return how many texts there are."""
        return self._count

    def find(self, texts: Texts) -> Whole:
        """Return the number of each text, int64 [n]; -1 where it is not there."""
        found = np.empty(len(texts), np.int64)
        _find(texts.arrays, (self._content, self._start, self._stop, self._hashes, self._slots), _KEY, found)
        return found

    def texts(self, numbers: Whole) -> Texts:
        """Return the texts of some numbers, as copies."""
        return Texts(self._content, self._start[numbers], self._stop[numbers]).packed()

    def add(self, texts: Texts) -> None:
        """Number texts that are not there; no two of them are equal."""
        count = self._count + len(texts)
        self._make_room(count, int((texts.stop - texts.start).sum()))
        known = (self._content, self._start, self._stop, self._hashes)
        self._end = _add(texts.arrays, known, _KEY, self._count, self._end)
        _place(self._hashes, self._count, count, self._slots)
        self._count = count

    def remove(self, numbers: Whole) -> tuple[Whole, Whole]:
        """Forget texts by number, int64 [n] ascending; the last texts get the numbers that become free.

        Returns:
            the numbers of those that were moved, before and after.
        """
        left = self._count - len(numbers)
        cut = int(np.searchsorted(numbers, left))
        after = numbers[:cut]
        before = np.setdiff1d(np.arange(left, self._count), numbers[cut:], assume_unique=True)
        self._gone += int((self._stop[numbers] - self._start[numbers]).sum())
        _remove((self._start, self._stop, self._hashes, self._slots), numbers, before, after)
        self._count = left
        return before, after

    def _make_room(self, count: int, more_bytes: int) -> None:
        if self._end + more_bytes > len(self._content) and 2 * self._gone > self._end:
            left = self.texts(np.arange(self._count))
            self._end, self._gone = len(left.content), 0
            self._content[: self._end] = left.content
            self._start[: self._count], self._stop[: self._count] = left.start, left.stop
        self._content = _roomy(self._content, self._end + more_bytes)
        self._start, self._stop = _roomy(self._start, count), _roomy(self._stop, count)
        self._hashes = _roomy(self._hashes, count)
        if 2 * count > len(self._slots):
            self._slots = np.zeros(1 << int(2 * count - 1).bit_length(), np.int32)
            _place(self._hashes, 0, self._count, self._slots)


def _roomy(array: NDArray[_Kind], needed: int) -> NDArray[_Kind]:
    if needed <= len(array):
        return array
    grown = np.zeros(max(needed, 2 * len(array)), array.dtype)
    grown[: len(array)] = array
    return grown


@njit(error_model="numpy")
def _hash(content, start, stop, key):  # type: ignore[no-untyped-def]
    value = key[0]
    word = np.uint64(0)
    shift = np.uint64(0)
    for k in range(start, stop):
        word |= np.uint64(content[k]) << shift
        shift += np.uint64(8)
        if shift == np.uint64(64):
            value = (value ^ word) * key[1]
            value ^= value >> np.uint64(32)
            word = np.uint64(0)
            shift = np.uint64(0)
    value = (value ^ word) * key[1]
    value ^= value >> np.uint64(29)
    value = (value ^ np.uint64(stop - start)) * key[1]
    return value ^ (value >> np.uint64(32))


@njit(cache=True, nogil=True, error_model="numpy")
def _find(texts, table, key, found):  # type: ignore[no-untyped-def]
    content, starts, stops = texts
    known, begins, ends, hashes, slots = table
    mask = len(slots) - 1
    for i in range(len(starts)):
        start, stop = starts[i], stops[i]
        value = _hash(content, start, stop, key)
        at = np.int64(value & np.uint64(mask))
        found[i] = -1
        while slots[at] > 0:
            k = np.int64(slots[at]) - 1
            first = begins[k]
            if hashes[k] == value and ends[k] - first == stop - start:
                same = True
                for j in range(stop - start):
                    if known[first + j] != content[start + j]:
                        same = False
                        break
                if same:
                    found[i] = k
                    break
            at = (at + 1) & mask


@njit(cache=True, nogil=True, error_model="numpy")
def _add(texts, table, key, count, end):  # type: ignore[no-untyped-def]
    content, starts, stops = texts
    known, begins, ends, hashes = table
    for i in range(len(starts)):
        begins[count + i] = end
        for j in range(starts[i], stops[i]):
            known[end] = content[j]
            end += 1
        ends[count + i] = end
        hashes[count + i] = _hash(content, starts[i], stops[i], key)
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _place(hashes, first, count, slots):  # type: ignore[no-untyped-def]
    mask = len(slots) - 1
    for k in range(first, count):
        at = np.int64(hashes[k] & np.uint64(mask))
        while slots[at] > 0:
            at = (at + 1) & mask
        slots[at] = k + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _remove(table, numbers, before, after):  # type: ignore[no-untyped-def]
    begins, ends, hashes, slots = table
    mask = len(slots) - 1
    for i in range(len(numbers)):
        at = np.int64(hashes[numbers[i]] & np.uint64(mask))
        while slots[at] != numbers[i] + 1:
            at = (at + 1) & mask
        then = (at + 1) & mask  # whatever stands behind the gap and would be looked for across it moves into it
        while slots[then] > 0:
            home = np.int64(hashes[slots[then] - 1] & np.uint64(mask))
            if ((then - home) & mask) >= ((then - at) & mask):
                slots[at] = slots[then]
                at = then
            then = (then + 1) & mask
        slots[at] = 0
    for i in range(len(before)):
        old, new = before[i], after[i]
        at = np.int64(hashes[old] & np.uint64(mask))
        while slots[at] != old + 1:
            at = (at + 1) & mask
        slots[at] = new + 1
        begins[new], ends[new], hashes[new] = begins[old], ends[old], hashes[old]
