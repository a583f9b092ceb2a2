"""Small conversions between Arrow columns and arrays."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.errors import InputError
from training.datasets.tabular_source import Flags, Rows

Floats = npt.NDArray[np.float64]


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Return a column in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def flags(mask: pa.Array) -> Flags:
    """Return a mask as bool [n]."""
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=bool)


def is_textual(kind: pa.DataType) -> bool:
    """Return whether a column holds texts, or nothing."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def refuse_type(expected: str, name: str, kind: pa.DataType, rows: Rows) -> None:
    """Refuse a column of a Parquet file whose type cannot stand for what is wanted.

    Raises:
        InputError: always.
    """
    message = f"Expected {expected} in column `{name}` of {rows.path}, found {kind}; map another column or cast it."
    raise InputError(message)
