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
    """Different texts, numbered from 0 on."""

    def __init__(self) -> None:
        """Start with none."""
        self._content: Bytes = np.empty(_FIRST_BYTES, np.uint8)
        self._stop: Whole = np.zeros(_FIRST_SLOTS + 1, np.int64)  # where text k - 1 ends and text k starts
        self._hashes: Hashes = np.empty(_FIRST_SLOTS, np.uint64)
        self._slots: NDArray[np.int32] = np.zeros(_FIRST_SLOTS, np.int32)  # number + 1, or 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many texts there are."""
        return self._count

    def find(self, texts: Texts) -> Whole:
        """Return the number of each text, int64 [n]; -1 where it is not there."""
        found = np.empty(len(texts), np.int64)
        _find(texts.arrays, (self._content, self._stop, self._hashes, self._slots), _KEY, found)
        return found

    def add(self, texts: Texts) -> None:
        """Number texts that are not there; no two of them are equal."""
        count = self._count + len(texts)
        size = int(self._stop[self._count]) + int((texts.stop - texts.start).sum())
        self._content = _roomy(self._content, size)
        self._stop = _roomy(self._stop, count + 1)
        self._hashes = _roomy(self._hashes, count)
        if 2 * count > len(self._slots):
            self._slots = np.zeros(1 << int(2 * count - 1).bit_length(), np.int32)
            _place(self._hashes, 0, self._count, self._slots)
        _add(texts.arrays, (self._content, self._stop, self._hashes), _KEY, self._count)
        _place(self._hashes, self._count, count, self._slots)
        self._count = count


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
    known, ends, hashes, slots = table
    mask = len(slots) - 1
    for i in range(len(starts)):
        start, stop = starts[i], stops[i]
        value = _hash(content, start, stop, key)
        at = np.int64(value & np.uint64(mask))
        found[i] = -1
        while slots[at] > 0:
            k = np.int64(slots[at]) - 1
            if hashes[k] == value and ends[k + 1] - ends[k] == stop - start:
                first = ends[k]
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
def _add(texts, table, key, count):  # type: ignore[no-untyped-def]
    content, starts, stops = texts
    known, ends, hashes = table
    for i in range(len(starts)):
        at = ends[count + i]
        for j in range(starts[i], stops[i]):
            known[at] = content[j]
            at += 1
        ends[count + i + 1] = at
        hashes[count + i] = _hash(content, starts[i], stops[i], key)


@njit(cache=True, nogil=True, error_model="numpy")
def _place(hashes, first, count, slots):  # type: ignore[no-untyped-def]
    mask = len(slots) - 1
    for k in range(first, count):
        at = np.int64(hashes[k] & np.uint64(mask))
        while slots[at] > 0:
            at = (at + 1) & mask
        slots[at] = k + 1
