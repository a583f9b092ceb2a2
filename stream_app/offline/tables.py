"""What a replay puts out, as Parquet: the messages as the stream would send them, and the same as columns.

Files are the same bytes for any cut of the log into chunks: rows are written in groups of a fixed number.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas import codec
from schemas.messages import Alert
from stream_app.bundle import Bundle
from stream_app.offline.arrow import strings_of
from stream_app.steps.encode import DeadLetter, Scores
from stream_app.steps.stages import Chunk

ROW_GROUP: Final = 65_536
_BATCH: Final = 1024
"""Values that the library writes at once; pages end only between two of them."""
TIME: Final = pa.timestamp("ms", tz="UTC")
_MOST_LOOSE: Final = 128
"""Pieces that wait side by side: a table of one row takes as much memory as one of hundreds."""
_COMPRESSION: Final = "snappy"
_KINDS: Final = ("transaction", "customer", "tick")
_ALERTS: Final = pa.schema(
    [
        ("alert_id", pa.string()),
        ("score_id", pa.string()),
        ("customer_id", pa.string()),
        ("time", TIME),
        ("rule", pa.string()),
        ("task", pa.string()),
        ("feature", pa.string()),
        ("class", pa.string()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("severity", pa.string()),
        ("suppressed", pa.int64()),
        ("bundle", pa.string()),
        ("message", pa.string()),
    ]
)
_DEAD_LETTERS: Final = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
    ]
)


class _GroupWriter:
    """Writes rows in groups of a fixed number, whatever pieces they come in, while the next ones are computed."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        options = {"compression": _COMPRESSION, "write_statistics": False, "use_dictionary": False}
        self._writer = pq.ParquetWriter(path, schema, **options)
        self._thread = ThreadPoolExecutor(max_workers=1)  # compressing leaves the interpreter free
        self._pending: Future[None] | None = None
        self._pieces: list[pa.Table] = []
        self._rows = self._loose = 0

    def add(self, table: pa.Table) -> None:
        self._pieces.append(table)
        self._rows += table.num_rows
        self._loose += 1
        if self._loose == _MOST_LOOSE:
            self._pieces[-_MOST_LOOSE:] = [pa.concat_tables(self._pieces[-_MOST_LOOSE:]).combine_chunks()]
            self._loose = 0
        if self._rows >= ROW_GROUP:
            whole = pa.concat_tables(self._pieces)
            full = self._rows // ROW_GROUP * ROW_GROUP
            for start in range(0, full, ROW_GROUP):
                self._hand_over(whole.slice(start, ROW_GROUP))
            self._pieces, self._rows, self._loose = [whole.slice(full)], self._rows - full, 0

    def close(self) -> None:
        rows, self._rows = self._rows, 0
        try:
            if rows:
                self._hand_over(pa.concat_tables(self._pieces))
            self._wait()
        finally:
            self._thread.shutdown()
            self._writer.close()

    def _hand_over(self, table: pa.Table) -> None:
        self._wait()
        self._pending = self._thread.submit(self._write, table)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _write(self, table: pa.Table) -> None:
        pieces = [len(piece) for piece in table.column(0).chunks]
        alike = all(piece % _BATCH == 0 for piece in pieces[:-1])  # then the pages are those of one piece
        self._writer.write_table(table if alike else table.combine_chunks(), row_group_size=ROW_GROUP)


class ScoreTable:
    """Writes ``scores.parquet``: ids, time, and for each task whether it is asked, its score and its band or choice.

    A multiclass task has its choice under its name, the probability of each class under ``task.class``. The columns are
    those of the bundle that the replay starts with; where a later one does not have such a task, they are null.
    """

    def __init__(self, path: Path, bundle: Bundle) -> None:
        """Open the file."""
        self._bundle = bundle
        self._writer = _GroupWriter(path, self._schema())

    def add(self, scores: Scores, chunk: Chunk) -> None:
        """Append the scores of a batch."""
        self._writer.add(
            pa.table([*self._ids(scores, chunk), *self._tasks(scores), _messages(scores)], self._writer.schema)
        )

    def close(self) -> None:
        """Write what is left and close the file; a second time does nothing."""
        self._writer.close()

    def _schema(self) -> pa.Schema:
        fields = [("score_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("kind", pa.string())]
        fields += [("transaction_id", pa.string()), ("customer_id", pa.string()), ("time", TIME), ("late", pa.bool_())]
        for output in self._bundle.manifest.outputs:
            fields.append((f"{output.task}.eligible", pa.bool_()))
            if output.classes:
                fields.append((output.task, pa.string()))
                fields += [(f"{output.task}.{name}", pa.float64()) for name in output.classes]
            else:
                fields.append((output.task, pa.float64()))
                fields += [(f"{output.task}.band", pa.string())] if self._bundle.bands(output) else []
        return pa.schema([*fields, ("message", pa.string())])

    def _ids(self, scores: Scores, chunk: Chunk) -> list[pa.Array]:
        offsets = pa.array(chunk.offsets[scores.record])
        customers = strings_of(scores.customers)
        is_tick = scores.kind == 2  # noqa: PLR2004  (the code of a tick)
        places = pc.binary_join_element_wise(f"{chunk.topic}-{chunk.partition}", offsets.cast(pa.string()), "-")
        if is_tick.any():
            places = pc.if_else(pa.array(is_tick), pc.binary_join_element_wise(places, customers, "-"), places)
        transactions = strings_of(scores.transaction_ids)
        if (scores.kind != 0).any():
            transactions = pc.if_else(pa.array(scores.kind == 0), transactions, pa.scalar(None, pa.string()))
        return [
            places,
            pa.array(np.full(len(offsets), chunk.partition, np.int32)),
            offsets,
            pa.array(_KINDS).take(pa.array(scores.kind)),
            transactions,
            customers,
            pa.array(scores.time_ms).cast(TIME),
            pa.array(scores.late),
        ]

    def _tasks(self, scores: Scores) -> list[pa.Array]:
        present = {(output.task, output.classes): t for t, output in enumerate(scores.bundle.manifest.outputs)}
        columns = []
        for output in self._bundle.manifest.outputs:
            t = present.get((output.task, output.classes))
            if t is None:
                width = 1 + (1 if output.classes else 0) + output.width + (1 if self._bundle.bands(output) else 0)
                columns += [pa.nulls(len(scores.record))] * width
            else:
                columns += self._task(scores, t, banded=bool(self._bundle.bands(output)))
        return columns

    @staticmethod
    def _task(scores: Scores, t: int, *, banded: bool) -> list[pa.Array]:
        output = scores.bundle.manifest.outputs[t]
        eligible, hidden = scores.eligible[:, t], ~scores.eligible[:, t]
        values = [pa.array(scores.values[:, c], mask=hidden) for c in range(output.start, output.start + output.width)]
        if output.classes:
            return [pa.array(eligible), _chosen(list(output.classes), scores.band[:, t], hidden), *values]
        names = scores.bundle.bands(output)
        bands = [_chosen(names, scores.band[:, t], hidden) if names else pa.nulls(len(hidden))] if banded else []
        return [pa.array(eligible), *values, *bands]


def write_alerts(path: Path, alerts: list[Alert]) -> None:
    """Write ``alerts.parquet``."""
    rows = []
    for alert in alerts:
        message = codec.encode(alert)
        fields: dict[str, Any] = dict.fromkeys(_ALERTS.names)
        rows.append(fields | codec.facts(message) | {"message": message.decode()})
    _write_rows(path, rows, _ALERTS)


def write_dead_letters(path: Path, letters: list[DeadLetter]) -> None:
    """Write ``dead_letters.parquet``."""
    rows = []
    for letter in letters:
        headers = {name: content.decode() for name, content in letter.headers}
        place = {"topic": headers["topic"], "partition": int(headers["partition"]), "offset": int(headers["offset"])}
        why = {"reason": headers["reason"], "detail": headers["detail"]}
        rows.append(place | why | {"key": letter.key, "value": letter.value})
    _write_rows(path, rows, _DEAD_LETTERS)


def _write_rows(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, path, row_group_size=ROW_GROUP, compression=_COMPRESSION)


def _chosen(names: list[str], codes: np.ndarray[Any, np.dtype[np.int64]], hidden: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(names).take(pa.array(codes, mask=hidden))


def _messages(scores: Scores) -> pa.Array:
    starts = pa.py_buffer(scores.starts.astype(np.int32))
    return pa.StringArray.from_buffers(len(scores.starts) - 1, starts, pa.py_buffer(scores.messages))
