"""Fits a network: mini-batches, a falling rate, averaged weights, early stopping. Importing it loads TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from schemas.progress import SILENT, Progress
from training.arrays import Floats, Ints, Singles
from training.history import History
from training.network import Network
from training.tasks import KINDS


@dataclass(frozen=True)
class FitOptions:
    """How long and how fast to learn.

    Attributes:
        epochs: at most so many passes over the training rows.
        patience: stop after so many epochs without a better validation loss.
        batch: rows of a mini-batch.
        rate: the learning rate at the start; it falls to a fiftieth along a cosine.
        decay: weight decay (AdamW).
        average: share of the averaged weights that a step keeps; the averaged ones are validated and kept.
        seed: of weights, order and dropout.
    """

    epochs: int = 20
    patience: int = 6
    batch: int = 256
    rate: float = 1e-3
    decay: float = 1.0
    average: float = 0.995
    seed: int = 1


@dataclass(frozen=True)
class Material:
    """What is learned from, and what it is checked with.

    Attributes:
        train: rows to learn from.
        validation: rows to check with.
        weights: of the tasks' mean losses, float64 [tasks].
        per_row: of a row that counts whole, float64 [tasks].
        priors: what the tasks' priors lose, float64 [tasks].
    """

    train: "Lesson"
    validation: "Lesson"
    weights: Floats
    per_row: Floats
    priors: Floats


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


def fit(network: Network, material: Material, options: FitOptions, progress: Progress = SILENT) -> History:
    """Train ``network`` in place and leave it with its best weights."""
    rows = len(material.train.inputs)
    batches = -(-rows // options.batch)
    training = _Training(network, material, options, batches)
    history, best, order = History(), None, np.random.default_rng(options.seed)
    for epoch in range(options.epochs):
        history.training.append(training.epoch(order.permutation(rows)))
        losses = training.validate()
        history.validation.append(losses / material.priors)
        history.total.append(float(np.nansum(material.weights * losses)))
        progress.step("training", epoch + 1, options.epochs, f"validation {history.total[-1]:.4f}")
        if best is None or history.total[-1] < history.total[history.best]:
            history.best, best = epoch, training.averaged()
        elif epoch - history.best >= options.patience:
            break
    for variable, value in zip(network.model.trainable_variables, best or [], strict=True):
        variable.assign(value)
    return history


class _Training:
    """The compiled steps over one set of rows."""

    def __init__(self, network: Network, material: Material, options: FitOptions, batches: int) -> None:
        self._network, self._options, self._batches = network, options, batches
        self._weights = tf.constant(material.per_row, tf.float32)
        self._train, self._validation = material.train.tensors(), material.validation.tensors()
        schedule = keras.optimizers.schedules.CosineDecay(options.rate, options.epochs * batches, alpha=0.02)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.decay, global_clipnorm=1.0)
        variables = network.model.trainable_variables
        self._optimizer.build(variables)
        self._averages = [tf.Variable(variable.value) for variable in variables]
        self._run: Callable[..., Any] = tf.function(self._epoch)
        self._check: Callable[..., Any] = tf.function(self._validate)

    def epoch(self, order: Ints) -> float:
        """Go through the rows once in that order; return the mean loss."""
        return float(self._run(tf.constant(order)))

    def validate(self) -> Floats:
        """Return the mean loss of each task over its validation labels, NaN where it has none."""
        return np.asarray(self._check(), np.float64)

    def averaged(self) -> list[Singles]:
        """Return a copy of the averaged weights."""
        return [average.numpy() for average in self._averages]

    def _epoch(self, order: Any) -> Any:  # noqa: ANN401  (tensors)
        inputs, target, mask = self._train
        total = tf.constant(0.0)
        for number in tf.range(self._batches):
            part = order[number * self._options.batch : (number + 1) * self._options.batch]
            total += self._step(tf.gather(inputs, part), tf.gather(target, part), tf.gather(mask, part))
        return total / tf.cast(self._batches, tf.float32)

    def _step(self, inputs: Any, target: Any, mask: Any) -> Any:  # noqa: ANN401
        variables = self._network.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._network.model(inputs, training=True)
            per_task = tf.reduce_mean(self._losses(logits, target) * mask, axis=0)
            loss = tf.reduce_sum(per_task * self._weights)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        # Early averages would remember the random start: the window grows with the steps done.
        done = tf.cast(self._optimizer.iterations.value, tf.float32)
        keep = tf.minimum(self._options.average, done / (done + 10.0))
        for average, variable in zip(self._averages, variables, strict=True):
            average.assign(keep * average + (1.0 - keep) * variable.value)
        return loss

    def _losses(self, logits: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the loss of each row and task, [n, tasks]."""
        losses = [
            KINDS[output.kind].loss(
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
