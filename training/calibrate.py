"""Calibration: an affine map of a task's logits, fitted on rows that the network was not trained on.

The map is folded into the task's head, so that it is inside the ONNX file. With too little evidence it is the identity,
and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from training.arrays import Floats, Ints

FEWEST: Final = 20
"""Rows of each class (in all, for classes and values) without which nothing is fitted."""
_STEPS: Final = 50
_PRIOR_SD: Final = 1.0
"""Gain and shift are drawn towards 1 and 0 with this standard deviation, which matters with few positives only."""
_GAINS: Final = (0.2, 5.0)


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are gain · logits + shift."""

    method: str
    gain: float = 1.0
    shift: float = 0.0
    rows: int = 0
    reason: str | None = None

    def __call__(self, logits: Floats) -> Floats:
        """Return calibrated logits."""
        return logits * self.gain + self.shift

    def told(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        told = {"method": self.method, "gain": self.gain, "shift": self.shift, "rows": self.rows}
        return told if self.reason is None else {**told, "reason": self.reason}


def platt(logits: Floats, label: Floats) -> Calibration:
    """Fit gain and shift of binary logits by maximum likelihood (Platt 1999).

    Args:
        logits: float64 [n, 1].
        label: 0 or 1, float64 [n].
    """
    positives = int(label.sum())
    rarest = min(positives, len(label) - positives)
    if rarest < FEWEST:
        return _identity(len(label), f"only {rarest} rows of the rarer class, {FEWEST} are needed")
    x = np.column_stack([logits[:, 0], np.ones(len(label))])
    weights = _newton(x, label)
    if not _GAINS[0] <= weights[0] <= _GAINS[1]:
        return _identity(len(label), f"the fitted gain {weights[0]:.3g} is out of bounds")
    return Calibration("platt", float(weights[0]), float(weights[1]), len(label))


def temperature(logits: Floats, label: Floats) -> Calibration:
    """Fit one gain of class logits, the inverse temperature, by maximum likelihood (Guo et al. 2017).

    Args:
        logits: float64 [n, classes].
        label: class index, float64 [n].
    """
    if len(label) < FEWEST:
        return _identity(len(label), f"only {len(label)} rows, {FEWEST} are needed")
    code = label.astype(np.int64)
    gain = _least(lambda log_gain: _class_loss(logits * np.exp(log_gain), code))
    return Calibration("temperature", gain, 0.0, len(label))


def affine(logits: Floats, label: Floats) -> Calibration:
    """Fit gain and shift of values on the log scale by least squares.

    Args:
        logits: float64 [n, 1], log of 1 + money.
        label: the same of the truth, float64 [n].
    """
    if len(label) < FEWEST:
        return _identity(len(label), f"only {len(label)} rows, {FEWEST} are needed")
    x = logits[:, 0] - logits.mean()
    variance = float((x * x).mean())
    gain = float((x * label).mean()) / variance if variance > 0 else 0.0
    if not _GAINS[0] <= gain <= _GAINS[1]:
        return _identity(len(label), f"the fitted gain {gain:.3g} is out of bounds")
    return Calibration("affine", gain, float(label.mean() - gain * logits.mean()), len(label))


def log_mean(logits: Floats, money: Floats) -> Calibration:
    """Fit gain and shift of the log of a mean by Tweedie's deviance of power 1.5: they sum to what came.

    Args:
        logits: float64 [n, 1], log of the mean.
        money: what came, float64 [n].
    """
    if len(money) < FEWEST or not money.any():
        return _identity(len(money), f"only {int((money > 0).sum())} rows of {len(money)} have an amount")
    half = (logits[:, 0] - logits.mean()) / 2.0

    def fitted(gain: float) -> tuple[float, float]:
        """Return the best shift for a gain, and the deviance with both."""
        paid, said = float((money * np.exp(-gain * half)).mean()), float(np.exp(gain * half).mean())
        return float(np.log(paid / said)), 4.0 * np.sqrt(paid * said)

    gain = _least(lambda log_gain: fitted(np.exp(log_gain))[1])
    return Calibration("log_mean", gain, fitted(gain)[0] - gain * float(logits.mean()), len(money))


def _least(loss: Callable[[float], float]) -> float:
    """Return the gain whose log loses least, by golden section."""
    low, high = np.log(_GAINS)
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    for _ in range(_STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def _identity(rows: int, reason: str) -> Calibration:
    return Calibration("identity", rows=rows, reason=reason)


def _newton(x: Floats, label: Floats) -> Floats:
    """Return gain and shift of a logistic regression that is drawn towards (1, 0)."""
    start = np.array([1.0, 0.0])
    weights, pull = start, 1.0 / _PRIOR_SD**2
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -50.0, 50.0)))
        gradient = x.T @ (p - label) + pull * (weights - start)
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + pull * np.eye(2)
        weights = weights - np.linalg.solve(curvature, gradient)
    return weights


def _class_loss(logits: Floats, code: Ints) -> float:
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float((total - logits[np.arange(len(code)), code]).mean())
