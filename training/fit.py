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
from training.matrix import parts
from training.network import Network
from training.recipe import Recipe
from training.tasks import KINDS
from training.weights import Weighting

BATCH: Final = 256
"""Rows of a mini-batch."""
BATCHES: Final = 64
"""Mini-batches whose rows are gathered at once."""
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
    """n rows of a matrix that may be larger than memory.

    Attributes:
        inputs: the matrix, float32 [all, d].
        rows: int64 [n], which of its rows these are.
        targets: float32 [n, score width].
        counts: what each row counts for each task, float32 [n, tasks].
    """

    inputs: Singles
    rows: Ints
    targets: Singles
    counts: Singles

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Ints | slice) -> tuple[Any, Any, Any]:
        """Return inputs, targets and counts at some of the n places, as tensors."""
        arrays = self.inputs[self.rows[places]], self.targets[places], self.counts[places]
        return tf.constant(arrays[0]), tf.constant(arrays[1]), tf.constant(arrays[2])


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
    rows = len(material.train)
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
        self._train, self._validation = material.train, material.validation
        schedule = keras.optimizers.schedules.CosineDecay(recipe.rate, recipe.epochs * batches, alpha=0.02)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=recipe.decay, global_clipnorm=1.0)
        variables = network.model.trainable_variables
        self._weighting = material.weighting
        if self._weighting.variables:
            self._optimizer.exclude_from_weight_decay(self._weighting.variables)
        self._optimizer.build([*variables, *self._weighting.variables])
        self._averages = [tf.Variable(variable.value) for variable in variables]
        self._signature = [tf.TensorSpec([None, part.shape[1]], tf.float32) for part in self._train.take(slice(1))]
        self._run: Callable[..., Any] = tf.function(self._learn, input_signature=self._signature)
        self._check: Callable[..., Any] = tf.function(self._lost, input_signature=self._signature)

    def epoch(self, order: Ints) -> float:
        """Go through the rows once in that order; return the mean of the weighted losses' sum."""
        parts_of_all = [order[part] for part in parts(len(order), BATCHES * BATCH)]
        total = sum(np.asarray(self._run(*self._train.take(some)), np.float64) for some in parts_of_all)
        losses: Floats = np.asarray(total) / self._batches
        self._weighting.after_epoch(losses)
        return float(losses.sum())

    def validate(self) -> Floats:
        """Return the mean loss of each task over its validation labels, NaN where it has none."""
        found = [self._check(*self._validation.take(part)) for part in parts(len(self._validation), BATCHES * BATCH)]
        lost, counted = (np.sum([np.asarray(each[place], np.float64) for each in found], axis=0) for place in (0, 1))
        with np.errstate(invalid="ignore"):
            return np.asarray(lost / counted)

    def averaged(self) -> list[Singles]:
        """Return a copy of the averaged weights."""
        return [average.numpy() for average in self._averages]

    def _learn(self, inputs: Any, target: Any, mask: Any) -> Any:  # noqa: ANN401  (tensors)
        """Learn from rows, batch by batch; return the sum of the batches' weighted losses, [tasks]."""
        total = tf.zeros_like(self._weights)
        for start in tf.range(0, tf.shape(inputs)[0], BATCH):
            part = slice(start, start + BATCH)
            total += self._step(inputs[part], target[part], mask[part])
        return total

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

    def _lost(self, inputs: Any, target: Any, mask: Any) -> Any:  # noqa: ANN401
        """Return what the averaged weights lose at rows, and what these count for, both [tasks]."""
        logits, _ = self._network.model.stateless_call(
            self._averages, self._network.model.non_trainable_variables, inputs, training=False
        )
        return tf.reduce_sum(self._losses(logits, target) * mask, axis=0), tf.reduce_sum(mask, axis=0)
