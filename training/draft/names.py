"""Gives the types of a log names that a spec can hold: letters, digits and _, beginning with a letter."""

import re
from itertools import count
from typing import Final

import pyarrow as pa

from schemas.spec import OTHER
from training.draft.lexicon import ENGLISH, folded

LONGEST: Final = 64


def is_name(text: str) -> bool:
    """Return whether a spec can use a text as a name."""
    return re.fullmatch(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST - 1}}}", text) is not None


def name_types(types: pa.ChunkedArray) -> dict[str, str]:
    """Map each type found to its name; those that differ in nothing but spaces and signs become one.

    What has no Latin letters is called by what it means, where that is known, or else type_1, type_2 …, the most
    frequent first.
    """
    found = sorted(types.value_counts().to_pylist(), key=lambda item: (-item["counts"], item["values"]))
    names = {item["values"]: named(item["values"]) for item in found}
    free = (name for number in count(1) if (name := f"type_{number}") not in names.values())
    return {text: name or next(free) for text, name in names.items()}


def named(text: str, prefix: str = "type_") -> str:
    """Return the name that a text can have in a spec; "" where its letters are not Latin ones.

    Args:
        text: what something is called.
        prefix: comes before what does not begin with a letter.
    """
    text = text.strip()
    if text in ENGLISH:
        return ENGLISH[text]
    plain = folded(text)
    if any(char.isalpha() and not char.isascii() for char in plain):
        return ""
    words = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    if not words:
        return OTHER
    return (words if words[0].isalpha() else f"{prefix}{words}")[:LONGEST]
