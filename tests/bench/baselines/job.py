"""The job of both baselines: the product's own kernel, network and messages, on rows that Redis has given."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from schemas import codec
from schemas.accepted import NO_RECORD_TIME
from stream_app.bundle import Bundle
from stream_app.steps import alerts, encode, features, numbers
from stream_app.steps.decode import Vocabulary, decode
from stream_app.steps.encode import ScoreEncoder
from stream_app.steps.predict import Explainer, Predictor
from stream_app.steps.reasons import Reasoner
from stream_app.steps.stages import Batch, Chunk

Message = tuple[bytes, bytes]
"""Key and value."""


@dataclass(frozen=True)
class Scored:
    """What some transactions give: messages, and rows as they are now."""

    scores: list[Message]
    alerts: list[Message]
    rows: list[bytes]


class Job:
    """A bundle made ready."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._vocabulary, self._rules = Vocabulary(bundle.spec), alerts.Rules.of(bundle)
        self._predict, self._encode = Predictor.of(bundle), ScoreEncoder(bundle, "transactions", 0)
        self._reasoner = Reasoner(bundle, Explainer.of(bundle))
        self._width = bundle.rolling.layout.row_width

    def score(self, values: Sequence[bytes], customers: Sequence[bytes], stored: Sequence[bytes | None]) -> Scored:
        """Return what transactions give.

        Args:
            values: in their order.
            customers: each once.
            stored: the row of each; None where there is none.
        """
        empty = bytes(4 * self._width)
        rows = np.frombuffer(b"".join(row or empty for row in stored), np.float32).reshape(-1, self._width).copy()
        order = np.arange(len(values))
        names = [codec.facts(value)["customer_id"].encode() for value in values]
        chunk = Chunk.of(("transactions", 0), order, (names, list(values)), np.full(len(values), NO_RECORD_TIME))
        place = {customer: k for k, customer in enumerate(customers)}
        scores, fired = list[Message](), list[Message]()
        for batch in decode(chunk, self._vocabulary).parts:
            assert isinstance(batch, Batch)
            places = np.array([place[customer] for customer in batch.customers.words()], np.int64)
            read = features.read(batch, places, rows, self._bundle.rolling, self._bundle.eligibility)
            found = numbers.six_decimals(self._predict(read.features))
            told = alerts.fire(batch, read, rows, found, self._rules)
            part = self._encode(batch, read, found, chunk)
            content, starts = part.messages.tobytes(), part.starts.tolist()
            keys = part.customers.words()
            scores += [(key, content[first:end]) for key, (first, end) in zip(keys, pairwise(starts), strict=True)]
            why = self._reasoner(read, told)
            fired += [(item.customer_id.encode(), codec.encode(item)) for item in encode.alerts(told, why, part, chunk)]
        return Scored(scores, fired, [row.tobytes() for row in rows])
