"""Reasons: what each feature contributes to an answer, by integrated gradients (Sundararajan, Taly & Yan 2017).

An answer is explained on a scale on which contributions add up: the log-odds of a probability (for classes, of the
explained class against all others), and the log of an amount. It is held against the answer at a reference: the mean of
each scaled input over the training rows. On the straight line from there, in what the first layer takes (scaled inputs
and their units), the gradient is averaged, and multiplied by the way that each input went. What the units of a feature
contribute is the feature's. The sum misses the difference of the two answers by what the average of finitely many
points misses; that rest is shared out by the contributions' sizes, so that they do add up.

The gradient is TensorFlow's, recorded while the graph is traced: what is exported is plain arithmetic. Importing this
module loads TensorFlow.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from training.arrays import Singles
from training.network import Scorer

POINTS: Final = 32
"""Points on the line, at the middles of as many equal pieces."""
_FAR: Final = 1e9
_SMALL: Final = 1e-12


@dataclass(frozen=True)
class Reasons:
    """Contributions of a network's inputs to one of its answers."""

    scorer: Scorer

    def __call__(self, features: Any, chosen: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return what each feature contributes, and last the answer at the reference, tensor [n, feature width + 1].

        Args:
            features: tensor [n, feature width].
            chosen: tensor [n, score width], 1 in the column of the scores that is explained and 0 elsewhere.
        """
        ops, width = keras.ops, len(self.scorer.scaling.mean)
        start = self._start
        way = self.scorer.encoded(features) - start
        kernel, bias = self.scorer.first
        begin = start @ kernel + bias
        slope = ops.matmul(way, kernel)
        middles = ((np.arange(POINTS) + 0.5) / POINTS).astype(np.float32)[None, :, None]
        points = ops.reshape(slope[:, None, :] * middles + begin, (-1, kernel.shape[1]))
        columns = ops.reshape(ops.repeat(chosen[:, None, :], POINTS, axis=1), (-1, chosen.shape[-1]))
        with tf.GradientTape() as tape:
            tape.watch(points)
            parts = self._parts(points)
        upwards = self._upwards(_joined(parts), columns)
        starts = [output.start for output in self.scorer.outputs[1:]]
        gradient = tape.gradient(parts, points, ops.split(upwards, starts, axis=1) if starts else [upwards])
        mean = ops.mean(ops.reshape(gradient, (-1, POINTS, kernel.shape[1])), axis=1)
        parts = way * ops.matmul(mean, kernel.T)
        if parts.shape[-1] > width:
            parts = parts[:, :width] + ops.matmul(parts[:, width:], self._of_feature)
        answer, reference = self._answers(way + start, chosen), self._answers(start[None] + 0.0 * way, chosen)
        rest = answer - reference - ops.sum(parts, axis=1, keepdims=True)
        sizes = ops.abs(parts)
        parts = parts + rest * sizes / (ops.sum(sizes, axis=1, keepdims=True) + _SMALL)
        return ops.concatenate([parts, reference], axis=1)

    def _answers(self, encoded: Any, chosen: Any) -> Any:  # noqa: ANN401
        """Return the explained answers, [n, 1]."""
        ops = keras.ops
        kernel, bias = self.scorer.first
        logits = _joined(self._parts(ops.matmul(encoded, kernel) + bias))
        others = self._others(chosen)
        top = ops.max(logits - (1.0 - others) * _FAR, axis=1, keepdims=True)
        rivals = ops.sum(others * ops.exp(ops.minimum(logits - top, 0.0)), axis=1, keepdims=True)
        has = ops.max(others, axis=1, keepdims=True)
        against = has * (ops.log(rivals + (1.0 - has)) + ops.maximum(top, -_FAR / 2))
        return ops.sum(logits * chosen, axis=1, keepdims=True) - against

    def _upwards(self, logits: Any, chosen: Any) -> Any:  # noqa: ANN401
        """Return the gradient of the explained answer by the logits, [n, score width]."""
        ops = keras.ops
        others = self._others(chosen)
        top = ops.max(logits - (1.0 - others) * _FAR, axis=1, keepdims=True)
        rivals = others * ops.exp(ops.minimum(logits - top, 0.0))
        return chosen - rivals / (ops.sum(rivals, axis=1, keepdims=True) + _SMALL)

    def _others(self, chosen: Any) -> Any:  # noqa: ANN401
        """Return 1 for the other classes of the task whose class is explained, 0 elsewhere, [n, score width]."""
        return keras.ops.matmul(chosen, self._rivals)

    def _parts(self, values: Any) -> list[Any]:  # noqa: ANN401
        """Return the logits of each output, of what the first layer gives."""
        return self.scorer.logits(self.scorer.trunk(values))

    @cached_property
    def _start(self) -> Singles:
        """Return the reference as the first layer takes it, float32 [encoded width]."""
        units = self.scorer.units
        at_nothing = np.clip(-units.start * units.slope, 0.0, 1.0)
        return np.concatenate([np.zeros(len(self.scorer.scaling.mean)), at_nothing]).astype(np.float32)

    @cached_property
    def _rivals(self) -> Singles:
        """Return which columns are classes of one task and not the same, float32 [score width, score width]."""
        width = self.scorer.outputs[-1].start + self.scorer.outputs[-1].width
        rivals = np.zeros((width, width), np.float32)
        for output in self.scorer.outputs:
            part = slice(output.start, output.start + output.width)
            rivals[part, part] = 1.0 - np.eye(output.width, dtype=np.float32)
        return rivals

    @cached_property
    def _of_feature(self) -> Singles:
        """Return 1 where a unit looks at a feature, float32 [units, feature width]."""
        columns = np.arange(len(self.scorer.scaling.mean))
        looks_at: Singles = (self.scorer.units.column[:, None] == columns).astype(np.float32)
        return looks_at


def _joined(parts: list[Any]) -> Any:  # noqa: ANN401  (tensors)
    return keras.ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
