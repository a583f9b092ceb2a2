"""The live results: written as a replay writes its own, and compared with a replay's, byte for byte."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq

from schemas.atomic import atomic_file
from schemas.messages import Alert
from stream_app.bundle import Output
from stream_app.offline.tables import ROW_GROUP, TIME, write_alerts, write_dead_letters
from stream_app.steps.encode import DeadLetter

_PIECE_BYTES: Final = 1 << 25
_alert: Final = msgspec.json.Decoder(Alert)


@dataclass(frozen=True)
class Agreement:
    """How far what came live is what a replay gives.

    Attributes:
        same: messages that came, with the very bytes of the replay.
        expected: messages that the replay gives.
        strange: messages that came and that the replay does not give so.
    """

    same: int
    expected: int
    strange: int

    @property
    def complete(self) -> bool:
        """Return whether all is there, and nothing else."""
        return self.same == self.expected and not self.strange


def write_scores(files: list[Path], replayed: Path, outputs: tuple[Output, ...], out: Path) -> Agreement:
    """Write live scores as a table with the columns of a replay's, and compare the two.

    Args:
        files: the messages of each partition, one a line.
        replayed: ``scores.parquet`` of the replay.
        outputs: of the bundle.
        out: the file to write.

    Raises:
        OutputError: it cannot be written.
    """
    schema, found = pq.read_schema(replayed), list[Agreement]()
    expected = pq.ParquetFile(replayed).read(["partition", "offset", "message"])
    options = {"compression": "snappy", "use_dictionary": False, "write_statistics": False}
    with atomic_file(out) as part, pq.ParquetWriter(part, schema, **options) as writer:
        for number, file in enumerate(files):
            book = _Book(expected.filter(pc.equal(expected["partition"], number)))
            for piece in _pieces(file):
                table = scores_table(piece, outputs, schema)
                writer.write_table(table.filter(pa.array(book.enter(table))), row_group_size=ROW_GROUP)
            found.append(book.agreement)
    return Agreement(*(sum(getattr(each, name) for each in found) for name in ("same", "expected", "strange")))


def scores_table(messages: bytes, outputs: tuple[Output, ...], schema: pa.Schema) -> pa.Table:
    """Return score messages, one a line, as a table with the columns of a replay's."""
    options = pj.ParseOptions(explicit_schema=_shape(outputs), unexpected_field_behavior="ignore")
    reading = pj.ReadOptions(block_size=max(len(messages), 1))
    read = pj.read_json(io.BytesIO(messages), read_options=reading, parse_options=options).combine_chunks()
    texts = pa.array(messages.decode().split("\n")[: read.num_rows], pa.string())
    place = pc.split_pattern(read["score_id"], "-", max_splits=2, reverse=True)
    columns = {name: read[name] for name in ("score_id", "kind", "transaction_id", "customer_id", "late")}
    columns |= {"partition": pc.list_element(place, 1).cast(pa.int32()), "message": texts}
    columns |= {"offset": pc.list_element(place, 2).cast(pa.int64()), "time": read["time"].cast(TIME)}
    for output in outputs:
        columns |= _answers(output, pc.struct_field(read["tasks"], [output.task]))
    return pa.table([columns[name] for name in schema.names], schema)


def write_others(
    alerts: list[bytes], letters: list[DeadLetter], replayed: Path, out: Path
) -> tuple[Agreement, Agreement]:
    """Write live alerts and dead letters as a replay does, each once, and compare them with a replay's.

    The details of dead letters are not compared: they may tell the time of the record in Kafka.

    Args:
        alerts: messages.
        letters: dead ones.
        replayed: the folder of the replay's files.
        out: the folder to write to.

    Raises:
        OutputError: a file cannot be written.
    """
    expected = pq.read_table(replayed / "alerts.parquet", columns=["message"])["message"].to_pylist()
    known = {text.encode(): number for number, text in enumerate(expected)}
    once = sorted(dict.fromkeys(alerts), key=lambda message: known.get(message, len(known)))
    with atomic_file(out / "alerts.parquet") as part:
        write_alerts(part, [_alert.decode(message) for message in once])
    came = {_identity(letter): letter for letter in letters}
    with atomic_file(out / "dead-letters.parquet") as part:
        write_dead_letters(part, [came[name] for name in sorted(came, key=lambda name: name[:2])])
    table = pq.read_table(replayed / "dead-letters.parquet")
    buried = {(line["partition"], line["offset"], line["reason"], line["key"], line["value"]) for line in _rows(table)}
    return _agreement(set(once), known.keys()), _agreement(set(came), buried)


class _Book:
    """A partition's scores as the replay gave them, and which of them have come."""

    def __init__(self, expected: pa.Table) -> None:
        self._offsets = expected["offset"].to_numpy()
        self._messages = expected["message"].combine_chunks()
        self._came = np.zeros(len(self._offsets), np.bool_)
        self._strange = 0

    def enter(self, table: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Compare scores with those of the replay; return which of them came for the first time."""
        offsets = table["offset"].to_numpy()
        place = np.searchsorted(self._offsets, offsets)
        known = place < len(self._offsets)
        known[known] = self._offsets[place[known]] == offsets[known]
        place = np.where(known, place, 0)
        if known.any():
            equal = pc.equal(self._messages.take(pa.array(place)), table["message"].combine_chunks())
            known &= equal.to_numpy(zero_copy_only=False)
        self._strange += int((~known).sum())
        _, first = np.unique(offsets, return_index=True)
        fresh = np.zeros(len(offsets), np.bool_)
        fresh[first] = True
        fresh &= ~known | ~self._came[place] if len(self._came) else fresh
        self._came[place[known]] = True
        return fresh

    @property
    def agreement(self) -> Agreement:
        return Agreement(int(self._came.sum()), len(self._came), self._strange)


def _pieces(file: Path) -> Iterator[bytes]:
    """Yield whole lines of a file, some megabytes at once."""
    with file.open("rb") as lines:
        while piece := b"".join(lines.readlines(_PIECE_BYTES)):
            yield piece


def _shape(outputs: tuple[Output, ...]) -> pa.Schema:
    text, number = pa.string(), pa.float64()
    tasks = []
    for output in outputs:
        answer = [("eligible", pa.bool_()), ("score", number), ("band", text), ("choice", text)]
        if output.classes:
            answer.append(("probabilities", pa.struct([(class_, number) for class_ in output.classes])))
        tasks.append((output.task, pa.struct(answer)))
    ids = [(name, text) for name in ("score_id", "kind", "transaction_id", "customer_id")]
    return pa.schema([*ids, ("time", pa.int64()), ("late", pa.bool_()), ("tasks", pa.struct(tasks))])


def _answers(output: Output, answer: pa.ChunkedArray) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a task; those that its bundle does not have are not asked for."""
    name = output.task
    columns = {f"{name}.eligible": pc.struct_field(answer, ["eligible"])}
    if not output.classes:
        return columns | {name: pc.struct_field(answer, ["score"]), f"{name}.band": pc.struct_field(answer, ["band"])}
    columns[name] = pc.struct_field(answer, ["choice"])
    for place, class_ in enumerate(output.classes):
        columns[f"{name}.{class_}"] = pc.struct_field(answer, [_PROBABILITIES, place])
    return columns


_PROBABILITIES: Final = 4
"""The place of the probabilities in an answer: a class may have any name, a dot in it as well."""


def _identity(letter: DeadLetter) -> tuple[int, int, str, bytes | None, bytes | None]:
    headers = {name: content.decode() for name, content in letter.headers}
    return int(headers["partition"]), int(headers["offset"]), headers["reason"], letter.key, letter.value


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _agreement(came: set[Any], expected: Any) -> Agreement:  # noqa: ANN401  (a set, or the keys of a dict)
    return Agreement(len(came & expected), len(expected), len(came - expected))
