"""Sums the lines of one transaction (an invoice's articles) to one."""

from typing import Literal

import numpy as np
import pyarrow as pa

from training.datasets.tabular_source import Flags, Ints


def is_repeated(customers: pa.Array, transactions: pa.Array, good: Flags) -> Flags:
    """Return which good rows repeat the customer and transaction id of an earlier good row."""
    _, key = np.unique(_paired(_codes(customers), _codes(transactions)), return_inverse=True)
    rows = np.flatnonzero(good)
    _, first = np.unique(key[rows], return_index=True)
    repeated = good.copy()
    repeated[rows[first]] = False
    return repeated


def group_lines(table: pa.Table, by: Literal["transaction_id", "time"]) -> pa.Table:
    """Return one row per customer and ``by``, in the order of their first lines.

    The amount is the lines' sum, the time the earliest, the type (where there is one) that with the largest sum of
    |amount|, the balance the last line's; everything else is the first line's.
    """
    key = _paired(_codes(table.column("customer_id")), _codes(table.column(by)))
    _, first, key = np.unique(key, return_index=True, return_inverse=True)
    groups, order = len(first), np.argsort(first)
    amounts = table.column("amount").to_numpy()
    grouped = table.take(pa.array(first))
    columns = {name: grouped.column(name) for name in table.column_names}
    columns["amount"] = pa.array(np.bincount(key, weights=amounts, minlength=groups))
    columns["time"] = _earliest(table.column("time"), key, first)
    if "type" in columns:
        columns["type"] = table.column("type").take(pa.array(_dominant(_codes(table.column("type")), amounts, key)))
    if "balance" in columns:
        last = np.empty(groups, dtype=np.int64)
        last[key] = np.arange(table.num_rows)
        columns["balance"] = table.column("balance").take(pa.array(last))
    return pa.table(columns).take(pa.array(order))


def _earliest(times: pa.ChunkedArray, key: Ints, first: Ints) -> pa.Array:
    milliseconds = times.cast(pa.int64()).to_numpy()
    earliest = milliseconds[first].copy()
    np.minimum.at(earliest, key, milliseconds)
    return pa.array(earliest).cast(times.type)


def _dominant(kinds: Ints, amounts: "np.ndarray[tuple[int], np.dtype[np.float64]]", key: Ints) -> Ints:
    """Return, per group, a line that has the type with the largest sum of |amount|; the first such type on a tie."""
    pairs, line, pair = np.unique(_paired(key, kinds), return_index=True, return_inverse=True)
    weight = np.bincount(pair, weights=np.abs(amounts), minlength=len(pairs))
    group = key[line]
    order = np.lexsort((line, -weight, group))
    _, best = np.unique(group[order], return_index=True)
    return np.asarray(line[order][best], dtype=np.int64)


def _codes(column: pa.Array | pa.ChunkedArray) -> Ints:
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_string(whole.type):
        return np.unique(whole.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), return_inverse=True)[1]
    codes = whole.dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(codes, dtype=np.int64) + 1


def _paired(one: Ints, other: Ints) -> Ints:
    return one * (int(other.max(initial=0)) + 1) + other
