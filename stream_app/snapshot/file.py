"""One partition's rows and marker as a Parquet file.

Lines are a customer and a row; of a customer who stands there twice, the last line counts, and an empty row is none. In
the metadata stands what the rows are of, and a seal (``stream_app.snapshot.seal``).
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.atomic import atomic_file, writing
from schemas.errors import InputError
from stream_app.snapshot.seal import BLANK, SEAL, seal, sealed
from stream_app.snapshot.stamp import FORMAT, Part, Stamp
from stream_app.store.port import Marker

ROW_GROUP: Final = 4_000
_STAMP: Final = b"foretell.snapshot"
_FLOAT_BYTES: Final = 4
_TOLD: Final = ("a snapshot to ", "choose another folder")
"""What is written, and what to do where it cannot be."""


class SnapshotWriter:
    """A snapshot that is being written. Its methods block; they may be called from any thread, one after the other."""

    def __init__(self, folder: Path, stamp: Stamp) -> None:
        """Begin a file in a folder, under a name that nobody takes for a snapshot.

        Args:
            folder: made where missing.
            stamp: what the rows are of; the marker comes at the end.

        Raises:
            OutputError: the place cannot be written to.
        """
        self._lock, self._stamp = threading.Lock(), stamp
        self._part = folder / f".{stamp.layout}.{secrets.token_hex(8)}.part"
        self._waiting: list[Part] = []
        self._abandoned = False
        self._kind = pa.binary(_FLOAT_BYTES * stamp.row_width)
        schema = pa.schema([("customer", pa.binary()), ("row", self._kind)])
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._writer: pq.ParquetWriter | None = pq.ParquetWriter(
                self._part, schema, compression="zstd", use_dictionary=False, write_statistics=False, store_schema=False
            )

    def add(self, customers: list[bytes], rows: NDArray[np.float32]) -> None:
        """Append lines; nothing happens to a snapshot that was abandoned.

        Raises:
            OutputError: the disk is full.
        """
        with _writing(self._part.parent), self._alone() as writer:
            if writer is not None and customers:
                self._waiting.append((customers, rows))
                if sum(len(names) for names, _ in self._waiting) >= ROW_GROUP:
                    self._write(writer)

    def finish(self, place: Path, marker: Marker) -> Stamp:
        """Let the snapshot appear whole at its place.

        Raises:
            OutputError: the place cannot be written to.
        """
        stamp = self._stamp.at(marker)
        with self._alone() as writer, atomic_file(place, *_TOLD) as part:
            if writer is None:
                message = "the snapshot was abandoned"
                raise RuntimeError(message)
            self._write(writer)
            writer.add_key_value_metadata({_STAMP: msgspec.json.encode(stamp), SEAL: BLANK})
            writer.close()
            self._writer = None
            seal(self._part)
            self._part.replace(part)
        return stamp

    def abandon(self) -> None:
        """Leave nothing behind; a snapshot that has been finished stays. Waits for no write that is under way."""
        self._abandoned = True
        if self._lock.acquire(blocking=False):
            try:
                self._clean()
            finally:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    @contextmanager
    def _alone(self) -> Iterator[pq.ParquetWriter | None]:
        """Yield the writer, if the snapshot was not abandoned; clean up if it has been meanwhile."""
        with self._lock:
            try:
                yield self._writer
            finally:
                if self._abandoned:
                    self._clean()

    def _clean(self) -> None:
        if self._writer is not None:
            with suppress(OSError):  # what could not be written need not be
                self._writer.close()
            self._writer = None
        with suppress(OSError):
            self._part.unlink()

    def _write(self, writer: pq.ParquetWriter) -> None:
        """Write what waits as one group of lines."""
        parts, self._waiting = self._waiting, []
        if not parts:
            return
        customers = [name for names, _ in parts for name in names]
        rows = np.concatenate([rows for _, rows in parts])
        content = pa.FixedSizeBinaryArray.from_buffers(self._kind, len(rows), [None, pa.py_buffer(rows.tobytes())])
        table = pa.table({"customer": pa.array(customers, pa.binary()), "row": content})
        writer.write_table(table, row_group_size=len(rows))


class SnapshotFile:
    """A snapshot that has been written; whole and unchanged."""

    def __init__(self, path: Path, stamp: Stamp) -> None:
        """Take a file that has been verified; ``open`` does it."""
        self.path, self.stamp = path, stamp

    @classmethod
    def open(cls, path: Path) -> "SnapshotFile":
        """Read a snapshot's metadata and prove that no byte of it has changed.

        Raises:
            InputError: it is missing, torn, changed or of another format.
        """
        try:
            metadata = pq.read_metadata(path).metadata or {}
            intact = sealed(path, metadata.get(SEAL, b""))
        except (OSError, ValueError) as error:  # pyarrow's errors are one of both
            raise _unusable(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
        if _STAMP not in metadata:
            raise _unusable(path, "another Parquet file")
        if not intact:
            raise _unusable(path, "one that was changed or cut")
        try:
            stamp = msgspec.json.decode(metadata[_STAMP], type=Stamp)
        except msgspec.DecodeError as error:
            raise _unusable(path, f"one of another version ({error})") from error
        if stamp.format != FORMAT:
            raise _unusable(path, f"format {stamp.format}")
        return cls(path, stamp)

    @property
    def lines(self) -> int:
        """Return how many lines there are."""
        return int(pq.read_metadata(self.path).num_rows)

    def parts(self) -> Iterator[Part]:
        """Yield all lines in their order, some thousand at a time.

        Raises:
            InputError: the file cannot be read any more.
        """
        try:
            with pq.ParquetFile(self.path) as file:
                for number in range(file.num_row_groups):
                    yield self._part(file.read_row_group(number))
        except (OSError, ValueError) as error:
            raise _unusable(self.path, str(error)) from error

    def _part(self, table: pa.Table) -> Part:
        column = table.column("row").combine_chunks()
        width = self.stamp.row_width
        rows = np.frombuffer(column.buffers()[1], np.float32, len(column) * width, column.offset * width * _FLOAT_BYTES)
        return table.column("customer").to_pylist(), rows.reshape(len(column), width)


def _writing(path: Path) -> AbstractContextManager[None]:
    return writing(path, *_TOLD)


def _unusable(path: Path, found: str) -> InputError:
    message = f"Expected a snapshot at {path}, found: {found}; take another one, or copy it again."
    return InputError(message)
