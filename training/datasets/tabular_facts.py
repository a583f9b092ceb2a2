"""Reads what is known of customers and what became of them: from columns of the log, or from a file beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.spec_file import KINDS
from stream_app.offline.folder import COLUMNS, OUTCOMES, TEXT, TIME
from training.datasets.tabular_source import BadRows, Flags, Ints, TableFormat, read_rows
from training.datasets.tabular_values import Reading

_NOTHING: Final = ("0", "0.0", "no", "false", "n")
"""Values of an outcome column that say that nothing happened, whatever their case."""


def no_customers() -> pa.Table:
    """Return a customers table without records."""
    return pa.table({"customer_id": pa.array([], TEXT), "time": pa.array([], TIME)})


def facts_of(reading: Reading, columns: Mapping[str, pa.Array], attributes: Mapping[str, str]) -> pa.Table:
    """Return a record for each time at which the log tells something new of a customer.

    Args:
        reading: of the log; rows that cannot be used become bad.
        columns: what was read of it: customer_id and time.
        attributes: attribute → the log's column.

    Raises:
        InputError: there is no such column.
    """
    told: dict[str, pa.Array] = {}
    for name, column in attributes.items():
        option = f"--attribute {name}=COLUMN"
        read = reading.numbers if _is_number(reading, column, name) else reading.texts
        told[name] = read(column, option, needed=False)
    table = pa.table({"customer_id": columns["customer_id"], "time": columns["time"], **told})
    good = table.filter(pa.array(reading.good))
    order = good.append_column("place", pa.array(np.arange(good.num_rows))).sort_by(
        [("customer_id", "ascending"), ("time", "ascending"), ("place", "ascending")]
    )
    customer = _codes(order["customer_id"])
    news = np.zeros(good.num_rows, np.bool_)
    for name in attributes:
        news |= _is_news(customer, _codes(order[name]))
    return order.drop_columns(["place"]).filter(pa.array(news))


def fates_of(reading: Reading, columns: Mapping[str, pa.Array], outcomes: Mapping[str, str]) -> pa.Table:
    """Return an outcome for each row whose column says that something happened; arguments as in ``facts_of``."""
    parts = [pa.table({name: pa.array([], kind) for name, kind in COLUMNS[OUTCOMES].known.items()})]
    for name, column in outcomes.items():
        value = reading.texts(column, f"--outcome {name}=COLUMN", needed=False)
        happened = pc.invert(pc.is_in(pc.utf8_lower(value), pa.array(_NOTHING)))
        kept = pc.and_(pa.array(reading.good), pc.and_(value.is_valid(), happened))
        task = pa.array([name] * len(value), TEXT)
        said = pc.if_else(pc.is_in(pc.utf8_lower(value), pa.array(["1", "1.0", "true", "yes", "y"])), "1", value)
        whole = pa.table({"customer_id": columns["customer_id"], "task": task, "time": columns["time"], "value": said})
        parts.append(whole.filter(kept))
    return pa.concat_tables(parts)


def side_table(path: Path, kind: str, form: TableFormat, numbers: set[str] | None = None) -> pa.Table:
    """Read a customers or outcomes file; every row must be good.

    Args:
        path: the file.
        kind: the interchange table that it stands for.
        form: how it says things.
        numbers: the attributes that are numbers; None = those whose every text is one.

    Raises:
        InputError: a column is missing or a row is bad.
    """
    bad = BadRows(path)
    rows = read_rows(path, form, bad)
    total = rows.table.num_rows + bad.total
    reading = Reading.of(rows, form, bad)
    wanted = COLUMNS[kind]
    columns: dict[str, pa.Array] = {}
    for name, column_type in wanted.known.items():
        if name in wanted.optional and name not in reading.rows.table.column_names:
            continue
        read = reading.times if column_type == TIME else reading.texts
        columns[name] = read(name, "", needed=name in wanted.required)
    further = [name for name in reading.rows.table.column_names if name not in columns]
    for name in further if wanted.open else ():
        is_number = name in numbers if numbers is not None else _is_number(reading, name, name)
        columns[name] = (reading.numbers if is_number else reading.texts)(name, "", needed=False)
        if columns[name].null_count == len(columns[name]):
            del columns[name]  # it says nothing, not even whether it is of numbers
    bad.refuse(total, "correct them")
    return pa.table(columns)


def _is_number(reading: Reading, column: str, name: str) -> bool:
    """Return whether a column is read as numbers: as its attribute is in customer records, else if it holds numbers."""
    return KINDS[name] == "number" if name in KINDS else reading.holds_numbers(column)


def _is_news(customer: Ints, code: Ints) -> Flags:
    """Return where a value is told that is not the customer's last one; rows by customer and time, code -1 is null."""
    place = np.flatnonzero(code >= 0)
    news = np.zeros(len(code), np.bool_)
    same = (np.diff(customer[place]) == 0) & (np.diff(code[place]) == 0)
    news[place] = np.r_[True, ~same][: len(place)]
    return news


def _codes(column: pa.ChunkedArray) -> Ints:
    codes = column.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(codes, np.int64)
