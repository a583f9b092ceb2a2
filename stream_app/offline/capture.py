"""Writes the records of a topic as one Parquet file, group by group: ``log.parquet``.

The same records give the same bytes: groups end after a fixed number of rows or bytes, wherever the records came from.
"""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import ConsumerRecord

from stream_app.offline.log import LOG_COLUMNS

HEADERS: Final = "headers"
PARTITIONS: Final = b"foretell.partitions"
"""Where the file says how many partitions the topic had, empty ones too."""
ROW_GROUP: Final = 65_536
LARGEST_GROUP: Final = 64 << 20
"""Bytes of keys and values in a group."""
_HEADERS_TYPE: Final = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))


class CaptureFile:
    """A Parquet file that grows by records."""

    def __init__(self, path: Path, partitions: int) -> None:
        """Open the file for a topic of so many partitions."""
        fields = [*LOG_COLUMNS.items(), (HEADERS, _HEADERS_TYPE)]
        self._schema = pa.schema(fields, metadata={PARTITIONS: b"%d" % partitions})
        self._writer = pq.ParquetWriter(path, self._schema, compression="snappy", write_statistics=False)
        self._rows: list[tuple[Any, ...]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, unless something went wrong, and close the file."""
        try:
            if kind is None:
                self._write()
        finally:
            self._writer.close()

    def add(self, records: Iterable[ConsumerRecord]) -> None:
        """Append records."""
        for record in records:
            self._rows.append(_row(record))
            self._bytes += len(record.key or b"") + len(record.value or b"")
            if len(self._rows) == ROW_GROUP or self._bytes >= LARGEST_GROUP:
                self._write()

    def _write(self) -> None:
        rows, self._rows, self._bytes = self._rows, [], 0
        if rows:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pa.table(columns, schema=self._schema), row_group_size=len(rows))


def _row(record: ConsumerRecord) -> tuple[Any, ...]:
    time = record.timestamp if record.timestamp is not None and record.timestamp >= 0 else None
    headers = [{"key": key, "value": value} for key, value in record.headers] or None
    return record.topic, record.partition, record.offset, time, record.key, record.value, headers
