"""What the tests that move records share: a folder to publish, and what a replay of it takes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream_app.offline.log import open_log
from tests.kit.processes import Foretell
from tests.kit.records import Record

NOON = 1_704_110_400_000


def write_folder(path: Path, transactions: int, customers: int = 40) -> Path:
    """Write an interchange folder; one customer's name is not ASCII, one transaction has none."""
    names = [f"c-{k % customers}" if k % customers else "Zoë" for k in range(transactions)]
    path.mkdir()
    times = pa.array(NOON + np.arange(transactions) // 3 * 60_000, pa.timestamp("ms", tz="UTC"))
    moved = {
        "transaction_id": [f"t-{k}" for k in range(transactions)],
        "customer_id": [*names[:-1], None],
        "time": times,
        "amount": [-1.5 * k for k in range(transactions)],
        "type": ["cash"] * transactions,
    }
    known = {
        "customer_id": [f"c-{k}" for k in range(customers)],
        "time": pa.array([NOON] * customers, pa.timestamp("ms", tz="UTC")),
        "income": [1000.0 + k for k in range(customers)],
    }
    pq.write_table(pa.table(moved), path / "transactions.parquet")
    pq.write_table(pa.table(known), path / "customers.parquet")
    return path


def by_partition(records: Iterable[Record]) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Return key and value of each record in order, by partition."""
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    for record in records:
        found.setdefault(record.partition, []).append((record.key, record.value))
    return found


def replayed(folder: Path, partitions: int) -> dict[int, list[tuple[bytes | None, bytes | None]]]:
    """Return what a replay of a folder takes for its records."""
    found: dict[int, list[tuple[bytes | None, bytes | None]]] = {}
    for chunk in open_log(folder, partitions).chunks(1000):
        found.setdefault(chunk.partition, []).extend(zip(chunk.keys, chunk.values, strict=True))
    return found


def ended(process: Foretell) -> str:
    """Wait for a process that is to succeed; return what it printed."""
    assert process.wait() == 0, process.output
    return process.output
