"""Interchange folders without a spec, made from lists: what somebody has who drafts one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream_app.offline.folder import CUSTOMERS, OUTCOMES, TEXT, TIME, TRANSACTIONS
from training.arrays import DAY_MS

START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z."""
Event = tuple[str, float, str, float]
"""Customer, day, type, amount."""
Outcome = tuple[str, str, float, str]
"""Customer, name, day, value."""


def write(
    out: Path,
    events: Iterable[Event],
    customers: Mapping[str, Sequence[Any]] | None = None,
    outcomes: Iterable[Outcome] = (),
    **columns: Sequence[Any],
) -> Path:
    """Write a folder and return it.

    Args:
        out: the folder.
        events: transactions.
        customers: attributes by name, a value for each customer in the order of their names, known from the start.
        outcomes: what became of them.
        columns: further columns of the transactions.
    """
    out.mkdir(parents=True)
    rows = sorted(events, key=lambda event: event[1])
    table = {
        "transaction_id": [f"t{number}" for number in range(len(rows))],
        "customer_id": [row[0] for row in rows],
        "time": _times(row[1] for row in rows),
        "amount": pa.array([row[3] for row in rows], pa.float64()),
        "type": [row[2] for row in rows],
        **columns,
    }
    pq.write_table(pa.table(table), out / TRANSACTIONS)
    names = sorted({row[0] for row in rows}) if customers else []
    known = {"customer_id": pa.array(names, TEXT), "time": _times([-1.0] * len(names)), **(customers or {})}
    pq.write_table(pa.table(known), out / CUSTOMERS)
    told = sorted(outcomes, key=lambda outcome: outcome[2])
    if told:
        fates = {
            "customer_id": [row[0] for row in told],
            "task": [row[1] for row in told],
            "time": _times(row[2] for row in told),
            "value": [row[3] for row in told],
        }
        pq.write_table(pa.table(fates), out / OUTCOMES)
    return out


def lively(customers: int = 80, days: int = 160, seed: int = 0) -> list[Event]:
    """Return payments in three types by customers who come often, some of whom stop, and a fee that the bank takes."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(customers):
        name, rate = f"c{number:03d}", rng.uniform(0.15, 0.5)
        last = rng.uniform(days / 4, 2 * days)
        for day in np.flatnonzero(rng.random(days) < rate):
            if day < last:
                kind = str(rng.choice(["food", "travel", "rent"], p=[0.6, 0.3, 0.1]))
                events.append((name, day + float(rng.uniform(0.2, 0.9)), kind, -float(rng.lognormal(3.0, 0.5))))
        events += [(name, day + 0.99, "account_fee", -1.5) for day in range(29, days, 30)]
    return events


def _times(days: Iterable[float]) -> pa.Array:
    return pa.array([START_MS + round(day * DAY_MS) for day in days], pa.int64()).cast(TIME)
