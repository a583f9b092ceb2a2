"""The kinds of tasks behind one port: to add a kind, write its class and put it into ``KINDS``.

Losses and activations are written in ``keras.ops``, which loads TensorFlow when first called.
"""

from typing import Any, Final, Protocol

import numpy as np

from training import calibrate
from training.arrays import Floats, Singles
from training.baseline import logistic, ridge, tweedie
from training.calibrate import Calibration
from training.measures import (
    best_f1_threshold,
    calibration_error,
    entropy,
    f1_scores,
    gini,
    log_loss,
    pr_auc,
    roc_auc,
    spearman,
)

LARGEST_LOG: Final = 27.6
"""exp(27.6) - 1 is just below 1e12, the largest amount that is accepted."""
_HALF: Final = 0.5
_RAREST: Final = 1e-4
_LEAST_MONEY: Final = 1e-6
Measures = dict[str, float]


class Kind(Protocol):
    """What one kind of task does with its n rows: ``target`` is float64 [n], logits and scores are [n, width].

    Attributes:
        headline: the measure that stands for the task.
        sign: 1 where more of it is better, -1 where less is.
    """

    headline: str
    sign: int

    def prior(self, target: Floats, width: int) -> Floats:
        """Return the logits, float64 [width], of the best answer that knows no inputs."""

    def prior_loss(self, target: Floats, width: int) -> float:
        """Return what that answer loses."""

    def answer(self, scores: Floats) -> Floats:
        """Return scores as the loss takes its targets: chances, or log(1 + x) of an amount."""

    def hard(self, target: Floats, width: int) -> Floats:
        """Return labels as the loss takes its targets, [n, width]."""

    def loss(self, logits: Any, target: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the loss of each row, a tensor [n]; targets [n, width] are hard or soft."""

    def answer_loss(self, answers: Floats, target: Floats) -> float:
        """Return the mean loss of answers against labels, in the loss's own terms."""

    def trees(self, width: int) -> dict[str, Any]:
        """Return the objective of gradient-boosted trees."""

    def tree_label(self, target: Floats) -> Floats:
        """Return labels as trees learn them, float64 [n]."""

    def tree_unit(self, target: Floats) -> float:
        """Return what these are divided by, so that amounts are of the order of 1."""

    def activate(self, logits: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the scores, a tensor [n, width]."""

    def calibrate(self, logits: Floats, target: Floats) -> Calibration:
        """Fit a calibration on rows that the network was not trained on."""

    def threshold(self, scores: Floats, target: Floats) -> float | None:
        """Return the best bound of a decision, if the kind decides by one."""

    def measure(self, scores: Floats, target: Floats, threshold: float | None) -> Measures:
        """Measure scores against labels."""

    def baseline(self, inputs: Singles, target: Floats, rows: Singles, width: int) -> Floats:
        """Fit the simple model and return its scores of ``rows``."""


class _Plain:
    """Labels that trees learn as they are."""

    def tree_label(self, target: Floats) -> Floats:
        """Return them."""
        return target

    def tree_unit(self, target: Floats) -> float:
        """Return 1."""
        del target
        return 1.0


class Binary(_Plain):
    """Yes or no: sigmoid, cross-entropy."""

    headline, sign = "roc_auc", 1

    def prior(self, target: Floats, width: int) -> Floats:
        """Return the log-odds of the positive share."""
        share = np.clip(target.mean(), _RAREST, 1 - _RAREST)
        return np.full(width, np.log(share / (1 - share)))

    def prior_loss(self, target: Floats, width: int) -> float:
        """Return the entropy of the labels."""
        del width
        return entropy(np.array([1 - target.mean(), target.mean()]))

    def answer(self, scores: Floats) -> Floats:
        """Return the chances."""
        return scores

    def hard(self, target: Floats, width: int) -> Floats:
        """Return 0 or 1."""
        del width
        return target[:, None]

    def loss(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the cross-entropy."""
        from keras import ops  # noqa: PLC0415

        return ops.softplus(logits[:, 0]) - logits[:, 0] * target[:, 0]

    def answer_loss(self, answers: Floats, target: Floats) -> float:
        """Return the log loss."""
        return log_loss(np.column_stack([1 - answers[:, 0], answers[:, 0]]), target.astype(np.int64))

    def trees(self, width: int) -> dict[str, Any]:
        """Return log loss."""
        del width
        return {"objective": "binary"}

    def activate(self, logits: Any) -> Any:  # noqa: ANN401
        """Return the probability of yes."""
        from keras import ops  # noqa: PLC0415

        return ops.sigmoid(logits)

    def calibrate(self, logits: Floats, target: Floats) -> Calibration:
        """Fit Platt's gain and shift."""
        return calibrate.platt(logits, target)

    def threshold(self, scores: Floats, target: Floats) -> float | None:
        """Return the probability with the largest F1."""
        return best_f1_threshold(scores[:, 0], target > _HALF)

    def measure(self, scores: Floats, target: Floats, threshold: float | None) -> Measures:
        """Measure ranking, probabilities, and decisions at 0.5 and at a threshold (suffix ``_best``)."""
        chance, positive = scores[:, 0], target > _HALF
        both = np.column_stack([1 - chance, chance])
        measures = {
            "roc_auc": roc_auc(chance, positive),
            "pr_auc": pr_auc(chance, positive),
            "log_loss": log_loss(both, positive.astype(np.int64)),
            "ece": calibration_error(chance, positive),
        }
        bounds = {"": _HALF} if threshold is None else {"": _HALF, "_best": threshold}
        for suffix, bound in bounds.items():
            decided = (chance >= bound).astype(np.int64)
            precision, recall, f1 = f1_scores(decided, positive.astype(np.int64), 2)
            values = {"accuracy": float((decided == positive).mean())}
            values |= {"precision": precision[1], "recall": recall[1], "f1": f1[1]}
            measures |= {name + suffix: float(value) for name, value in values.items()}
        return measures

    def baseline(self, inputs: Singles, target: Floats, rows: Singles, width: int) -> Floats:
        """Fit a logistic regression."""
        del width
        return logistic(inputs, target, rows, 2)[:, 1:]


class Multiclass(_Plain):
    """One of several classes: softmax, cross-entropy."""

    headline, sign = "log_loss", -1

    def prior(self, target: Floats, width: int) -> Floats:
        """Return the logs of the classes' shares."""
        return np.log(np.maximum(_shares(target, width), _RAREST))

    def prior_loss(self, target: Floats, width: int) -> float:
        """Return the entropy of the labels."""
        return entropy(_shares(target, width))

    def answer(self, scores: Floats) -> Floats:
        """Return the chances."""
        return scores

    def hard(self, target: Floats, width: int) -> Floats:
        """Return 1 for the class and 0 for the others."""
        return np.eye(width)[target.astype(np.int64)]

    def loss(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the cross-entropy."""
        from keras import ops  # noqa: PLC0415

        return -ops.sum(target * ops.log_softmax(logits, axis=-1), axis=-1)

    def answer_loss(self, answers: Floats, target: Floats) -> float:
        """Return the log loss."""
        return log_loss(answers, target.astype(np.int64))

    def trees(self, width: int) -> dict[str, Any]:
        """Return log loss over the classes."""
        return {"objective": "multiclass", "num_class": width}

    def activate(self, logits: Any) -> Any:  # noqa: ANN401
        """Return the probability of each class."""
        from keras import ops  # noqa: PLC0415

        return ops.softmax(logits, axis=-1)

    def calibrate(self, logits: Floats, target: Floats) -> Calibration:
        """Fit a temperature."""
        return calibrate.temperature(logits, target)

    def threshold(self, scores: Floats, target: Floats) -> float | None:
        """Return None: the most probable class is chosen."""
        del scores, target
        return None

    def measure(self, scores: Floats, target: Floats, threshold: float | None) -> Measures:
        """Measure probabilities and the choice of the most probable class; means over classes are unweighted."""
        del threshold
        code, chosen = target.astype(np.int64), scores.argmax(axis=1)
        precision, recall, f1 = f1_scores(chosen, code, scores.shape[1])
        return {
            "log_loss": log_loss(scores, code),
            "accuracy": float((chosen == code).mean()),
            "precision": float(np.nanmean(precision)),
            "recall": float(np.nanmean(recall)),
            "f1": float(np.nanmean(f1)),
            "ece": calibration_error(scores.max(axis=1), chosen == code),
        }

    def baseline(self, inputs: Singles, target: Floats, rows: Singles, width: int) -> Floats:
        """Fit a multinomial logistic regression."""
        return logistic(inputs, target, rows, width)


class Value(_Plain):
    """A typical amount of money: learned as log(1 + x) with squared loss, given as x."""

    headline, sign = "spearman", 1

    def prior(self, target: Floats, width: int) -> Floats:
        """Return the mean."""
        return np.full(width, target.mean())

    def prior_loss(self, target: Floats, width: int) -> float:
        """Return the variance."""
        del width
        return float(target.var())

    def answer(self, scores: Floats) -> Floats:
        """Return log(1 + x)."""
        return np.log1p(scores)

    def hard(self, target: Floats, width: int) -> Floats:
        """Return log(1 + x), as labels are."""
        del width
        return target[:, None]

    def loss(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the squared error."""
        from keras import ops  # noqa: PLC0415

        return ops.square(logits[:, 0] - target[:, 0])

    def answer_loss(self, answers: Floats, target: Floats) -> float:
        """Return the mean squared error."""
        return float(np.square(answers[:, 0] - target).mean())

    def trees(self, width: int) -> dict[str, Any]:
        """Return squared error."""
        del width
        return {"objective": "regression"}

    def activate(self, logits: Any) -> Any:  # noqa: ANN401
        """Return money."""
        from keras import ops  # noqa: PLC0415

        return ops.exp(ops.clip(logits, 0.0, LARGEST_LOG)) - 1.0

    def calibrate(self, logits: Floats, target: Floats) -> Calibration:
        """Fit gain and shift on the log scale."""
        return calibrate.affine(logits, target)

    def threshold(self, scores: Floats, target: Floats) -> float | None:
        """Return None: nothing is decided."""
        del scores, target
        return None

    def measure(self, scores: Floats, target: Floats, threshold: float | None) -> Measures:
        """Measure ranking, and errors in money and on the log scale."""
        del threshold
        money, log_money = scores[:, 0], np.log1p(scores[:, 0])
        return {
            "spearman": spearman(money, target),
            "mae": float(np.abs(money - np.expm1(target)).mean()),
            "mae_log": float(np.abs(log_money - target).mean()),
            "mse_log": float(np.square(log_money - target).mean()),
        }

    def baseline(self, inputs: Singles, target: Floats, rows: Singles, width: int) -> Floats:
        """Fit a ridge regression on the log scale."""
        del width
        return np.expm1(np.clip(ridge(inputs, target, rows), 0.0, LARGEST_LOG))[:, None]


class Expected(Value):
    """An expected amount of money, which sums of amounts are made of: its log is learned with Tweedie's deviance.

    Of power 1.5, between Poisson's and gamma's: amounts that are often 0 and else have a long tail (Jørgensen 1987).
    """

    headline = "gini"

    def measure(self, scores: Floats, target: Floats, threshold: float | None) -> Measures:
        """Measure as for a typical amount, and how well amounts are told from each other (normalised Gini)."""
        return super().measure(scores, target, threshold) | {"gini": gini(scores[:, 0], np.expm1(target))}

    def prior(self, target: Floats, width: int) -> Floats:
        """Return the log of the mean."""
        return np.full(width, np.log(max(np.expm1(target).mean(), _LEAST_MONEY)))

    def prior_loss(self, target: Floats, width: int) -> float:
        """Return the deviance of the mean."""
        money = np.expm1(target)
        return self.answer_loss(np.full((len(target), width), max(money.mean(), _LEAST_MONEY)), target)

    def answer(self, scores: Floats) -> Floats:
        """Return money."""
        return scores

    def hard(self, target: Floats, width: int) -> Floats:
        """Return money."""
        del width
        return np.expm1(target)[:, None]

    def loss(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the deviance, but for what no answer changes; amounts of 0 and more."""
        from keras import ops  # noqa: PLC0415

        half = ops.clip(logits[:, 0], -LARGEST_LOG, LARGEST_LOG) / 2
        return 2 * (target[:, 0] * ops.exp(-half) + ops.exp(half))

    def answer_loss(self, answers: Floats, target: Floats) -> float:
        """Return the mean deviance, but for what no answer changes."""
        root = np.sqrt(np.maximum(answers[:, 0], _LEAST_MONEY))
        return float((2 * (np.expm1(target) / root + root)).mean())

    def trees(self, width: int) -> dict[str, Any]:
        """Return Tweedie's deviance."""
        del width
        return {"objective": "tweedie", "tweedie_variance_power": 1.5}

    def tree_label(self, target: Floats) -> Floats:
        """Return money."""
        return np.expm1(target)

    def tree_unit(self, target: Floats) -> float:
        """Return the mean of the money."""
        return max(float(np.expm1(target).mean()), _LEAST_MONEY)

    def activate(self, logits: Any) -> Any:  # noqa: ANN401
        """Return money."""
        from keras import ops  # noqa: PLC0415

        return ops.exp(ops.clip(logits, -LARGEST_LOG, LARGEST_LOG))

    def calibrate(self, logits: Floats, target: Floats) -> Calibration:
        """Fit gain and shift of the log of the mean."""
        return calibrate.log_mean(logits, np.expm1(target))

    def baseline(self, inputs: Singles, target: Floats, rows: Singles, width: int) -> Floats:
        """Fit a generalised linear model with the same deviance."""
        del width
        return tweedie(inputs, np.expm1(target), rows)[:, None]


KINDS: Final[dict[str, Kind]] = {
    "binary": Binary(),
    "multiclass": Multiclass(),
    "value": Value(),
    "expected": Expected(),
}
"""By what ``Output.learned_as`` says."""


def _shares(target: Floats, width: int) -> Floats:
    return np.bincount(target.astype(np.int64), minlength=width) / len(target)
