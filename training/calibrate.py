"""Calibration: a map of a task's logits, fitted on rows that the network was not trained on.

It is inside the ONNX file: a straight one is folded into the task's head, a bent one follows it. With too little
evidence it is the identity, and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from training.arrays import Floats, Ints

FEWEST: Final = 20
"""Rows of each class (in all, for classes and values) without which nothing is fitted."""
_STEPS: Final = 50
_PRIOR_SD: Final = 1.0
"""Gain and shift are drawn towards 1 and 0 with this standard deviation, which matters with few positives only."""
_GAINS: Final = (0.2, 5.0)
MOST_KNOTS: Final = 16
_NARROWEST: Final = 1e-3
STEEPEST: Final = 3.0
"""Of a bent calibration: a steeper one would magnify the rounding of a logit."""
_FOLDS: Final = 5
_SMALLEST: Final = 1e-12


@dataclass(frozen=True)
class Calibration:
    """Calibrated logits are gain · logits + bend · log(1 + exp(logits)) + shift, or what a table says.

    Attributes:
        method: how it was fitted.
        gain: of the logits.
        shift: added.
        rows: it was fitted to.
        reason: why it is the identity.
        bend: 0 for a straight map; beta calibration has one.
        knots: (logit, calibrated logit), both ascending: the table is straight between them, and level outside.
    """

    method: str
    gain: float = 1.0
    shift: float = 0.0
    rows: int = 0
    reason: str | None = None
    bend: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    @property
    def is_straight(self) -> bool:
        """Say if it is a gain and a shift, and no more."""
        return not self.bend and not self.knots

    def __call__(self, logits: Floats) -> Floats:
        """Return calibrated logits."""
        if self.knots:
            at, value = np.array(self.knots).T
            return np.asarray(np.interp(logits, at, value), np.float64)
        bent = self.bend * np.logaddexp(0.0, logits) if self.bend else 0.0
        return logits * self.gain + bent + self.shift

    def told(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        told: dict[str, Any] = {"method": self.method, "gain": self.gain, "shift": self.shift, "rows": self.rows}
        told |= {"bend": self.bend} if self.bend else {}
        told |= {"knots": [list(knot) for knot in self.knots]} if self.knots else {}
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


def beta(logits: Floats, label: Floats) -> Calibration:
    """Fit a log p - b log(1 - p) + c of binary logits by maximum likelihood (Kull, Silva Filho & Flach 2017).

    With a and b of 0 and more it rises; where the best fit would not, or is too steep, it is Platt's. In terms of a
    logit z, -log(1 - p) = log(1 + exp(z)) and log p = z - log(1 + exp(z)): the gain is a, the bend b - a.

    Args:
        logits: float64 [n, 1].
        label: 0 or 1, float64 [n].
    """
    straight = platt(logits, label)
    if straight.reason is not None:
        return straight
    soft = np.logaddexp(0.0, logits[:, 0])
    x = np.column_stack([logits[:, 0] - soft, soft, np.ones(len(label))])
    a, b, c = _newton(x, label, np.array([1.0, 1.0, 0.0]))
    if min(a, b) < 0.0 or max(a, b) > STEEPEST or a == b:
        return straight
    return Calibration("beta", float(a), float(c), len(label), bend=float(b - a))


def isotonic(logits: Floats, label: Floats) -> Calibration:
    """Fit a table that rises: pooled adjacent violators (Zadrozny & Elkan 2002), straight between the pools' middles.

    Each pool's share is drawn towards that of all rows by the weight of one row, so that none is 0 or 1; the smallest
    pools are joined until there are few.

    Args:
        logits: float64 [n, 1].
        label: 0 or 1, float64 [n].
    """
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415  (loads slowly)

    straight = platt(logits, label)
    if straight.reason is not None:
        return straight
    order = np.argsort(logits[:, 0], kind="stable")
    at, hit = logits[order, 0], label[order]
    risen = isotonic_regression(hit)
    pools = [(part.stop - part.start, float(at[part].mean()), float(hit[part].sum())) for part in _runs(risen)]
    share = float(label.mean())
    while len(pools) > MOST_KNOTS:
        pools = _joined(pools, int(np.argmin([min(one[0], other[0]) for one, other in pairwise(pools)])))
    while True:
        chance = np.maximum.accumulate([(hits + share) / (n + 1.0) for n, _, hits in pools])
        knots = list(zip((x for _, x, _ in pools), np.log(chance / (1.0 - chance)).tolist(), strict=True))
        slopes = [(high - low) / max(y - x, _NARROWEST) for (x, low), (y, high) in pairwise(knots)]
        if max(slopes, default=0.0) <= STEEPEST:
            break
        pools = _joined(pools, int(np.argmax(slopes)))
    if len(knots) < 2:  # noqa: PLR2004  (a table that is level tells nothing)
        return straight
    return Calibration("isotonic", rows=len(label), knots=tuple(knots))


def best(logits: Floats, label: Floats, group: Ints) -> Calibration:
    """Fit the binary calibration that loses least out of fold; Platt's unless another is better by a standard error.

    Args:
        logits: float64 [n, 1].
        label: 0 or 1, float64 [n].
        group: int64 [n], rows of one group are in one fold.
    """
    groups, place = np.unique(group, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(groups))[place] % _FOLDS
    losses = {name: np.zeros(len(label)) for name in BINARY}
    for number in range(_FOLDS):
        out = fold == number
        for name, fit in BINARY.items():
            z = fit(logits[~out], label[~out])(logits[out])[:, 0]
            losses[name][out] = np.logaddexp(0.0, z) - z * label[out]
    chosen = min(losses, key=lambda name: float(losses[name].mean()))
    gained = np.bincount(place, losses["platt"] - losses[chosen])
    if gained.sum() <= np.sqrt(len(gained)) * gained.std():
        chosen = "platt"
    return BINARY[chosen](logits, label)


BINARY: Final[dict[str, Callable[[Floats, Floats], Calibration]]] = {"platt": platt, "beta": beta, "isotonic": isotonic}
"""Calibrations of yes or no, by name."""


def _joined(pools: list[tuple[int, float, float]], place: int) -> list[tuple[int, float, float]]:
    """Return pools (rows, mean logit, positives) with the one at a place and the next as one."""
    (n, x, hits), (m, y, more) = pools[place : place + 2]
    return [*pools[:place], (n + m, (n * x + m * y) / (n + m), hits + more), *pools[place + 2 :]]


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


def _newton(x: Floats, label: Floats, start: Floats | None = None) -> Floats:
    """Return weights of a logistic regression that is drawn towards a start: by default gain 1 and shift 0."""
    start = np.array([1.0, 0.0]) if start is None else start
    weights, pull = start, 1.0 / _PRIOR_SD**2

    def loss(at: Floats) -> float:
        z = x @ at
        return float((np.logaddexp(0.0, z) - z * label).sum() + pull * np.square(at - start).sum() / 2)

    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -50.0, 50.0)))
        gradient = x.T @ (p - label) + pull * (weights - start)
        curvature = (x * (p * (1.0 - p))[:, None]).T @ x + pull * np.eye(len(start))
        step, before = np.linalg.solve(curvature, gradient), loss(weights)
        while loss(weights - step) > before and np.abs(step).max() > _SMALLEST:
            step /= 2  # far from the best a whole step may lead away from it
        weights = weights - step
    return weights


def _runs(values: Floats) -> list[slice]:
    """Return where equal neighbours stand."""
    ends = [*(np.flatnonzero(np.diff(values) != 0) + 1).tolist(), len(values)]
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _class_loss(logits: Floats, code: Ints) -> float:
    top = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float((total - logits[np.arange(len(code)), code]).mean())
