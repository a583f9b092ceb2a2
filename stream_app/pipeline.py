"""The flow: a chunk of one partition's records goes through these steps, in this order, in replay and stream."""

from schemas.accepted import Rejection
from stream_app.scorer import Emission, Scorer
from stream_app.steps import alerts, encode, features, numbers
from stream_app.steps.stages import Batch, Chunk, Control, Decoded


def score(decoded: Decoded, chunk: Chunk, scorer: Scorer) -> Emission:
    """Return what a decoded chunk gives, where a row that is not in memory is new; rows are changed in place.

    A tick and an activate cut the chunk: they act on the rows as everything before them has left them.
    """
    emission, rejections = Emission.of(decoded), list(decoded.rejections)
    for part in decoded.parts:
        if isinstance(part, Batch):
            scorer.residents.enter(scorer.residents.missing(part.customers))
        rejections += score_part(part, chunk, scorer, emission)
    return finish(emission, rejections, chunk)


def score_part(part: Batch | Control, chunk: Chunk, scorer: Scorer, emission: Emission) -> list[Rejection]:
    """Add a part's scores and alerts to the emission; return the rejections of its duplicates."""
    batch = scorer.act(part, chunk) if isinstance(part, Control) else part
    if batch is None or not len(batch.op):
        return []
    residents = scorer.residents
    places = residents.places(batch.customers)
    read = features.read(batch, places, residents.matrix, scorer.bundle.rolling, scorer.bundle.eligibility)
    values = numbers.six_decimals(scorer.predict(read.features))
    fired = alerts.fire(batch, read, residents.matrix, values, scorer.rules)
    residents.mark_changed(places)
    if not emission.wanted:
        return []
    scores = scorer.encode(batch, read, values, chunk)
    emission.scores.append(scores)
    emission.alerts += encode.alerts(fired, scores, chunk)
    return encode.repeats(batch, read)


def finish(emission: Emission, rejections: list[Rejection], chunk: Chunk) -> Emission:
    """Return the emission with the dead letters, in log order, where they are wanted."""
    if not emission.wanted:
        return emission
    rejections.sort(key=lambda rejection: rejection.record)
    emission.dead_letters = encode.dead_letters(rejections, chunk)
    return emission
