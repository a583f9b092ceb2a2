"""The flow: a chunk of one partition's records goes through these steps, in this order, in replay and stream."""

from schemas.accepted import Rejection
from stream_app.scorer import Emission, Scorer
from stream_app.steps import alerts, encode, features, rows
from stream_app.steps.decode import decode
from stream_app.steps.stages import Batch, Chunk, Control, Decoded


def score(chunk: Chunk, scorer: Scorer) -> Emission:
    """Return what leaves for a chunk; the scorer's rows are changed in place."""
    return score_decoded(decode(chunk, scorer.vocabulary), chunk, scorer)


def score_decoded(decoded: Decoded, chunk: Chunk, scorer: Scorer) -> Emission:
    """Return what leaves for a chunk that is decoded already; the scorer's rows are changed in place.

    A tick and an activate cut the chunk: they act on the rows as everything before them has left them.
    """
    emission = Emission(unknown_types=decoded.unknown_types, unknown_values=decoded.unknown_values)
    rejections = list(decoded.rejections)
    for part in decoded.parts:
        batch = scorer.act(part, chunk) if isinstance(part, Control) else part
        if batch is not None and len(batch.op):
            rejections += score_batch(batch, chunk, scorer, emission)
    rejections.sort(key=lambda rejection: rejection.record)
    emission.dead_letters = encode.dead_letters(rejections, chunk)
    return emission


def score_batch(batch: Batch, chunk: Chunk, scorer: Scorer, emission: Emission) -> list[Rejection]:
    """Add a batch's scores and alerts to the emission; return the rejections of its duplicates."""
    places = rows.locate(batch, scorer.residents)
    read = features.read(batch, places, scorer.residents.matrix, scorer.bundle.rolling, scorer.bundle.eligibility)
    values = encode.six_decimals(scorer.predict(read.features))
    fired = alerts.fire(batch, read, scorer.residents.matrix, values, scorer.rules)
    scores = scorer.encode(batch, read, values, chunk)
    emission.scores.append(scores)
    emission.alerts += encode.alerts(fired, scores, chunk, scorer.bundle)
    return encode.repeats(batch, read)
