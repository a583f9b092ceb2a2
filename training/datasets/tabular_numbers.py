"""Reads numbers out of the columns of a file, in the ways that countries and programs write them."""

import re
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stream_app.offline.folder import NUMBER, TEXT
from training.datasets.tabular_arrays import Floats, is_textual, one_array, refuse_type
from training.datasets.tabular_source import Flags, Rows, TableFormat

WRITTEN: Final = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A number with a decimal point."""


def as_numbers(column: pa.ChunkedArray, form: TableFormat, name: str, rows: Rows) -> tuple[Floats, Flags]:
    """Return numbers float64 [n], NaN where there is none, and where one is, bool [n]."""
    kind = column.type
    if is_textual(kind):
        texts = with_points(pc.utf8_trim_whitespace(column.cast(TEXT)), form)
        column = pc.if_else(pc.match_substring_regex(texts, WRITTEN), texts, pa.scalar(None, TEXT))
        column = pc.replace_substring_regex(column, r"^\+", "")
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        refuse_type("numbers", name, kind, rows)
    values = one_array(column.cast(NUMBER, safe=False)).to_numpy(zero_copy_only=False)
    return values, np.isfinite(values)


def with_points(texts: pa.ChunkedArray, form: TableFormat) -> pa.ChunkedArray:
    """Write numbers as 1234.5; a minus may stand behind, as in 5,00-."""
    texts = pc.replace_substring_regex(texts, r"^([0-9].*?) *-$", r"-\1")
    if form.thousands:
        texts = pc.replace_substring_regex(texts, "[\u00a0\u202f]", " ")
        mark, point = re.escape(form.thousands), re.escape(form.decimal)
        grouped = pc.match_substring_regex(texts, rf"^[+-]?[0-9]{{1,3}}({mark}[0-9]{{3}})+({point}[0-9]*)?$")
        texts = pc.if_else(grouped, pc.replace_substring(texts, form.thousands, ""), texts)
    if form.decimal == ",":
        texts = pc.replace_substring(pc.replace_substring(texts, ".", "?"), ",", ".")
    return texts
