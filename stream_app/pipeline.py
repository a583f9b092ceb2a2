"""The flow: a chunk of one partition's records goes through these steps, in this order, in replay and stream.

It has two halves: rows are changed and values computed; then messages are made of them. The second half needs no row,
so that it may run while the first one is at the next chunk.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import Rejection
from stream_app.scorer import Emission, Scorer
from stream_app.steps import alerts, encode, features, numbers
from stream_app.steps.reasons import Reasoner
from stream_app.steps.stages import Batch, Chunk, Control, Decoded, Fired, Read


@dataclass(frozen=True, slots=True)
class Computed:
    """A part of a chunk whose rows have been changed.

    Attributes:
        batch: its items.
        read: what was read of their rows.
        values: float64 [m, score width], six decimals.
        fired: the alerts.
        reasoner: finds their reasons, of the bundle that was in force.
        encode: writes the scores, of the bundle that was in force.
    """

    batch: Batch
    read: Read
    values: NDArray[np.float64]
    fired: Fired
    reasoner: Reasoner
    encode: encode.ScoreEncoder


def score(decoded: Decoded, chunk: Chunk, scorer: Scorer) -> Emission:
    """Return what a decoded chunk gives, where a row that is not in memory is new; rows are changed in place."""
    return told(decoded, chunk, computed(decoded, chunk, scorer))


def computed(decoded: Decoded, chunk: Chunk, scorer: Scorer) -> list[Computed]:
    """Return the parts of a decoded chunk, computed, where a row that is not in memory is new.

    A tick and an activate cut the chunk: they act on the rows as everything before them has left them.
    """
    found = []
    for part in decoded.parts:
        if isinstance(part, Batch):
            scorer.residents.enter(scorer.residents.missing(part.customers))
        found.append(_compute(part, chunk, scorer))
    return [part for part in found if part is not None]


def told(decoded: Decoded, chunk: Chunk, parts: Sequence[Computed]) -> Emission:
    """Return what leaves for a chunk whose parts have been computed."""
    emission, rejections = Emission.of(decoded), list(decoded.rejections)
    for part in parts:
        rejections += _tell(part, chunk, emission)
    return finish(emission, rejections, chunk)


def score_part(part: Batch | Control, chunk: Chunk, scorer: Scorer, emission: Emission) -> list[Rejection]:
    """Add a part's scores and alerts to the emission; return the rejections of its duplicates."""
    found = _compute(part, chunk, scorer)
    return _tell(found, chunk, emission) if found is not None and emission.wanted else []


def finish(emission: Emission, rejections: list[Rejection], chunk: Chunk) -> Emission:
    """Return the emission with the dead letters, in log order, where they are wanted."""
    if not emission.wanted:
        return emission
    rejections.sort(key=lambda rejection: rejection.record)
    emission.dead_letters = encode.dead_letters(rejections, chunk)
    return emission


def _compute(part: Batch | Control, chunk: Chunk, scorer: Scorer) -> Computed | None:
    batch = scorer.act(part, chunk) if isinstance(part, Control) else part
    if batch is None or not len(batch.op):
        return None
    residents = scorer.residents
    places = residents.places(batch.customers)
    read = features.read(batch, places, residents.matrix, scorer.bundle.rolling, scorer.bundle.eligibility)
    values = numbers.six_decimals(scorer.predict(read.features))
    fired = alerts.fire(batch, read, residents.matrix, values, scorer.rules)
    residents.mark_changed(places)
    return Computed(batch, read, values, fired, scorer.reasoner, scorer.encode)


def _tell(part: Computed, chunk: Chunk, emission: Emission) -> list[Rejection]:
    scores = part.encode(part.batch, part.read, part.values, chunk)
    why = part.reasoner.of_scores(part.read, part.values)
    if why is not None:
        scores = encode.reasoned(scores, why)
    emission.scores.append(scores)
    if len(part.fired.item):
        emission.alerts += encode.alerts(part.fired, part.reasoner(part.read, part.fired), scores, chunk)
    return encode.repeats(part.batch, part.read)
