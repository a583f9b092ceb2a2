"""What each task counts for in the loss: L(θ) = Σ λᵢ wᵢ Lᵢ(θ), with the tasks made comparable first.

A task's mean loss over its labelled rows is divided by what its prior loses: 1 then means "nothing learned" for an
entropy of 0.1 nats as for one of 2, and for squared money. λ is the spec's; w is what the weighting says.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from schemas.spec import Spec
from stream_app.bundle import outputs_of
from training.arrays import Flags, Floats, Ints, Singles
from training.labels import Labels
from training.recipe import WEIGHTS
from training.tasks import KINDS

_TEMPERATURE: Final = 2.0
"""Of dynamic weight averaging, as its paper has it."""
_MEMORY: Final = 2
"""Epochs that it looks back at."""


class Weighting(Protocol):
    """One way to say what tasks count for; an object serves one training.

    Attributes:
        variables: Keras variables that are learned with the network.
    """

    variables: list[Any]

    def shares(self, labels: Ints) -> Floats:
        """Return what the tasks count for before training, float64 [tasks], by their labels to train on."""

    def total(self, losses: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the loss of a step of the tasks' losses [tasks], which λ and shares have weighted."""

    def after_epoch(self, losses: Floats) -> None:
        """Take note of the tasks' mean losses in an epoch, float64 [tasks]."""


class Static:
    """Tasks count for λ alone."""

    def __init__(self, tasks: int) -> None:
        self.variables: list[Any] = []
        self._tasks = tasks

    def shares(self, labels: Ints) -> Floats:
        """Return 1 for each."""
        del labels
        return np.ones(self._tasks)

    def total(self, losses: Any) -> Any:  # noqa: ANN401
        """Return the sum."""
        from keras import ops  # noqa: PLC0415  (loads TensorFlow)

        return ops.sum(losses)

    def after_epoch(self, losses: Floats) -> None:
        """Do nothing."""


class BySqrt(Static):
    """Tasks count by the square root of their share of labels, relative to the task with the most.

    A task with few labels is learned from few, often repeated rows, and would be learned by heart long before the
    others are done.
    """

    def shares(self, labels: Ints) -> Floats:
        """Return the roots."""
        roots: Floats = np.sqrt(labels / labels.max())
        return roots


class Uncertainty(Static):
    """Each task's noise is learned: a task that cannot be known better counts less (Kendall, Gal & Cipolla 2018)."""

    def __init__(self, tasks: int) -> None:
        import keras  # noqa: PLC0415  (loads TensorFlow)

        super().__init__(tasks)
        self.log_variance = keras.Variable(np.zeros(tasks, np.float32), name="log_variance")
        self.variables = [self.log_variance]

    def total(self, losses: Any) -> Any:  # noqa: ANN401
        """Return the sum of exp(-s) L + s, where s is the log of a task's variance."""
        from keras import ops  # noqa: PLC0415

        return ops.sum(ops.exp(-self.log_variance) * losses + self.log_variance)


class DynamicAverage(Static):
    """A task whose loss falls more slowly than others' counts more (DWA: Liu, Johns & Davison 2019)."""

    def __init__(self, tasks: int) -> None:
        import keras  # noqa: PLC0415  (loads TensorFlow)

        super().__init__(tasks)
        self.factor = keras.Variable(np.ones(tasks, np.float32), trainable=False, name="factor")
        self._losses: list[Floats] = []

    def total(self, losses: Any) -> Any:  # noqa: ANN401
        """Return the sum by the factors of this epoch."""
        from keras import ops  # noqa: PLC0415

        return ops.sum(self.factor * losses)

    def after_epoch(self, losses: Floats) -> None:
        """Set the factors, whose mean is 1, by how the losses of the last two epochs fell."""
        self._losses = [*self._losses, losses][-_MEMORY:]
        if len(self._losses) == _MEMORY:
            before, last = self._losses
            rise = np.exp(np.divide(last, before, out=np.ones(self._tasks), where=before > 0) / _TEMPERATURE)
            self.factor.assign((rise / rise.mean()).astype(np.float32))


WEIGHTINGS: Final[dict[str, Callable[[int], Weighting]]] = dict(
    zip(WEIGHTS, (BySqrt, Static, Uncertainty, DynamicAverage), strict=True)
)
"""By name; each takes the number of tasks."""


def prior_losses(spec: Spec, labels: Labels, rows: Flags) -> Floats:
    """Return what each task's prior loses on the labels of a mask, float64 [tasks]."""
    losses = [
        KINDS[output.learned_as].prior_loss(labels.value[rows[:, index], index], output.width)
        for index, output in enumerate(outputs_of(spec))
    ]
    return np.array(losses)


def task_weights(spec: Spec, labels: Labels, rows: Flags, weighting: Weighting) -> Floats:
    """Return the weight of each task's mean loss before training, float64 [tasks].

    Args:
        spec: the tasks with their λ.
        labels: of all rows.
        rows: bool [n, tasks], the labels that are trained on.
        weighting: what tasks count for beside λ.
    """
    wanted = np.array([task.weight for task in spec.tasks])
    weights: Floats = wanted * weighting.shares(rows.sum(axis=0)) / prior_losses(spec, labels, rows)
    return weights


def row_weights(weights: Floats, counts: Singles) -> Floats:
    """Return the weight of one row that counts whole, float64 [tasks], in a mean over n rows.

    The mean over a batch of (weight times loss, 0 where nothing is learned) is then, on average over batches, the
    weighted sum of the tasks' mean losses, however many labels of a rare task a batch happens to hold.

    Args:
        weights: of each task's mean loss.
        counts: what each row counts for each task, float32 [n, tasks].
    """
    per_row: Floats = weights * len(counts) / counts.sum(axis=0, dtype=np.float64)
    return per_row
