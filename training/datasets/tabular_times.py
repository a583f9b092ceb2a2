"""Reads times out of the columns of a file: ISO 8601, a format of ``strptime``, or numbers since some day."""

from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_app.offline.folder import TEXT
from training.datasets.tabular_arrays import flags, is_textual, refuse_type
from training.datasets.tabular_numbers import as_numbers
from training.datasets.tabular_source import UNITS_MS, Flags, Ints, Rows, TableFormat

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def as_times(column: pa.Array, form: TableFormat, name: str, rows: Rows) -> tuple[Ints, Flags]:
    """Return times int64 [n] in UTC milliseconds, and where there is one, bool [n]."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = column.cast(pa.timestamp("ms", tz=getattr(kind, "tz", None)), safe=False)
        aware = np.full(len(column), getattr(kind, "tz", None) is not None)
        return _localised(_filled(stamps.cast(pa.int64())), aware, form), flags(column.is_valid())
    if form.time_format in UNITS_MS:
        values, valid = as_numbers(pa.chunked_array([column]), TableFormat(), name, rows)
        scaled = np.where(valid, values, 0.0) * UNITS_MS[form.time_format] + _epoch_ms(form)
        valid &= np.abs(scaled) <= _MOST_MS
        aware = np.full(len(column), form.epoch is None or form.epoch.tzinfo is not None)
        return _localised(np.where(valid, scaled, 0.0).astype(np.int64), aware, form), valid
    if not is_textual(kind):
        refuse_type("times (numbers need --time-format epoch_s, epoch_ms or epoch_d)", name, kind, rows)
    return _parsed(column.cast(TEXT), form)


def moment(text: str, form: TableFormat) -> tuple[int, bool] | None:
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


def _epoch_ms(form: TableFormat) -> int:
    if form.epoch is None:
        return 0
    aware = form.epoch if form.epoch.tzinfo is not None else form.epoch.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def _parsed(texts: pa.Array, form: TableFormat) -> tuple[Ints, Flags]:
    """Parse each different text once; a time without offset is taken as local to ``form.timezone``."""
    coded = texts.dictionary_encode()
    read = [moment(text, form) for text in coded.dictionary.to_pylist()]
    codes = coded.indices.fill_null(len(read)).to_numpy(zero_copy_only=False)
    milliseconds = np.array([0 if item is None else item[0] for item in [*read, None]], dtype=np.int64)
    aware = np.array([item is not None and item[1] for item in [*read, None]], dtype=bool)
    valid = np.array([item is not None for item in [*read, None]], dtype=bool)
    return _localised(milliseconds[codes], aware[codes], form), valid[codes]


def _localised(milliseconds: Ints, aware: Flags, form: TableFormat) -> Ints:
    """Turn local into UTC where no offset was given; of an hour that comes twice, the first is meant."""
    if form.timezone == "UTC" or aware.all():
        return milliseconds
    local = pa.array(milliseconds).cast(pa.timestamp("ms"))
    known = pc.assume_timezone(local, form.timezone, ambiguous="earliest", nonexistent="earliest")
    return np.where(aware, milliseconds, _filled(known.cast(pa.int64())))


def _filled(values: pa.Array) -> Ints:
    return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
