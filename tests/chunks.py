"""Records and chunks as tests need them: a factory states only what matters to its test."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from schemas.accepted import NO_RECORD_TIME
from stream_app.steps.stages import Chunk

NOON = 1_700_000_000_000
"""An event time in 2023."""


def transaction(**fields: object) -> dict[str, Any]:
    """Return a plain transaction of customer c with ``fields`` changed; a field that is ... is left out."""
    plain = {"transaction_id": "t-1", "customer_id": "c", "time": NOON, "amount": -12.5, "type": "groceries"}
    return {name: value for name, value in (plain | fields).items() if value is not ...}


def customer(**fields: object) -> dict[str, Any]:
    """Return a record of customer c."""
    return {"kind": "customer", "customer_id": "c", "time": NOON} | fields


def tick(customer_slice: int, time: int = NOON) -> dict[str, Any]:
    """Return a tick of one slice."""
    return {"kind": "tick", "slice": customer_slice, "time": time}


def as_value(record: object) -> bytes | None:
    """Return a record's value: bytes and None as they are, all else as JSON."""
    if record is None or isinstance(record, bytes):
        return record
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode()


def key_of(record: object) -> bytes | None:
    """Return the customer's id of a record that is a dict, b"c" else."""
    name = record.get("customer_id") if isinstance(record, dict) else "c"
    return name.encode() if isinstance(name, str) else None


def chunk(
    *records: object,
    keys: Sequence[bytes | None] | None = None,
    record_times: Sequence[int] | None = None,
    first_offset: int = 0,
) -> Chunk:
    """Return records as a chunk of transactions-0: dicts, to be written as JSON, bytes, or None (a tombstone)."""
    names = list(keys) if keys is not None else [key_of(record) for record in records]
    values = [as_value(record) for record in records]
    times = np.array(record_times or [NO_RECORD_TIME] * len(records), np.int64)
    return Chunk.of(("transactions", 0), np.arange(first_offset, first_offset + len(records)), (names, values), times)
