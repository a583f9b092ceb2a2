"""Reads the tables of the PKDD'99 financial data set ("Berka"), as published (.asc) or converted (.parquet, .csv)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from schemas.errors import InputError
from schemas.progress import Progress
from stream_app.offline.folder import read_parquet

WHERE_TO_GET = (
    "get the financial data set of the PKDD'99 Discovery Challenge "
    "(http://sorry.vse.cz/~berka/challenge/pkdd1999/berka.htm) and unpack it there"
)
_COLUMNS = {
    "account": ("account_id", "date"),
    "card": ("disp_id", "issued"),
    "client": ("client_id", "birth_number", "district_id"),
    "disp": ("disp_id", "client_id", "account_id", "type"),
    "district": ("A1", "A4", "A10", "A11", "A13", "A14"),
    "loan": ("account_id", "date", "amount", "duration", "payments", "status"),
    "trans": ("trans_id", "account_id", "date", "type", "operation", "amount", "balance", "k_symbol", "bank"),
}
_ALSO = {"account": ("frequency",)}
_TEXTS = ("date", "issued", "birth_number", "type", "operation", "k_symbol", "bank", "status", "frequency", "src")
_TOLD = 8
"""Files that an error names before it stops listing."""
_SUFFIXES = (".parquet", ".asc", ".csv")

Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True)
class Source:
    """The tables of the data set, each with the columns that are used, and where they lie."""

    path: Path
    tables: dict[str, pa.Table]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return a small table as a list of rows."""
        rows: list[dict[str, Any]] = self.tables[name].to_pylist()
        return rows

    def column(self, table: str, column: str) -> pa.ChunkedArray:
        """Return one column."""
        return self.tables[table].column(column)

    def dates(self, table: str, column: str) -> Dates:
        """Return a column of dates, given as YYMMDD or as timestamps, as datetime64[D].

        Raises:
            InputError: one of them is no date.
        """
        values = self.column(table, column)
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            return np.asarray(values.to_numpy()).astype("datetime64[D]")
        return self._parsed(values.cast(pa.string()).to_pylist(), table, column)

    def births(self) -> Dates:
        """Return the clients' dates of birth; the 50 that women's months carry is taken off and forgotten."""
        numbers = [str(text or "").strip().zfill(6) for text in self.column("client", "birth_number").to_pylist()]
        plain = [f"{n[:2]}{int(n[2:4]) % 50:02d}{n[4:6]}" if n.isdigit() else n for n in numbers]
        return self._parsed(plain, "client", "birth_number")

    def _parsed(self, texts: Sequence[str | None], table: str, column: str) -> Dates:
        dates = np.empty(len(texts), dtype="datetime64[D]")
        for row, text in enumerate(texts):
            digits = (text or "").strip()[:6]
            try:
                dates[row] = np.datetime64(f"19{digits[:2]}-{digits[2:4]}-{digits[4:6]}", "D")
            except ValueError as error:
                message = (
                    f"Expected dates as YYMMDD in column `{column}` of table {table} in {self.path}, "
                    f"found {text!r} at row {row + 1}; {WHERE_TO_GET}."
                )
                raise InputError(message) from error
        return dates


def read_source(path: Path, progress: Progress) -> Source:
    """Read the seven tables that are used; the undated ``order`` table is not (it would give the loans away).

    Raises:
        InputError: a file is missing or unreadable, or lacks a column; the message says where the data can be had.
    """
    tables = {}
    for done, (name, columns) in enumerate(_COLUMNS.items()):
        progress.step("read tables", done, len(_COLUMNS), name)
        table = _read(_file(path, name))
        missing = [column for column in (*columns, *_ALSO.get(name, ())) if column not in table.column_names]
        if missing:
            message = (
                f"Expected column `{missing[0]}` in table {name} of {path}, "
                f"found only {', '.join(table.column_names)}; {WHERE_TO_GET}."
            )
            raise InputError(message)
        tables[name] = table
    progress.step("read tables", len(_COLUMNS), len(_COLUMNS))
    return Source(path, tables)


def _file(path: Path, name: str) -> Path:
    for suffix in _SUFFIXES:
        if (path / f"{name}{suffix}").is_file():
            return path / f"{name}{suffix}"
    names = sorted(item.name for item in path.iterdir()) if path.is_dir() else ["no folder"]
    found = ", ".join(names[:_TOLD]) or "nothing"
    message = f"Expected {name}.parquet, {name}.asc or {name}.csv in {path}, found {found}; {WHERE_TO_GET}."
    raise InputError(message)


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return read_parquet(path)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(_TEXTS, pa.string()), strings_can_be_null=True, null_values=["", " ", "?", "NA"]
    )
    parse = pa_csv.ParseOptions(delimiter=";" if path.suffix == ".asc" else ",")
    try:
        return pa_csv.read_csv(
            path, read_options=pa_csv.ReadOptions(encoding="latin1"), parse_options=parse, convert_options=options
        )
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["no text"])[0]
        message = f"Expected a table of separated values at {path}, found: {reason}; {WHERE_TO_GET}."
        raise InputError(message) from error


def number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of numbers as float64."""
    return column.cast(pa.float64(), safe=False)


def text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as trimmed text, blank as null."""
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
