"""The folder that a demo writes: taken by one demo at a time, and never one that holds anything else."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from schemas.atomic import writing
from schemas.errors import OutputError
from training.demo.plan import Places, Plan

MARKER: Final = ".foretell-demo"
"""Says that a folder is a demo's own; held locked while one is at work, which the system ends with the process."""


def check(plan: Plan) -> None:
    """Refuse what would destroy something that is no demo's, or what the demo is to read.

    Raises:
        OutputError: the place is taken.
    """
    out = plan.places.out
    if out.exists() and not out.is_dir():
        raise OutputError(_refusal(out, "a file"))
    foreign = sorted(item.name for item in out.iterdir()) if out.is_dir() and not (out / MARKER).is_file() else []
    if foreign:
        raise OutputError(_refusal(out, foreign[0]))
    for read in () if plan.simulated else (plan.data, plan.bundle):
        if out.resolve() in (read.resolve(), *read.resolve().parents):
            message = f"Expected {read} outside the demo's folder {out}, found it inside; choose another --out."
            raise OutputError(message)


@contextmanager
def taken(places: Places) -> Iterator[None]:
    """Hold a folder that has been checked, emptied of what a former demo wrote.

    Raises:
        OutputError: another demo is at work there, or it cannot be written.
    """
    out = places.out
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        marker = (out / MARKER).open("a")
    with marker:
        try:
            fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Expected {out} to be free, found another demo at work there; choose another place with --out."
            raise OutputError(message) from None
        with writing(out):
            for item in _written(out):
                (shutil.rmtree if item.is_dir() and not item.is_symlink() else Path.unlink)(item)
            for folder in (places.logs, places.replay, places.servers):
                folder.mkdir()
        yield


def _written(out: Path) -> Iterator[Path]:
    """Yield what a demo has written, half-written parts as well; other files that were put beside them stay."""
    places = Places(out)
    own = {item.name for item in (places.bank, places.bundle, places.scores, places.alerts, places.letters)}
    own |= {item.name for item in (places.replay, places.logs, places.servers, places.summary)}
    for item in sorted(out.iterdir()):
        half = item.name.startswith(".") and item.name.endswith((".part", ".old"))
        if item.name in own or (half and item.name[1:].rsplit(".", 2)[0] in own):
            yield item


def _refusal(out: Path, found: str) -> str:
    return f"Expected nothing at {out}, or the folder of a former demo, found {found}; choose another place with --out."
