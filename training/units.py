"""Piecewise-linear units: what lets a small network draw the sharp steps that trees find (Gorishniy et al. 2022).

A unit is clip((x - start) / width, 0, 1) of one scaled input x. Where units begin and end is learned from the trees'
splits: an input has units in proportion to what its splits gain, and their edges are quantiles of its thresholds.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np

from training.arrays import Floats, Ints, Singles
from training.scaling import Scaling

MOST_OF_ONE: Final = 16
"""Units of one input."""
_EVENNESS: Final = 0.7
"""The exponent that brings the inputs' shares of the gain nearer together."""
_OUTER: Final = (0.001, 0.999)
"""Quantiles of an input between which its units lie."""
NARROWEST: Final = 0.02
"""The least width, in standard deviations: a steeper unit would magnify the rounding of its input."""
_THREE: Final = 3


class Splits(NamedTuple):
    """The splits of a task's trees.

    Attributes:
        column: int64 [n], the column of a feature row that is looked at.
        threshold: float64 [n], in terms of the raw feature.
        gain: float64 [n], what the split gained, as a share of what all the task's splits did.
    """

    column: Ints
    threshold: Floats
    gain: Floats

    @classmethod
    def joined(cls, parts: Sequence["Splits"]) -> "Splits":
        """Return the splits of several tasks' trees."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Units(NamedTuple):
    """n units, ordered by column.

    Attributes:
        column: int64 [n], the scaled input that each looks at.
        start: float32 [n].
        slope: float32 [n], 1 / width.
    """

    column: Ints
    start: Singles
    slope: Singles

    @classmethod
    def none(cls) -> "Units":
        """Return no units."""
        return cls(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))

    @classmethod
    def of(cls, splits: Splits, features: Singles, scaling: Scaling, most: int) -> "Units":
        """Place units where trees split.

        Args:
            splits: of all tasks' trees.
            features: raw feature rows of training, float32 [n, feature width].
            scaling: how they become inputs.
            most: how many units, at most.
        """
        gains = np.bincount(splits.column, splits.gain, len(scaling.mean)) * (scaling.factor > 0)
        if not most or not gains.any():
            return cls.none()
        wanted = (gains / gains.sum()) ** _EVENNESS
        counts = np.minimum(np.floor(most * wanted / wanted.sum() + 0.5), MOST_OF_ONE).astype(np.int64)
        found: list[tuple[int, float, float]] = []
        for column in np.flatnonzero(counts):
            mine = splits.column == column
            edges = _edges(splits.threshold[mine], splits.gain[mine], int(counts[column]), features[:, column])
            found += [(int(column), *unit) for unit in _between(scaling.of_column(edges, int(column)))]
        if not found:
            return cls.none()
        columns, starts, slopes = zip(*found[:most], strict=True)
        return cls(np.array(columns), np.array(starts, np.float32), np.array(slopes, np.float32))

    def __len__(self) -> int:
        return len(self.column)

    def __call__(self, inputs: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the units of scaled inputs, tensor [m, n].

        Args:
            inputs: tensor [m, feature width], or only some columns of it if ``column`` says their places among them.
        """
        from keras import ops  # noqa: PLC0415  (loads TensorFlow)

        return ops.clip((ops.take(inputs, self.column, axis=1) - self.start) * self.slope, 0.0, 1.0)


def _edges(thresholds: Floats, gain: Floats, count: int, values: Singles) -> Floats:
    """Return ascending edges of the units of one input, raw: quantiles of its thresholds between its own outer ones."""
    low, high = np.quantile(values, _OUTER)
    if len(np.unique(values)) < _THREE:
        return np.empty(0)  # a straight line says all of two values
    order = np.argsort(thresholds, kind="stable")
    place = np.cumsum(gain[order]) / gain.sum()
    inner = thresholds[order][np.searchsorted(place, (np.arange(count) + 0.5) / count).clip(0, len(order) - 1)]
    return np.unique(np.r_[low, np.clip(inner, low, high), high])


def _between(edges: Floats) -> list[tuple[float, float]]:
    """Return start and slope of the units between scaled edges; an edge too near to the one before it is left out."""
    kept = list(edges[:1])
    for edge in edges[1:]:
        if edge - kept[-1] >= NARROWEST:
            kept.append(edge)
    if len(kept) < _THREE:
        return []  # one unit is the input itself
    return [(start, 1.0 / (end - start)) for start, end in pairwise(kept)]
