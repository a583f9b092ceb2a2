"""Reads an interchange folder as arrays, with the acceptance of the stream: what that refuses is dropped and counted.

The bounds, reasons, codes and hashes are those of ``schemas.accepted`` and ``stream_app.steps.decode``; what those do
record by record is done here column by column.
"""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.accepted import EARLIEST_MS, LARGEST_AMOUNT, LATEST_MS, LONGEST_ID, Reason
from schemas.errors import InputError
from schemas.spec import Attribute, Spec
from stream_app.kernel.kernel import UNCHANGED, UNKNOWN
from stream_app.offline.folder import CUSTOMERS, NUMBER, Folder
from stream_app.steps.ids import id_hashes
from training.arrays import Flags, Floats, Ints, Texts
from training.log import Log, Outcomes, Records, Transactions

Problems = list[tuple[Reason, Flags]]


def read_log(folder: Folder, spec: Spec) -> Log:
    """Turn a folder into arrays.

    Raises:
        InputError: an attribute column is of another type than the spec says, or no transaction is accepted.
    """
    refused = Counter[str]()
    transactions = _accepted(folder.transactions, _transaction_problems(folder.transactions, spec), refused)
    records = _accepted(folder.customers, _record_problems(folder.customers, spec), refused)
    outcomes = _accepted(*_outcomes(folder), refused)
    if not transactions.num_rows:
        message = (
            f"Expected accepted transactions in {folder.path}, found only refused ones ({_told(refused)}); "
            "correct times, amounts and currencies."
        )
        raise InputError(message)
    tables = (transactions, records, outcomes)
    ids = pa.chunked_array([chunk for table in tables for chunk in table["customer_id"].chunks]).unique().sort()
    end_ms = int(pc.max(transactions["time"]).cast(pa.int64()).as_py()) + 1
    observed_until = _latest(records, "observed_until", ids, np.full(len(ids), end_ms))
    return Log(
        customers=ids.to_numpy(zero_copy_only=False),
        groups=_groups(records, ids),
        transactions=_transactions(transactions, ids, spec),
        records=_records(records, ids, spec),
        outcomes=_outcome_arrays(outcomes, ids),
        observed_until=observed_until,
        outcomes_until=_latest(records, "outcomes_until", ids, observed_until),
        refused=dict(refused),
    )


def _accepted(table: pa.Table, problems: Problems, refused: Counter[str]) -> pa.Table:
    """Return the rows without a problem and count the others by their first one."""
    keep = np.ones(table.num_rows, np.bool_)
    for reason, mask in problems:
        count = int((mask & keep).sum())
        if count:
            refused[reason.value] += count
        keep &= ~mask
    return table if keep.all() else table.filter(pa.array(keep))


def _transaction_problems(table: pa.Table, spec: Spec) -> Problems:
    amount = _numbers(table["amount"])
    balance = _numbers(table["balance"]) if "balance" in table.column_names else np.zeros(len(amount))
    rate = _rates(table, spec)
    return [
        (Reason.SCHEMA, _nulls(table, ("transaction_id", "customer_id", "time", "amount", "type"))),
        (Reason.ID, _bad_ids(table["transaction_id"]) | _bad_ids(table["customer_id"])),
        (Reason.TIME, _bad_times(table["time"])),
        (Reason.CURRENCY, np.isnan(rate)),
        (Reason.AMOUNT, ~(np.abs(amount * rate) <= LARGEST_AMOUNT) | (np.abs(balance * rate) > LARGEST_AMOUNT)),
    ]


def _record_problems(table: pa.Table, spec: Spec) -> Problems:
    wrong = np.zeros(table.num_rows, np.bool_)
    for item in spec.attributes:
        if item.kind == "number" and item.name in table.column_names:
            column = _attribute_column(table, item)
            values = _numbers(column)
            wrong |= (values < item.at_least) | (values > item.at_most)
    return [
        (Reason.SCHEMA, _nulls(table, ("customer_id", "time"))),
        (Reason.ID, _bad_ids(table["customer_id"])),
        (Reason.TIME, _bad_times(table["time"])),
        (Reason.ATTRIBUTE, wrong),
    ]


def _outcomes(folder: Folder) -> tuple[pa.Table, Problems]:
    table = folder.outcomes
    if table is None:
        empty = pa.array([], pa.string())
        table = pa.table({"customer_id": empty, "task": empty, "time": pa.array([], pa.int64()), "value": empty})
    problems = [
        (Reason.SCHEMA, _nulls(table, ("customer_id", "task", "time", "value"))),
        (Reason.ID, _bad_ids(table["customer_id"])),
        (Reason.TIME, _bad_times(table["time"])),
    ]
    return table, problems


def _transactions(table: pa.Table, ids: pa.Array, spec: Spec) -> Transactions:
    kinds = pc.index_in(table["type"], pa.array([item.name for item in spec.types]))
    rate = _rates(table, spec)
    nothing = np.full(table.num_rows, np.nan)
    arrays = Transactions(
        customer=_codes(table, ids),
        time_ms=_times(table["time"]),
        kind=pc.fill_null(kinds, len(spec.types) - 1).to_numpy().astype(np.int64),
        amount=_numbers(table["amount"]) * rate + 0.0,
        balance=_numbers(table["balance"]) * rate if "balance" in table.column_names else nothing,
        id_hash=id_hashes(table["transaction_id"].cast(pa.binary()).to_pylist()),
    )
    return arrays.take(np.lexsort((arrays.time_ms, arrays.customer)))


def _records(table: pa.Table, ids: pa.Array, spec: Spec) -> Records:
    customer, time_ms = _codes(table, ids), _times(table["time"])
    values = np.full((table.num_rows, len(spec.attributes)), UNCHANGED)
    for index, item in enumerate(spec.attributes):
        if item.name in table.column_names:
            values[:, index] = _encoded(_attribute_column(table, item), item)
    order = np.lexsort((time_ms, customer))
    return Records(customer[order], time_ms[order], values[order])


def _outcome_arrays(table: pa.Table, ids: pa.Array) -> Outcomes:
    customer, time_ms = _codes(table, ids), _times(table["time"])
    order = np.lexsort((time_ms, customer))
    name, value = (table[column].to_numpy().astype(object) for column in ("task", "value"))
    return Outcomes(customer[order], time_ms[order], name[order], value[order])


def _encoded(column: pa.ChunkedArray, item: Attribute) -> Floats:
    """Return an attribute's values as the kernel takes them: a null says that nothing has changed."""
    if item.kind == "category":
        codes = pc.fill_null(pc.index_in(column, pa.array(item.values, pa.string())).cast(pa.float64()), UNKNOWN)
        return np.where(_mask(column.is_valid()), codes.to_numpy(), UNCHANGED)
    values = np.asarray(pc.fill_null(column, UNCHANGED).to_numpy(), np.float64)
    return np.where(np.isnan(values), UNKNOWN, values)


def _attribute_column(table: pa.Table, item: Attribute) -> pa.ChunkedArray:
    column = table[item.name]
    if (column.type == NUMBER) != (item.kind == "number"):
        wanted = "numbers" if item.kind == "number" else "texts"
        message = (
            f"Expected {wanted} in column `{item.name}` of {CUSTOMERS}, as the spec says, found {column.type}; "
            "cast the column or change the attribute's kind."
        )
        raise InputError(message)
    return column


def _latest(table: pa.Table, name: str, ids: pa.Array, otherwise: Ints) -> Ints:
    """Return each customer's value of a time column of ``customers``, or another where there is none."""
    if name not in table.column_names:
        return otherwise
    known = table.filter(table[name].is_valid())
    result = otherwise.copy()
    result[_codes(known, ids)] = np.minimum(_times(known[name]), LATEST_MS)
    return result


def _groups(table: pa.Table, ids: pa.Array) -> Texts:
    groups: Texts = ids.to_numpy(zero_copy_only=False).copy()
    if "split_group" in table.column_names:
        known = table.filter(table["split_group"].is_valid())
        groups[_codes(known, ids)] = known["split_group"].to_numpy()
    return groups


def _rates(table: pa.Table, spec: Spec) -> Floats:
    """Return the rate into the base currency of each transaction, NaN where there is none."""
    if "currency" not in table.column_names:
        return np.ones(table.num_rows)
    rates = np.array([*spec.rate.values(), np.nan])
    places = pc.index_in(pc.fill_null(table["currency"], spec.currency), pa.array(list(spec.rate)))
    found: Floats = rates[pc.fill_null(places, len(rates) - 1).to_numpy()]
    return found


def _codes(table: pa.Table, ids: pa.Array) -> Ints:
    return np.asarray(pc.index_in(table["customer_id"], ids).to_numpy(), np.int64)


def _numbers(column: pa.ChunkedArray) -> Floats:
    return np.asarray(pc.fill_null(column, float("nan")).to_numpy(), np.float64)


def _times(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(column.cast(pa.int64()), 0).to_numpy(), np.int64)


def _bad_times(column: pa.ChunkedArray) -> Flags:
    time_ms = _times(column)
    return (time_ms < EARLIEST_MS) | (time_ms >= LATEST_MS)


def _bad_ids(column: pa.ChunkedArray) -> Flags:
    length = pc.binary_length(column)
    good = pc.and_(pc.less_equal(length, LONGEST_ID), pc.greater(length, 0))
    return ~_mask(pc.fill_null(pc.and_(good, pc.invert(pc.match_substring(column, "\0"))), fill_value=False))


def _nulls(table: pa.Table, names: tuple[str, ...]) -> Flags:
    empty = np.zeros(table.num_rows, np.bool_)
    for name in names:
        empty |= _mask(table[name].is_null())
    return empty


def _mask(column: pa.ChunkedArray) -> Flags:
    return np.asarray(column.to_numpy(), np.bool_)


def _told(refused: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
