"""The port of data sets: whatever can be written as an interchange folder can be learned from and replayed."""

from pathlib import Path
from typing import Protocol

from schemas.progress import Progress


class DataSet(Protocol):
    """Something that can be written as an interchange folder (see ``stream_app.offline.folder``)."""

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all.

        Raises:
            InputError: what it is made from cannot be used.
            OutputError: ``out`` cannot be written.
        """
