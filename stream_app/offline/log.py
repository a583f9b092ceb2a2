"""Event logs as chunks of records: an interchange folder, or a captured topic (one Parquet file).

A folder has no offsets. Its log is ordered by time, customers before transactions at equal times, then file order; the
partition is Kafka's murmur2 of the key; offsets count from 0 in each partition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from aiokafka.partitioner import murmur2
from numpy.typing import NDArray

from schemas.accepted import NO_RECORD_TIME
from schemas.errors import InputError
from stream_app.offline.arrow import texts_of
from stream_app.offline.folder import Folder, read_folder, read_parquet
from stream_app.offline.rows import customer_messages, transaction_messages
from stream_app.steps.stages import Chunk
from stream_app.steps.texts import Texts

TOPIC: Final = "transactions"
_BLOCK: Final = 4096
"""Rows of a folder that are written as messages at once, however small the chunks."""
LOG: Final = "log.parquet"
LOG_COLUMNS: Final = {
    "topic": pa.string(),
    "partition": pa.int32(),
    "offset": pa.int64(),
    "record_time": pa.int64(),
    "key": pa.binary(),
    "value": pa.binary(),
}
"""A captured topic: ``record_time`` in ms, null where unknown; a null value is a tombstone."""


class Log(Protocol):
    """Records that can be replayed, partition by partition in offset order."""

    @property
    def records(self) -> int:
        """Return how many records there are."""

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all records in chunks of at most ``size``, each of one partition."""


def open_log(path: Path, partitions: int = 1) -> Log:
    """Open an interchange folder or a captured topic.

    Args:
        path: the folder (a captured topic in it stands as ``log.parquet``) or the Parquet file.
        partitions: over how many partitions a folder's customers are spread.

    Raises:
        InputError: it is missing, empty or has wrong columns.
    """
    if path.is_file():
        return CapturedLog.read(path)
    if (path / LOG).is_file():
        return CapturedLog.read(path / LOG)
    return FolderLog(read_folder(path), partitions)


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of a key, as Kafka's default partitioner chooses it."""
    chosen: int = (murmur2(key) & 0x7FFFFFFF) % partitions
    return chosen


@dataclass(frozen=True)
class FolderLog:
    """The log of an interchange folder, its rows written as the messages that ``foretell publish`` would send."""

    folder: Folder
    partitions: int = 1

    @property
    def records(self) -> int:
        """Return how many records there are."""
        total: int = self.folder.customers.num_rows + self.folder.transactions.num_rows
        return total

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Return the rows in log order, null times last; numbers count through customers, then transactions."""
        last = np.iinfo(np.int64).max
        tables = (self.folder.customers, self.folder.transactions)
        times = [pc.fill_null(table.column("time").cast(pa.int64()), last).to_numpy() for table in tables]
        order: NDArray[np.int64] = np.argsort(np.concatenate(times), kind="stable")
        return order

    @cached_property
    def _partition(self) -> NDArray[np.int64]:
        """Return the partition of each row."""
        if self.partitions == 1:
            return np.zeros(self.records, np.int64)
        tables = (self.folder.customers, self.folder.transactions)
        ids = pa.chunked_array([chunk for table in tables for chunk in table.column("customer_id").chunks], pa.string())
        coded = pc.fill_null(ids, "").combine_chunks().dictionary_encode()
        chosen = [partition_of(name.encode(), self.partitions) for name in coded.dictionary.to_pylist()]
        partition: NDArray[np.int64] = np.array(chosen, np.int64)[coded.indices.to_numpy()]
        return partition

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all records in chunks of at most ``size``, each of one partition."""
        owner = self._partition[self._order]
        for partition in np.unique(owner).tolist():
            rows = self._order[owner == partition]
            block = max(_BLOCK // size, 1) * size
            for start in range(0, len(rows), block):
                made = self._chunk(partition, start, rows[start : start + block])
                yield from (made.slice(first, first + size) for first in range(0, len(made.offsets), size))

    def _chunk(self, partition: int, start: int, rows: NDArray[np.int64]) -> Chunk:
        first = self.folder.customers.num_rows
        is_transaction = rows >= first
        keys, values = transaction_messages(self.folder.transactions.take(rows[is_transaction] - first))
        if not is_transaction.all():
            others = customer_messages(self.folder.customers.take(rows[~is_transaction]))
            place = np.argsort(np.argsort(~is_transaction, kind="stable"), kind="stable")
            keys, values = (Texts.joined(*pair).take(place) for pair in zip((keys, values), others, strict=True))
        times = np.full(len(rows), NO_RECORD_TIME, np.int64)
        return Chunk(TOPIC, partition, np.arange(start, start + len(rows)), keys, values, times)


@dataclass(frozen=True)
class CapturedLog:
    """A captured topic, ordered by partition and offset."""

    table: pa.Table

    @classmethod
    def read(cls, path: Path) -> "CapturedLog":
        """Read a captured topic.

        Raises:
            InputError: the file is no Parquet, has wrong columns or no record.
        """
        table = read_parquet(path)
        for name, kind in LOG_COLUMNS.items():
            if name not in table.column_names:
                found = ", ".join(table.column_names)
                message = (
                    f"Expected column `{name}` in the captured topic {path}, found only {found}; capture it again."
                )
                raise InputError(message)
            if table.schema.field(name).type != kind:
                found = table.schema.field(name).type
                message = f"Expected column `{name}` of {path} as {kind}, found {found}; capture the topic again."
                raise InputError(message)
        for name in ("topic", "partition", "offset"):
            if table.column(name).null_count:
                message = f"Expected `{name}` of every record in {path}, found null; capture the topic again."
                raise InputError(message)
        if table.num_rows == 0:
            message = f"Expected at least one record in the captured topic {path}, found none; capture it again."
            raise InputError(message)
        return cls(table.sort_by([("topic", "ascending"), ("partition", "ascending"), ("offset", "ascending")]))

    @property
    def records(self) -> int:
        """Return how many records there are."""
        total: int = self.table.num_rows
        return total

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all records in chunks of at most ``size``, each of one partition."""
        partition = self.table.column("partition").to_numpy()
        topic = self.table.column("topic").combine_chunks().dictionary_encode().indices.to_numpy()
        edges = np.flatnonzero((np.diff(partition) != 0) | (np.diff(topic) != 0)) + 1
        for first, end in zip([0, *edges], [*edges, len(partition)], strict=True):
            for start in range(first, end, size):
                yield _captured_chunk(self.table.slice(start, min(size, end - start)))


def _captured_chunk(table: pa.Table) -> Chunk:
    return Chunk(
        topic=table.column("topic")[0].as_py(),
        partition=table.column("partition")[0].as_py(),
        offsets=table.column("offset").to_numpy(),
        keys=texts_of(table.column("key")),
        values=texts_of(table.column("value")),
        record_times=pc.fill_null(table.column("record_time"), NO_RECORD_TIME).to_numpy(),
    )
