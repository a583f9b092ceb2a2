"""Messages of the output topics as lines to read, or as JSON."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from aiokafka import ConsumerRecord

from schemas import codec
from schemas.messages import Alert, Score, TaskScore

_score: Final = msgspec.json.Decoder(Score)
_alert: Final = msgspec.json.Decoder(Alert)
_anything: Final = msgspec.json.Decoder()
_NOT_READABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_SHOWN: Final = 200


def score_line(record: ConsumerRecord) -> str:
    """Return time, customer and the answer to each task that was asked."""
    try:
        score = _score.decode(record.value or b"")
    except _NOT_READABLE:
        return _unreadable(record)
    tasks = [f"{name} {_answer(task)}" for name, task in score.tasks.items() if task.eligible]
    late = ["late"] if score.late else []
    return _line([_time(score.time), score.customer_id, *(tasks or ["nothing asked"]), *late])


def alert_line(record: ConsumerRecord) -> str:
    """Return time, customer, severity, rule, what it looked at and its threshold."""
    try:
        alert = _alert.decode(record.value or b"")
    except _NOT_READABLE:
        return _unreadable(record)
    of = " ".join(name for name in (alert.task or alert.feature, alert.class_) if name)
    since = [f"{alert.suppressed} suppressed"] if alert.suppressed else []
    seen = f"{of} {alert.score:.6g} (threshold {alert.threshold:.6g})"
    return _line([_time(alert.time), alert.customer_id, f"{alert.severity} {alert.rule}", seen, *since])


def letter_line(record: ConsumerRecord) -> str:
    """Return the reason, where the record stood, its key and what was expected and found."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    if "reason" not in headers:
        return _unreadable(record)
    where = "-".join(headers.get(name, "?") for name in ("topic", "partition", "offset"))
    key = "no key" if record.key is None else record.key.decode(errors="replace")
    return _line([headers["reason"], where, key, headers.get("detail", "")])


def message_json(record: ConsumerRecord) -> str:
    """Return a score's or an alert's own bytes; what would not stand in one line of JSON is told as it is."""
    value = record.value or b""
    try:
        _anything.decode(value)
        return value.decode() if b"\n" not in value else _json(_anything.decode(value))
    except _NOT_READABLE:
        return _json(_place(record) | {"unreadable": _text(record.value)})


def letter_json(record: ConsumerRecord) -> str:
    """Return a dead letter as an object: its place in the topic, headers, key and value."""
    headers = {name: _text(value) for name, value in record.headers}
    return _json(_place(record) | {"headers": headers, "key": _text(record.key), "value": _text(record.value)})


def _answer(task: TaskScore) -> str:
    words = [task.choice, None if task.score is None else f"{task.score:.6g}", task.band]
    return " ".join(word for word in words if word is not None)


def _time(time_ms: int) -> str:
    try:
        return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except OverflowError:
        return str(time_ms)


def _unreadable(record: ConsumerRecord) -> str:
    found = "no value" if record.value is None else record.value[:_LONGEST_SHOWN].decode(errors="replace")
    return _line(["unreadable", f"{record.topic}-{record.partition}-{record.offset}", found])


def _line(words: Iterable[str]) -> str:
    """Return words in one line; what an id or a detail says must not steer the terminal."""
    text = "  ".join(words)
    return (
        text
        if text.isprintable()
        else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    )


def _place(record: ConsumerRecord) -> dict[str, Any]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}


def _text(content: bytes | None) -> str | dict[str, str] | None:
    """Return bytes as text; where they are none, as base64 under that name."""
    if content is None:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _json(fields: dict[str, Any]) -> str:
    return codec.encode(fields).decode()
