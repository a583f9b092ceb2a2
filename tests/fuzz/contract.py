"""What may be accepted and what may come out, told a second time: with Python's own JSON, and slowly."""

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar

import jsonschema
import msgspec

from schemas.accepted import EARLIEST_MS, LARGEST_AMOUNT, LATEST_MS, LONGEST_ID, MOST_AHEAD_MS, NO_RECORD_TIME, Reason
from schemas.messages import SLICES, Alert, Score
from schemas.spec import Spec
from stream_app.steps.encode import LARGEST_DEAD_LETTER, DeadLetter
from tests.fuzz.stream import Entry

REASONS: Final = frozenset({str(reason) for reason in Reason} - {str(Reason.INTERNAL_ERROR)})
_LONGEST_DETAIL: Final = 1024
_LONGEST_TOLD: Final = 400
_LONGEST_NUMBER: Final = 300
_SLACK: Final = 1 + 1e-9
_Fields = dict[str, Any]
_T = TypeVar("_T")
_score: Final = msgspec.json.Decoder(Score)
_alert: Final = msgspec.json.Decoder(Alert)


class NotSoError(Exception):
    """Something that was accepted and must not have been, or that has come out and must not have."""


def check_accepted(entry: Entry, spec: Spec) -> str:
    """Return the kind of a record that was accepted.

    Raises:
        NotSoError: it must have become a dead letter.
    """
    if entry.value is None:
        _expect(entry.key is not None, "a key at a tombstone")
        _check_id((entry.key or b"").decode(), entry.key)
        return "forget"
    fields = _fields(entry.value)
    kind = fields.get("kind", "transaction")
    _expect(isinstance(kind, str) and kind in _CHECKS, "one of the kinds")
    _CHECKS[kind](fields, entry, spec)
    return str(kind)


def check_score(message: bytes, *, with_schema: bool) -> Score:
    """Return the score in a message.

    Raises:
        NotSoError: it is none, or says what no score may say.
    """
    score = _decoded(_score, message, "score", with_schema=with_schema)
    _expect(EARLIEST_MS <= score.time < LATEST_MS, "a time from 1990 to 2200")
    for task in score.tasks.values():
        shares = list((task.probabilities or {}).values())
        _expect(all(map(math.isfinite, [task.score or 0.0, *shares])), "finite numbers")
        _expect(all(0 <= share <= 1 for share in shares), "probabilities from 0 to 1")
        _expect(not shares or abs(sum(shares) - 1) < 1e-4, "probabilities that add up to 1")
        _expect(not task.band or not shares, "a band or classes")
        if task.band is not None and task.score is not None:
            _expect(task.score >= 0, "a score that is not negative")
    return score


def check_alert(message: bytes, *, with_schema: bool) -> Alert:
    """Return the alert in a message.

    Raises:
        NotSoError: it is none.
    """
    alert = _decoded(_alert, message, "alert", with_schema=with_schema)
    _expect(math.isfinite(alert.score), "a finite number")
    return alert


def check_letter(letter: DeadLetter, entry: Entry) -> str:
    """Return the reason of a dead letter.

    Raises:
        NotSoError: it has none that is known, or is not the record that was refused.
    """
    headers = dict(letter.headers)
    reason = headers["reason"].decode()
    _expect(reason in REASONS, "a known reason")
    _expect(0 < len(headers["detail"].decode()) <= _LONGEST_DETAIL, "words for what was expected and found")
    for kept, given in ((letter.key, entry.key), (letter.value, entry.value)):
        _expect(kept == (given and given[:LARGEST_DEAD_LETTER]), "the record as it was")
    return reason


def _expect(holds: bool, expected: str) -> None:  # noqa: FBT001  (it reads as a sentence)
    if not holds:
        raise NotSoError(expected)


def _decoded(decoder: "msgspec.json.Decoder[_T]", content: bytes, name: str, *, with_schema: bool) -> _T:
    try:
        found = decoder.decode(content)
        if with_schema:
            _validator(name).validate(json.loads(content, parse_constant=_no_number))
    except (ValueError, jsonschema.ValidationError) as error:
        message = f"a {name} as its schema says: {error}"[:_LONGEST_TOLD]
        raise NotSoError(message) from error
    return found


@cache
def _validator(name: str) -> jsonschema.Draft202012Validator:
    text = resources.files("schemas").joinpath("generated", f"{name}.schema.json").read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


# What is accepted


def _fields(value: bytes) -> _Fields:
    try:
        fields = json.loads(value.decode(), parse_int=_whole, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        message = f"JSON in UTF-8: {error}"
        raise NotSoError(message) from error
    _expect(isinstance(fields, dict), "a JSON object")
    return dict(fields)


def _whole(text: str) -> float:
    return int(text) if len(text) < _LONGEST_NUMBER else float(text)


def _no_number(name: str) -> float:
    message = f"numbers that JSON knows, not {name}"
    raise NotSoError(message)


def _check_id(name: object, key: bytes | None) -> None:
    _expect(isinstance(name, str), "text as an id")
    try:
        content = str(name).encode()
    except UnicodeEncodeError as error:
        message = f"an id in UTF-8: {error}"
        raise NotSoError(message) from error
    _expect(0 < len(content) <= LONGEST_ID and b"\0" not in content, "an id of 1 to 256 bytes without NUL")
    _expect(key is None or content == key, "the customer's id as the key")


def _check_time(time: object, entry: Entry) -> None:
    if isinstance(time, str):
        _expect(re.search(r"([Zz]|[+-]\d\d:?\d\d)$", time) is not None, "a time with an offset")
        try:
            found = datetime.fromisoformat(time.upper().replace(" ", "T")).timestamp() * 1000
        except ValueError:  # not all that RFC 3339 allows
            return
    else:
        _expect(isinstance(time, int | float) and not isinstance(time, bool), "a time")
        found = float(str(time))
    _expect(EARLIEST_MS - 1 <= found < LATEST_MS, "a time from 1990 to 2200")
    ahead = entry.time_ms != NO_RECORD_TIME and found > entry.time_ms + MOST_AHEAD_MS + 1
    _expect(not ahead, "a time that is not a day ahead")


def _number(value: object) -> float:
    _expect(isinstance(value, int | float) and not isinstance(value, bool), "a number")
    return float(str(value))


def _check_transaction(fields: _Fields, entry: Entry, spec: Spec) -> None:
    _check_id(fields.get("customer_id"), entry.key or b"")
    _check_id(fields.get("transaction_id"), None)
    _check_time(fields.get("time"), entry)
    currency = fields.get("currency")
    _expect(currency is None or currency in spec.rate, "a currency of the spec")
    rate = spec.rate.get(currency, 1.0) if currency else 1.0
    for name in ("amount", *(["balance"] if fields.get("balance") is not None else [])):
        _expect(abs(_number(fields.get(name)) * rate) <= LARGEST_AMOUNT * _SLACK, f"{name} within 1e12")
    _expect(isinstance(fields.get("type"), str), "text as a type")


def _check_customer(fields: _Fields, entry: Entry, spec: Spec) -> None:
    _check_id(fields.get("customer_id"), entry.key or b"")
    _check_time(fields.get("time"), entry)
    for attribute in spec.attributes:
        value = fields.get(attribute.name)
        if value is not None and attribute.kind == "category":
            _expect(isinstance(value, str), f"text as {attribute.name}")
        elif value is not None:
            _expect(attribute.at_least <= _number(value) <= attribute.at_most, f"{attribute.name} within its bounds")


def _check_tick(fields: _Fields, entry: Entry, spec: Spec) -> None:
    del spec
    _expect(0 <= _number(fields.get("slice")) < SLICES, "a slice")
    _check_time(fields.get("time"), entry)


def _check_activate(fields: _Fields, entry: Entry, spec: Spec) -> None:
    del entry, spec
    _expect(re.fullmatch("[0-9a-f]{64}", str(fields.get("bundle"))) is not None, "the sha256 of a bundle")


def _check_forget(fields: _Fields, entry: Entry, spec: Spec) -> None:
    del spec
    _check_id(fields.get("customer_id"), entry.key or b"")


_CHECKS: Final[Mapping[str, Callable[[_Fields, Entry, Spec], None]]] = {
    "transaction": _check_transaction,
    "customer": _check_customer,
    "tick": _check_tick,
    "activate": _check_activate,
    "forget": _check_forget,
}
