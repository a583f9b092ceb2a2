"""Reads a CSV or Parquet file of somebody else's making and knows which row is which."""

import codecs
import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from schemas.errors import InputError
from stream_app.offline.folder import read_parquet
from training.datasets.tabular_words import is_utf_16, listed, place_of, refuse_other_kinds

LISTED: Final = 10
"""Bad rows that an error lists."""
_SEPARATORS: Final = {";": ";", "\t": "tab", "|": "|", ",": ","}
"""What separates fields, and how to say it."""
_UTF_8: Final = ("utf-8", "utf8")
_PIECE: Final = 1 << 20
UNITS_MS: Final = {"epoch_s": 1000, "epoch_ms": 1, "epoch_d": 86_400_000}
"""Formats of times that are numbers, and how many milliseconds one is."""

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TableFormat:
    """How a file says things.

    Attributes:
        delimiter: between fields; "tab" stands for a tabulator.
        encoding: of the text.
        decimal: mark of decimals, a point or a comma.
        time_format: None reads ISO 8601; "epoch_ms", "epoch_s" and "epoch_d" read numbers of milliseconds, seconds and
            days; anything else is a ``strptime`` format.
        timezone: of times that carry none.
        quote: around fields that hold a delimiter.
        thousands: mark between groups of three digits; "" for none.
        epoch: what numbers of time count from, in ``timezone`` where it has no offset; None is 1970 in UTC.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    time_format: str | None = None
    timezone: str = "UTC"
    quote: str = '"'
    thousands: str = ""
    epoch: datetime | None = None

    @property
    def separator(self) -> str:
        """Return the character between fields."""
        return "\t" if self.delimiter.lower() in {"tab", "\\t"} else self.delimiter


def check_format(form: TableFormat) -> None:
    """Refuse a format that no file can have.

    Raises:
        InputError: the time zone is unknown, a mark is no single character, or options contradict each other.
    """
    try:
        ZoneInfo(form.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"Expected a time zone such as UTC or Europe/London, found {form.timezone!r}; correct --timezone."
        raise InputError(message) from error
    if form.decimal not in {".", ","}:
        message = f"Expected the decimal mark . or , found {form.decimal!r}; correct --decimal."
        raise InputError(message)
    needed = {"delimiter": form.separator, "quote": form.quote, "thousands": form.thousands or "-"}
    for name, mark in needed.items():
        if len(mark) != 1:
            message = f"Expected one character as the {name}, found {mark!r}; correct --{name}."
            raise InputError(message)
    if form.thousands and form.thousands == form.decimal:
        message = f"Expected different marks for decimals and thousands, found {form.decimal!r} for both; correct one."
        raise InputError(message)
    if form.epoch is not None and form.time_format not in UNITS_MS:
        message = (
            f"Expected --time-format {', '.join(UNITS_MS)} beside --epoch, found {form.time_format or 'none'}; "
            "say what the numbers count."
        )
        raise InputError(message)


@dataclass
class BadRows:
    """The rows that cannot be used: how many for which cause, the first of them in words, and options that may help."""

    path: Path
    counts: Counter[str] = field(default_factory=Counter)
    first: list[tuple[int, str]] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

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
        tried = f"try {' with '.join(self.hints)}, or " if self.hints else ""
        found = f"found {count:,} bad of {total:,} ({rows}{more})"
        message = f"Expected good rows only in {self.path}, {found}; {tried}{advice}."
        raise InputError(message)


@dataclass(frozen=True)
class Rows:
    """The rows of a file and their numbers as a spreadsheet shows them (the header of a CSV file is row 1)."""

    path: Path
    table: pa.Table
    numbers: Ints

    def column(self, name: str, stands_for: str) -> pa.ChunkedArray:
        """Return a column.

        Args:
            name: of the column.
            stands_for: what it is mapped to, or the option that names it; "" where nothing can name another one.

        Raises:
            InputError: there is none of that name.
        """
        if name not in self.table.column_names:
            option = stands_for if stands_for.startswith("--") else f"--map {stands_for}=COLUMN"
            remedy = (
                f"say which column holds it with {option}" if stands_for else "add it, or rename the one that holds it"
            )
            message = (
                f"Expected column `{name}` in {self.path}, found only {listed(self.table.column_names)}; {remedy}."
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
        message = f"Expected a CSV or Parquet file at {path}, found {place_of(path)}; name an existing file."
        raise InputError(message)
    if path.suffix.lower() in {".parquet", ".pq"}:
        table = read_parquet(path)
        rows = Rows(path, table, np.arange(1, table.num_rows + 1))
    else:
        refuse_other_kinds(path)
        rows = _read_text(path, form, bad)
    rows = Rows(path, rows.table.rename_columns([name.strip() for name in rows.table.column_names]), rows.numbers)
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
        delimiter=form.separator,
        quote_char=form.quote,
        newlines_in_values=True,
        ignore_empty_lines=False,
        invalid_row_handler=note,
    )
    try:
        if form.encoding.lower() in _UTF_8:
            _check_utf_8(path)
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
    except (pa.ArrowException, OSError, UnicodeError, LookupError, csv.Error) as error:
        reason = (str(error).splitlines() or ["no text"])[0].rstrip(".")
        remedy = "separator and encoding with --delimiter and --encoding"
        if "utf" in reason.lower():
            found = "utf-16" if is_utf_16(path) else "cp1252 (Western Europe) or --encoding gb18030 (China)"
            remedy = f"encoding, such as --encoding {found}"
        message = f"Expected separated text in {form.encoding} at {path}, found: {reason}; give its {remedy}."
        raise InputError(message) from error
    _check_separated(path, names)
    gone = np.array([row.number for row in broken], dtype=np.int64)
    texts = [f"{row.actual_columns} fields, expected {row.expected_columns}" for row in broken[:LISTED]]
    bad.add("wrong number of fields", gone, texts)
    numbers = np.setdiff1d(np.arange(2, table.num_rows + len(gone) + 2), gone)
    rows = Rows(path, table, numbers)
    return rows.keep(_not_blank(table))


def _check_utf_8(path: Path) -> None:
    """Raise UnicodeDecodeError for a file in another encoding; the reader of fields would print a traceback too."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with pa.input_stream(str(path), compression="detect") as file:
        while piece := file.read(_PIECE):
            decoder.decode(piece)
    decoder.decode(b"", final=True)


def _header(path: Path, form: TableFormat) -> list[str]:
    encoding = "utf-8-sig" if form.encoding.lower() in _UTF_8 else form.encoding
    unpacked = pa.input_stream(str(path), compression="detect")
    with io.TextIOWrapper(unpacked, encoding=encoding, newline="") as file:
        return next(csv.reader(file, delimiter=form.separator, quotechar=form.quote), [])


def _check_separated(path: Path, names: list[str]) -> None:
    """Refuse one column whose name holds what separates others.

    Raises:
        InputError: naming the separator that it seems to be.
    """
    seems = next((mark for mark in _SEPARATORS if len(names) == 1 and mark in names[0]), None)
    if seems:
        message = (
            f"Expected several columns in {path}, found one, {names[0]!r}; "
            f"say what separates them, it seems --delimiter '{_SEPARATORS[seems]}'."
        )
        raise InputError(message)


def _not_blank(table: pa.Table) -> Flags:
    filled = np.zeros(table.num_rows, dtype=bool)
    for column in table.columns:
        filled |= column.is_valid().to_numpy().astype(bool)
    return filled
