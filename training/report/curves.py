"""From scores and labels to the points of curves, float64 [k, 2] with x ascending. Plain functions of arrays."""

from collections.abc import Callable
from typing import Final

import numpy as np

from training.arrays import Flags, Floats, Ints
from training.measures import by_threshold

GROUPS: Final = 10
"""Equal groups of rows by their score: deciles."""
MOST_POINTS: Final = 120
_GRID: Final = np.linspace(0.0, 1.0, 101)
_Z: Final = 1.959964
"""Of a 95 % interval."""


def roc(score: Floats, positive: Flags) -> Floats:
    """Return false and true positive rate at each threshold; both classes must occur."""
    hits, taken, _ = by_threshold(score, positive)
    return _from_nothing((taken - hits) / (len(score) - hits[-1]), hits / hits[-1])


def precision_recall(score: Floats, positive: Flags) -> Floats:
    """Return recall and precision at each threshold; a positive must occur."""
    hits, taken, _ = by_threshold(score, positive)
    return np.column_stack([hits / hits[-1], hits / taken])


def gain(score: Floats, positive: Flags) -> Floats:
    """Return the share of rows taken, highest score first, and the share of the positives among them."""
    hits, taken, _ = by_threshold(score, positive)
    return _from_nothing(taken / len(score), hits / hits[-1])


def concentration(score: Floats, amount: Floats) -> Floats:
    """Return the share of rows taken, highest score first, and the share of the amounts among them.

    Equal scores are taken together, so that a constant gives the diagonal. The amounts must not all be 0.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])
    taken = (last + 1) / len(score)
    found = np.cumsum(amount[order])[last] / amount.sum()
    return _from_nothing(taken, found)


def gini(curve: Floats) -> float:
    """Return twice the area between a gain curve and the diagonal: 0 for a constant score."""
    return float(2.0 * np.trapezoid(curve[:, 1], curve[:, 0]) - 1.0)


def at(curve: Floats, share: float) -> float:
    """Return the height of a curve at a place between its points."""
    return float(np.interp(share, curve[:, 0], curve[:, 1]))


def mean_of_classes(
    curve: Callable[[Floats, Flags], Floats], scores: Floats, code: Ints, *, steps: bool = False
) -> Floats:
    """Return the mean curve of the classes, each held against all others, on 101 places.

    Args:
        curve: of one class.
        scores: float64 [n, classes].
        code: the true class, int64 [n]; classes that do not occur, or alone, are left out.
        steps: whether a curve holds its next height between two points, as precision over recall does.
    """
    drawn = [curve(scores[:, k], code == k) for k in occurring(code, scores.shape[1])]
    heights = [_stepwise(points) if steps else np.interp(_GRID, *points.T) for points in drawn]
    return np.column_stack([_GRID, np.mean(heights, axis=0)])


def occurring(code: Ints, classes: int) -> list[int]:
    """Return the classes that some rows have and some have not."""
    counts = np.bincount(code, minlength=classes)
    return np.flatnonzero((counts > 0) & (counts < len(code))).tolist()


def calibration(confidence: Floats, hit: Flags) -> Floats:
    """Return what was said and what was found in ten groups of equally many rows, by what was said.

    Returns:
        Float64 [groups, 5]: rows, mean confidence, share of hits, and the 95 % interval of that share (Wilson 1927).
    """
    lines = []
    for rows in _groups(confidence):
        n, share = len(rows), float(hit[rows].mean())
        middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        reach = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
        lines.append([n, float(confidence[rows].mean()), share, max(middle - reach, 0.0), min(middle + reach, 1.0)])
    return np.array(lines)


def deciles(predicted: Floats, actual: Floats) -> Floats:
    """Return means of ten groups of equally many rows, by the prediction, lowest first.

    Returns:
        Float64 [groups, 4]: mean of the predictions and of the truth, 10th and 90th percentile of the truth.
    """
    groups = [(predicted[rows], actual[rows]) for rows in _groups(predicted)]
    return np.array([[said.mean(), true.mean(), *np.percentile(true, [10, 90])] for said, true in groups])


def thin(curve: Floats, most: int = MOST_POINTS) -> Floats:
    """Return at most so many of a curve's points, evenly spread along it, both ends among them."""
    if len(curve) <= most:
        return curve
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(curve, axis=0)).sum(axis=1))]
    return curve[np.unique(np.searchsorted(length, np.linspace(0.0, length[-1], most)))]


def _groups(score: Floats) -> list[Ints]:
    return np.array_split(np.argsort(score, kind="stable"), min(GROUPS, len(score)))


def _from_nothing(x: Floats, y: Floats) -> Floats:
    return np.vstack([[0.0, 0.0], np.column_stack([x, y])])


def _stepwise(curve: Floats) -> Floats:
    place = np.searchsorted(curve[:, 0], _GRID)
    heights: Floats = curve[np.minimum(place, len(curve) - 1), 1]
    return heights
