"""The port of data sets: whatever can be written as an interchange folder can be learned from and replayed."""

from pathlib import Path
from typing import Protocol

from schemas.progress import SILENT, Progress
from training.datasets.tabular import Imported


class DataSet(Protocol):
    """Something that can be written as an interchange folder (see ``stream_app.offline.folder``)."""

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all.

        Raises:
            InputError: what it is made from cannot be used.
            OutputError: ``out`` cannot be written.
        """


class Importer(DataSet, Protocol):
    """A data set in a file of somebody else's making."""

    def read(self, progress: Progress = SILENT) -> Imported:
        """Read the file and make the folder's tables of it, counting the rows that are left out.

        Raises:
            InputError: the file cannot be used.
        """
