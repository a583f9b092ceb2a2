"""What errors say of a file: what stands at its place, what it is instead, which columns it has."""

import codecs
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from schemas.errors import InputError

_OTHER_KINDS: Final = {
    b"PK\x03\x04": ("a workbook or an archive", "save its sheet as .csv in a spreadsheet program, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an .xls workbook", "save its sheet as .csv in a spreadsheet program"),
    b"PAR1": ("Parquet", "rename it to .parquet"),
}
"""How files begin that are no text: what they are, and what to do."""
_TOLD: Final = 12
_LONGEST: Final = 60
"""Names that an error lists before it stops, and characters of one."""


def listed(names: Sequence[str]) -> str:
    """Return the names of columns for an error: not more than a person reads, and none that steers a terminal."""
    told = ["".join(char if char.isprintable() else "?" for char in name)[:_LONGEST] for name in names[:_TOLD]]
    return ", ".join(told) + (f" and {len(names) - _TOLD:,} more" if len(names) > _TOLD else "")


def place_of(path: Path) -> str:
    """Return what is at a place that is no file."""
    if path.is_dir():
        return "a folder"
    return "a device or a pipe" if path.exists() else "nothing"


def is_utf_16(path: Path) -> bool:
    """Return whether a file begins as texts in UTF-16 do."""
    with path.open("rb") as file:
        return file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}


def refuse_other_kinds(path: Path) -> None:
    """Refuse a file that is no text, whatever it is called.

    Raises:
        InputError: saying what it is.
    """
    with path.open("rb") as file:
        begin = file.read(max(map(len, _OTHER_KINDS)))
    for mark, (kind, remedy) in _OTHER_KINDS.items():
        if begin.startswith(mark):
            message = f"Expected a CSV or Parquet file at {path}, found {kind}; {remedy}."
            raise InputError(message)
