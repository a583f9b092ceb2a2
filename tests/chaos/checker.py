"""Compares what workers put out with a replay of the log, partition by partition, so that a million records fit.

Messages are kept as digests of 16 bytes by what tells them apart: score_id, alert_id, the offset of a dead letter's
record, the customer of a row.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas import codec
from schemas.accepted import Reason, Rejection
from stream_app.offline.log import LOG_COLUMNS, CapturedLog
from stream_app.offline.replay import emissions
from stream_app.scorer import Emission
from stream_app.shelf import Shelf
from stream_app.steps.encode import DeadLetter, dead_letters
from stream_app.steps.stages import Chunk
from tests.kit.poisoned import POISON

SCORES, ALERTS, LETTERS, ROWS = KINDS = ("scores", "alerts", "letters", "rows")
MOST_TOLD: Final = 5
_DIGEST_BYTES: Final = 16
_FAILS_ALONE: Final = "expected every step to take the record, found one that fails at it"

Item = tuple[str, bytes]
"""What tells a message or row from all others of its kind and partition, and the digest of its content."""


@dataclass
class Found:
    """How what was seen of one kind differs from what must be there.

    Attributes:
        expected: how many must be there.
        missing: of them.
        repeated: seen more than once, byte for byte the same.
        different: seen with other bytes.
        unexpected: that must not be there.
        told: some of them in words.
    """

    expected: int = 0
    missing: int = 0
    repeated: int = 0
    different: int = 0
    unexpected: int = 0
    told: list[str] = field(default_factory=list)

    def __add__(self, other: "Found") -> "Found":
        return Found(
            self.expected + other.expected,
            self.missing + other.missing,
            self.repeated + other.repeated,
            self.different + other.different,
            self.unexpected + other.unexpected,
            self.told + other.told,
        )


@dataclass
class Expected:
    """Digests of what a partition's log must give, by kind and what tells it apart."""

    kinds: dict[str, dict[str, bytes]] = field(default_factory=lambda: {kind: {} for kind in KINDS})


def compare(expected: Mapping[str, bytes], seen: Iterable[Item]) -> Found:
    """Return how items differ from those that must be there."""
    found, contents = Found(len(expected)), dict[str, bytes]()
    for name, content in seen:
        if name not in contents:
            contents[name] = content
        elif contents[name] == content:
            found.repeated += 1
        else:
            found.different += 1
            found.told.append(f"{name} is there twice, with different bytes")
    for name, content in contents.items():
        if name not in expected:
            found.unexpected += 1
            found.told.append(f"{name} must not be there")
        elif expected[name] != content:
            found.different += 1
            found.told.append(f"{name} has other bytes than it must have")
    lacking = [name for name in expected if name not in contents]
    found.missing = len(lacking)
    found.told = found.told[:MOST_TOLD] + [f"{name} is missing" for name in lacking[:MOST_TOLD]]
    return found


def replayed(table: pa.Table, shelf: Shelf, *, poisoned: bool) -> Expected:
    """Return what the captured records of one partition must give.

    Args:
        table: the records.
        shelf: the first bundle, and those that the log activates.
        poisoned: whether workers ran as ``tests.kit.poisoned``: their customer's records are dead letters.
    """
    told = Expected()
    if poisoned:
        poison = pc.fill_null(pc.equal(table.column("key"), POISON), fill_value=False)
        for letter in _poison_letters(table.filter(poison)):
            _add_letter(told, letter)
        table = table.filter(pc.invert(poison))
    scorer = None
    for _, emission, scorer in emissions(CapturedLog(table.select(list(LOG_COLUMNS))), shelf):  # noqa: B007
        _add_emission(told, emission)
    if scorer is not None:
        residents = scorer.residents
        for customer, row in zip(residents.customers, residents.matrix, strict=False):
            if row.any():
                _add(told, ROWS, row_item(customer, row))
    return told


def score_item(key: bytes | None, value: bytes | None) -> Item:
    """Return a score as an item."""
    return _id(value, "score_id"), digest(key, value)


def alert_item(key: bytes | None, value: bytes | None) -> Item:
    """Return an alert as an item."""
    return _id(value, "alert_id"), digest(key, value)


def letter_item(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Item:
    """Return a dead letter as an item."""
    given = list(headers)
    place = dict(given).get("offset", b"no offset").decode(errors="replace")
    return place, digest(key, value, *(part for name, content in given for part in (name.encode(), content)))


def row_item(customer: bytes, row: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> Item:
    """Return a row as an item."""
    return customer.decode(errors="replace"), digest(row.tobytes())


def digest(*parts: bytes | None) -> bytes:
    """Return the digest of some bytes, which also tells where one part ends and whether it is there."""
    made = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        made.update(b"-" if part is None else b"%d:" % len(part))
        made.update(part or b"")
    return made.digest()


def _id(value: bytes | None, name: str) -> str:
    try:
        return str(codec.facts(value or b"")[name])
    except (msgspec.DecodeError, KeyError):
        return f"unreadable {value!r:.100}"


def _add(told: Expected, kind: str, item: Item) -> None:
    name, content = item
    assert name not in told.kinds[kind], f"the replay itself gives {name} of {kind} twice"
    told.kinds[kind][name] = content


def _add_emission(told: Expected, emission: Emission) -> None:
    for part in emission.scores:
        content = part.messages.tobytes()
        for customer, (first, end) in zip(part.customers, pairwise(part.starts.tolist()), strict=True):
            _add(told, SCORES, score_item(customer, content[first:end]))
    for alert in emission.alerts:
        _add(told, ALERTS, alert_item(alert.customer_id.encode(), codec.encode(alert)))
    for letter in emission.dead_letters:
        _add_letter(told, letter)


def _add_letter(told: Expected, letter: DeadLetter) -> None:
    _add(told, LETTERS, letter_item(letter.key, letter.value, letter.headers))


def _poison_letters(table: pa.Table) -> list[DeadLetter]:
    if not table.num_rows:
        return []
    (chunk,) = CapturedLog(table.select(list(LOG_COLUMNS))).chunks(table.num_rows)
    assert isinstance(chunk, Chunk)
    rejections = [Rejection(k, Reason.INTERNAL_ERROR, _FAILS_ALONE) for k in range(table.num_rows)]
    return dead_letters(rejections, chunk)
