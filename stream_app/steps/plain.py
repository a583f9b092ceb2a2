"""Plain transactions straight from their JSON to the columns of a batch, without a Python object for any of them.

A record is taken only where it is sure that ``schemas.codec`` and the accepted values would take it, and what they
would find: one flat object, known fields, each once, ASCII without escapes, numbers that have one exact way into a
float64, the customer's id as the key, all within bounds. Every other record, good or bad, is left to them.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import EARLIEST_MS, LARGEST_AMOUNT, LATEST_MS, LONGEST_ID, MOST_AHEAD_MS, NO_RECORD_TIME
from schemas.messages import Transaction
from schemas.spec import Spec
from stream_app.kernel import kernel
from stream_app.steps.scan import FIELDS, scan
from stream_app.steps.stages import Batch, Chunk, Whole
from stream_app.steps.texts import At, Bytes, Texts, readable

_REST: Final = tuple(name for name in Transaction.__struct_fields__ if name not in FIELDS)
"""Fields that nothing is computed from."""


class Strings(NamedTuple):
    """Strings one behind the other: all bytes, and where each ends."""

    content: Bytes
    ends: Whole

    @classmethod
    def of(cls, texts: list[bytes]) -> "Strings":
        """Return texts as strings."""
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), dtype=np.int64)
        return cls(np.frombuffer(b"".join(texts), np.uint8), ends)


class Limits(NamedTuple):
    """What is accepted."""

    earliest_ms: int
    latest_ms: int
    most_ahead_ms: int
    no_record_time: int
    longest_id: int
    largest_amount: float


class Words(NamedTuple):
    """What is compared with: names of fields, of transaction types and of currencies, with the latter's rates."""

    fields: Strings
    types: Strings
    currencies: Strings
    rates: NDArray[np.float64]
    transaction: Strings


class Blake(NamedTuple):
    """The constants of BLAKE2b (RFC 7693): the initial state, and the order in which each round takes the words."""

    initial: NDArray[np.uint64]
    order: NDArray[np.uint8]


class Columns(NamedTuple):
    """What was read of each record, as far as it was taken; n records.

    Attributes:
        taken: bool [n].
        time_ms: int64 [n].
        amount: float64 [n], in the base currency.
        balance: float64 [n], NaN where unknown.
        kind: int64 [n], type code, -1 where the spec does not know the type.
        id_hash: int64 [n, 2].
        id_span: int64 [n, 2], where in the values' content the transaction id starts and ends.
    """

    taken: NDArray[np.bool_]
    time_ms: Whole
    amount: NDArray[np.float64]
    balance: NDArray[np.float64]
    kind: Whole
    id_hash: Whole
    id_span: Whole

    @classmethod
    def room(cls, n: int) -> "Columns":
        """Return columns of which nothing is taken."""
        ids = np.empty((n, 2), np.int64)
        return cls(
            taken=np.zeros(n, np.bool_),
            time_ms=np.empty(n, np.int64),
            amount=np.empty(n),
            balance=np.empty(n),
            kind=np.empty(n, np.int64),
            id_hash=ids,
            id_span=np.empty_like(ids),
        )


_LIMITS: Final = Limits(EARLIEST_MS, LATEST_MS, MOST_AHEAD_MS, NO_RECORD_TIME, LONGEST_ID, LARGEST_AMOUNT)
_POWERS: Final = 10.0 ** np.arange(23)
_BLAKE: Final = Blake(
    np.array(
        [
            0x6A09E667F3BCC908, 0xBB67AE8584CAA73B, 0x3C6EF372FE94F82B, 0xA54FF53A5F1D36F1,
            0x510E527FADE682D1, 0x9B05688C2B3E6C1F, 0x1F83D9ABFB41BD6B, 0x5BE0CD19137E2179,
        ],
        np.uint64,
    ),
    np.array(
        [
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
            [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
            [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
            [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
            [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
            [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
            [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
            [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
            [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        ],
        np.uint8,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Scanner:
    """Takes plain transactions out of chunks, for one spec."""

    words: Words
    other: int

    @classmethod
    def of(cls, spec: Spec) -> "Scanner":
        """Return the scanner of a spec."""
        words = Words(
            fields=_words([*FIELDS, *_REST]),
            types=_words([item.name for item in spec.types]),
            currencies=_words(spec.rate),
            rates=np.array(list(spec.rate.values()), np.float64),
            transaction=_words(["transaction"]),
        )
        return cls(words, len(spec.types) - 1)

    def columns(self, chunk: Chunk) -> Columns:
        """Return what is taken of a chunk."""
        found = Columns.room(len(chunk.values))
        values, keys, times = chunk.values.arrays, chunk.keys.arrays, readable(chunk.record_times)
        scan(values, keys, times, self.words, (_LIMITS, _POWERS, _BLAKE), found)
        return found

    def batch(self, columns: Columns, chunk: Chunk, start: int, stop: int, attributes: int) -> tuple[Batch, int]:
        """Return the records taken from ``start`` up to ``stop``, and how many types among them are unknown."""
        taken = columns.taken[start:stop]
        if taken.all():  # as almost always: nothing needs to be copied
            record: Whole = np.arange(start, stop)
            at: At = slice(start, stop)
        else:
            at = record = start + np.flatnonzero(taken)
        kind, spans = columns.kind[at], columns.id_span[at]
        unknown = kind < 0
        batch = Batch(
            record=record,
            op=np.full(len(record), kernel.TRANSACTION, np.int64),
            customers=chunk.keys.take(at),
            transaction_ids=Texts(chunk.values.content, spans[:, 0], spans[:, 1]),
            time_ms=columns.time_ms[at],
            kind=np.where(unknown, self.other, kind) if unknown.any() else kind,
            amount=columns.amount[at],
            balance=columns.balance[at],
            id_hash=columns.id_hash[at],
            attributes=np.zeros((0, attributes)),
        )
        return batch, int(np.count_nonzero(unknown))


def _words(names: "list[str] | dict[str, float]") -> Strings:
    return Strings.of([name.encode() for name in names])
