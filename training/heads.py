"""Lets each head go on alone on all that lies before it, and keeps its own best: no task has to stop for another.

Importing this module loads TensorFlow.
"""

from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from schemas.progress import SILENT, Progress
from training.arrays import Floats, Ints
from training.fit import Lesson, Material
from training.matrix import parts
from training.network import Network
from training.tasks import KINDS

MOST_ROWS: Final = 200_000
"""Training rows that the heads go on with, a seeded sample of them where there are more."""
ROUNDS: Final = 12
"""How often the heads are validated."""
_STEPS: Final = 100
"""Of a round."""
_BATCH: Final = 1024
_RATE: Final = 5e-4
_DECAY: Final = 1e-2
_BETTER: Final = 1e-5
"""By how much a head's validation loss must fall for the head to be replaced."""

Taken = tuple[Any, Any, Any]
"""Tensors: what the heads take, targets and counts."""


def go_on(network: Network, material: Material, seed: int, progress: Progress = SILENT) -> dict[str, int]:
    """Train the heads on what the network gives them, which stays; leave each with its best weights.

    Args:
        network: with the weights that served all tasks best; its heads are changed in place.
        material: what was learned.
        seed: of the order of rows.
        progress: told of each round.

    Returns:
        The round that each head is from, 0 where none was better than what it had.
    """
    heads = [network.model.get_layer(f"head_{output.task}") for output in network.outputs]
    # Heads that look at the same keep it once.
    taken = {id(layer.input): layer.input for layer in heads}
    bottom = keras.Model(network.model.inputs[0], list(taken.values()))
    looks_at = [list(taken).index(id(layer.input)) for layer in heads]
    rng = np.random.default_rng(seed)
    some = _some(len(material.train), rng)
    learned = _behind(bottom, material.train, some)
    checked = _behind(bottom, material.validation, np.arange(len(material.validation)))
    training = _Heads(network, list(zip(heads, looks_at, strict=True)), learned, checked, material.per_row)
    best, kept = training.validate(), [layer.get_weights() for layer in heads]
    rounds = dict.fromkeys((output.task for output in network.outputs), 0)
    for number in range(1, ROUNDS + 1):
        training.run(rng.integers(0, len(some), _STEPS * _BATCH))
        found = training.validate()
        for index, output in enumerate(network.outputs):
            if found[index] < best[index] - _BETTER:
                best[index], rounds[output.task] = found[index], number
                kept[index] = heads[index].get_weights()
        progress.step("heads", number, ROUNDS)
    for layer, weights in zip(heads, kept, strict=True):
        layer.set_weights(weights)
    return rounds


def _some(rows: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.choice(rows, MOST_ROWS, replace=False)) if rows > MOST_ROWS else np.arange(rows)


def _behind(bottom: Any, lesson: Lesson, places: Ints) -> Taken:  # noqa: ANN401  (Keras is untyped)
    """Return what the heads take, float32 [n, distinct, width], at some places of a lesson."""
    found = [
        np.stack(keras.tree.flatten(bottom(lesson.inputs[lesson.rows[places[part]]], training=False)), axis=1)
        for part in parts(len(places))
    ]
    return tf.constant(np.concatenate(found)), tf.constant(lesson.targets[places]), tf.constant(lesson.counts[places])


@dataclass
class _Heads:
    """The compiled steps of all heads at once; none sees another's loss.

    ``layers`` are the heads, each with the place of what it looks at.
    """

    network: Network
    layers: list[tuple[Any, int]]
    learned: Taken
    checked: Taken
    per_row: Floats

    def __post_init__(self) -> None:
        schedule = keras.optimizers.schedules.CosineDecay(_RATE, ROUNDS * _STEPS)
        self._optimizer = keras.optimizers.AdamW(schedule, weight_decay=_DECAY)
        self._variables = [variable for layer, _ in self.layers for variable in layer.trainable_variables]
        self._optimizer.build(self._variables)
        self._weights = tf.constant(self.per_row, tf.float32)
        self._run, self._validate = tf.function(self._rounds), tf.function(self._validation)

    def run(self, order: Ints) -> None:
        """Do the steps of one round on these rows."""
        self._run(tf.constant(order))

    def validate(self) -> Floats:
        """Return the mean loss of each task over its validation labels, NaN where it has none."""
        return np.asarray(self._validate(), np.float64)

    def _rounds(self, order: Any) -> None:  # noqa: ANN401  (tensors)
        inputs, target, mask = self.learned
        for number in tf.range(_STEPS):
            part = order[number * _BATCH : (number + 1) * _BATCH]
            rows = tf.gather(inputs, part)
            with tf.GradientTape() as tape:
                losses = self._losses(rows, tf.gather(target, part)) * tf.gather(mask, part)
                loss = tf.reduce_sum(tf.reduce_mean(losses, axis=0) * self._weights)
            gradients = tape.gradient(loss, [variable.value for variable in self._variables])
            self._optimizer.apply(gradients, self._variables)

    def _validation(self) -> Any:  # noqa: ANN401
        inputs, target, mask = self.checked
        return tf.reduce_sum(self._losses(inputs, target) * mask, axis=0) / tf.reduce_sum(mask, axis=0)

    def _losses(self, rows: Any, target: Any) -> Any:  # noqa: ANN401
        """Return the loss of each row and task, [n, tasks]."""
        losses = [
            KINDS[output.learned_as].loss(layer(rows[:, place]), target[:, output.start : output.start + output.width])
            for output, (layer, place) in zip(self.network.outputs, self.layers, strict=True)
        ]
        return tf.stack(losses, axis=1)
