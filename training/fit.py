"""Fits a network: mini-batches, a falling rate, averaged weights, early stopping. Importing it loads TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from schemas.progress import SILENT, Progress
from training.arrays import Floats, Ints, Singles
from training.history import History
from training.network import Network
from training.recipe import Recipe
from training.tasks import KINDS
from training.weights import Weighting

BATCH: Final = 256
"""Rows of a mini-batch."""
AVERAGE: Final = 0.995
"""The share of the averaged weights that a step keeps; the averaged ones are validated and kept."""


@dataclass(frozen=True)
class Material:
    """What is learned from, and what it is checked with.

    Attributes:
        train: rows to learn from.
        validation: rows to check with.
        weights: of the tasks' mean losses before training, float64 [tasks]; they decide which epoch was best.
        per_row: of a row that counts whole, float64 [tasks].
        priors: what the tasks' priors lose, float64 [tasks].
        weighting: may weigh the tasks otherwise while they are learned.
    """

    train: "Lesson"
    validation: "Lesson"
    weights: Floats
    per_row: Floats
    priors: Floats
    weighting: Weighting


@dataclass(frozen=True)
class Lesson:
    """n rows, all float32: scaled inputs [n, d], targets [n, score width], what each counts for a task [n, tasks]."""

    inputs: Singles
    targets: Singles
    counts: Singles

    def tensors(self) -> tuple[Any, Any, Any]:
        """Return all three as tensors."""
        return tf.constant(self.inputs), tf.constant(self.targets), tf.constant(self.counts)


def seed_everything(seed: int) -> None:
    """Make what follows repeatable: seeds, and operations that always add up in one order."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")  # several trainings in one process are meant


def fit(network: Network, material: Material, recipe: Recipe, seed: int, progress: Progress = SILENT) -> History:
    """Train ``network`` in place and leave it with its best weights.

    Args:
        network: a new one.
        material: what it learns.
        recipe: how long and how fast; the rate falls to a fiftieth along a cosine.
        seed: of the order of rows.
        progress: told of each pass.
    """
    rows = len(material.train.inputs)
    training = _Training(network, material, recipe, -(-rows // BATCH))
    history, best, order = History(), None, np.random.default_rng(seed)
    for epoch in range(recipe.epochs):
        history.training.append(training.epoch(order.permutation(rows)))
        losses = training.validate()
        history.validation.append(losses / material.priors)
        history.total.append(float(np.nansum(material.weights * losses)))
        progress.step("training", epoch + 1, recipe.epochs, f"validation {history.total[-1]:.4f}")
        if best is None or history.total[-1] < history.total[history.best]:
            history.best, best = epoch, training.averaged()
        elif epoch - history.best >= recipe.patience:
            break
    for variable, value in zip(network.model.trainable_variables, best or [], strict=True):
        variable.assign(value)
    return history


class _Training:
    """The compiled steps over one set of rows."""

    def __init__(self, network: Network, material: Material, recipe: Recipe, batches: int) -> None:
        self._network, self._batches = network, batches
        self._weights = tf.constant(material.per_row, tf.float32)
        self._train, self._validation = material.train.tensors(), material.validation.tensors()
        schedule = keras.optimizers.schedules.CosineDecay(recipe.rate, recipe.epochs * batches, alpha=0.02)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.decay, global_clipnorm=1.0)
        variables = network.model.trainable_variables
        self._weighting = material.weighting
        if self._weighting.variables:
            self._optimizer.exclude_from_weight_decay(self._weighting.variables)
        self._optimizer.build([*variables, *self._weighting.variables])
        self._averages = [tf.Variable(variable.value) for variable in variables]
        self._run: Callable[..., Any] = tf.function(self._epoch)
        self._check: Callable[..., Any] = tf.function(self._validate)

    def epoch(self, order: Ints) -> float:
        """Go through the rows once in that order; return the mean of the weighted losses' sum."""
        losses = np.asarray(self._run(tf.constant(order)), np.float64)
        self._weighting.after_epoch(losses)
        return float(losses.sum())

    def validate(self) -> Floats:
        """Return the mean loss of each task over its validation labels, NaN where it has none."""
        return np.asarray(self._check(), np.float64)

    def averaged(self) -> list[Singles]:
        """Return a copy of the averaged weights."""
        return [average.numpy() for average in self._averages]

    def _epoch(self, order: Any) -> Any:  # noqa: ANN401  (tensors)
        inputs, target, mask = self._train
        total = tf.zeros_like(self._weights)
        for number in tf.range(self._batches):
            part = order[number * BATCH : (number + 1) * BATCH]
            total += self._step(tf.gather(inputs, part), tf.gather(target, part), tf.gather(mask, part))
        return total / tf.cast(self._batches, tf.float32)

    def _step(self, inputs: Any, target: Any, mask: Any) -> Any:  # noqa: ANN401
        """Learn from a batch; return the tasks' weighted losses."""
        variables = self._network.model.trainable_variables
        learned = [*variables, *self._weighting.variables]
        with tf.GradientTape() as tape:
            logits = self._network.model(inputs, training=True)
            losses = tf.reduce_mean(self._losses(logits, target) * mask, axis=0) * self._weights
            loss = self._weighting.total(losses)
        gradients = tape.gradient(loss, [variable.value for variable in learned])
        self._optimizer.apply(gradients, learned)
        # Early averages would remember the random start: the window grows with the steps done.
        done = tf.cast(self._optimizer.iterations.value, tf.float32)
        keep = tf.minimum(AVERAGE, done / (done + 10.0))
        for average, variable in zip(self._averages, variables, strict=True):
            average.assign(keep * average + (1.0 - keep) * variable.value)
        return losses

    def _losses(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the loss of each row and task, [n, tasks]."""
        losses = [
            KINDS[output.learned_as].loss(
                logits[:, output.start : output.start + output.width],
                target[:, output.start : output.start + output.width],
            )
            for output in self._network.outputs
        ]
        return tf.stack(losses, axis=1)

    def _validate(self) -> Any:  # noqa: ANN401
        inputs, target, mask = self._validation
        logits, _ = self._network.model.stateless_call(
            self._averages, self._network.model.non_trainable_variables, inputs, training=False
        )
        return tf.reduce_sum(self._losses(logits, target) * mask, axis=0) / tf.reduce_sum(mask, axis=0)
