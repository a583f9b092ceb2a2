"""Makes files like "Default of Credit Card Clients": the columns as published, clients of our own."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

STATUS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
BILL = tuple(f"BILL_AMT{back}" for back in range(1, 7))
PAID = tuple(f"PAY_AMT{back}" for back in range(1, 7))
DEFAULT = "default payment next month"
NAMES = ("ID", "LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", *STATUS, *BILL, *PAID, DEFAULT)

Client = dict[str, float]


def client(number: int, **told: object) -> Client:
    """Return a client; ``status``, ``bill`` and ``paid`` run from April to September."""
    given = {"LIMIT_BAL": 50_000.0, "SEX": 2.0, "EDUCATION": 2.0, "MARRIAGE": 1.0, "AGE": 30.0, DEFAULT: 0.0}
    months = {"status": [0] * 6, "bill": [1000.0] * 6, "paid": [100.0] * 6}
    row = {"ID": float(number), **given}
    row |= {name: float(value) for name, value in told.items() if name not in months}  # type: ignore[arg-type]
    for name, columns in (("status", STATUS), ("bill", BILL), ("paid", PAID)):
        values = told.get(name, months[name])
        row |= dict(zip(columns, reversed([float(value) for value in values]), strict=True))  # type: ignore[attr-defined]
    return {name: row[name] for name in NAMES}


def clients(count: int, seed: int = 0) -> list[Client]:
    """Return clients some of whom pay in full, some late, some nothing because they do not use their card."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(1, count + 1):
        usual = int(rng.choice([-2, -1, 0, 2]))
        status = [usual if rng.random() < 0.8 else int(rng.choice([-2, -1, 0, 1, 2, 3])) for _ in range(6)]
        bill = [0.0 if one == -2 else float(rng.integers(-50, 40_000)) for one in status]
        paid = [0.0 if one != -1 else max(before, 0.0) for one, before in zip(status, [0.0, *bill[:-1]], strict=True)]
        fate = float(rng.random() < (0.6 if usual > 0 else 0.1))
        facts = {"LIMIT_BAL": float(rng.integers(1, 50) * 10_000), "AGE": float(rng.integers(21, 70)), DEFAULT: fate}
        codes = {"EDUCATION": float(rng.integers(0, 7)), "MARRIAGE": float(rng.integers(0, 4))}
        made.append(client(number, status=status, bill=bill, paid=paid, **facts, **codes))
    return made


def write_clients(path: Path, rows: Iterable[Mapping[str, float]]) -> Path:
    """Write clients as separated text."""
    listed = list(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(listed[0]))
        writer.writeheader()
        writer.writerows({name: f"{value:g}" for name, value in row.items()} for row in listed)
    return path
