"""Measures of predictions against labels; plain functions of arrays."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.arrays import Flags, Floats, Ints

BINS: Final = 10
_SMALLEST: Final = 1e-7
"""Probabilities are brought into [this, 1 - this] before their log is taken: float32 knows no nearer to 1."""


def mean_ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    starts = np.flatnonzero(np.r_[True, ascending[1:] != ascending[:-1]]) if len(values) else np.empty(0, np.int64)
    counts = np.diff(np.r_[starts, len(values)])
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return ranks


def roc_auc(score: Floats, positive: Flags) -> float:
    """Return the area under the ROC curve; ties count half, NaN where a class is missing."""
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    rank_sum = float(mean_ranks(score)[positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def pr_auc(score: Floats, positive: Flags) -> float:
    """Return the average precision: precision at each threshold, weighted by the recall that it adds."""
    if not positive.any():
        return float("nan")
    hits, taken, _ = by_threshold(score, positive)
    return float((np.diff(np.r_[0.0, hits]) * hits / taken).sum() / hits[-1])


def by_threshold(score: Floats, positive: Flags) -> tuple[Floats, Floats, Floats]:
    """Return hits and taken rows at each distinct threshold, descending, and the thresholds."""
    order = np.argsort(-score, kind="stable")
    last = np.r_[np.diff(score[order]) != 0, True]
    hits = np.cumsum(positive[order])[last].astype(np.float64)
    return hits, (np.flatnonzero(last) + 1).astype(np.float64), score[order][last]


def best_f1_threshold(score: Floats, positive: Flags) -> float:
    """Return the threshold with the largest F1; 0.5 where there is no positive."""
    if not positive.any():
        return 0.5
    hits, taken, thresholds = by_threshold(score, positive)
    return float(thresholds[np.argmax(2 * hits / (taken + hits[-1]))])


def log_loss(probabilities: Floats, code: Ints) -> float:
    """Return the mean negative log of the probability given to the true class, probabilities [n, classes]."""
    return float(chance_loss(probabilities, code).mean())


def chance_loss(probabilities: Floats, code: Ints) -> Floats:
    """Return the negative log of the probability given to each row's true class, probabilities [n, classes]."""
    given = probabilities[np.arange(len(code)), code]
    losses: Floats = -np.log(np.clip(given, _SMALLEST, 1 - _SMALLEST))
    return losses


def f1_scores(predicted: Ints, code: Ints, classes: int) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class, NaN for a class that neither occurs nor is predicted."""
    hit = np.bincount(code[predicted == code], minlength=classes)
    said, true = np.bincount(predicted, minlength=classes), np.bincount(code, minlength=classes)
    f1 = _ratio(2.0 * hit, said + true)
    absent = np.where(said + true > 0, 0.0, np.nan)
    return _ratio(hit, said) + absent, _ratio(hit, true) + absent, f1 + absent


def spearman(score: Floats, label: Floats) -> float:
    """Return the rank correlation; NaN where one side is constant."""
    return correlation(mean_ranks(score), mean_ranks(label))


def gini(score: Floats, amount: Floats) -> float:
    """Return the normalised Gini coefficient: the area under the Lorenz curve of amounts in the order of the scores.

    1 for the order of the amounts themselves, 0 for any; NaN where all amounts are equal (Frees et al. 2011). Rows of
    one score share their amounts.
    """
    best = _lorenz(amount, amount)
    return _lorenz(score, amount) / best if best > 0 else float("nan")


def _lorenz(score: Floats, amount: Floats) -> float:
    """Return the area between the diagonal and the curve of the sum of amounts over rows, the lowest score first."""
    total = amount.sum()
    if not total > 0:
        return 0.0
    return float((mean_ranks(score) * amount).sum() / total / len(amount) - (len(amount) + 1) / (2 * len(amount)))


def correlation(a: Floats, b: Floats) -> float:
    """Return the linear correlation; NaN where one side is constant."""
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():  # noqa: PLR2004  (one point has no correlation)
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def reliability(confidence: Floats, hit: Flags) -> Floats:
    """Return count, mean confidence and share of hits in ten equal bins, float64 [bins, 3]; empty ones hold 0."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    count = np.bincount(place, minlength=BINS).astype(np.float64)
    sums = (np.bincount(place, values, minlength=BINS) for values in (confidence, hit.astype(np.float64)))
    return np.column_stack([count, *(_ratio(total, count) for total in sums)])


def calibration_error(confidence: Floats, hit: Flags) -> float:
    """Return the expected calibration error: the mean distance of confidence and hits (Naeini et al. 2015)."""
    count, said, found = reliability(confidence, hit).T
    return float((count * np.abs(said - found)).sum() / max(count.sum(), 1.0))


def entropy(shares: Floats) -> float:
    """Return the log loss of a prior against labels with the same shares, in nats."""
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _ratio(a: NDArray[np.number], b: NDArray[np.number]) -> Floats:
    ratio: Floats = np.divide(a, b, out=np.zeros(len(b)), where=b > 0)
    return ratio
