"""Imports an event log from a CSV or Parquet file of somebody else's making: columns by name, rows refused by number.

    TabularImport(Path("retail.csv"), TabularOptions(
        columns={"customer_id": "CustomerID", "transaction_id": "InvoiceNo", "time": "InvoiceDate",
                 "amount": "Quantity*UnitPrice"},
        type="purchase", incoming_type="return", negate=True, group="transaction_id", skip_bad=True,
    )).write(Path("retail"), SILENT)

Columns that bear the interchange names need no mapping. Without ``transaction_id`` a transaction is called after its
row number. What is known of customers may stand in columns of the log, or in a file of its own, whose columns bear the
interchange names (``stream_app.offline.folder``). Without a spec one is drafted (``training.draft``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from schemas import spec_file
from schemas.errors import InputError
from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from schemas.spec_file import RESERVED
from stream_app.offline.folder import COLUMNS, CUSTOMERS, OUTCOMES, TEXT, TRANSACTIONS, Folder, conform
from training.datasets.folder import FolderTables, write_folder
from training.datasets.tabular_facts import facts_of, fates_of, no_customers, side_table
from training.datasets.tabular_group import group_lines, is_repeated
from training.datasets.tabular_money import MoneyColumns, read_amounts
from training.datasets.tabular_source import BadRows, Rows, TableFormat, check_format, read_rows
from training.datasets.tabular_values import Reading
from training.datasets.tabular_words import listed
from training.draft.names import is_name, name_types, named

if TYPE_CHECKING:
    from training.draft.draft import Drafted

_HALF_A_YEAR = timedelta(days=183)
_NEEDED = {"transaction_id", "customer_id", "type"}


@dataclass(frozen=True)
class TabularOptions:
    """How rows become transactions.

    Attributes:
        columns: interchange column → the file's column.
        money: where amounts stand, and which of them leave the customer.
        attributes: attribute of the customer → the log's column that tells it.
        outcomes: name of an outcome → the log's column that tells it; blank, 0, no and false are none.
        form: separator, encoding, decimal mark, times and their zone.
        type: the type of every transaction, where no column says it.
        incoming_type: the type of transactions whose amount (after ``negate``) is not negative, instead of ``type``.
        group: sum the lines of a customer that share a transaction id (or a time) to one transaction.
        skip_bad: leave bad rows out and count them instead of refusing the file.
        currency: base currency of a drafted spec; None to take the log's.
        horizon_days: horizon of a drafted spec's tasks; None to choose.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    form: TableFormat = field(default_factory=TableFormat)
    money: MoneyColumns = field(default_factory=MoneyColumns)
    attributes: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    type: str | None = None
    incoming_type: str | None = None
    group: Literal["transaction_id", "time"] | None = None
    skip_bad: bool = False
    currency: str | None = None
    horizon_days: int | None = None


@dataclass(frozen=True)
class Imported:
    """What an import gave: the folder's tables, the rows read, how many were left out for which cause, the draft."""

    tables: FolderTables
    rows: int
    skipped: Mapping[str, int]
    drafted: "Drafted | None" = None


@dataclass(frozen=True)
class TabularImport:
    """An event log in the file ``source``; without ``spec`` one is drafted."""

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
        self._check()
        spec = spec_file.load(self.spec) if self.spec else None
        bad = BadRows(self.source)
        progress.step("import", 0, 3, f"reading {self.source.name}")
        rows = read_rows(self.source, self.options.form, bad)
        total = rows.table.num_rows + bad.total
        progress.step("import", 1, 3, f"checking {total:,} rows")
        tables = self._tables(rows, bad, total, spec)
        progress.step("import", 2, 3, "drafting a spec" if spec is None else "")
        drafted = None
        if spec is None:
            tables, drafted = self._drafted(tables)
        progress.step("import", 3, 3)
        return Imported(tables, total, dict(bad.counts), drafted)

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all (see ``DataSet``)."""
        write_folder(out, self.read(progress).tables)

    def _check(self) -> None:
        _check_options(self.options)
        options = self.options
        for columns, file, ways in (
            (options.attributes, self.customers, "--attribute or --customers"),
            (options.outcomes, self.outcomes, "--outcome or --outcomes"),
        ):
            if columns and file:
                message = f"Expected {ways}, found both; drop one of them, or put all into {file}."
                raise InputError(message)

    def _tables(self, rows: Rows, bad: BadRows, total: int, spec: Spec | None) -> FolderTables:
        options = self.options
        reading = Reading.of(rows, options.form, bad)
        columns = _columns(reading, options)
        facts = facts_of(reading, columns, options.attributes)
        told = fates_of(reading, columns, options.outcomes)
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
        transactions = table if "type" in columns else _typed(table, options)
        return FolderTables(
            transactions=transactions,
            customers=facts if options.attributes else self._customers(spec),
            spec_text=self.spec.read_text(encoding="utf-8") if self.spec else "",
            outcomes=told if options.outcomes else self._outcomes(),
        )

    def _customers(self, spec: Spec | None) -> pa.Table:
        if self.customers is None:
            return no_customers()
        numbers = {item.name for item in spec.attributes if item.kind == "number"} if spec else None
        return side_table(self.customers, CUSTOMERS, self.options.form, numbers)

    def _outcomes(self) -> pa.Table | None:
        return side_table(self.outcomes, OUTCOMES, self.options.form) if self.outcomes else None

    def _drafted(self, tables: FolderTables) -> tuple[FolderTables, "Drafted"]:
        """Give the types names that a spec can hold, draft one, and keep the columns of customers that it uses."""
        from training.draft.draft import Known, draft  # noqa: PLC0415  (loads numba: only where a spec is drafted)
        from training.draft.text import written  # noqa: PLC0415

        transactions = tables.transactions
        types = transactions.column("type")
        names = name_types(types)
        kinds = pa.array([names[kind] for kind in types.to_pylist()], TEXT)
        renamed = transactions.set_column(transactions.column_names.index("type"), "type", kinds)
        known = Known(
            name=named(self.source.name.split(".")[0], "data_") or "mine",
            currency=self.options.currency,
            utc_offset_minutes=_offset_minutes(renamed, self.options.form),
            horizon_days=self.options.horizon_days,
            called={name: text for text, name in reversed(names.items()) if text != name},
        )
        drafted = draft(_folder(self.source, replace(tables, transactions=renamed)), known)
        used = [name for name in tables.customers.column_names if name not in drafted.attributes.left]
        ready = replace(
            tables, transactions=renamed, customers=tables.customers.select(used), spec_text=written(drafted)
        )
        return ready, drafted


def _folder(source: Path, tables: FolderTables) -> Folder:
    outcomes = None if tables.outcomes is None else conform(tables.outcomes, COLUMNS[OUTCOMES], OUTCOMES)
    return Folder(
        path=source,
        transactions=conform(tables.transactions, COLUMNS[TRANSACTIONS], TRANSACTIONS),
        customers=conform(tables.customers, COLUMNS[CUSTOMERS], CUSTOMERS),
        products=None,
        outcomes=outcomes,
    )


def _offset_minutes(transactions: pa.Table, form: TableFormat) -> int:
    """Return the offset of the zone in its summer, around the end of the log: a date never begins a day early then."""
    last = pc.max(transactions["time"]).as_py().astimezone(ZoneInfo(form.timezone))
    offset = max(moment.utcoffset() for moment in (last, last - _HALF_A_YEAR))
    return int(offset / timedelta(minutes=1))


def _check_options(options: TabularOptions) -> None:
    check_format(options.form)
    known = COLUMNS[TRANSACTIONS].known
    for name in options.columns:
        if name not in known:
            message = f"Expected --map NAME=COLUMN with a NAME of {', '.join(known)}, found {name!r}; correct it."
            raise InputError(message)
    for name in options.attributes:
        if not is_name(name) or name in RESERVED:
            message = (
                "Expected --attribute NAME=COLUMN with a NAME of letters, digits and _ that is none of "
                f"{', '.join(RESERVED)}, found {name!r}; choose another name."
            )
            raise InputError(message)
    options.money.check(mapped="amount" in options.columns)
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
            f"Expected the type of the transactions of {reading.rows.path}, found only the columns {listed(found)}; "
            "name one with --map type=COLUMN, or give one type to all with --type TYPE."
        )
        raise InputError(message)
    columns: dict[str, pa.Array] = {}
    for name in COLUMNS[TRANSACTIONS].known:
        source = mapped.get(name, name)
        there = source in found
        if name == "type" and options.type:
            continue
        if name == "amount":
            columns[name] = read_amounts(reading, options.money, source)
        elif name == "time":
            columns[name] = reading.times(source, name)
        elif name == "balance" and (there or name in mapped):
            columns[name] = reading.numbers(source, name, needed=False)
        elif name in {"customer_id", "type", options.group} or there or name in mapped:
            columns[name] = reading.texts(source, name, needed=name in _NEEDED)
    _refuse_quoted(columns["customer_id"], reading)
    return columns


def _refuse_quoted(customers: pa.Array, reading: Reading) -> None:
    known = customers.drop_null()
    if len(known) and pc.all(pc.match_substring_regex(known, "^'.*'$")).as_py():
        message = (
            f"Expected customer ids in {reading.rows.path}, found all between single quotes, as {known[0].as_py()}; "
            'say that these are quotes with --quote "\'".'
        )
        raise InputError(message)


def _typed(table: pa.Table, options: TabularOptions) -> pa.Table:
    outgoing = pa.scalar(options.type, TEXT)
    incoming = pa.scalar(options.incoming_type or options.type, TEXT)
    kinds = pc.if_else(pc.less(table.column("amount"), 0.0), outgoing, incoming)
    return table.append_column("type", kinds)
