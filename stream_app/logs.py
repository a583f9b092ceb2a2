"""The log of a worker: one line an event on stderr, as text or JSON, without secrets and without customers' data.

    2026-01-31T12:00:00.123Z warning stream_app.source waiting for Kafka broker=localhost:9092 suppressed=41

What is logged again and again is told once in ten seconds, with the number of the lines left out: aiokafka writes
thousands a second while a broker is away. Of an exception in our own steps only type and place are told, since its text
may hold what a customer did.
"""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from schemas.errors import ForetellError
from stream_app.credentials import mask
from stream_app.settings import Settings, secrets_of

EVERY_S: Final = 10.0
_OURS: Final = ("stream_app", "schemas")
_TELLING: Final = (ForetellError, OSError)
"""Exceptions whose text holds no record's content."""
_TELLING_MODULES: Final = ("aiokafka.",)
_PLACES_KEPT: Final = 1000
_FRAMES: Final = 4
_CAUSES: Final = 4
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FIRST: Final = ("time", "level", "logger", "message")


def configure(settings: Settings, out: TextIO | None = None) -> logging.Handler:
    """Log to ``out`` (stderr by default) as the settings say, instead of as others said before; return the handler."""
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(Lines(as_json=settings.log_format == "json", secrets=settings.secrets()))
    handler.addFilter(RateLimit())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [*(other for other in root.handlers if not isinstance(other.formatter, Lines)), handler]
    root.setLevel(max(level, logging.WARNING))
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    # Never lower: at debug, aiokafka writes keys, values and SASL passwords.
    logging.getLogger("aiokafka").setLevel(logging.INFO if level < logging.INFO else max(level, logging.WARNING))
    return handler


def redact(text: str, settings: Settings | None = None) -> str:
    """Return a text without the secrets of the settings, or, where there are none yet, of the environment."""
    return mask(text, secrets_of(os.environ) if settings is None else settings.secrets())


class RateLimit(logging.Filter):
    """Lets a line through once in a while; a later one tells how many were left out.

    Lines of libraries count as the same when they come from the same place in the code, our own when they also say the
    same.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        """Start with nothing seen."""
        super().__init__()
        self._every_s = every_s
        self._told: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is let through; adds ``suppressed`` to it."""
        key: tuple[object, ...] = (record.name, record.pathname, record.lineno)
        if record.name.split(".", 1)[0] in _OURS:
            key += (str(record.msg), str(record.args), str(_extra(record)))
        last, left_out = self._told.get(key, (-self._every_s, 0))
        if 0 <= record.created - last < self._every_s:
            self._told[key] = last, left_out + 1
            return False
        if len(self._told) >= _PLACES_KEPT:
            self._told.clear()
        self._told[key] = record.created, 0
        if left_out:
            record.suppressed = left_out
        return True


class Lines(logging.Formatter):
    """Makes one line of a record, with what was given as ``extra`` behind the message."""

    def __init__(self, *, as_json: bool, secrets: tuple[str, ...] = ()) -> None:
        """Hide ``secrets`` wherever they turn up."""
        super().__init__()
        self._as_json, self._secrets = as_json, secrets

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        found: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: value for name, value in _extra(record).items() if name not in found}
        if record.exc_info and record.exc_info[1] is not None:
            found["error"] = described(record.exc_info[1])
        found = {name: self._hidden(value) for name, value in found.items()}
        if self._as_json:
            return json.dumps(found)
        first = " ".join(_plain(str(found[name])) for name in _FIRST)
        return first + "".join(f" {name}={_quoted(value)}" for name, value in found.items() if name not in _FIRST)

    def _hidden(self, value: object) -> Any:  # noqa: ANN401  (text, or a plain number)
        if value is None or isinstance(value, bool | int | float):
            return value
        return mask(str(value), self._secrets)


def described(error: BaseException) -> str:
    """Return types and places of an exception and its causes, and texts only where they can hold no customer's data."""
    told: list[str] = []
    found = error
    while len(told) < _CAUSES:
        telling = isinstance(found, _TELLING) or type(found).__module__.startswith(_TELLING_MODULES)
        frames = traceback.extract_tb(found.__traceback__)[-_FRAMES:]
        places = " < ".join(f"{Path(at.filename).name}:{at.lineno} {at.name}" for at in reversed(frames))
        text = f"{type(found).__name__}: {found}" if telling else type(found).__name__
        told.append(f"{text} at {places}" if places else text)
        cause = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        if cause is None:
            break
        found = cause
    return "; from ".join(told)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _plain(text: str) -> str:
    """Return a text in one line: what an id or a broker says must not look like a line of its own."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _quoted(value: object) -> str:
    text = _plain(str(value))
    return text if text and not any(c in text for c in ' "=') else json.dumps(text, ensure_ascii=False)
