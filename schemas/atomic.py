"""Write files and folders so that a reader sees the whole or nothing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import OutputError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` that takes its place on success and vanishes on any failure.

    Raises:
        OutputError: the place cannot be written to.
    """
    part = _sibling(path)
    try:
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            _sync(part)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling folder that takes the place of ``path`` (replacing it) on success.

    Raises:
        OutputError: the place cannot be written to.
    """
    part, old = _sibling(path), _sibling(path, "old")
    try:
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()
            yield part
            for file in sorted(part.rglob("*")):
                _sync(file)
            if path.exists():
                path.rename(old)
            part.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _sibling(path: Path, word: str = "part") -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{word}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        message = (
            f"Expected to write {path}, found: {reason}; nothing was left there. "
            "Free space or choose another place with --out."
        )
        raise OutputError(message) from error
