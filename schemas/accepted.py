"""What the stream accepts. A refused record is a value, no exception: it ends in the dead letters with its reason."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.spec import Spec

LARGEST_AMOUNT: Final = 1e12
"""In the base currency: sums, squares and what the network makes of them then stay finite in float32."""
EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01T00:00Z."""
LATEST_MS: Final = 7_258_118_400_000
"""2200-01-01T00:00Z."""
MOST_AHEAD_MS: Final = 86_400_000
"""How far event time may lie after the record's Kafka time: a time far ahead would empty the windows."""
NO_RECORD_TIME: Final = -1
NO_OFFSET_MS: Final = -(1 << 62)
"""Stands for a time without an offset, which has no place on the time line."""
LONGEST_ID: Final = 256
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class Reason(StrEnum):
    """Why a record became a dead letter."""

    MALFORMED = "malformed"
    """It is no JSON object (NaN and Infinity are no JSON)."""
    KIND = "kind"
    """Its ``kind`` is none of the five."""
    SCHEMA = "schema"
    """A field is missing or has a wrong type."""
    ID = "id"
    """An id is empty, longer than 256 bytes or holds a NUL."""
    KEY = "key"
    """The record's key is not the customer's id: its state would be split between partitions."""
    TIME = "time"
    """Event time is before 1990, from 2200 on, without an offset, or more than a day after the record's Kafka time."""
    AMOUNT = "amount"
    """Amount or balance is beyond 1e12 in the base currency."""
    CURRENCY = "currency"
    """The spec has no rate for the currency."""
    ATTRIBUTE = "attribute"
    """An attribute of a customer record is of a wrong type or out of its bounds."""
    DUPLICATE = "duplicate"
    """The transaction id is among the customer's last eight."""
    INTERNAL_ERROR = "internal_error"
    """The record alone made a step fail."""


class Rejection(NamedTuple):
    """A refused record: its index in the chunk, why, and in words what was expected and found."""

    record: int
    reason: Reason
    detail: str


def epoch_ms(time: int | datetime) -> int:
    """Return a time as whole ms since 1970, cut off below; ``NO_OFFSET_MS`` for a time without an offset."""
    if isinstance(time, datetime):
        return NO_OFFSET_MS if time.tzinfo is None else (time - _EPOCH) // _MS
    return max(NO_OFFSET_MS + 1, min(time, -NO_OFFSET_MS))


def time_problem(time_ms: int, record_time_ms: int = NO_RECORD_TIME) -> str | None:
    """Return what is wrong with an event time, None if nothing.

    Args:
        time_ms: event time in ms since 1970.
        record_time_ms: the record's Kafka time; ``NO_RECORD_TIME`` where a file has none.
    """
    if time_ms == NO_OFFSET_MS:
        return "expected a time with an offset such as Z or +01:00, found one without"
    if time_ms < EARLIEST_MS:
        return f"expected ms since 1970 from 1990 on, found {time_ms}: it looks like seconds"
    if time_ms >= LATEST_MS:
        return f"expected ms since 1970 before 2200, found {time_ms}: it looks like microseconds"
    if record_time_ms != NO_RECORD_TIME and time_ms > record_time_ms + MOST_AHEAD_MS:
        return f"expected event time at most a day after the record's {record_time_ms}, found {time_ms}"
    return None


def amount_problem(amount: float, field: str = "amount") -> str | None:
    """Return what is wrong with an amount in the base currency, None if nothing."""
    if abs(amount) <= LARGEST_AMOUNT:
        return None
    return f"expected {field} within 1e12 of the base currency, found {amount:g}"


def currency_problem(currency: str, spec: Spec) -> str | None:
    """Return what is wrong with a currency, None if nothing."""
    if currency in spec.rate:
        return None
    return f"expected one of the currencies {', '.join(sorted(spec.rate))}, found {currency[:16]!r}"


def id_problem(value: bytes, field: str) -> str | None:
    """Return what is wrong with an id in UTF-8, None if nothing."""
    if 0 < len(value) <= LONGEST_ID and b"\0" not in value:
        return None
    found = "a NUL in it" if value[:LONGEST_ID].count(b"\0") else f"{len(value)} bytes"
    return f"expected {field} of 1 to {LONGEST_ID} bytes without NUL, found {found}"
