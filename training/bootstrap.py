"""How sure a measure is: a bootstrap that draws whole customers, the same ones for every model.

A customer's rows depend on each other, so that drawing rows would promise too much (Field and Welsh 2007). A draw is
kept as how often it holds each row: all measures are computed from these counts, exactly as from the repeated rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.arrays import Flags, Floats, Ints
from training.measures import BINS, chance_loss

NETWORK: Final = "network"
RESAMPLES: Final = 500
MIDDLE: Final = (0.025, 0.975)
Counted = Callable[[Floats], float]
"""A measure of fixed answers when each of the n rows counts float64 [n] times; NaN where it has no value."""


@dataclass(frozen=True)
class Interval:
    """The middle 95 % of what a model had in the draws; NaN where no draw has a value.

    Attributes:
        low: of its measure.
        high: likewise.
        low_difference: of the network's measure minus its own, in the same draws; 0 for the network.
        high_difference: likewise.
    """

    low: float
    high: float
    low_difference: float
    high_difference: float


def intervals(
    customer: Ints, measure: str, target: Floats, scores: Mapping[str, Floats], seed: int, resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Return how far each model's measure, and the network's distance from it, vary with the customers drawn.

    Args:
        customer: whose row each is, int64 [n].
        measure: one of ``MEASURES``.
        target: labels, float64 [n]: log1p of an amount, 0 or 1, or the code of a class.
        scores: by model, float64 [n, width]; the network's among them.
        seed: of the draws.
        resamples: how many draws.

    Returns:
        An interval for each model, in the order of ``scores``.
    """
    _, place = np.unique(customer, return_inverse=True)
    customers = int(place.max()) + 1
    counted = {model: MEASURES[measure](values, target) for model, values in scores.items()}
    rng = np.random.default_rng(seed)
    found = np.empty((len(counted), resamples))
    for number in range(resamples):
        times = np.bincount(rng.integers(0, customers, customers), minlength=customers).astype(np.float64)[place]
        found[:, number] = [each(times) for each in counted.values()]
    drawn = dict(zip(counted, found, strict=True))
    return {model: Interval(*_middle(values), *_middle(drawn[NETWORK] - values)) for model, values in drawn.items()}


def _middle(values: Floats) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, MIDDLE)
    return float(low), float(high)


def _sum(a: Floats, b: Floats) -> float:
    """Return the sum of products, the same for any number of threads, as that of BLAS is not."""
    return float((a * b).sum())


def _ranks(values: Floats) -> Callable[[Floats], Floats]:
    """Return what gives each row's mean rank among the repeated rows; equal values share the mean of theirs."""
    distinct, place = np.unique(values, return_inverse=True)

    def ranked(times: Floats) -> Floats:
        total = np.bincount(place, times, minlength=len(distinct))
        ranks: Floats = (np.cumsum(total) - (total - 1) / 2)[place]
        return ranks

    return ranked


def _roc_auc(scores: Floats, target: Floats) -> Counted:
    ranked, positive = _ranks(scores[:, 0]), (target > 0).astype(np.float64)

    def counted(times: Floats) -> float:
        positives = _sum(times, positive)
        negatives = float(times.sum()) - positives
        if not positives or not negatives:
            return float("nan")
        rank_sum = _sum(ranked(times), times * positive)
        return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)

    return counted


def _log_loss(scores: Floats, target: Floats) -> Counted:
    chances = scores if scores.shape[1] > 1 else np.column_stack([1 - scores, scores])
    losses = chance_loss(chances, target.astype(np.int64))

    def counted(times: Floats) -> float:
        return _sum(times, losses) / float(times.sum())

    return counted


def _spearman(scores: Floats, target: Floats) -> Counted:
    of_scores, of_target = _ranks(scores[:, 0]), _ranks(target)

    def counted(times: Floats) -> float:
        middle = (times.sum() + 1) / 2
        a, b = of_scores(times) - middle, of_target(times) - middle
        spread = _sum(times, a * a) * _sum(times, b * b)
        return _sum(times, a * b) / float(np.sqrt(spread)) if spread > 0.0 else float("nan")

    return counted


def _gini(scores: Floats, target: Floats) -> Counted:
    amount = np.expm1(target)
    of_scores, of_amount = _ranks(scores[:, 0]), _ranks(amount)

    def counted(times: Floats) -> float:
        middle = (times.sum() + 1) / 2
        best = _sum(of_amount(times) - middle, times * amount)
        return _sum(of_scores(times) - middle, times * amount) / best if best > 0.0 else float("nan")

    return counted


MEASURES: Final[dict[str, Callable[[Floats, Floats], Counted]]] = {
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "spearman": _spearman,
    "gini": _gini,
}
"""From scores [n, width] and labels [n] to the measure of any draw."""


Several = Callable[[Floats], Mapping[str, float]]
"""Measures by name when each of the n rows counts float64 [n] times; NaN where one has no value."""


def spread(customer: Ints, measures: Several, seed: int, resamples: int = RESAMPLES) -> dict[str, tuple[float, float]]:
    """Return the middle 95 % of each measure over draws of customers, NaN where no draw has a value.

    Args:
        customer: whose row each is, int64 [n].
        measures: of any draw.
        seed: of the draws.
        resamples: how many draws.
    """
    _, place = np.unique(customer, return_inverse=True)
    customers = int(place.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = [
        measures(np.bincount(rng.integers(0, customers, customers), minlength=customers).astype(np.float64)[place])
        for _ in range(resamples)
    ]
    return {name: _middle(np.array([each[name] for each in drawn])) for name in drawn[0]}


def decisions(said: Ints, code: Ints, classes: int) -> Several:
    """Return what counts accuracy, precision, recall and F1 of decisions; of two classes, those of the second.

    Of more classes they are unweighted means over the classes that occur or are decided for.
    """
    cell = code * classes + said

    def counted(times: Floats) -> dict[str, float]:
        matrix: Floats = np.bincount(cell, times, classes * classes).astype(np.float64).reshape(classes, classes)
        hit, true, decided = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        absent = np.where(true + decided > 0, 0.0, np.nan)
        values = {
            "precision": _share(hit, decided) + absent,
            "recall": _share(hit, true) + absent,
            "f1": _share(2 * hit, true + decided) + absent,
        }
        of_all = {name: float(found[1] if classes == _TWO else np.nanmean(found)) for name, found in values.items()}
        return {"accuracy": float(hit.sum() / matrix.sum()), **of_all}

    return counted


def calibration(confidence: Floats, hit: Flags) -> Several:
    """Return what counts the expected calibration error, in the bins of ``measures.calibration_error``."""
    place = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    apart = confidence - hit

    def counted(times: Floats) -> dict[str, float]:
        return {"ece": float(np.abs(np.bincount(place, times * apart, BINS)).sum() / times.sum())}

    return counted


_TWO: Final = 2


def _share(part: Floats, whole: Floats) -> Floats:
    shares: Floats = np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
    return shares
