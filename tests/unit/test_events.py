"""A folder as arrays: what the stream would refuse is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from stream_app.kernel.kernel import UNCHANGED, UNKNOWN
from stream_app.offline.folder import CUSTOMERS, OUTCOMES, SPEC, TIME, TRANSACTIONS, Folder, read_folder
from tests.logs import SPEC as TEXT
from tests.logs import START_MS, at
from training.events import read_log

GOOD: dict[str, Any] = {"transaction_id": "t", "customer_id": "a", "time": at(1), "amount": -1.0, "type": "shop"}
KNOWN: dict[str, Any] = {"customer_id": "a", "time": at(0), "income": 100.0, "segment": "gold"}


def table(rows: list[dict[str, Any]]) -> pa.Table:
    made = pa.Table.from_pylist(rows)
    for index, name in enumerate(made.column_names):
        if name in ("time", "observed_until"):
            made = made.set_column(index, name, made[name].cast(pa.int64()).cast(TIME))
    return made


def folder(path: Path, transactions: list[dict[str, Any]], customers: list[dict[str, Any]] | None = None) -> Folder:
    pq.write_table(table(transactions), path / TRANSACTIONS)
    pq.write_table(table(customers or [KNOWN]), path / CUSTOMERS)
    pq.write_table(table([{"customer_id": "a", "task": "loan", "time": at(3), "value": "1"}]), path / OUTCOMES)
    (path / SPEC).write_text("rates = { USD = 0.5 }\n" + TEXT)
    return read_folder(path)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"amount": 2e12}, "amount"),
        ({"amount": float("inf")}, "amount"),
        ({"amount": float("nan")}, "amount"),
        ({"balance": -2e12}, "amount"),
        ({"time": 1_700_000_000}, "time"),
        ({"time": 7_258_118_400_000}, "time"),
        ({"transaction_id": ""}, "id"),
        ({"transaction_id": "x" * 257}, "id"),
        ({"customer_id": "a\0b"}, "id"),
        ({"currency": "XYZ"}, "currency"),
        ({"type": None}, "schema"),
        ({"amount": None}, "schema"),
        ({"time": None}, "schema"),
    ],
)
def test_refused_transactions_are_dropped_and_counted(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    read = folder(
        tmp_path, [GOOD | {"currency": None, "balance": 1.0}, GOOD | {"currency": "EUR", "balance": None} | bad]
    )

    log = read_log(read, read.spec)

    assert log.refused == {reason: 1}
    assert len(log.transactions.kind) == 1


def test_amounts_and_balances_are_in_the_base_currency(tmp_path: Path) -> None:
    read = folder(tmp_path, [GOOD | {"currency": "USD", "amount": -8.0, "balance": 20.0}])

    moved = read_log(read, read.spec).transactions

    assert (moved.amount.tolist(), moved.balance.tolist()) == ([-4.0], [10.0])


def test_unknown_types_become_other(tmp_path: Path) -> None:
    read = folder(tmp_path, [GOOD, GOOD | {"type": "strange"}])

    assert read_log(read, read.spec).transactions.kind.tolist() == [2, 4]


def test_rows_are_ordered_by_customer_and_time_and_keep_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [("b", 1, 1.0), ("a", 2, 2.0), ("a", 1, 3.0), ("a", 2, 4.0)]
    read = folder(
        tmp_path, [GOOD | {"customer_id": who, "time": at(day), "amount": amount} for who, day, amount in rows]
    )

    log = read_log(read, read.spec)

    assert log.transactions.amount.tolist() == [3.0, 2.0, 4.0, 1.0]
    assert log.customers.tolist() == ["a", "b"]


def test_attributes_say_a_value_that_nothing_has_changed_or_that_it_is_unknown(tmp_path: Path) -> None:
    rows = [KNOWN, KNOWN | {"income": None, "segment": None}, KNOWN | {"segment": "strange", "income": float("nan")}]
    read = folder(tmp_path, [GOOD], rows)

    values = read_log(read, read.spec).records.values

    assert values.tolist() == [[100.0, 1.0], [UNCHANGED, UNCHANGED], [UNKNOWN, UNKNOWN]]


def test_a_customer_record_out_of_bounds_is_refused(tmp_path: Path) -> None:
    read = folder(tmp_path, [GOOD], [KNOWN, KNOWN | {"income": -5.0}])

    log = read_log(read, read.spec)

    assert (log.refused, len(log.records.customer)) == ({"attribute": 1}, 1)


def test_a_column_of_another_type_than_the_spec_says_is_refused(tmp_path: Path) -> None:
    read = folder(tmp_path, [GOOD], [KNOWN | {"income": "much"}])

    with pytest.raises(InputError, match=r"Expected numbers in column `income` of customers.parquet"):
        read_log(read, read.spec)


def test_a_log_without_any_accepted_transaction_is_refused(tmp_path: Path) -> None:
    read = folder(tmp_path, [GOOD | {"amount": 1e13}])

    with pytest.raises(InputError, match=r"found only refused ones \(1 amount\)"):
        read_log(read, read.spec)


def test_observation_ends_where_the_folder_says_or_with_the_log(tmp_path: Path) -> None:
    rows = [
        KNOWN | {"observed_until": at(50), "split_group": "g"},
        KNOWN | {"customer_id": "b", "observed_until": None},
    ]
    read = folder(tmp_path, [GOOD, GOOD | {"customer_id": "b", "time": START_MS + 10}], rows)

    log = read_log(read, read.spec)

    assert log.observed_until.tolist() == [at(50), at(1) + 1]
    assert log.outcomes_until.tolist() == log.observed_until.tolist()
    assert log.groups.tolist() == ["g", "b"]


def test_the_log_of_a_folder_is_what_the_stream_would_decode(tiny_folder: Path) -> None:
    read = read_folder(tiny_folder)

    log = read_log(read, read.spec)

    assert log.refused == {}
    assert len(log.transactions.kind) == read.transactions.num_rows
    assert np.array_equal(np.sort(log.transactions.time_ms), read.transactions["time"].cast(pa.int64()).to_numpy())
