"""A log with records of every kind, good and bad, and a bundle whose rules fire often: what live tests run on."""

import json
import random
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import spec_file
from schemas.spec import Rule
from stream_app.bundle import Bundle
from stream_app.offline.log import LOG_COLUMNS, partition_of
from stream_app.store.slices import slice_of
from tests.bundles import random_bundle
from tests.chunks import NOON, as_value

_RULES: Final = (
    Rule(name="often", task="churn", threshold=0.5, rearm=0.45, severity="high"),
    Rule(name="cooled", task="value", threshold=0.8, cooldown_hours=24),
    Rule(name="low", task="churn", threshold=0.6, direction="below", cooldown_hours=1),
    Rule(name="busy", feature="count_1h", threshold=2.0, rearm=1.0),
    Rule(name="silent", feature="silence_h", threshold=30.0, rearm=5.0),
)
_TYPES: Final = ("salary", "groceries", "fee", "other", "payment", "unheard")
_STEP_MS: Final = 40_000


def bundle(path: Path, seed: int = 3, windows: tuple[int, ...] | None = None) -> Bundle:
    """Write a bundle of the built-in bank with random weights; other windows are another state layout."""
    bank = spec_file.bank()
    tasks = tuple(msgspec.structs.replace(task, eligible=task.eligible[1:]) for task in bank.tasks)
    spec = msgspec.structs.replace(bank, tasks=tasks, rules=_RULES)
    if windows:
        spec = msgspec.structs.replace(spec, window_days=windows)
    return random_bundle(path, spec, seed=seed)


def records(count: int, customers: int = 800, seed: int = 1) -> list[tuple[bytes | None, bytes | None]]:
    """Return keys and values: nine in ten are transactions that pass, the others of every other kind."""
    rng, found, time = random.Random(seed), list[tuple[bytes | None, bytes | None]](), NOON  # noqa: S311  (not for secrets)
    for number in range(count):
        time += rng.randrange(_STEP_MS)
        name = f"c-{rng.randrange(customers)}"
        found.append((name.encode(), as_value(record(rng, number, name, time))))
    return found


def mutated(count: int, seed: int = 2) -> list[tuple[bytes | None, bytes | None]]:
    """Return records with a few bytes changed, removed or doubled."""
    rng, found = random.Random(seed), list[tuple[bytes | None, bytes | None]]()  # noqa: S311
    for key, value in records(count, seed=seed):
        text = bytearray(value or b"{}")
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(text) + 1)
            text[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(4))
        found.append((key, bytes(text)))
    return found


def write_log(path: Path, rows: list[tuple[bytes | None, bytes | None]], partitions: int) -> Path:
    """Write records as a captured topic, each in the partition of its key."""
    columns: dict[str, list[Any]] = {name: [] for name in LOG_COLUMNS}
    offsets = [0] * partitions
    for key, value in rows:
        number = partition_of(key or b"", partitions)
        line = ("captured", number, offsets[number], None, key, value)
        offsets[number] += 1
        for column, item in zip(columns.values(), line, strict=True):
            column.append(item)
    pq.write_table(pa.table(columns, schema=pa.schema(list(LOG_COLUMNS.items()))), path)
    return path


def record(rng: random.Random, number: int, name: str, time: int) -> dict[str, Any] | bytes | None:
    """Return a record of a customer, of any kind; the number makes its transaction another than all before."""
    at = {"customer_id": name, "time": time - rng.choice([0, 0, 0, 0, 86_400_000])}
    kind = rng.random()
    if kind < 0.02:
        return {"kind": "customer", "age": rng.randrange(18, 99), "has_loan": rng.choice(["yes", "no"])} | at
    if kind < 0.03:
        return {"kind": "tick", "slice": slice_of(name.encode()), "time": time}
    if kind < 0.035:
        return {"kind": "forget", "customer_id": name}
    if kind < 0.037:
        return None
    if kind < 0.05:
        return rng.choice([b"", b"{", b'{"kind":"x"}', b"\xff" * 70_000, json.dumps(at | {"amount": "much"}).encode()])
    plain = {"transaction_id": f"t-{number}", "amount": round(rng.gauss(0, 500), 2), "type": rng.choice(_TYPES)}
    return plain | at | ({"transaction_id": f"t-{number - 1}"} if kind < 0.06 else {})
