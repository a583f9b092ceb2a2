"""What of records stands in an output where it should not: keys, ids, and the values themselves."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final

_LEAST: Final = 4
"""What is shorter stands in every log by chance."""
_PIECE: Final = 24
"""A piece of a value as long as this is no chance either."""
_OF_A_CUSTOMER: Final = ("customer_id", "transaction_id", "counterparty", "name")
_FIELD: Final = re.compile(rb'"(' + b"|".join(name.encode() for name in _OF_A_CUSTOMER) + rb')"\s*:\s*"([^"\\]{4,})"')

Record = tuple[bytes | None, bytes | None]
"""Key and value."""


def leaked(output: str, records: Iterable[Record]) -> list[str]:
    """Return what of records stands in an output, whole or in pieces, plain, escaped or encoded.

    Args:
        output: all that a process wrote.
        records: keys and values, also such as are no JSON.
    """
    return sorted({found for key, value in records for found in _pieces(key, value) if found in output})


def _pieces(key: bytes | None, value: bytes | None) -> Iterator[str]:
    if key and len(key) >= _LEAST:
        yield from _forms(key)
    for content in () if value is None else (value,):
        for match in _FIELD.finditer(content):
            yield from _forms(match[2])
        for start in range(0, len(content), _PIECE):
            piece = content[start : start + _PIECE]
            if len(piece) == _PIECE and len(set(piece)) > _LEAST:
                yield from _forms(piece)


def _forms(content: bytes) -> Iterator[str]:
    text = content.decode(errors="replace")
    yield text
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    yield repr(content)[2:-1]
    yield binascii.hexlify(content).decode()
    yield base64.b64encode(content).decode().rstrip("=")
