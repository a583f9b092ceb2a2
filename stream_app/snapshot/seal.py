"""The seal of a Parquet file: the sha256 of the whole file with blanks in the seal's place.

So every byte is covered, be it of rows, of metadata or of Parquet's own.
"""

import hashlib
from pathlib import Path
from typing import Final

SEAL: Final = b"foretell.seal"
"""Under which key of the metadata it stands; no other key may be written after it."""
BLANK: Final = b"x" * 64
_BLOCK: Final = 1 << 20
_TAIL: Final = 8
"""Bytes behind the footer: its length, and what a Parquet file ends with."""


def seal(path: Path) -> None:
    """Write the seal into its place, which holds blanks."""
    place, digest = _place(path, BLANK), _digest(path, BLANK)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest.encode())


def sealed(path: Path, found: bytes) -> bool:
    """Return whether a file is what its seal was made of."""
    return len(found) == len(BLANK) and _digest(path, found).encode() == found


def _place(path: Path, found: bytes) -> int:
    """Return where in the file the seal stands.

    Raises:
        ValueError: nowhere.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size - _TAIL)
        length = int.from_bytes(file.read(4), "little")
        start = max(size - _TAIL - length, 0)
        file.seek(start)
        footer = file.read(length)
    return start + footer.index(found, footer.rindex(SEAL))


def _digest(path: Path, found: bytes) -> str:
    """Return the sha256 of a file as it was before its seal was written."""
    place, digest = _place(path, found), hashlib.sha256()
    with path.open("rb") as file:
        left = place
        while left:
            block = file.read(min(_BLOCK, left))
            digest.update(block)
            left -= len(block)
        file.seek(place + len(found))
        digest.update(BLANK)
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
