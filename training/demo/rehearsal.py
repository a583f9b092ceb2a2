"""The replay before the stream: what the stream has to give, and whom to watch while it gives it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.atomic import writing
from schemas.progress import Progress
from stream_app import bundle as bundles
from stream_app.bundle import Bundle, Output
from stream_app.offline.folder import Folder, read_folder
from stream_app.offline.log import FolderLog
from stream_app.offline.replay import Outputs, replay
from stream_app.shelf import Shelf
from stream_app.steps.stages import Chunk
from training.arrays import Ints, Texts
from training.demo.cast import Cast, Course, cast
from training.demo.jobs import Rehearse
from training.demo.truth import Truth, read, unseen
from training.labels import NONE

FOUND: Final = "rehearsal.json"
_IDS: Final = ("customer_id", "time", "kind", "offset")


class Rehearsal(msgspec.Struct, frozen=True):
    """What a replay says of the stream to come.

    Attributes:
        records: of the log.
        scores: that it gives.
        alerts: likewise.
        letters: likewise, dead ones.
        first_ms: event time of the first score.
        last_ms: and of the last one.
        cast: the customers to watch.
    """

    records: int
    scores: int
    alerts: int
    letters: int
    first_ms: int
    last_ms: int
    cast: Cast


def rehearse(job: Rehearse, progress: Progress) -> Rehearsal:
    """Replay the log as the stream will find it, keep what it gives, and choose whom to watch.

    Raises:
        InputError: the folder cannot be used.
        BundleError: the bundle cannot.
        OutputError: the results cannot be written.
    """
    folder, loaded, out = read_folder(Path(job.data)), bundles.load(Path(job.bundle)), Path(job.out)
    log = FolderLog(folder, job.partitions)
    outputs = outputs_in(out)
    summary = replay(_Today(log, round(time.time() * 1000)), Shelf(loaded), outputs, progress=progress)
    scored = Scored.read(outputs.scores, loaded)
    span = scored.time_ms if len(scored.time_ms) else np.zeros(1, np.int64)
    found = Rehearsal(
        records=summary.records,
        scores=summary.scores,
        alerts=sum(summary.alerts.values()),
        letters=sum(summary.dead_letters.values()),
        first_ms=int(span.min()),
        last_ms=int(span.max()),
        cast=_cast(scored, folder, loaded, _watched_until(folder, job.paced)),
    )
    with writing(out):
        (out / FOUND).write_bytes(msgspec.json.encode(found))
    return found


def found_in(folder: Path) -> Rehearsal:
    """Return what a rehearsal has left in a folder."""
    return msgspec.json.decode((folder / FOUND).read_bytes(), type=Rehearsal)


def outputs_in(folder: Path) -> Outputs:
    """Return the files of a replay in a folder."""
    return Outputs(folder / "scores.parquet", folder / "alerts.parquet", folder / "dead-letters.parquet")


@dataclass(frozen=True)
class _Today:
    """A log that is published today: event times are refused where they lie ahead of that."""

    log: FolderLog
    now_ms: int

    @property
    def records(self) -> int:
        """Return how many records there are."""
        return self.log.records

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all records in chunks of at most ``size``, each of one partition."""
        for chunk in self.log.chunks(size):
            yield replace(chunk, record_times=np.full(len(chunk.offsets), self.now_ms))


@dataclass(frozen=True)
class Scored:
    """The scores of all transactions of a replay, n of them by customer, time and place in the log.

    Attributes:
        ids: of the customers.
        customer: int64 [n], index into the ids.
        time_ms: int64 [n], event time.
        values: the columns of the tasks.
    """

    ids: Texts
    customer: Ints
    time_ms: Ints
    values: pa.Table

    @classmethod
    def read(cls, path: Path, bundle: Bundle) -> "Scored":
        """Read what is needed of a file that ``ScoreTable`` wrote."""
        names = [f"{output.task}.{class_}" if class_ else output.task for output, class_ in _series(bundle)]
        table = pq.read_table(path, columns=[*_IDS, *names])
        table = table.filter(pc.equal(table["kind"], "transaction"))
        ids = pc.unique(table["customer_id"]).sort()
        customer = pc.index_in(table["customer_id"], ids).to_numpy().astype(np.int64)
        time_ms = table["time"].cast(pa.int64()).to_numpy()
        order = np.lexsort((table["offset"].to_numpy(), time_ms, customer))
        texts: Texts = np.array(ids.to_pylist(), np.object_)
        return cls(texts, customer[order], time_ms[order], table.take(order))


def _series(bundle: Bundle) -> list[tuple[Output, str]]:
    """Return each output with its classes: all but the one that says that nothing comes."""
    return [
        (output, class_) for output in bundle.manifest.outputs for class_ in output.classes or ("",) if class_ != NONE
    ]


def _cast(scored: Scored, folder: Folder, bundle: Bundle, until_ms: int) -> Cast:
    """Return whom to watch up to a time of the log."""
    log = read(folder, bundle.spec)
    truth = Truth.of(log, bundle.spec, scored.ids[scored.customer], scored.time_ms)
    watched = np.flatnonzero(scored.time_ms <= until_ms)
    courses = []
    for output, class_ in _series(bundle):
        task = bundle.spec.task(output.task)
        came_ms = truth.came_ms(task, class_)[watched]
        score = scored.values[f"{output.task}.{class_}" if class_ else output.task]
        courses.append(
            Course(
                task=task,
                class_=class_,
                customer=scored.customer[watched],
                time_ms=scored.time_ms[watched],
                score=pc.fill_null(score, np.nan).to_numpy().astype(np.float64)[watched],
                came_ms=np.where(came_ms <= until_ms, came_ms, -1),
            )
        )
    allowed = unseen(folder, log, bundle.manifest, scored.ids)
    everybody = np.ones(len(scored.ids), np.bool_)
    return cast(courses, scored.ids, everybody if allowed is None else allowed, unseen=allowed is not None)


def _watched_until(folder: Folder, paced: int) -> int:
    """Return the event time of the last record that goes at the watchable pace."""
    times = [table["time"].cast(pa.int64()).drop_null().to_numpy() for table in (folder.customers, folder.transactions)]
    ordered = np.sort(np.concatenate(times))
    return int(ordered[min(paced, len(ordered)) - 1]) if len(ordered) else 0
