"""Reads texts, numbers and times out of the columns of a file, telling the rows that hold something else."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import InputError
from stream_app.offline.folder import NUMBER, TEXT, TIME
from training.datasets.tabular_source import LISTED, BadRows, Flags, Ints, Rows, TableFormat

_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MS = {"epoch_s": 1000, "epoch_ms": 1}
_MOST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@dataclass
class Reading:
    """Columns read from ``rows``, one after the other; a row is good while each reading of it was."""

    rows: Rows
    form: TableFormat
    bad: BadRows
    good: Flags

    @classmethod
    def of(cls, rows: Rows, form: TableFormat, bad: BadRows) -> "Reading":
        """Start with every row good.

        Raises:
            InputError: the time zone is unknown or the decimal mark is neither point nor comma.
        """
        check_format(form)
        return cls(rows, form, bad, np.ones(rows.table.num_rows, dtype=bool))

    def texts(self, name: str, stands_for: str, *, needed: bool = True) -> pa.Array:
        """Read trimmed texts; whole numbers count as texts, blank is null (and bad where ``needed``)."""
        column = self.rows.column(name, stands_for)
        texts = _one_array(_as_texts(column, name, self.rows))
        if needed:
            self.refuse_where(_flags(texts.is_null()), f"`{name}` is empty")
        return texts

    def numbers(self, name: str, stands_for: str, *, needed: bool = True) -> pa.Array:
        """Read finite numbers as float64; blank is null (and bad where ``needed``)."""
        column = self.rows.column(name, stands_for)
        values, valid = _as_numbers(column, self.form.decimal, name, self.rows)
        blank = _blank(column) if not needed else np.zeros(len(values), dtype=bool)
        self._note(name, _expected_number(self.form), column, valid | blank)
        return pa.array(values, mask=~valid)

    def times(self, name: str, stands_for: str, *, needed: bool = True) -> pa.Array:
        """Read times as UTC milliseconds; blank is null (and bad where ``needed``)."""
        column = self.rows.column(name, stands_for)
        values, valid = _as_times(_one_array(column), self.form, name, self.rows)
        blank = _blank(column) if not needed else np.zeros(len(values), dtype=bool)
        self._note(name, _expected_time(self.form), column, valid | blank)
        return pa.array(values, mask=~valid).cast(TIME)

    def holds_numbers(self, name: str) -> bool:
        """Return whether a column is of numbers, or of texts that are numbers (blank ones aside) and not all blank."""
        column = self.rows.column(name, name)
        if not _is_textual(column.type):
            return True
        _, valid = _as_numbers(column, self.form.decimal, name, self.rows)
        return bool(valid.any() and (valid | _blank(column)).all())

    def refuse_where(self, wrong: Flags, cause: str) -> None:
        """Take good rows that are ``wrong`` as bad for ``cause``."""
        fresh = wrong & self.good
        self.bad.add(cause, self.rows.numbers[fresh], [cause] * min(LISTED, int(fresh.sum())))
        self.good &= ~wrong

    def _note(self, name: str, expected: str, column: pa.ChunkedArray, valid: Flags) -> None:
        fresh = np.flatnonzero(self.good & ~valid)
        found = column.take(pa.array(fresh[:LISTED])).to_pylist()
        texts = [f"`{name}` {'empty' if value is None else repr(value)}, expected {expected}" for value in found]
        self.bad.add(f"`{name}` is not {expected}", self.rows.numbers[fresh], texts)
        self.good &= valid


def check_format(form: TableFormat) -> None:
    """Refuse a format that no file can have.

    Raises:
        InputError: the time zone is unknown, the decimal mark neither point nor comma, the delimiter no character.
    """
    try:
        ZoneInfo(form.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"Expected a time zone such as UTC or Europe/London, found {form.timezone!r}; correct --timezone."
        raise InputError(message) from error
    if form.decimal not in {".", ","}:
        message = f"Expected the decimal mark . or , found {form.decimal!r}; correct --decimal."
        raise InputError(message)
    if len(form.delimiter) != 1:
        message = f"Expected one character as the delimiter, found {form.delimiter!r}; correct --delimiter."
        raise InputError(message)


def _as_texts(column: pa.ChunkedArray, name: str, rows: Rows) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_floating(kind) and pc.all(pc.equal(column, pc.trunc(column))).as_py() is not False:
        # Ids that went through a data frame with gaps: 17850.0.
        column = column.cast(pa.int64(), safe=False)
    elif not (pa.types.is_integer(kind) or _is_textual(kind)):
        _refuse_type("texts or whole numbers", name, kind, rows)
    trimmed = pc.utf8_trim_whitespace(column.cast(TEXT))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, TEXT), trimmed)


def _as_numbers(column: pa.ChunkedArray, decimal: str, name: str, rows: Rows) -> tuple[npt.NDArray[np.float64], Flags]:
    kind = column.type
    if _is_textual(kind):
        texts = pc.utf8_trim_whitespace(column.cast(TEXT))
        if decimal == ",":
            texts = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
        column = pc.if_else(pc.match_substring_regex(texts, _NUMBER), texts, pa.scalar(None, TEXT))
        column = pc.replace_substring_regex(column, r"^\+", "")
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        _refuse_type("numbers", name, kind, rows)
    values = _one_array(column.cast(NUMBER, safe=False)).to_numpy(zero_copy_only=False)
    return values, np.isfinite(values)


def _as_times(column: pa.Array, form: TableFormat, name: str, rows: Rows) -> tuple[Ints, Flags]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = column.cast(pa.timestamp("ms", tz=getattr(kind, "tz", None)), safe=False)
        aware = np.full(len(column), getattr(kind, "tz", None) is not None)
        return _localised(_filled(stamps.cast(pa.int64())), aware, form), _flags(column.is_valid())
    if form.time_format in _MS:
        values, valid = _as_numbers(pa.chunked_array([column]), ".", name, rows)
        scaled = np.where(valid, values, 0.0) * _MS[form.time_format]
        valid &= np.abs(scaled) <= _MOST_MS
        return np.where(valid, scaled, 0.0).astype(np.int64), valid
    if not _is_textual(kind):
        _refuse_type("times (numbers need --time-format epoch_s or epoch_ms)", name, kind, rows)
    return _parsed(column.cast(TEXT), form)


def _parsed(texts: pa.Array, form: TableFormat) -> tuple[Ints, Flags]:
    """Parse each different text once; a time without offset is taken as local to ``form.timezone``."""
    coded = texts.dictionary_encode()
    read = [_moment(text, form) for text in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    milliseconds = np.array([0 if item is None else item[0] for item in [*read, None]], dtype=np.int64)
    aware = np.array([item is not None and item[1] for item in [*read, None]], dtype=bool)
    valid = np.array([item is not None for item in [*read, None]], dtype=bool)
    return _localised(milliseconds[codes], aware[codes], form), valid[codes]


def _moment(text: str, form: TableFormat) -> tuple[int, bool] | None:
    """Return epoch milliseconds and whether an offset was given, or None for a text that is no time."""
    try:
        if form.time_format is None:
            moment = datetime.fromisoformat(text.strip())
        else:
            moment = datetime.strptime(text.strip(), form.time_format)  # noqa: DTZ007  (the zone follows below)
    except ValueError:
        return None
    aware = moment.tzinfo is not None
    return ((moment if aware else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND, aware


def _localised(milliseconds: Ints, aware: Flags, form: TableFormat) -> Ints:
    """Turn local into UTC where no offset was given; of an hour that comes twice, the first is meant."""
    if form.timezone == "UTC" or aware.all():
        return milliseconds
    local = pa.array(milliseconds).cast(pa.timestamp("ms"))
    known = pc.assume_timezone(local, form.timezone, ambiguous="earliest", nonexistent="earliest")
    return np.where(aware, milliseconds, _filled(known.cast(pa.int64())))


def _filled(values: pa.Array) -> Ints:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _blank(column: pa.ChunkedArray) -> Flags:
    return _flags(_one_array(pc.is_null(column, nan_is_null=True)))


def _flags(mask: pa.Array) -> Flags:
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)


def _is_textual(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _expected_number(form: TableFormat) -> str:
    return "a number" if form.decimal == "." else "a number with a decimal comma"


def _expected_time(form: TableFormat) -> str:
    return f"a time as {form.time_format}" if form.time_format else "an ISO 8601 time"


def _refuse_type(expected: str, name: str, kind: pa.DataType, rows: Rows) -> None:
    message = f"Expected {expected} in column `{name}` of {rows.path}, found {kind}; map another column or cast it."
    raise InputError(message)
