"""The interchange folder: an event log in Parquet, as every data set produces it and training and replay read it.

    transactions.parquet   transaction_id, customer_id, time, amount, type; optional currency, product_id, counterparty,
                           balance. The order of the file is the order of the log among equal times.
    customers.parquet      customer_id, time (when the record was known; a customer may have several), the attributes of
                           the spec by their names, and three optional columns that say how to learn from a customer
                           (each the same in all records of a customer):
        observed_until       from here on the data, not the customer, is silent; null = end of the log;
        outcomes_until       until here outcomes in a window (``outcome_within``, ``outcome_next``) are known; null = as
                             ``observed_until``. It may lie later (outcomes are known longer than transactions) or at
                             the customer's first day (none are known). ``outcome_at`` needs no window and ignores it;
        split_group          customers of one group fall on the same side of a split; null = the customer alone.
    products.parquet       optional: product_id, name, type, price.
    outcomes.parquet       optional: customer_id, task (name of the outcome), time, value (a class, or "1" and "0").
    scorer.toml            the spec.

Times are ``timestamp("ms", tz="UTC")``; read are timestamps of any unit and zone (without zone: UTC) and int64 epoch
milliseconds. What makes a *file* unusable is refused here, in one sentence; bad *values* (NaN, null, old times) travel
on and end in the dead letters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from schemas import spec_file
from schemas.errors import InputError
from schemas.spec import Spec

TRANSACTIONS, CUSTOMERS = "transactions.parquet", "customers.parquet"
PRODUCTS, OUTCOMES, SPEC = "products.parquet", "outcomes.parquet", "scorer.toml"

TIME: Final = pa.timestamp("ms", tz="UTC")
NUMBER: Final = pa.float64()
TEXT: Final = pa.string()

_TOLD = 12
"""Columns that an error names before it stops listing."""


@dataclass(frozen=True)
class Columns:
    """The columns of one table: name → type, those that must be there and those that may.

    ``open`` tables take further columns, numbers or texts: the attributes of customers.
    """

    required: Mapping[str, pa.DataType]
    optional: Mapping[str, pa.DataType]
    open: bool = False

    @property
    def known(self) -> dict[str, pa.DataType]:
        """Return all named columns, the required ones first."""
        return {**self.required, **self.optional}


COLUMNS: Final[Mapping[str, Columns]] = {
    TRANSACTIONS: Columns(
        {"transaction_id": TEXT, "customer_id": TEXT, "time": TIME, "amount": NUMBER, "type": TEXT},
        {"currency": TEXT, "product_id": TEXT, "counterparty": TEXT, "balance": NUMBER},
    ),
    CUSTOMERS: Columns(
        {"customer_id": TEXT, "time": TIME},
        {"observed_until": TIME, "outcomes_until": TIME, "split_group": TEXT},
        open=True,
    ),
    PRODUCTS: Columns({"product_id": TEXT, "name": TEXT, "type": TEXT, "price": NUMBER}, {}),
    OUTCOMES: Columns({"customer_id": TEXT, "task": TEXT, "time": TIME, "value": TEXT}, {}),
}


@dataclass(frozen=True)
class Folder:
    """An interchange folder that was read: tables of the types in ``COLUMNS``, rows in file order."""

    path: Path
    transactions: pa.Table
    customers: pa.Table
    products: pa.Table | None
    outcomes: pa.Table | None

    @cached_property
    def spec(self) -> Spec:
        """Return the folder's spec, read when first asked for (a replay takes the bundle's instead).

        Raises:
            SpecError: ``scorer.toml`` is missing or refused.
        """
        return spec_file.load(self.path / SPEC)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the names of the attribute columns of ``customers``."""
        known = COLUMNS[CUSTOMERS].known
        return tuple(name for name in self.customers.column_names if name not in known)


def read_folder(path: Path) -> Folder:
    """Read an interchange folder.

    Raises:
        InputError: the folder or a file is missing, is no Parquet or is truncated, has wrong columns or types, or the
            log is empty.
    """
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        message = (
            f"Expected an interchange folder at {path}, found {found}; "
            "name a folder written by `foretell data`, or one that holds transactions.parquet and customers.parquet."
        )
        raise InputError(message)
    transactions = read_table(path / TRANSACTIONS)
    if transactions.num_rows == 0:
        message = (
            f"Expected at least one transaction in {path / TRANSACTIONS}, found an empty table; export the log again."
        )
        raise InputError(message)
    return Folder(
        path=path,
        transactions=transactions,
        customers=read_table(path / CUSTOMERS),
        products=_read_if_there(path / PRODUCTS),
        outcomes=_read_if_there(path / OUTCOMES),
    )


def read_table(path: Path) -> pa.Table:
    """Read one table of an interchange folder; its file name says which.

    Raises:
        InputError: it is missing, is no Parquet or is truncated, or has wrong columns or types.
    """
    if not path.is_file():
        there = ", ".join(sorted(item.name for item in path.parent.iterdir())) or "nothing"
        message = f"Expected {path.name} in {path.parent}, found {there}; write it, or name another folder."
        raise InputError(message)
    return conform(read_parquet(path), COLUMNS[path.name], str(path))


def read_parquet(path: Path) -> pa.Table:
    """Read a Parquet file and prove its text.

    Raises:
        InputError: it cannot be opened, is no Parquet, is truncated or changed, or holds text that is not UTF-8.
    """
    try:
        table = pq.ParquetFile(path, page_checksum_verification=True).read()
        table.validate(full=True)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = _first_line(error)
        message = f"Expected a whole Parquet file at {path}, found: {reason}; write or copy it again."
        raise InputError(message) from error
    return table


def conform(table: pa.Table, columns: Columns, where: str) -> pa.Table:
    """Return ``table`` with its columns checked, ordered as in ``columns`` and cast to their types.

    Args:
        table: rows in any accepted types.
        columns: what it must and may hold.
        where: the place to name in errors.

    Raises:
        InputError: a column is missing, unknown, there twice or of a type that cannot stand for the wanted one.
    """
    _check_names(table.column_names, columns, where)
    wanted = {name: kind for name, kind in columns.known.items() if name in table.column_names}
    for name in table.column_names:
        if name not in wanted:
            wanted[name] = _attribute_type(table.schema.field(name).type, name, where)
    arrays = [_cast(table.column(name), kind, name, where) for name, kind in wanted.items()]
    return pa.table(arrays, schema=pa.schema(list(wanted.items())))


def _read_if_there(path: Path) -> pa.Table | None:
    return read_table(path) if path.exists() else None


def _check_names(names: list[str], columns: Columns, where: str) -> None:
    for name in columns.required:
        if name not in names:
            message = (
                f"Expected column `{name}` in {where}, found only {_listed(names)}; "
                f"add it or rename the column that holds it (`foretell data csv --map {name}=COLUMN` does)."
            )
            raise InputError(message)
    for name in names:
        if names.count(name) > 1:
            message = (
                f"Expected each column of {where} once, found `{name}` {names.count(name)} times; remove all but one."
            )
            raise InputError(message)
        if not columns.open and name not in columns.known:
            message = (
                f"Expected only the columns {', '.join(columns.known)} in {where}, found also `{name}`; "
                "rename or remove it (what is known of a customer belongs into customers.parquet)."
            )
            raise InputError(message)


def _attribute_type(kind: pa.DataType, name: str, where: str) -> pa.DataType:
    if _is_number(kind):
        return NUMBER
    if _is_text(kind):
        return TEXT
    message = f"Expected numbers or texts in attribute column `{name}` of {where}, found {kind}; cast it or remove it."
    raise InputError(message)


def _cast(column: pa.ChunkedArray, wanted: pa.DataType, name: str, where: str) -> pa.ChunkedArray:
    kind = column.type
    if kind == wanted:
        return column
    if wanted == TIME and (pa.types.is_timestamp(kind) or pa.types.is_int64(kind) or pa.types.is_null(kind)):
        return _as_time(column)
    if (wanted == NUMBER and _is_number(kind)) or (wanted == TEXT and _is_text(kind)):
        return column.cast(wanted, safe=False)
    expected = {TIME: "a timestamp or int64 epoch milliseconds", NUMBER: "a number", TEXT: "a string"}[wanted]
    message = f"Expected column `{name}` of {where} as {expected}, found {kind}; cast it and write the file again."
    raise InputError(message)


def _as_time(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cast to UTC milliseconds; what is finer is cut off, what has no zone is UTC."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False)
    return column.cast(pa.int64()).cast(TIME)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return (", ".join(names[:_TOLD]) or "no columns") + more


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
