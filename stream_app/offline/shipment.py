"""The records of a log in the order in which they are published: like the log's own within each partition."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.accepted import NO_RECORD_TIME
from schemas.errors import InputError
from stream_app.offline.capture import HEADERS, PARTITIONS
from stream_app.offline.log import CapturedLog, Log

Headers = list[tuple[str, bytes | None]]

_AT_ONCE: Final = 4096
_NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class Part:
    """Records that follow each other.

    Attributes:
        keys: of each; None where there is none.
        values: of each; None is a tombstone.
        headers: of each; None if none has any.
        origin: int64, the partition where each was captured; -1 of a folder's.
        record_times: int64, Kafka's time in ms where it was captured; -1 where unknown.
    """

    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers] | None
    origin: NDArray[np.int64]
    record_times: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.keys)

    def slice(self, start: int, stop: int) -> "Part":
        """Return the records from ``start`` up to ``stop``."""
        at = slice(start, stop)
        headers = self.headers[at] if self.headers else None
        return Part(self.keys[at], self.values[at], headers, self.origin[at], self.record_times[at])


def parts(log: Log) -> Iterator[Part]:
    """Yield all records of a log.

    A folder's come in the order of time. Partitions of a captured topic are merged by Kafka's time, each in the order
    of its offsets; where times are unknown, record by record.
    """
    if isinstance(log, CapturedLog):
        yield from _captured(log.table)
        return
    for chunk in log.chunks(_AT_ONCE):
        nowhere = np.full(len(chunk.keys), _NOWHERE, np.int64)
        yield Part(chunk.keys.listed(), chunk.values.listed(), None, nowhere, chunk.record_times)


def clipped(of: Iterable[Part], skip: int, limit: int) -> Iterator[Part]:
    """Yield the records after the first ``skip``, at most ``limit``."""
    place, end = 0, skip + limit
    for part in of:
        if place >= end:
            return
        first, place = place, place + len(part)
        if place > skip:
            yield part.slice(max(skip - first, 0), min(end, place) - first)


def captured_partitions(log: Log) -> int:
    """Return how many partitions a captured topic had, as far as its file tells; 0 for a folder.

    Raises:
        InputError: the file holds several topics.
    """
    if not isinstance(log, CapturedLog):
        return 0
    topics = pc.unique(log.table.column("topic")).to_pylist()
    if len(topics) > 1:
        message = (
            f"Expected one topic in a captured log that is published, found {', '.join(topics)}; capture each apart."
        )
        raise InputError(message)
    told = (log.table.schema.metadata or {}).get(PARTITIONS, b"")
    seen: int = pc.max(log.table.column("partition")).as_py() + 1
    return max(seen, int(told) if told.isdigit() else 0)


def _captured(table: pa.Table) -> Iterator[Part]:
    order = _merged(table)
    for start in range(0, len(order), _AT_ONCE):
        rows = table.take(order[start : start + _AT_ONCE])
        yield Part(
            keys=rows.column("key").to_pylist(),
            values=rows.column("value").to_pylist(),
            headers=_headers(rows),
            origin=rows.column("partition").to_numpy().astype(np.int64),
            record_times=_times(rows),
        )


def _merged(table: pa.Table) -> NDArray[np.int64]:
    """Return the rows of a table that is sorted by partition and offset in the order of publishing."""
    partition, time = table.column("partition").to_numpy(), _times(table)
    starts = [0, *(np.flatnonzero(np.diff(partition)) + 1).tolist(), len(partition)]
    latest, rank = np.empty_like(time), np.empty_like(time)
    for first, end in pairwise(starts):
        latest[first:end] = np.maximum.accumulate(time[first:end])
        rank[first:end] = np.arange(end - first)
    order: NDArray[np.int64] = np.lexsort((partition, rank, latest))
    return order


def _times(table: pa.Table) -> NDArray[np.int64]:
    times: NDArray[np.int64] = pc.fill_null(table.column("record_time"), NO_RECORD_TIME).to_numpy()
    return times


def _headers(rows: pa.Table) -> list[Headers] | None:
    if HEADERS not in rows.column_names or rows.column(HEADERS).null_count == len(rows):
        return None
    return [[(each["key"], each["value"]) for each in row or ()] for row in rows.column(HEADERS).to_pylist()]
