"""Passwords in texts: where one stands in a URL, how it is hidden, and how it is read from a file."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from schemas.errors import ForetellError

HIDDEN: Final = "***"
_LARGEST: Final = 65_536
_SHORTEST_MASKED: Final = 3
"""What is shorter stands in every text, and masking it would say which letters it has."""
_IN_PLACE: Final = re.compile(r"^((?:[a-z]+://)?+[^:/@]*+):(.*)@", re.DOTALL | re.IGNORECASE)
_IN_QUERY: Final = re.compile(r"(password=)([^&#]*)", re.IGNORECASE)


class SettingsError(ForetellError):
    """Settings that are missing, malformed or contradict each other."""

    exit_code = 2


def hide_password(url: str) -> str:
    """Return a URL, or what was meant to be one, without its password."""
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _IN_PLACE.sub(rf"\1:{HIDDEN}@", url))


def passwords_in(url: str) -> list[str]:
    """Return the password in a URL, as written and as meant; nothing where it has none."""
    written = [match[2] for match in (_IN_PLACE.match(url), *_IN_QUERY.finditer(url)) if match]
    return [text for password in written for text in (password, unquote(password)) if text]


def to_mask(found: Iterable[str]) -> tuple[str, ...]:
    """Return what must not be shown anywhere, also as escaped by Python, JSON or a URL; the longest first."""
    plain = [text for text in found if len(text) >= _SHORTEST_MASKED]
    escaped = [form for text in plain for form in (repr(text)[1:-1], json.dumps(text)[1:-1], quote(text, safe=""))]
    return tuple(sorted({*plain, *escaped}, key=lambda text: (-len(text), text)))


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which the secrets are hidden."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def read_secret(path: str, name: str) -> str:
    """Return the secret in the file that a variable names.

    Args:
        path: the file; the line end at its end is none of the secret.
        name: the variable, for the message.

    Raises:
        SettingsError: it cannot be read or is empty.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_LARGEST).decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        message = f"Expected a secret in the file that {name} names, {path}, found: {reason}; correct the path."
        raise SettingsError(message) from error
    if not text:
        message = f"Expected a secret in the file that {name} names, {path}, found it empty; write it there."
        raise SettingsError(message)
    return text
