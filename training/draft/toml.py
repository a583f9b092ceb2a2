"""Writes parts of a spec as TOML, with comments for who reviews it."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

_WIDTH: Final = 110


def value(item: Any) -> str:  # noqa: ANN401  (whatever TOML can hold)
    """Return a value on one line."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return f'"{_escaped(item)}"'
    if isinstance(item, float):
        return repr(int(item)) if item.is_integer() and abs(item) < 1e15 else repr(item)  # noqa: PLR2004
    if isinstance(item, Mapping):
        return "{ " + ", ".join(f"{key(name)} = {value(part)}" for name, part in item.items()) + " }"
    if isinstance(item, Sequence):
        return "[" + ", ".join(value(part) for part in item) + "]"
    return str(item)


def key(name: str) -> str:
    """Return a key, quoted where it has to be."""
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else value(name)


def plain(item: msgspec.Struct) -> dict[str, Any]:
    """Return a part of a spec as TOML would hold it, without what is the default."""
    found: dict[str, Any] = msgspec.to_builtins(item)
    return found


def table(heading: str, part: msgspec.Struct, comment: Iterable[str] = ()) -> str:
    """Return a table of an array of tables, with its comment above."""
    lines = [
        *comments(comment),
        f"[[{heading}]]",
        *(f"{key(name)} = {value(item)}" for name, item in plain(part).items()),
    ]
    return "\n".join(lines) + "\n"


def rows(name: str, items: Iterable[tuple[msgspec.Struct, str]]) -> str:
    """Return an array of inline tables, a row each, its note behind it."""
    lines = [(f"  {value(plain(item))},", note) for item, note in items]
    width = min(max((len(text) for text, _ in lines), default=0), 60)
    told = [f"{text:<{width}}  # {_one_line(note)}" if note else text for text, note in lines]
    return "\n".join([f"{name} = [", *told, "]"]) + "\n"


def comments(texts: Iterable[str]) -> list[str]:
    """Return texts as comment lines, wrapped."""
    return [f"# {line}" for text in texts for line in textwrap.wrap(_one_line(text), _WIDTH) or [""]]


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in text)
