"""Replays an event log through a bundle: the same steps as the stream, in one process, without Kafka.

From Python it is ``replay_files``; ``replay`` and ``emissions`` are what it is made of.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from schemas.atomic import atomic_file, writing
from schemas.errors import OutputError
from schemas.messages import Alert
from schemas.progress import SILENT, Progress
from stream_app import bundle as bundles
from stream_app.offline.ahead import one_ahead
from stream_app.offline.folder import COLUMNS, SPEC
from stream_app.offline.log import LOG, Log, open_log
from stream_app.offline.tables import ScoreTable, write_alerts, write_dead_letters
from stream_app.pipeline import Computed, computed, told
from stream_app.residents import Residents
from stream_app.scorer import Emission, Scorer
from stream_app.shelf import Shelf
from stream_app.steps.decode import Vocabulary, decode
from stream_app.steps.encode import DeadLetter
from stream_app.steps.stages import Chunk, Decoded

CHUNK = 4096
"""Records that go through the steps at once; results do not depend on it."""


@dataclass
class Summary:
    """What a replay did.

    Attributes:
        records: read from the log.
        scores: given.
        alerts: by rule.
        dead_letters: by reason.
        unknown_types: transactions of a type that the spec does not know.
        unknown_values: attributes or values of customer records that the spec does not know.
        customers: with a row.
        start_s: seconds until the first chunk was done, compilation included.
        steady_s: seconds from then on.
        first_records: of the first chunk.
    """

    records: int = 0
    scores: int = 0
    alerts: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    unknown_types: int = 0
    unknown_values: int = 0
    customers: int = 0
    start_s: float = 0.0
    steady_s: float = 0.0
    first_records: int = 0

    @property
    def records_per_s(self) -> float:
        """Return the steady rate: records after the first chunk by the seconds they took; 0 for a log of one chunk."""
        return (self.records - self.first_records) / self.steady_s if self.steady_s else 0.0

    def add(self, chunk: Chunk, emission: Emission) -> None:
        """Count what a chunk gave."""
        self.records += len(chunk.offsets)
        self.scores += sum(len(part.record) for part in emission.scores)
        self.alerts.update(alert.rule for alert in emission.alerts)
        self.dead_letters.update(dict(letter.headers)["reason"].decode() for letter in emission.dead_letters)
        self.unknown_types += emission.unknown_types
        self.unknown_values += emission.unknown_values


@dataclass(frozen=True)
class Outputs:
    """Where a replay's results go."""

    scores: Path
    alerts: Path | None = None
    dead_letters: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return all that are wanted, the scores first."""
        return tuple(path for path in (self.scores, self.alerts, self.dead_letters) if path is not None)

    def check(self, inputs: Iterable[Path] = ()) -> None:
        """Prove that no result would replace another one, or what the replay reads.

        Raises:
            OutputError: one would.
        """
        taken = {path.resolve(): "an input of the replay" for path in inputs}
        for path in self.paths:
            place = path.resolve()
            if place in taken:
                message = f"Expected a file of its own for each result, found {path} to be {taken[place]}; rename it."
                raise OutputError(message)
            taken[place] = "another result"


@dataclass(frozen=True)
class Options:
    """How a log is replayed.

    Attributes:
        partitions: over how many partitions a folder's customers are spread; a captured topic has its own.
        bundles: the folder whose sub-folders the log may activate; by default the one that the bundle stands in.
        chunk_records: records that go through the steps at once; results do not depend on it.
    """

    partitions: int = 1
    bundles: Path | None = None
    chunk_records: int = CHUNK


USUAL: Final = Options()


def replay_files(
    log: Path | str,
    bundle: Path | str,
    out: Outputs | Path | str,
    options: Options = USUAL,
    progress: Progress = SILENT,
) -> Summary:
    """Score the log at a place with the bundle at a place; `foretell replay` does this.

    All files appear together at the end, or none; what stands there is replaced.

    >>> from stream_app.offline.replay import replay_files
    >>> summary = replay_files("bank", "bank-bundle", "scores.parquet")
    >>> summary.dead_letters.total()
    0

    Each transaction has given a score, a row of a table with columns for each task:

    >>> import pyarrow.parquet as pq
    >>> scores = pq.read_table("scores.parquet")
    >>> scores.num_rows == summary.scores
    True
    >>> [name for name in scores.column_names if name.startswith("churn")]
    ['churn.eligible', 'churn', 'churn.band']

    Args:
        log: an interchange folder, or a captured topic (one Parquet file).
        bundle: the folder that `foretell train` wrote.
        out: where to write the scores (Parquet); as ``Outputs`` also where to write alerts and dead letters.
        options: partitions, bundles to activate, and size of chunks.
        progress: told how many records are done.

    Raises:
        InputError: the log is missing, damaged or empty.
        BundleError: the bundle is missing, changed or of another version, or the log activates one that is not there.
        OutputError: a file cannot be written, or would replace another one or what is read.
    """
    log, bundle = Path(log), Path(bundle)
    outputs = out if isinstance(out, Outputs) else Outputs(Path(out))
    outputs.check(
        [
            log,
            *(log / name for name in (*COLUMNS, SPEC, LOG)),
            *(bundle / name for name in (bundles.MODEL, bundles.MANIFEST)),
        ]
    )
    shelf = Shelf(bundles.load(bundle), options.bundles)
    return replay(open_log(log, options.partitions), shelf, outputs, options.chunk_records, progress)


def emissions(log: Log, shelf: Shelf, chunk_records: int = CHUNK) -> Iterator[tuple[Chunk, Emission, Scorer]]:
    """Yield what leaves for each chunk of a log; a new scorer starts with each partition.

    Every bundle of one state layout decodes alike, so chunks may be decoded ahead of an activate.

    Raises:
        BundleError: the log activates a bundle that is not on the shelf or has another layout.
    """
    for step in computed_chunks(log, shelf, chunk_records):
        yield step.chunk, step.told(), step.scorer


class ComputedChunk(NamedTuple):
    """A chunk whose rows have been changed, and the scorer that did so."""

    chunk: Chunk
    decoded: Decoded
    parts: list[Computed]
    scorer: Scorer

    def told(self) -> Emission:
        """Return what leaves for the chunk."""
        return told(self.decoded, self.chunk, self.parts)


def computed_chunks(log: Log, shelf: Shelf, chunk_records: int) -> Iterator[ComputedChunk]:
    """Yield the chunks of a log, computed; a new scorer starts with each partition."""
    scorer, place = None, None
    vocabulary = Vocabulary(shelf.first.spec)
    decoded_chunks = ((chunk, decode(chunk, vocabulary)) for chunk in log.chunks(chunk_records))
    for chunk, decoded in one_ahead(decoded_chunks):
        if scorer is None or place != (chunk.topic, chunk.partition):
            place = (chunk.topic, chunk.partition)
            scorer = Scorer(shelf, Residents(shelf.first.rolling.layout.row_width), *place)
        yield ComputedChunk(chunk, decoded, computed(decoded, chunk, scorer), scorer)


def replay(
    log: Log, shelf: Shelf, outputs: Outputs, chunk_records: int = CHUNK, progress: Progress = SILENT
) -> Summary:
    """Score a log and write the results; all files appear together at the end, or none.

    Raises:
        BundleError: the log activates a bundle that is not on the shelf or has another layout.
        OutputError: a file cannot be written.
    """
    outputs.check()
    summary, alerts, letters = Summary(), list[Alert](), list[DeadLetter]()
    with ExitStack() as stack:  # the scores' place is entered last: it is the one to name when something is not written
        parts = {path: stack.enter_context(atomic_file(path)) for path in reversed(outputs.paths)}
        table = ScoreTable(parts[outputs.scores], shelf.first)
        stack.callback(table.close)
        started = time.perf_counter()
        rows: dict[tuple[str, int], int] = {}
        for step in one_ahead(
            computed_chunks(log, shelf, chunk_records)
        ):  # rows change while the messages before are made
            chunk, emission = step.chunk, step.told()
            for part in emission.scores:
                table.add(part, chunk)
            alerts += emission.alerts if outputs.alerts else []
            letters += emission.dead_letters if outputs.dead_letters else []
            summary.add(chunk, emission)
            rows[chunk.topic, chunk.partition] = len(step.scorer.residents)
            if not summary.first_records:
                summary.first_records = len(chunk.offsets)
                summary.start_s = time.perf_counter() - started
            progress.step("replay", summary.records, log.records, f"{summary.scores:,} scores")
        summary.steady_s = time.perf_counter() - started - summary.start_s
        summary.customers = sum(rows.values())
        table.close()  # before any of the files takes its place
        if outputs.alerts is not None:
            with writing(outputs.alerts):
                write_alerts(parts[outputs.alerts], alerts)
        if outputs.dead_letters is not None:
            with writing(outputs.dead_letters):
                write_dead_letters(parts[outputs.dead_letters], letters)
    return summary
