"""Writes many JSON objects of one shape straight into a buffer: a compiled loop over a small program.

A program is a list of instructions made once per bundle; what varies from record to record stands in arrays. No Python
object is made per record.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

LITERAL, TEXT, INTEGER, DECIMAL, CHOICE, SKIP = range(6)
_NUMBER_BYTES: Final = 28
"""Room for a sign, 19 digits, a point and six decimals."""
_TEXT_GROWTH: Final = 6
"""A control character takes six bytes in JSON."""

Bytes = NDArray[np.uint8]
Whole = NDArray[np.int64]


@dataclass
class Program:
    """Instructions, in order. Columns count from 0 in the array that the instruction reads."""

    _code: list[tuple[int, int, int]] = field(default_factory=list)
    _literals: list[bytes] = field(default_factory=list)

    def literal(self, text: str) -> None:
        """Write a fixed text."""
        self._code.append((LITERAL, self._keep(text), 0))

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

    def build(self) -> "Writer":
        """Return the writer."""
        ends = np.cumsum([0, *map(len, self._literals)]).astype(np.int64)
        literals = np.frombuffer(b"".join(self._literals), np.uint8)
        room = sum(len(text) for text in self._literals) + _NUMBER_BYTES * len(self._code)
        texts = sum(code == TEXT for code, _, _ in self._code)
        return Writer(np.array(self._code, np.int64).reshape(-1, 3), literals, ends, room, texts)

    def _keep(self, text: str) -> int:
        self._literals.append(text.encode())
        return len(self._literals) - 1


@dataclass(frozen=True)
class Texts:
    """Columns of texts: all bytes of each column, and where each text ends."""

    content: tuple[Bytes, ...]
    ends: tuple[Whole, ...]

    @classmethod
    def of(cls, *columns: list[bytes]) -> "Texts":
        """Return text columns of equal length."""
        content = tuple(np.frombuffer(b"".join(column), np.uint8) for column in columns)
        ends = tuple(
            np.cumsum(np.fromiter(map(len, column), np.int64, len(column)), dtype=np.int64) for column in columns
        )
        return cls(content, ends)


@dataclass(frozen=True)
class Writer:
    """A program that is ready to run."""

    code: Whole
    literals: Bytes
    literal_ends: Whole
    room: int
    texts: int

    def __call__(self, texts: Texts, integers: Whole, decimals: Whole) -> tuple[Bytes, Whole]:
        """Write one JSON object per row.

        Args:
            texts: text columns, n rows each.
            integers: int64 [n, integer columns].
            decimals: int64 [n, decimal columns], millionths.

        Returns:
            All objects one behind the other, and int64 [n + 1] where each starts.
        """
        n = len(integers)
        longest = sum(len(content) for content in texts.content) * _TEXT_GROWTH * max(self.texts, 1)
        buffer = np.empty(n * self.room + longest, np.uint8)
        starts = np.zeros(n + 1, np.int64)
        _write(
            buffer,
            starts,
            (self.code, self.literals, self.literal_ends),
            (texts.content, texts.ends),
            (integers, decimals),
        )
        return buffer[: starts[n]], starts


@njit(cache=True, nogil=True, error_model="numpy")
def _write(buffer, starts, program, texts, numbers):  # type: ignore[no-untyped-def]
    code, literals, literal_ends = program
    contents, text_ends = texts
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
                for j in range(length):
                    buffer[w + j] = literals[first + j]
                w += length
            elif what == 1:  # text
                content, ends = contents[column], text_ends[column]
                for j in range(ends[i - 1] if i > 0 else 0, ends[i]):
                    c = content[j]
                    if c >= 32 and c != 34 and c != 92:
                        buffer[w] = c
                        w += 1
                    else:
                        w = _escape(buffer, w, c)
            elif what == 2:  # integer
                value = integers[i, column]
                if value < 0:
                    buffer[w] = 45
                    w += 1
                    value = -value
                w = _digits(buffer, w, value)
            elif what == 3:  # decimal
                value = decimals[i, column]
                if value < 0:
                    buffer[w] = 45
                    w += 1
                    value = -value
                w = _digits(buffer, w, value // 1_000_000)
                buffer[w] = 46
                rest = value % 1_000_000
                for j in range(6, 0, -1):
                    buffer[w + j] = 48 + rest % 10
                    rest //= 10
                w += 7
            elif integers[i, column] == 0:  # skip
                k = more
    starts[len(integers)] = w


@njit(error_model="numpy")
def _digits(buffer, w, value):  # type: ignore[no-untyped-def]
    digits = 1
    rest = value // 10
    while rest > 0:
        digits += 1
        rest //= 10
    for j in range(w + digits - 1, w - 1, -1):
        buffer[j] = 48 + value % 10
        value //= 10
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
