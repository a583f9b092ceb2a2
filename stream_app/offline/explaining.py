"""Finds out why a score is what it is: the log is replayed up to the score's record, and each answer is explained."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from schemas.errors import BundleError, InputError
from schemas.explanation import Explanation
from stream_app.offline.log import Log
from stream_app.offline.replay import CHUNK, computed_chunks
from stream_app.pipeline import Computed
from stream_app.shelf import Shelf
from stream_app.steps.explained import explained
from stream_app.steps.stages import Chunk


@dataclass(frozen=True)
class Place:
    """Where the record of a score stands in the log, and of a tick also whose score it is."""

    topic: str
    partition: int
    offset: int
    customer: str | None = None

    @classmethod
    def of(cls, score_id: str) -> "Place":
        """Read a score's id: topic-partition-offset, of a tick with the customer behind it.

        Raises:
            InputError: it is none.
        """
        found = re.fullmatch(r"(?P<topic>.+?)-(?P<partition>\d+)-(?P<offset>\d+)(-(?P<customer>.+))?", score_id)
        if found is None:
            message = (
                f"Expected the id of a score, topic-partition-offset as in transactions-0-20005, found {score_id!r}; "
                "take score_id from a score or an alert."
            )
            raise InputError(message)
        return cls(found["topic"], int(found["partition"]), int(found["offset"]), found["customer"])


@dataclass(frozen=True)
class _UpTo:
    """A log of which no more is told than what leads to a place: a log itself."""

    log: Log
    place: Place

    @property
    def records(self) -> int:
        """Return how many records the log has."""
        return self.log.records

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield the partition's records up to the place."""
        for chunk in self.log.chunks(size):
            if (chunk.topic, chunk.partition) == (self.place.topic, self.place.partition):
                yield chunk.slice(0, int(np.searchsorted(chunk.offsets, self.place.offset, "right")))
                if chunk.offsets[-1] >= self.place.offset:
                    return


def explain(log: Log, shelf: Shelf, score_id: str, language: str | None = None) -> Explanation:
    """Return why a score is what it is.

    Args:
        log: an interchange folder or a captured topic.
        shelf: the bundle to start with, and those that the log activates.
        score_id: of the score.
        language: of the texts; default: the spec's.

    Raises:
        InputError: the log has no such score.
        BundleError: the bundle in force cannot explain, or is not on the shelf.
    """
    place = Place.of(score_id)
    last = None
    for last in computed_chunks(_UpTo(log, place), shelf, CHUNK):  # noqa: B007  (the last one is wanted)
        pass
    if last is not None and len(last.chunk.offsets) and last.chunk.offsets[-1] == place.offset:
        record = len(last.chunk.offsets) - 1
        for part in last.parts:
            item = _item(part, record, place)
            if item is not None:
                return _explained(part, item, score_id, shelf, language)
    message = (
        f"Expected the score {score_id} in the log, found none: no record is there, or it was refused; correct the id, "
        "or name the log that it is from."
    )
    raise InputError(message)


def _item(part: Computed, record: int, place: Place) -> int | None:
    """Return which of the scored items of a part is the one at the place."""
    for item, at in enumerate(part.read.scored.tolist()):
        customer = part.batch.customers.word(at).decode()
        if part.batch.record[at] == record and place.customer in {None, customer}:
            return item
    return None


def _explained(part: Computed, item: int, score_id: str, shelf: Shelf, language: str | None) -> Explanation:
    bundle, at = part.reasoner.bundle, int(part.read.scored[item])
    explainer = shelf.explainer(bundle)
    if explainer is None:
        message = (
            f"Expected a bundle that explains its scores, found none of it in {bundle.path}; train it again with this "
            "Foretell."
        )
        raise BundleError(message)
    reasoner = part.reasoner if language is None else part.reasoner.speaking(language)
    row, values = part.read.features[item : item + 1], part.values[item]
    tasks = {
        output.task: explained(output, row, values, explainer, reasoner)
        for index, output in enumerate(bundle.manifest.outputs)
        if part.read.eligible[item, index]
    }
    return Explanation(
        score_id=score_id,
        customer_id=part.batch.customers.word(at).decode(),
        time=int(part.batch.time_ms[at]),
        bundle=bundle.short,
        tasks=tasks,
    )
