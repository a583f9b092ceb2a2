"""Reads a CSV or Parquet file of somebody else's making and knows which row is which."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from schemas.errors import InputError
from stream_app.offline.folder import read_parquet

LISTED: Final = 10
"""Bad rows that an error lists."""

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TableFormat:
    """How a file says things: field separator, encoding, decimal mark, times and their zone.

    ``time_format`` None reads ISO 8601; "epoch_s" and "epoch_ms" read numbers; anything else is a ``strptime`` format.
    ``timezone`` is that of times that carry none.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    time_format: str | None = None
    timezone: str = "UTC"


@dataclass
class BadRows:
    """The rows that cannot be used: how many for which cause, and the first of them in words."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cause: str, rows: Ints, texts: list[str]) -> None:
        """Count ``rows`` (row numbers, ascending) under ``cause``; ``texts`` tell of the first ``LISTED`` of them."""
        if len(rows):
            self.counts[cause] += len(rows)
        self.first = sorted([*self.first, *zip(rows[:LISTED].tolist(), texts, strict=True)])[:LISTED]

    @property
    def total(self) -> int:
        """Return how many there are."""
        return sum(self.counts.values())

    def refuse(self, total: int, advice: str = "correct them, or drop them with --skip-bad") -> None:
        """Raise unless there are none.

        Raises:
            InputError: naming the first rows, what was expected there, and how many there are of ``total``.
        """
        count = self.total
        if not count:
            return
        told: dict[str, list[int]] = {}
        for number, text in self.first:
            told.setdefault(text, []).append(number)
        rows = "; ".join(f"row {', '.join(map(str, numbers))}: {text}" for text, numbers in told.items())
        more = f"; and {count - len(self.first):,} more" if count > len(self.first) else ""
        message = f"Expected good rows only in {self.path}, found {count:,} bad of {total:,} ({rows}{more}); {advice}."
        raise InputError(message)


@dataclass(frozen=True)
class Rows:
    """The rows of a file and their numbers as a spreadsheet shows them (the header of a CSV file is row 1)."""

    path: Path
    table: pa.Table
    numbers: Ints

    def column(self, name: str, stands_for: str) -> pa.ChunkedArray:
        """Return a column.

        Raises:
            InputError: there is none of that name.
        """
        if name not in self.table.column_names:
            message = (
                f"Expected column `{name}` in {self.path}, found only {', '.join(self.table.column_names)}; "
                f"say which column holds it with --map {stands_for}=COLUMN."
            )
            raise InputError(message)
        return self.table.column(name)

    def keep(self, kept: Flags) -> "Rows":
        """Return the rows where ``kept``."""
        return Rows(self.path, self.table.filter(pa.array(kept)), self.numbers[kept])


def read_rows(path: Path, form: TableFormat, bad: BadRows) -> Rows:
    """Read a file by its suffix: Parquet keeps its types, anything else is separated text, every column a string.

    Rows with too few or too many fields go to ``bad``; blank lines are passed over.

    Raises:
        InputError: the file is missing, empty, or neither Parquet nor separated text.
    """
    if not path.is_file():
        found = "a folder" if path.exists() else "nothing"
        message = f"Expected a CSV or Parquet file at {path}, found {found}; name an existing file."
        raise InputError(message)
    if path.suffix.lower() in {".parquet", ".pq"}:
        table = read_parquet(path)
        rows = Rows(path, table, np.arange(1, table.num_rows + 1))
    else:
        rows = _read_text(path, form, bad)
    for name in rows.table.column_names:
        if rows.table.column_names.count(name) > 1:
            message = f"Expected each column of {path} once, found `{name}` more than once; rename all but one."
            raise InputError(message)
    if rows.table.num_rows == 0 and not bad.counts:
        message = f"Expected at least one row in {path}, found only the names of columns; export the file again."
        raise InputError(message)
    return rows


def _read_text(path: Path, form: TableFormat, bad: BadRows) -> Rows:
    broken: list[pa_csv.InvalidRow] = []

    def note(row: pa_csv.InvalidRow) -> str:
        broken.append(row)
        return "skip"

    parse = pa_csv.ParseOptions(
        delimiter=form.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=note
    )
    try:
        names = _header(path, form)
        table = pa_csv.read_csv(
            path,
            # One thread: only then does a broken row know its number.
            read_options=pa_csv.ReadOptions(use_threads=False, encoding=form.encoding),
            parse_options=parse,
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except (pa.ArrowException, OSError, UnicodeError, LookupError) as error:
        reason = (str(error).splitlines() or ["no text"])[0].rstrip(".")
        message = (
            f"Expected separated text in {form.encoding} at {path}, found: {reason}; "
            "give its separator and encoding with --delimiter and --encoding."
        )
        raise InputError(message) from error
    gone = np.array([row.number for row in broken], dtype=np.int64)
    texts = [f"{row.actual_columns} fields, expected {row.expected_columns}" for row in broken[:LISTED]]
    bad.add("wrong number of fields", gone, texts)
    numbers = np.setdiff1d(np.arange(2, table.num_rows + len(gone) + 2), gone)
    rows = Rows(path, table, numbers)
    return rows.keep(_not_blank(table))


def _header(path: Path, form: TableFormat) -> list[str]:
    encoding = "utf-8-sig" if form.encoding.lower() in {"utf-8", "utf8"} else form.encoding
    with path.open(encoding=encoding, newline="") as file:
        return next(csv.reader(file, delimiter=form.delimiter), [])


def _not_blank(table: pa.Table) -> Flags:
    filled = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns:
        filled |= column.is_valid().to_numpy().astype(bool)
    return filled
