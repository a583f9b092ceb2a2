"""Compiled code that an image brings along.

Numba takes a folder for its cache only where it may write, and without one no compiled function can be imported: an
image whose files nobody may change could not start on a read-only root. There, ``NUMBA_CACHE_LOCATOR_CLASSES`` names
the class below.
"""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import UserProvidedCacheLocator


class BakedCache(UserProvidedCacheLocator):
    """What ``NUMBA_CACHE_DIR`` holds, read and never written: each process works on a copy of its own."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        """Copy the folder in which numba keeps the functions of a file."""
        super().__init__(py_func, py_file)  # type: ignore[no-untyped-call]  # numba's
        self._cache_path = _copy(self._cache_path)


@functools.cache
def _copy(baked: str) -> str:
    """Return a folder that is open to this user alone, with the files of ``baked``; it goes when the process ends."""
    place = tempfile.mkdtemp(prefix="foretell-compiled-")
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    folder = Path(baked)
    for file in folder.iterdir() if folder.is_dir() else ():
        shutil.copyfile(file, Path(place, file.name))
    return place
