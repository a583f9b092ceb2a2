"""How a raw feature row becomes what the first layer takes: numbers of the order of 1."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stream_app.kernel.layout import Layout
from training.arrays import Singles

LIMIT: Final = 5.0
"""Scaled inputs are clipped to plus and minus this many standard deviations."""
_CONSTANT: Final = 1e-6
"""A column whose standard deviation is below this says nothing."""


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of the training rows, after log(1 + x) of the log block.

    Attributes:
        log_width: columns of the log block.
        mean: float32 [feature width].
        factor: float32 [feature width], 1 / standard deviation; 0 for columns that are constant or that the network may
            not see.
    """

    log_width: int
    mean: Singles
    factor: Singles

    @classmethod
    def of(cls, features: Singles, layout: Layout) -> "Scaling":
        """Fit to raw feature rows, float32 [n, feature width]."""
        mean = np.empty(layout.feature_width)
        deviation = np.empty(layout.feature_width)
        for column in range(layout.feature_width):
            values = features[:, column].astype(np.float64)
            values = np.log1p(values) if column < layout.log_width else values
            mean[column], deviation[column] = values.mean(), values.std()
        factor = np.zeros(layout.feature_width)
        seen = np.array([column for column in layout.inputs if deviation[column] > _CONSTANT], np.int64)
        factor[seen] = 1.0 / deviation[seen]
        return cls(layout.log_width, mean.astype(np.float32), factor.astype(np.float32))

    def __call__(self, features: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return scaled inputs of raw feature rows, both tensors [n, feature width].

        log(1 + x) is written out, because tf2onnx knows no Log1p.
        """
        from keras import ops  # noqa: PLC0415  (loads TensorFlow)

        logs = ops.log(1.0 + ops.maximum(features[:, : self.log_width], 0.0))
        inputs = ops.concatenate([logs, features[:, self.log_width :]], axis=1)
        return ops.clip((inputs - self.mean) * self.factor, -LIMIT, LIMIT)
