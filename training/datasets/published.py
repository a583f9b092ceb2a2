"""Reads a table as its publisher gives it away: separated text, Parquet or .xlsx, its columns by their names."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from schemas.errors import InputError
from stream_app.offline.folder import TEXT, read_parquet
from training.datasets.tabular_source import BadRows, Ints, Rows
from training.datasets.tabular_words import is_utf_16, listed, place_of, refuse_other_kinds
from training.datasets.workbook import read_sheet

_HEADERS: Final = 2
"""The names of the columns stand in one of so many first rows."""
_SEPARATORS: Final = (",", ";", "\t")
_DECIMAL_COMMA: Final = r"^([+-]?[0-9]+),([0-9]+)$"


@dataclass(frozen=True)
class Publication:
    """What a table must hold and where it can be had.

    Attributes:
        columns: the names of the columns → other names that copies of the data set give them; case, blanks and
            punctuation do not matter.
        optional: those of them that may be missing.
        where_to_get: what to do where the file is another one, as the end of a sentence.
    """

    columns: Mapping[str, Sequence[str]]
    optional: frozenset[str]
    where_to_get: str

    def read(self, path: Path, bad: BadRows) -> Rows:
        """Read the columns that there are; text files and workbooks give texts.

        Args:
            path: .parquet, .xlsx, or anything else as text in UTF-8, UTF-16 or Windows' Latin, its fields apart by
                commas, tabulators or semicolons (beside which numbers may have decimal commas).
            bad: told of lines that have too few or too many fields.

        Raises:
            InputError: the file is missing, of another kind, or lacks a column.
        """
        if not path.is_file():
            message = f"Expected a file at {path}, found {place_of(path)}; {self.where_to_get}."
            raise InputError(message)
        suffix = path.suffix.lower()
        if suffix in {".xls", ".zip"}:
            remedy = "unpack it and name the file in it" if suffix == ".zip" else "save it as .csv or .xlsx"
            message = f"Expected a .csv, .xlsx or .parquet file, found {path}; {remedy}."
            raise InputError(message)
        if suffix in {".parquet", ".pq"}:
            table = read_parquet(path)
            return Rows(path, self._named(table, table.column_names, path), np.arange(1, table.num_rows + 1))
        return self._of_workbook(path) if suffix == ".xlsx" else self._of_text(path, bad)

    def _of_workbook(self, path: Path) -> Rows:
        rows = read_sheet(path)
        first = list(islice(rows, _HEADERS))
        place = self._header([[name or "" for name in row] for row in first], path)
        names = [name or "" for name in first[place]]
        columns: list[list[str | None]] = [[] for _ in names]
        for row in chain(first[place + 1 :], rows):
            for index, column in enumerate(columns):
                column.append(row[index] if index < len(row) else None)
        table = pa.table([pa.array(column, TEXT) for column in columns], names=names)
        numbers = np.arange(place + 2, place + 2 + table.num_rows)
        return Rows(path, self._named(table, names, path), numbers)

    def _of_text(self, path: Path, bad: BadRows) -> Rows:
        refuse_other_kinds(path)
        encoding = _encoding(path)
        try:
            separator, first = self._first_rows(path, encoding)
            place = self._header(first, path)
            names = [f"{index}" for index in range(len(first[place]))]
            # One thread: only then does a broken row know its number.
            options = pa_csv.ReadOptions(use_threads=False, encoding=encoding, skip_rows=place + 1, column_names=names)
            table, gone = _fields(path, options, separator)
        except (pa.ArrowException, OSError, csv.Error, UnicodeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            message = f"Expected a table of separated values at {path}, found: {reason}; {self.where_to_get}."
            raise InputError(message) from error
        bad.add("wrong number of fields", gone, ["wrong number of fields"] * len(gone[:10]))
        numbers = np.setdiff1d(np.arange(place + 2, place + 2 + table.num_rows + len(gone)), gone)
        return Rows(path, self._named(table, first[place], path), numbers)

    def _first_rows(self, path: Path, encoding: str) -> tuple[str, list[list[str]]]:
        """Return what separates fields, that with which most columns are known, and the first rows."""
        found = list[tuple[str, list[list[str]]]]()
        for separator in _SEPARATORS:
            with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
                found.append((separator, list(islice(csv.reader(file, delimiter=separator), _HEADERS))))
        return max(found, key=lambda item: max(map(self._known, item[1]), default=0))

    def _known(self, row: Sequence[str]) -> int:
        """Return how many columns of the data set a row names."""
        names = self._names
        return sum(_plain(name) in names for name in row)

    def _header(self, rows: Sequence[Sequence[str]], path: Path) -> int:
        """Return which of the first rows names the columns; some publish a row of their own numbering before it."""
        found = [self._known(row) for row in rows]
        if not found:
            message = f"Expected a table at {path}, found an empty file; {self.where_to_get}."
            raise InputError(message)
        return found.index(max(found))

    @property
    def _names(self) -> dict[str, str]:
        return {_plain(spelling): name for name, others in self.columns.items() for spelling in (name, *others)}

    def _named(self, table: pa.Table, header: Sequence[str], path: Path) -> pa.Table:
        names, kept = self._names, dict[str, pa.ChunkedArray]()
        for column, spelling in zip(table.columns, header, strict=True):
            if _plain(spelling) in names:
                kept.setdefault(names[_plain(spelling)], column)
        for name in self.columns:
            if name not in kept and name not in self.optional:
                message = f"Expected column `{name}` in {path}, found only {listed(header)}; {self.where_to_get}."
                raise InputError(message)
        if not table.num_rows:
            message = f"Expected rows in {path}, found only the names of columns; {self.where_to_get}."
            raise InputError(message)
        return pa.table(kept)


def _plain(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum())


def _fields(path: Path, options: pa_csv.ReadOptions, separator: str) -> tuple[pa.Table, Ints]:
    """Return the rows with as many fields as there are names, all texts, and the numbers of the others."""
    broken: list[pa_csv.InvalidRow] = []

    def note(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    table = pa_csv.read_csv(
        path,
        read_options=options,
        parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=note),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(options.column_names, TEXT), strings_can_be_null=True, null_values=[""]
        ),
    )
    gone = np.array([row.number for row in broken if row.number is not None], np.int64)
    return _with_points(table) if separator == ";" else table, gone


def _with_points(table: pa.Table) -> pa.Table:
    """Write numbers with decimal commas as they are written elsewhere: spreadsheets put semicolons beside them."""
    columns = [pc.replace_substring_regex(column, _DECIMAL_COMMA, r"\1.\2") for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _encoding(path: Path) -> str:
    """Return UTF-16 or UTF-8 where the file is that, else Windows' Latin, in which one of the copies is written."""
    if is_utf_16(path):
        return "utf-16"
    content = path.read_bytes()
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
