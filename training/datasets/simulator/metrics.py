"""Measures of a prediction against labels, and what the prior reaches."""

import numpy as np

from training.datasets.simulator.kinds import Floats


def area_under_roc(score: Floats, label: Floats) -> float:
    """Return the area under the ROC curve; ties count half, NaN where one class is missing."""
    positives = int(label.sum())
    negatives = len(label) - positives
    if positives == 0 or negatives == 0:
        return float("nan")
    rank_sum = float(mean_ranks(score)[label > 0].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def spearman(score: Floats, label: Floats) -> float:
    """Return the rank correlation."""
    return float(np.corrcoef(mean_ranks(score), mean_ranks(label))[0, 1])


def log_loss(chance: Floats, label: Floats) -> float:
    """Return the mean negative log of the chance given to the true class; `chance` has shape (n, classes)."""
    given = chance[np.arange(len(label)), label.astype(np.int64)]
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def prior_log_loss(label: Floats, classes: int) -> float:
    """Return the log loss of the labels' own shares: their entropy in nats."""
    share = np.bincount(label.astype(np.int64), minlength=classes) / len(label)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def mean_ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[place], dtype=np.float64)
