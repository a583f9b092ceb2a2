"""A row as of a time: its features and the answers to all tasks, as a tick would give them. Nothing is changed."""

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.messages import Score
from stream_app.bundle import Bundle
from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout
from stream_app.kernel.plan import MS_PER_HOUR
from stream_app.steps import features
from stream_app.steps.encode import ScoreEncoder
from stream_app.steps.numbers import six_decimals
from stream_app.steps.stages import Batch, Chunk
from stream_app.steps.texts import Texts

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Feature rows to scores: ``stream_app.steps.predict.Predictor`` of the bundle."""
_PLACE = "portrait"


@dataclass(frozen=True)
class Reading:
    """What a tick would read of a row.

    Attributes:
        layout: of the row.
        row: float32 [row width].
        features: float32 [feature width].
        time_ms: as of when they are: as asked, or of the newest event where that is later.
        score: what a tick as of that time would emit, under a score_id of its own.
        values: all scores, float64 [score width].
    """

    layout: Layout
    row: NDArray[np.float32]
    features: NDArray[np.float32]
    time_ms: int
    score: Score
    values: NDArray[np.float64]

    def __getitem__(self, feature: str) -> float:
        """Return a feature by its name."""
        return plain(self.features[self.layout.column[feature]])

    def precise(self, feature: str) -> float:
        """Return a feature with the six decimals that percentiles of it have."""
        return round(float(self.features[self.layout.column[feature]]), 6)

    def since_days(self, feature: str) -> float | None:
        """Return an age in hours as days; None for never."""
        hours = self[feature]
        return None if hours >= kernel.NEVER_H else plain(hours / 24)


def read(customer: str, row: NDArray[np.float32], at_ms: int, bundle: Bundle, predict: Predict) -> Reading | None:
    """Return what a tick as of a time reads of a row; None where nothing is known of the customer.

    Args:
        customer: whose row it is.
        row: float32 [row width], left as it is.
        at_ms: epoch ms; the features are not read before the row's newest event.
        bundle: in force.
        predict: its network.
    """
    layout = bundle.rolling.layout
    time_ms = max(at_ms, newest_ms(row, layout))
    batch = _tick(customer, time_ms, len(bundle.spec.attributes))
    matrix = np.array(row, np.float32, copy=True).reshape(1, layout.row_width)
    found = features.read(batch, np.zeros(1, np.int64), matrix, bundle.rolling, bundle.eligibility)
    if not len(found.scored):
        return None
    values = six_decimals(predict(found.features))
    message = ScoreEncoder(bundle, _PLACE, 0)(batch, found, values, _chunk()).messages.tobytes()
    return Reading(layout, row, found.features[0], time_ms, msgspec.json.decode(message, type=Score), values[0])


def newest_ms(row: NDArray[np.float32], layout: Layout) -> int:
    """Return the epoch ms of the newest transaction of a row; 0 where it has none."""
    hour, ms, count = (int(value) for value in row[kernel.CLOCK : kernel.CLOCK + 3])
    return hour * MS_PER_HOUR + ms - layout.spec.utc_offset_minutes * 60_000 if count else 0


def plain(value: float) -> float:
    """Return a float32 as the shortest number that stands for it: 312.45, not 312.4500122."""
    return float(f"{float(value):.7g}")


def _tick(customer: str, time_ms: int, attributes: int) -> Batch:
    return Batch(
        record=np.zeros(1, np.int64),
        op=np.full(1, kernel.TICK, np.int64),
        customers=Texts.of([customer.encode()]),
        transaction_ids=Texts.of([b""]),
        time_ms=np.full(1, time_ms, np.int64),
        kind=np.zeros(1, np.int64),
        amount=np.zeros(1),
        balance=np.full(1, np.nan),
        id_hash=np.ones((1, 2), np.int64),
        attributes=np.zeros((0, attributes)),
    )


def _chunk() -> Chunk:
    """Return the chunk that a lone tick would stand in."""
    return Chunk.of((_PLACE, 0), np.zeros(1, np.int64), ([None], [None]), np.zeros(1, np.int64))
