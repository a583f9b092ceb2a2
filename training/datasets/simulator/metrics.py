"""The oracle's measures, on labels that are numbers: those of ``training.measures``, and a log loss of its own."""

import numpy as np

from training.datasets.simulator.kinds import Floats
from training.measures import entropy, roc_auc, spearman

__all__ = ["area_under_roc", "log_loss", "prior_log_loss", "spearman"]


def area_under_roc(score: Floats, label: Floats) -> float:
    """Return the area under the ROC curve; ties count half, NaN where one class is missing."""
    return roc_auc(score, label > 0)


def log_loss(chance: Floats, label: Floats) -> float:
    """Return the mean negative log of the chance given to the true class; `chance` has shape (n, classes).

    The oracle's chances are float64: they may come nearer to 0 and 1 than the float32 of a network.
    """
    given = chance[np.arange(len(label)), label.astype(np.int64)]
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def prior_log_loss(label: Floats, classes: int) -> float:
    """Return the log loss of the labels' own shares: their entropy in nats."""
    return entropy(np.bincount(label.astype(np.int64), minlength=classes) / len(label))
