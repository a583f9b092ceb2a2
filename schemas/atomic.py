"""Write files and folders so that a reader sees the whole or nothing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from schemas.errors import OutputError

_REMEDY: Final = "choose another place with --out"


@contextmanager
def atomic_file(path: Path, what: str = "", remedy: str = _REMEDY) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that takes its place on success and vanishes on any failure.

    A symbolic link stays, the file that it points to is replaced. ``what`` and ``remedy`` as of ``writing``.

    Raises:
        OutputError: the place cannot be written to, or holds a folder or a device.
    """
    place = path.resolve()
    part = _sibling(place)
    try:
        with writing(path, what, remedy):
            if place.exists() and not place.is_file():
                _refuse(path, "a file", "a folder" if place.is_dir() else "a device or a pipe", remedy)
            place.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
            yield part
            _sync(part)
            part.replace(place)
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that takes the place of ``path`` (replacing it) on success.

    A symbolic link stays, the folder that it points to is replaced.

    Raises:
        OutputError: the place cannot be written to, or holds a file.
    """
    place = path.resolve()
    part, old = _sibling(place), _sibling(place, "old")
    try:
        with writing(path):
            if place.exists() and not place.is_dir():
                _refuse(path, "a folder", "a file", _REMEDY)
            place.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()
            yield part
            for file in sorted(part.rglob("*")):
                _sync(file)
            if place.exists():
                place.rename(old)
            part.rename(place)
    finally:
        with suppress(OSError):
            if old.exists() and not place.exists():
                old.rename(place)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def writing(path: Path, what: str = "", remedy: str = _REMEDY) -> Iterator[None]:
    """Translate what goes wrong while ``path`` is written.

    Args:
        path: the place.
        what: stands before the place in the message.
        remedy: what to do, other than to free space.

    Raises:
        OutputError: the disk is full, or the place cannot be written to.
    """
    try:
        yield
    except BrokenPipeError:  # of a terminal or a reader of ours, not of a file
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = f"Expected to write {what}{path}, found: {reason}; nothing was left there. Free space or {remedy}."
        raise OutputError(message) from error


def _refuse(path: Path, expected: str, found: str, remedy: str) -> None:
    message = f"Expected {expected} or nothing at {path}, found {found}; {remedy}."
    raise OutputError(message)


def _sibling(place: Path, word: str = "part") -> Path:
    return place.parent / f".{place.name}.{os.getpid()}.{word}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
