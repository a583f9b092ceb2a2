"""The simple models that the network is held against: logistic regression and ridge, on the network's own inputs."""

import warnings
from typing import Final

import numpy as np

from training.arrays import Floats, Ints, Singles

MOST_ROWS: Final = 12_000
"""Rows that a baseline is fitted on, a seeded sample of them where there are more: enough for a linear model."""
_ITERATIONS, _TOLERANCE = 60, 1e-3
_STRENGTH: Final = 0.05
"""Inverse regularisation of the logistic regression; the ridge's penalty is a tenth of the rows."""


def logistic(inputs: Singles, label: Floats, rows: Singles, classes: int) -> Floats:
    """Fit a logistic regression and return its probabilities for ``rows``.

    Args:
        inputs: scaled inputs of the training rows, [n, d].
        label: class index, float64 [n]; at least two different ones.
        rows: scaled inputs to predict, [m, d].
        classes: how many classes there are; those without a training row get probability 0.

    Returns:
        float64 [m, classes].
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  (loads slowly)

    chosen = _sample(len(inputs))
    code = label[chosen].astype(np.int64)
    model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped after these iterations
        model.fit(inputs[chosen], code)
    probabilities = np.zeros((len(rows), classes))
    probabilities[:, model.classes_] = model.predict_proba(rows)
    return probabilities


def ridge(inputs: Singles, label: Floats, rows: Singles) -> Floats:
    """Fit a ridge regression and return its predictions for ``rows``, float64 [m]; arguments as in ``logistic``."""
    from sklearn.linear_model import Ridge  # noqa: PLC0415  (loads slowly)

    chosen = _sample(len(inputs))
    model = Ridge(alpha=len(chosen) / 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that inputs say nearly the same: the penalty is there for that
        model.fit(inputs[chosen], label[chosen])
    return np.asarray(model.predict(rows), np.float64)


def tweedie(inputs: Singles, money: Floats, rows: Singles) -> Floats:
    """Fit a linear model of the log of a mean and return the means of ``rows``, float64 [m]; ``money`` is float64 [n].

    The deviance is Tweedie's of power 1.5.
    """
    from sklearn.linear_model import TweedieRegressor  # noqa: PLC0415  (loads slowly)

    chosen = _sample(len(inputs))
    scale = float(money[chosen].mean()) or 1.0
    model = TweedieRegressor(power=1.5, alpha=0.1, link="log", max_iter=_ITERATIONS * 5, tol=_TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped after these iterations
        model.fit(inputs[chosen], money[chosen] / scale)
        found = np.asarray(model.predict(rows), np.float64)
    return np.minimum(np.nan_to_num(found, posinf=1e12), 1e12 / scale) * scale


def sampled(rows: Ints) -> Ints:
    """Return the rows that a baseline is fitted on."""
    return rows[_sample(len(rows))]


def _sample(rows: int) -> Ints:
    if rows <= MOST_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, MOST_ROWS, replace=False))
