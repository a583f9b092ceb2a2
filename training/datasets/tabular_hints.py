"""Which options may help where the values of a column cannot be read."""

from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stream_app.offline.folder import TEXT
from training.datasets.tabular_arrays import is_textual
from training.datasets.tabular_numbers import WRITTEN, with_points
from training.datasets.tabular_source import TableFormat
from training.datasets.tabular_times import moment

_TRIED: Final = 1_000
"""Different texts that a format is tried on."""
_DATES: Final = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%y", "%d %b %Y", "%Y年%m月%d日",
)  # fmt: skip
_FORMATS: Final = tuple(date + time for time in ("", " %H:%M", " %H:%M:%S") for date in _DATES)
"""Where all times fit several, the first one is told."""
_MARKS: Final = ((",", ""), (",", "."), (".", ","), (",", " "), (".", " "), (".", "'"))
_SECONDS_DIGITS, _MS_DIGITS, _DAYS_DIGITS = 10, 13, 5


def number_hint(column: pa.ChunkedArray, form: TableFormat) -> str:
    """Return the options with which all texts of a column are numbers; "" where they are, or where none helps."""
    if not is_textual(column.type):
        return ""
    texts = pc.utf8_trim_whitespace(column.cast(TEXT).unique().drop_null())
    texts = texts.filter(pc.not_equal(texts, ""))
    if _all_written(texts, form):
        return ""
    for decimal, thousands in _MARKS:
        if _all_written(texts, replace(form, decimal=decimal, thousands=thousands)):
            marks = [f"--decimal '{decimal}'"] if decimal != form.decimal else []
            return " ".join([*marks, f"--thousands '{thousands}'"] if thousands else marks)
    return ""


def _all_written(texts: pa.Array, form: TableFormat) -> bool:
    return bool(pc.all(pc.match_substring_regex(with_points(texts, form), WRITTEN), min_count=0).as_py())


def time_hint(column: pa.ChunkedArray) -> str:
    """Return the option with which the times of a column can be read; "" where none is known."""
    if not is_textual(column.type):
        return ""
    texts = [text.strip() for text in column.cast(TEXT).unique().drop_null().to_pylist()[:_TRIED]]
    digits = {len(text) for text in texts} if all(text.isdecimal() for text in texts) else set()
    if digits in ({_SECONDS_DIGITS}, {_MS_DIGITS}):
        return f"--time-format {'epoch_s' if _SECONDS_DIGITS in digits else 'epoch_ms'}"
    if digits and max(digits) <= _DAYS_DIGITS:
        return "--time-format epoch_d --epoch DATE (if these are days since a date)"
    fits = next((item for item in _FORMATS if all(moment(text, TableFormat(time_format=item)) for text in texts)), "")
    return f"--time-format '{fits}'" if fits else ""
