"""Writes an interchange folder, whole or not at all; its format is that of ``stream_app.offline.folder``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas import spec_file
from schemas.atomic import atomic_folder
from schemas.errors import InputError, OutputError
from schemas.spec import Spec
from stream_app.offline.folder import COLUMNS, CUSTOMERS, NUMBER, OUTCOMES, PRODUCTS, SPEC, TEXT, TRANSACTIONS, conform

ORACLE = "oracle.parquet"
_FILES = {TRANSACTIONS, CUSTOMERS, PRODUCTS, OUTCOMES, SPEC, ORACLE}


@dataclass(frozen=True)
class FolderTables:
    """What an interchange folder is made of.

    ``extras`` are further tables by file name, such as the simulator's ``oracle.parquet``, written as they are.
    """

    transactions: pa.Table
    customers: pa.Table
    spec_text: str
    products: pa.Table | None = None
    outcomes: pa.Table | None = None
    extras: Mapping[str, pa.Table] = field(default_factory=dict)


def write_folder(out: Path, tables: FolderTables) -> None:
    """Write an interchange folder atomically; rows are sorted by time, equal times keep their order.

    Raises:
        InputError: a table has wrong columns or types, the log is empty, or the spec is refused (a ``SpecError``).
        OutputError: ``out`` cannot be written.
    """
    spec = spec_file.parse(tables.spec_text, f"{SPEC} for {out}")
    if tables.transactions.num_rows == 0:
        message = f"Expected at least one transaction for {out}, found an empty log; give a source that holds some."
        raise InputError(message)
    files = {TRANSACTIONS: tables.transactions, CUSTOMERS: _typed(tables.customers, spec)}
    files |= {PRODUCTS: tables.products} if tables.products is not None else {}
    files |= {OUTCOMES: tables.outcomes} if tables.outcomes is not None else {}
    ready = {name: _sorted(conform(table, COLUMNS[name], name)) for name, table in files.items()}
    _check_attributes(ready[CUSTOMERS].schema, spec)
    with atomic_folder(out) as part:
        for name, table in {**ready, **tables.extras}.items():
            pq.write_table(table, part / name, compression="zstd", write_page_checksum=True)
        (part / SPEC).write_text(tables.spec_text, encoding="utf-8")


def check_out(out: Path, *, force: bool) -> None:
    """Refuse a place where writing a folder would destroy something.

    Args:
        out: where an interchange folder is to be written.
        force: whether a previous interchange folder may be replaced.

    Raises:
        OutputError: ``out`` is a file, or holds something that is no interchange folder, or one without ``force``.
    """
    if not out.exists():
        return
    if not out.is_dir():
        message = f"Expected a folder or nothing at {out}, found a file; choose another place with --out."
        raise OutputError(message)
    names = {item.name for item in out.iterdir()}
    foreign = sorted(names - _FILES)
    if foreign or (names and TRANSACTIONS not in names):
        found = (foreign or sorted(names))[0]
        message = f"Expected an empty place at {out}, found {found}; choose another place with --out."
        raise OutputError(message)
    if names and not force:
        message = (
            f"Expected an empty place at {out}, found a previous interchange folder; "
            "add --force to replace it, or choose another place with --out."
        )
        raise OutputError(message)


def _sorted(table: pa.Table) -> pa.Table:
    return table.sort_by("time") if "time" in table.column_names else table


def _typed(customers: pa.Table, spec: Spec) -> pa.Table:
    """Give attribute columns that hold nothing but nulls the type that the spec says."""
    for index, column in enumerate(customers.schema):
        kind = _kinds(spec).get(column.name)
        if kind and pa.types.is_null(column.type):
            customers = customers.set_column(index, column.name, customers.column(index).cast(kind))
    return customers


def _kinds(spec: Spec) -> dict[str, pa.DataType]:
    return {item.name: NUMBER if item.kind == "number" else TEXT for item in spec.attributes}


def _check_attributes(schema: pa.Schema, spec: Spec) -> None:
    wanted = _kinds(spec)
    for column in schema:
        if column.name in COLUMNS[CUSTOMERS].known:
            continue
        if column.name not in wanted:
            message = (
                f"Expected the columns of {CUSTOMERS} to be attributes of spec {spec.name!r}, found `{column.name}`; "
                "add it to the spec's [[attributes]] or remove the column."
            )
            raise InputError(message)
        if column.type != wanted[column.name]:
            kind = "numbers" if wanted[column.name] == NUMBER else "texts"
            message = f"Expected {kind} in column `{column.name}` of {CUSTOMERS}, found {column.type}; cast it."
            raise InputError(message)
