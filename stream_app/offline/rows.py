"""Rows of an interchange folder as the messages that ``foretell publish`` sends. Null and NaN are left out."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas import codec
from schemas.messages import Customer, Transaction
from stream_app.offline.arrow import texts_of
from stream_app.offline.folder import COLUMNS, CUSTOMERS
from stream_app.steps.texts import Texts

Messages = tuple[Texts, Texts]
"""Keys and values."""

_TEXTS: Final = ("transaction_id", "customer_id", "type", "currency", "product_id", "counterparty")
_NUMBERS: Final = ("amount", "balance")
_REQUIRED: Final = ("transaction_id", "customer_id", "time", "amount", "type")
_NEEDS_ESCAPE: Final = r'["\\\x00-\x1f]'
_ESCAPED: Final = np.isin(np.arange(256), [*range(32), ord('"'), ord("\\")])


def transaction_messages(table: pa.Table) -> Messages:
    """Return the messages of a transactions table.

    A row's bytes depend on that row alone: plain ones are joined column-wise, others (a missing value, a number that
    JSON does not know, a text to be escaped) are encoded one by one.
    """
    values = texts_of(_joined(table))
    others = pc.indices_nonzero(pc.invert(_plain(table))).to_numpy().astype(np.int64)
    if len(others):
        place = np.arange(len(values))
        place[others] = len(values) + np.arange(len(others))
        values = Texts.joined(values, Texts.of([_encoded(table.slice(k, 1)) for k in others.tolist()])).take(place)
    return texts_of(table.column("customer_id")), values


def customer_messages(table: pa.Table) -> Messages:
    """Return the messages of a customers table. A null or NaN attribute is left out: it stays as it was."""
    known = COLUMNS[CUSTOMERS]
    names = [name for name in table.column_names if name not in known.optional]
    columns = [_values(table.column(name)) for name in names]
    values: list[bytes | None] = []
    for row in zip(*columns, strict=True):
        fields: dict[str, Any] = {"kind": Customer.__struct_config__.tag}
        fields |= {name: value for name, value in zip(names, row, strict=True) if value is not None and value == value}  # noqa: PLR0124
        values.append(codec.encode(fields))
    return texts_of(table.column("customer_id")), Texts.of(values)


def _encoded(row: pa.Table) -> bytes:
    fields = {name: _values(row.column(name))[0] for name in row.column_names}
    given = {name: value for name, value in fields.items() if value is not None}
    return codec.encode({"kind": Transaction.__struct_config__.tag} | given)


def _joined(table: pa.Table) -> pa.Array:
    """Return each row as JSON, right for plain rows."""
    parts: list[Any] = ['{"kind":"transaction"']
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        text = column if name in _TEXTS else _number_text(column)
        quote = '"' if name in _TEXTS else ""
        member = pc.binary_join_element_wise(f',"{name}":{quote}', text, quote, "", null_handling="replace")
        parts.append(pc.if_else(column.is_valid(), member, ""))
    return pc.binary_join_element_wise(*parts, "}", "")


def _number_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return column.cast(pa.string())


def _plain(table: pa.Table) -> pa.ChunkedArray:
    plain = pa.chunked_array([pa.repeat(True, table.num_rows)])  # noqa: FBT003  (the value to repeat)
    for name in table.column_names:
        column = table.column(name)
        if name in _REQUIRED:
            plain = pc.and_(plain, column.is_valid())
        if name in _TEXTS and _may_need_escape(column):
            escaped = pc.match_substring_regex(column, _NEEDS_ESCAPE)
            plain = pc.and_(plain, pc.invert(pc.fill_null(escaped, False)))  # noqa: FBT003
        if name in _NUMBERS:
            plain = pc.and_(plain, pc.fill_null(pc.is_finite(column), True))  # noqa: FBT003
    return plain


def _may_need_escape(column: pa.ChunkedArray) -> bool:
    """Return whether any byte of a text column calls for a look at its rows; a scan is much cheaper than a regex."""
    contents = [chunk.buffers()[2] for chunk in column.chunks]
    return any(_ESCAPED[np.frombuffer(content, np.uint8)].any() for content in contents if content is not None)


def _values(column: pa.ChunkedArray) -> list[Any]:
    values: list[Any] = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return values
