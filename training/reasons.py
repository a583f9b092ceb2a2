"""Reasons: what each feature contributes to an answer, by integrated gradients (Sundararajan, Taly & Yan 2017).

An answer is explained on a scale on which contributions add up: the log-odds of a probability (for classes, of the
explained class against all others), and the log of an amount. It is held against the answer at a reference: the mean of
each scaled input over the training rows. On the straight line from there, in what the first layer takes (scaled inputs
and their units), the gradient is averaged, and multiplied by the way that each input went. What the units of a feature
contribute is the feature's. The sum misses the difference of the two answers by what the average of finitely many
points misses; that rest is shared out by the contributions' sizes, so that they do add up.

The gradient is written out: an exported graph has no automatic one. Importing this module loads TensorFlow.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import keras
import numpy as np

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
        (kernel, bias), *layers = self.scorer.shared
        begin = start @ kernel + bias
        slope = ops.matmul(way, kernel)
        middles = ((np.arange(POINTS) + 0.5) / POINTS).astype(np.float32)[None, :, None]
        hidden = [ops.reshape(slope[:, None, :] * middles + begin, (-1, kernel.shape[1]))]
        for next_kernel, next_bias in layers:
            hidden.append(ops.matmul(ops.relu(hidden[-1]), next_kernel) + next_bias)
        columns = ops.reshape(ops.repeat(chosen[:, None, :], POINTS, axis=1), (-1, chosen.shape[-1]))
        gradient = ops.matmul(self._upwards(self._logits(hidden[-1]), columns), self._heads[0].T)
        for value, (back, _) in zip(reversed(hidden[1:]), reversed(layers), strict=True):
            gradient = ops.matmul(gradient * ops.cast(value > 0, "float32"), back.T)
        gradient = gradient * ops.cast(hidden[0] > 0, "float32")
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
        for kernel, bias in self.scorer.shared:
            encoded = ops.relu(ops.matmul(encoded, kernel) + bias)
        logits = self._logits(encoded, relu=False)
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

    def _logits(self, values: Any, *, relu: bool = True) -> Any:  # noqa: ANN401
        kernels, biases = self._heads
        return keras.ops.matmul(keras.ops.relu(values) if relu else values, kernels) + biases

    @cached_property
    def _start(self) -> Singles:
        """Return the reference as the first layer takes it, float32 [encoded width]."""
        units = self.scorer.units
        at_nothing = np.clip(-units.start * units.slope, 0.0, 1.0)
        return np.concatenate([np.zeros(len(self.scorer.scaling.mean)), at_nothing]).astype(np.float32)

    @cached_property
    def _heads(self) -> tuple[Singles, Singles]:
        kernels, biases = zip(*self.scorer.heads, strict=True)
        return np.concatenate(kernels, axis=1), np.concatenate(biases)

    @cached_property
    def _rivals(self) -> Singles:
        """Return which columns are classes of one task and not the same, float32 [score width, score width]."""
        width = self._heads[1].shape[0]
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
