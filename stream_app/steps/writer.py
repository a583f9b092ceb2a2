"""Writes many JSON objects of one shape straight into a buffer: a compiled loop over a small program.

A program is a list of instructions made once per bundle; what varies from record to record stands in arrays. No Python
object is made per record.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numba import njit

from stream_app.native import BLOCK, copy_16, put
from stream_app.steps.texts import Bytes, Texts, Whole

LITERAL, TEXT, INTEGER, DECIMAL, CHOICE, SKIP = range(6)
_NUMBER_BYTES: Final = 28
"""Room for a sign, 19 digits, a point and six decimals."""
_TEXT_GROWTH: Final = 6
"""A control character takes six bytes in JSON."""
_PAIRS: Final = np.frombuffer("".join(f"{pair:02}" for pair in range(100)).encode(), np.uint8)
"""The digits of the numbers below a hundred."""


@dataclass
class Program:
    """Instructions, in order. Columns count from 0 in the array that the instruction reads."""

    _code: list[tuple[int, int, int]] = field(default_factory=list)
    _literals: list[bytes] = field(default_factory=list)
    _jumped_to: bool = False

    def literal(self, text: str) -> None:
        """Write a fixed text."""
        last = self._code[-1] if self._code else None
        if last is not None and last[0] == LITERAL and last[1] == len(self._literals) - 1 and not self._jumped_to:
            self._literals[-1] += text.encode()
        else:
            self._code.append((LITERAL, self._keep(text), 0))
        self._jumped_to = False

    def text(self, column: int) -> None:
        """Write a text column as the inside of a JSON string."""
        self._code.append((TEXT, column, 0))

    def integer(self, column: int) -> None:
        """Write an integer column."""
        self._code.append((INTEGER, column, 0))

    def decimal(self, column: int) -> None:
        """Write a column of millionths as a number with six decimals."""
        self._code.append((DECIMAL, column, 0))

    def choice(self, column: int, texts: list[str]) -> None:
        """Write the text that an integer column chooses."""
        self._code.append((CHOICE, column, len(self._literals)))
        for text in texts:
            self._keep(text)

    def skip_unless(self, column: int) -> int:
        """Start a part that is left out where an integer column is 0; return what ``end_skip`` needs."""
        self._code.append((SKIP, column, 0))
        return len(self._code) - 1

    def end_skip(self, place: int) -> None:
        """End the part that ``skip_unless`` started."""
        self._code[place] = (SKIP, self._code[place][1], len(self._code))
        self._jumped_to = True

    def build(self) -> "Writer":
        """Return the writer."""
        ends = np.cumsum([0, *map(len, self._literals)]).astype(np.int64)
        literals = np.frombuffer(b"".join(self._literals) + bytes(BLOCK), np.uint8)  # read a block at a time
        room = sum(len(text) for text in self._literals) + _NUMBER_BYTES * len(self._code)
        texts = sum(code == TEXT for code, _, _ in self._code)
        return Writer(np.array(self._code, np.int64).reshape(-1, 3), literals, ends, room, texts)

    def _keep(self, text: str) -> int:
        self._literals.append(text.encode())
        return len(self._literals) - 1


@dataclass(frozen=True)
class Writer:
    """A program that is ready to run."""

    code: Whole
    literals: Bytes
    literal_ends: Whole
    room: int
    texts: int

    def __call__(self, texts: tuple[Texts, ...], integers: Whole, decimals: Whole) -> tuple[Bytes, Whole]:
        """Write one JSON object per row.

        Args:
            texts: text columns, n rows each.
            integers: int64 [n, integer columns].
            decimals: int64 [n, decimal columns], millionths.

        Returns:
            All objects one behind the other, and int64 [n + 1] where each starts.
        """
        n = len(integers)
        longest = sum(int((column.stop - column.start).sum()) for column in texts) * _TEXT_GROWTH * max(self.texts, 1)
        buffer = np.empty(n * self.room + longest + BLOCK, np.uint8)
        starts = np.zeros(n + 1, np.int64)
        columns = tuple(column.arrays for column in texts)
        _write(buffer, starts, (self.code, self.literals, self.literal_ends, _PAIRS), columns, (integers, decimals))
        return buffer[: starts[n]], starts


@njit(cache=True, nogil=True, error_model="numpy")
def _write(buffer, starts, program, texts, numbers):  # type: ignore[no-untyped-def]
    code, literals, literal_ends, pairs = program
    integers, decimals = numbers
    w = 0
    for i in range(len(integers)):
        starts[i] = w
        k = 0
        while k < len(code):
            what, column, more = code[k, 0], code[k, 1], code[k, 2]
            k += 1
            if what == 0 or what == 4:  # literal, choice
                chosen = column if what == 0 else more + integers[i, column]
                first = literal_ends[chosen]
                length = literal_ends[chosen + 1] - first
                for j in range(0, length, 16):
                    copy_16(buffer, w + j, literals, first + j)
                w += length
            elif what == 3:  # decimal
                w = _decimal(buffer, w, decimals[i, column], pairs)
            elif what == 5:  # skip
                if integers[i, column] == 0:
                    k = more
            elif what == 1:  # text
                content, first, stop = texts[column]
                for j in range(first[i], stop[i]):
                    c = content[j]
                    if c >= 32 and c != 34 and c != 92:
                        put(buffer, w, c)
                        w += 1
                    else:
                        w = _escape(buffer, w, c)
            else:  # integer
                value = integers[i, column]
                if value < 0:
                    put(buffer, w, 45)
                    w += 1
                    value = -value
                w = _digits(buffer, w, value, pairs)
    starts[len(integers)] = w


@njit(error_model="numpy")
def _pair(buffer, w, value, pairs):  # type: ignore[no-untyped-def]
    """Write two digits."""
    at = np.uint64(2) * np.uint64(value)
    put(buffer, w, pairs[at])
    put(buffer, w + 1, pairs[at + np.uint64(1)])


@njit(error_model="numpy")
def _decimal(buffer, w, millionths, pairs):  # type: ignore[no-untyped-def]
    """Write a number with six decimals."""
    if millionths < 0:
        put(buffer, w, 45)
        w += 1
    value = np.uint64(abs(millionths))
    whole = value // np.uint64(1_000_000)
    rest = np.uint32(value - whole * np.uint64(1_000_000))
    if whole < np.uint64(10):
        put(buffer, w, 48 + np.uint8(whole))
        w += 1
    else:
        w = _digits(buffer, w, np.int64(whole), pairs)
    put(buffer, w, 46)
    high = rest // np.uint32(10_000)
    low = np.uint32(rest - high * np.uint32(10_000))
    middle = low // np.uint32(100)
    _pair(buffer, w + 1, high, pairs)
    _pair(buffer, w + 3, middle, pairs)
    _pair(buffer, w + 5, np.uint32(low - middle * np.uint32(100)), pairs)
    return w + 7


@njit(error_model="numpy")
def _digits(buffer, w, value, pairs):  # type: ignore[no-untyped-def]
    """Write a whole number that is not negative."""
    rest = np.uint64(value)
    digits = 1
    bound = np.uint64(10)
    while digits < 19 and rest >= bound:
        digits += 1
        bound *= np.uint64(10)
    at = w + digits
    while rest >= np.uint64(100):
        higher = rest // np.uint64(100)
        at -= 2
        _pair(buffer, at, rest - higher * np.uint64(100), pairs)
        rest = higher
    if rest >= np.uint64(10):
        _pair(buffer, at - 2, rest, pairs)
    else:
        put(buffer, at - 1, 48 + np.uint8(rest))
    return w + digits


@njit(error_model="numpy")
def _escape(buffer, w, c):  # type: ignore[no-untyped-def]
    buffer[w] = 92
    short = 0
    if c == 34 or c == 92:
        short = c
    elif c == 8:
        short = 98
    elif c == 9:
        short = 116
    elif c == 10:
        short = 110
    elif c == 12:
        short = 102
    elif c == 13:
        short = 114
    if short > 0:
        buffer[w + 1] = short
        return w + 2
    buffer[w + 1] = 117
    buffer[w + 2] = 48
    buffer[w + 3] = 48
    buffer[w + 4] = 48 + c // 16
    low = c % 16
    buffer[w + 5] = 48 + low if low < 10 else 87 + low
    return w + 6
