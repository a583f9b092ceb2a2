"""Reads texts, numbers and times out of the columns of a file, telling the rows that hold something else."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_app.offline.folder import TEXT, TIME
from training.datasets.tabular_arrays import flags, is_textual, one_array, refuse_type
from training.datasets.tabular_hints import number_hint, time_hint
from training.datasets.tabular_numbers import as_numbers
from training.datasets.tabular_source import LISTED, BadRows, Flags, Rows, TableFormat, check_format
from training.datasets.tabular_times import as_times


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
        texts = one_array(_as_texts(column, name, self.rows))
        if needed:
            self.refuse_where(flags(texts.is_null()), f"`{name}` is empty")
        return texts

    def numbers(self, name: str, stands_for: str, *, needed: bool = True) -> pa.Array:
        """Read finite numbers as float64; blank is null (and bad where ``needed``)."""
        column = self.rows.column(name, stands_for)
        values, valid = as_numbers(column, self.form, name, self.rows)
        blank = _blank(column) if not needed else np.zeros(len(values), dtype=bool)
        if not (valid | blank).all():
            self._hint(number_hint(column, self.form))
        self._note(name, _expected_number(self.form), column, valid | blank)
        return pa.array(values, mask=~valid)

    def times(self, name: str, stands_for: str, *, needed: bool = True) -> pa.Array:
        """Read times as UTC milliseconds; blank is null (and bad where ``needed``)."""
        column = self.rows.column(name, stands_for)
        values, valid = as_times(one_array(column), self.form, name, self.rows)
        blank = _blank(column) if not needed else np.zeros(len(values), dtype=bool)
        if 2 * int((valid | blank).sum()) < len(values):
            self._hint(time_hint(column))
        self._note(name, _expected_time(self.form), column, valid | blank)
        return pa.array(values, mask=~valid).cast(TIME)

    def holds_numbers(self, name: str) -> bool:
        """Return whether a column is of numbers, or of texts that are numbers (blank ones aside) and not all blank."""
        column = self.rows.column(name, name)
        if not is_textual(column.type):
            return True
        _, valid = as_numbers(column, self.form, name, self.rows)
        return bool(valid.any() and (valid | _blank(column)).all())

    def refuse_where(self, wrong: Flags, cause: str) -> None:
        """Take good rows that are ``wrong`` as bad for ``cause``."""
        fresh = wrong & self.good
        self.bad.add(cause, self.rows.numbers[fresh], [cause] * min(LISTED, int(fresh.sum())))
        self.good &= ~wrong

    def _hint(self, hint: str) -> None:
        if hint and hint not in self.bad.hints:
            self.bad.hints.append(hint)

    def _note(self, name: str, expected: str, column: pa.ChunkedArray, valid: Flags) -> None:
        fresh = np.flatnonzero(self.good & ~valid)
        found = column.take(pa.array(fresh[:LISTED])).to_pylist()
        texts = [f"`{name}` {'empty' if value is None else repr(value)}, expected {expected}" for value in found]
        self.bad.add(f"`{name}` is not {expected}", self.rows.numbers[fresh], texts)
        self.good &= valid


def _as_texts(column: pa.ChunkedArray, name: str, rows: Rows) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    if pa.types.is_floating(kind) and pc.all(pc.equal(column, pc.trunc(column))).as_py() is not False:
        # Ids that went through a data frame with gaps: 17850.0.
        column = column.cast(pa.int64(), safe=False)
    elif not (pa.types.is_integer(kind) or is_textual(kind)):
        refuse_type("texts or whole numbers", name, kind, rows)
    trimmed = pc.utf8_trim_whitespace(column.cast(TEXT))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, TEXT), trimmed)


def _blank(column: pa.ChunkedArray) -> Flags:
    return flags(one_array(pc.is_null(column, nan_is_null=True)))


def _expected_number(form: TableFormat) -> str:
    return "a number" if form.decimal == "." else "a number with a decimal comma"


def _expected_time(form: TableFormat) -> str:
    return f"a time as {form.time_format}" if form.time_format else "an ISO 8601 time"
