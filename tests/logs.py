"""Small event logs for the tests of training: as arrays straight from lists, and as a folder to learn from."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from schemas import spec_file
from schemas.spec import Spec
from stream_app.offline.folder import TIME
from training.arrays import DAY_MS
from training.datasets.folder import FolderTables, write_folder
from training.log import Log, Outcomes, Records, Transactions

START_MS = 1_704_067_200_000
"""2024-01-01T00:00Z."""
HOUR_MS = 3_600_000

TYPES = """
types = [
  { name = "salary" }, { name = "rent" }, { name = "shop" }, { name = "fee", initiator = "bank" }, { name = "other" },
]
"""
HEAD = f"""
name = "tiny"
currency = "EUR"
window_days = [7]
window_hours = [24]
decay_days = [7, 30]
{TYPES}
"""
SPEC = f"""{HEAD}
attributes = [
  {{ name = "income", kind = "number" }},
  {{ name = "segment", kind = "category", values = ["plain", "gold"] }},
]
[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = 14
min_history_days = 7
bands = [{{ name = "low" }}, {{ name = "medium", at_least = 0.1 }}, {{ name = "high", top_share = 0.1 }}]
[[tasks]]
name = "next"
kind = "multiclass"
label = "next_type"
horizon_days = 14
[[tasks]]
name = "value"
kind = "value"
label = "outflow"
horizon_days = 14
min_history_days = 7
[[tasks]]
name = "loan"
kind = "binary"
label = "outcome_at"
horizon_days = 30
[training]
cut_every = "7d"
max_event_rows = 600
"""


def spec_of(tasks: str, training: str = 'cut_every = "1d"') -> Spec:
    """Return a spec with these ``[[tasks]]`` over the types salary, rent, shop, fee (the bank's) and other."""
    return spec_file.parse(f"{HEAD}\n{tasks}\n[training]\n{training}", "a test")


def at(day: float) -> int:
    """Return the time of a day, counted from the start, in ms."""
    return START_MS + round(day * DAY_MS)


def log_of(
    spec: Spec,
    events: Iterable[tuple[int, float, str, float]] = (),
    outcomes: Iterable[tuple[int, float, str, str]] = (),
    records: Iterable[tuple[int, float, Sequence[float]]] = (),
    until: Sequence[float] = (100.0,),
) -> Log:
    """Return a log from (customer, day, type, amount), (customer, day, name, value) and (customer, day, attributes).

    ``until`` is the day until which each customer is observed; as many customers as it has entries.
    """
    codes = spec.type_code
    moved = sorted(events, key=lambda event: (event[0], event[1]))
    told = sorted(outcomes, key=lambda outcome: (outcome[0], outcome[1]))
    known = sorted(records, key=lambda record: (record[0], record[1]))
    ends = np.array([at(day) for day in until], np.int64)
    names = np.array([f"c{number}" for number in range(len(ends))], object)
    return Log(
        customers=names,
        groups=names,
        transactions=Transactions(
            customer=_whole(event[0] for event in moved),
            time_ms=_whole(at(event[1]) for event in moved),
            kind=_whole(codes[event[2]] for event in moved),
            amount=np.array([event[3] for event in moved], np.float64),
            balance=np.full(len(moved), np.nan),
            id_hash=np.column_stack([np.zeros(len(moved), np.int64), np.arange(1, len(moved) + 1)]),
        ),
        records=Records(
            customer=_whole(record[0] for record in known),
            time_ms=_whole(at(record[1]) for record in known),
            values=np.array([record[2] for record in known], np.float64).reshape(len(known), len(spec.attributes)),
        ),
        outcomes=Outcomes(
            customer=_whole(outcome[0] for outcome in told),
            time_ms=_whole(at(outcome[1]) for outcome in told),
            name=np.array([outcome[2] for outcome in told], object),
            value=np.array([outcome[3] for outcome in told], object),
        ),
        observed_until=ends,
        outcomes_until=ends,
        refused={},
    )


def tiny_tables(customers: int = 150, days: int = 120, seed: int = 0) -> FolderTables:
    """Return the log of a few customers, some of whom fall silent and some of whom borrow badly: learnable tasks."""
    rng = np.random.default_rng(seed)
    moved: list[tuple[int, str, float, str]] = []
    known: list[tuple[int, str, float, str]] = []
    told: list[tuple[int, str, str, str]] = []
    for number in range(customers):
        name, income, ends = f"c{number:04d}", float(rng.uniform(1000, 4000)), float(rng.uniform(20, 2.5 * days))
        known.append((at(0), name, income, "gold" if income > 2500 else "plain"))
        busy = rng.uniform(0.3, 1.2)
        shops = np.flatnonzero(rng.random(days) < busy * np.clip((ends - np.arange(days)) / 30, 0, 1)).tolist()
        moved += [(at(day + rng.uniform(0.3, 0.9)), name, -income / 50 * rng.uniform(0.5, 2), "shop") for day in shops]
        for day in range(0, min(days, int(ends)), 28):
            moved += [(at(day + 0.1), name, income, "salary"), (at(day + 2.1), name, -income / 3, "rent")]
        moved += [(at(day + 0.99), name, -2.0, "fee") for day in range(27, days, 28)]
        bad = rng.random() < 1 / (1 + np.exp((income - 2000) / 300))
        told.append((at(int(rng.uniform(20, days))), name, "loan", str(int(bad))))
    moved.sort()
    return FolderTables(
        transactions=pa.table(
            {
                "transaction_id": [f"t{number}" for number in range(len(moved))],
                "customer_id": [row[1] for row in moved],
                "time": pa.array([row[0] for row in moved]).cast(TIME),
                "amount": [row[2] for row in moved],
                "type": [row[3] for row in moved],
            }
        ),
        customers=pa.table(
            {
                "customer_id": [row[1] for row in known],
                "time": pa.array([row[0] for row in known]).cast(TIME),
                "income": [row[2] for row in known],
                "segment": [row[3] for row in known],
            }
        ),
        outcomes=pa.table(
            {
                "customer_id": [row[1] for row in told],
                "task": [row[2] for row in told],
                "time": pa.array([row[0] for row in told]).cast(TIME),
                "value": [row[3] for row in told],
            }
        ),
        spec_text=SPEC,
    )


def write_tiny(out: Path, **changes: int) -> Path:
    """Write the tiny folder and return it."""
    write_folder(out, tiny_tables(**changes))
    return out


def _whole(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(list(values), np.int64)
