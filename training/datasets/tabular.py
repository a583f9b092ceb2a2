"""Imports an event log from a CSV or Parquet file of somebody else's making: columns by name, rows refused by number.

    TabularImport(Path("retail.csv"), TabularOptions(
        columns={"customer_id": "CustomerID", "transaction_id": "InvoiceNo", "time": "InvoiceDate",
                 "amount": "Quantity*UnitPrice"},
        type="purchase", incoming_type="return", negate=True, group="transaction_id", skip_bad=True,
    )).write(Path("retail"), SILENT)

Columns that bear the interchange names need no mapping. Without ``transaction_id`` a transaction is called after its
row number. A customers or outcomes file beside the log must bear the interchange names (``stream_app.offline.folder``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from schemas import spec_file
from schemas.errors import InputError
from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.offline.folder import COLUMNS, CUSTOMERS, OUTCOMES, TEXT, TIME, TRANSACTIONS
from training.datasets.folder import FolderTables, write_folder
from training.datasets.purchases import infer_attributes, name_types, purchases_spec
from training.datasets.tabular_group import group_lines, is_repeated
from training.datasets.tabular_source import BadRows, Rows, TableFormat, read_rows
from training.datasets.tabular_values import Reading, check_format

_PRODUCT = "*"
_NEEDED = {"transaction_id", "customer_id", "type"}


@dataclass(frozen=True)
class TabularOptions:
    """How rows become transactions.

    Attributes:
        columns: interchange column → the file's column; ``amount`` may be a product, "Quantity*UnitPrice".
        form: separator, encoding, decimal mark, times and their zone.
        type: the type of every transaction, where no column says it.
        incoming_type: the type of transactions whose amount (after ``negate``) is not negative, instead of ``type``.
        negate: turn the sign: the file's purchases are positive, but leave the customer.
        group: sum the lines of a customer that share a transaction id (or a time) to one transaction.
        skip_bad: leave bad rows out and count them instead of refusing the file.
        currency: base currency of a generated spec.
        horizon_days: horizon of a generated spec's tasks.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    form: TableFormat = field(default_factory=TableFormat)
    type: str | None = None
    incoming_type: str | None = None
    negate: bool = False
    group: Literal["transaction_id", "time"] | None = None
    skip_bad: bool = False
    currency: str = "EUR"
    horizon_days: int = 60


@dataclass(frozen=True)
class Imported:
    """What an import gave: the folder's tables, the rows read, and how many were left out for which cause."""

    tables: FolderTables
    rows: int
    skipped: Mapping[str, int]


@dataclass(frozen=True)
class TabularImport:
    """An event log in the file ``source``; without ``spec`` one is made from the types found."""

    source: Path
    options: TabularOptions
    spec: Path | None = None
    customers: Path | None = None
    outcomes: Path | None = None

    def read(self, progress: Progress = SILENT) -> Imported:
        """Read and check everything.

        Raises:
            InputError: a file, a column or (without ``skip_bad``) a row cannot be used.
        """
        _check_options(self.options)
        spec = spec_file.load(self.spec) if self.spec else None
        bad = BadRows(self.source)
        progress.step("import", 0, 3, f"reading {self.source.name}")
        rows = read_rows(self.source, self.options.form, bad)
        total = rows.table.num_rows + bad.total
        progress.step("import", 1, 3, f"checking {total:,} rows")
        transactions = self._transactions(rows, bad, total)
        progress.step("import", 2, 3, "reading customers and outcomes")
        customers = self._customers(spec)
        outcomes = _side_table(self.outcomes, OUTCOMES, self.options.form) if self.outcomes else None
        if spec is None:
            transactions, text = self._with_spec(transactions, customers)
        else:
            text = self.spec.read_text(encoding="utf-8") if self.spec else ""
        tables = FolderTables(transactions, customers, text, outcomes=outcomes)
        progress.step("import", 3, 3)
        return Imported(tables, total, dict(bad.counts))

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all (see ``DataSet``)."""
        write_folder(out, self.read(progress).tables)

    def _transactions(self, rows: Rows, bad: BadRows, total: int) -> pa.Table:
        options = self.options
        reading = Reading.of(rows, options.form, bad)
        columns = _columns(reading, options)
        if options.group is None and "transaction_id" in columns:
            repeated = is_repeated(columns["customer_id"], columns["transaction_id"], reading.good)
            reading.refuse_where(repeated, "transaction id seen before (--group sums the lines of one transaction)")
        if not options.skip_bad:
            bad.refuse(total)
        columns.setdefault("transaction_id", pa.array([f"row-{number}" for number in rows.numbers], TEXT))
        table = pa.table(columns).filter(pa.array(reading.good))
        if table.num_rows == 0:
            message = f"Expected a good row in {self.source}, found none of {total:,}; leave out --skip-bad to see why."
            raise InputError(message)
        table = group_lines(table, options.group) if options.group else table
        return table if "type" in columns else _typed(table, options)

    def _customers(self, spec: Spec | None) -> pa.Table:
        if self.customers is None:
            return pa.table({"customer_id": pa.array([], TEXT), "time": pa.array([], TIME)})
        numbers = {item.name for item in spec.attributes if item.kind == "number"} if spec else None
        return _side_table(self.customers, CUSTOMERS, self.options.form, numbers)

    def _with_spec(self, transactions: pa.Table, customers: pa.Table) -> tuple[pa.Table, str]:
        names = name_types(transactions.column("type"))
        kinds = pa.array([names[kind] for kind in transactions.column("type").to_pylist()], TEXT)
        index = transactions.column_names.index("type")
        attributes = infer_attributes(customers, str(self.customers))
        text = purchases_spec(names, attributes, self.options.currency, self.options.horizon_days)
        return transactions.set_column(index, "type", kinds), text


def _check_options(options: TabularOptions) -> None:
    check_format(options.form)
    known = COLUMNS[TRANSACTIONS].known
    for name in options.columns:
        if name not in known:
            message = f"Expected --map NAME=COLUMN with a NAME of {', '.join(known)}, found {name!r}; correct it."
            raise InputError(message)
    if options.incoming_type and not options.type:
        message = (
            f"Expected --type beside --type-in {options.incoming_type}, found none; add the type of what flows out."
        )
        raise InputError(message)
    if options.type and "type" in options.columns:
        message = f"Expected --type or --map type=COLUMN, found both ({options.type!r}); drop one of them."
        raise InputError(message)


def _columns(reading: Reading, options: TabularOptions) -> dict[str, pa.Array]:
    """Read the interchange columns that the file has, in their order."""
    found, mapped = reading.rows.table.column_names, options.columns
    if not options.type and mapped.get("type", "type") not in found:
        message = (
            f"Expected the type of the transactions of {reading.rows.path}, found no column for it; "
            "name the column with --map type=COLUMN, or give one type to all with --type TYPE."
        )
        raise InputError(message)
    columns: dict[str, pa.Array] = {}
    for name in COLUMNS[TRANSACTIONS].known:
        source = mapped.get(name, name)
        there = source in found
        if name == "type" and options.type:
            continue
        if name == "amount":
            columns[name] = _amount(reading, source, options)
        elif name == "time":
            columns[name] = reading.times(source, name)
        elif name == "balance" and (there or name in mapped):
            columns[name] = reading.numbers(source, name, needed=False)
        elif name in {"customer_id", "type", options.group} or there or name in mapped:
            columns[name] = reading.texts(source, name, needed=name in _NEEDED)
    return columns


def _amount(reading: Reading, source: str, options: TabularOptions) -> pa.Array:
    whole = source in reading.rows.table.column_names
    factors = [source] if whole else [part.strip() for part in source.split(_PRODUCT)]
    product = reading.numbers(factors[0], "amount")
    for factor in factors[1:]:
        product = pc.multiply(product, reading.numbers(factor, "amount"))
    return pc.negate(product) if options.negate else product


def _typed(table: pa.Table, options: TabularOptions) -> pa.Table:
    outgoing = pa.scalar(options.type, TEXT)
    incoming = pa.scalar(options.incoming_type or options.type, TEXT)
    kinds = pc.if_else(pc.less(table.column("amount"), 0.0), outgoing, incoming)
    return table.append_column("type", kinds)


def _side_table(path: Path, kind: str, form: TableFormat, numbers: set[str] | None = None) -> pa.Table:
    """Read a customers or outcomes file; every row must be good.

    Args:
        path: the file.
        kind: the interchange table that it stands for.
        form: how it says things.
        numbers: the attributes that are numbers; None = those whose every text is one.
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
        columns[name] = read(name, name, needed=name in wanted.required)
    further = [name for name in reading.rows.table.column_names if name not in columns]
    for name in further if wanted.open else ():
        is_number = name in numbers if numbers is not None else reading.holds_numbers(name)
        columns[name] = (reading.numbers if is_number else reading.texts)(name, name, needed=False)
        if columns[name].null_count == len(columns[name]):
            del columns[name]  # it says nothing, not even whether it is of numbers
    bad.refuse(total, "correct them")
    return pa.table(columns)
