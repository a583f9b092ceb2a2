"""Records between bytes and messages. JSON today; a codec for another encoding has the same two functions."""

import re
from typing import Any, Final

import msgspec

from schemas.accepted import Reason
from schemas.messages import Activate, Customer, Forget, Record, Tick, Transaction

_transaction: Final = msgspec.json.Decoder(Transaction)
_anything: Final = msgspec.json.Decoder()
_KINDS: Final[dict[str, type[Record]]] = {
    "transaction": Transaction,
    "customer": Customer,
    "tick": Tick,
    "activate": Activate,
    "forget": Forget,
}
_encoder: Final = msgspec.json.Encoder()

DEEPEST: Final = 64
"""Levels that a record may nest. A rule of its own, so that no acceptance depends on how deep the caller's stack is."""
_SHALLOW_BYTES: Final = 512
"""Shorter records cannot nest deep enough to matter."""
_STRING: Final = re.compile(rb'(?s)"(?:[^"\\]++|\\.)*+"?')

Refusal = tuple[Reason, str]
"""Why bytes are no message, and in words."""


def decode(value: bytes) -> Record | Refusal:
    """Return the message in a record's value, or why it holds none."""
    if len(value) > _SHALLOW_BYTES and _is_deep(value):
        return Reason.MALFORMED, f"expected at most {DEEPEST} levels, found a record that nests deeper"
    if not value.isascii() and not _is_text(value):  # also in fields that nobody reads, which decoders pass over
        return Reason.MALFORMED, "expected text in UTF-8, found other bytes"
    try:
        return _transaction.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_kind(value)


def facts(value: bytes) -> dict[str, Any]:
    """Return all fields of a ``customer`` record that ``decode`` accepted, also those that only the spec knows."""
    fields: dict[str, Any] = _anything.decode(value)
    return fields


def encode(message: Any) -> bytes:  # noqa: ANN401  (any of the message classes, or a plain dict of one)
    """Return a message as bytes."""
    return _encoder.encode(message)


def _is_deep(value: bytes) -> bool:
    """Return whether a value nests deeper than allowed; brackets inside strings do not count."""
    if value.count(b"{") + value.count(b"[") <= DEEPEST:
        return False
    depth = 0
    for character in _STRING.sub(b"", value):
        depth += (character in b"{[") - (character in b"}]")
        if depth > DEEPEST:
            return True
    return False


def _is_text(value: bytes) -> bool:
    """Return whether a value is UTF-8."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode_kind(value: bytes) -> Record | Refusal:
    """Decode what is no plain transaction, or say precisely why nothing fits."""
    try:
        fields = _anything.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Reason.MALFORMED, f"expected a JSON object, found: {error}"
    if not isinstance(fields, dict):
        return Reason.MALFORMED, f"expected a JSON object, found {type(fields).__name__}"
    name = fields.get("kind", "transaction")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        found = repr(name[:32]) if isinstance(name, str) else type(name).__name__
        return Reason.KIND, f"expected one of the kinds {', '.join(_KINDS)}, found {found}"
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as error:
        return _refusal(str(error))


def _refusal(text: str) -> Refusal:
    """Return the reason for a message of msgspec, which names the field at its end."""
    reason = Reason.SCHEMA
    if "length" in text and "_id`" in text:
        reason = Reason.ID
    return reason, f"a field is not as expected: {text}"
