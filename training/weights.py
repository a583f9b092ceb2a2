"""What each task counts for in the loss: L(θ) = Σ λᵢ Lᵢ(θ), with the tasks made comparable first.

A task's mean loss over its labelled rows is divided by what its prior loses: 1 then means "nothing learned" for an
entropy of 0.1 nats as for one of 2, and for squared money. A task with few labels is learned from few, often repeated
rows and would be learned by heart long before the others are done: it counts by the square root of its share of labels,
relative to the task with the most. λ of the spec multiplies that.
"""

import numpy as np

from schemas.spec import Spec
from stream_app.bundle import outputs_of
from training.arrays import Flags, Floats, Singles
from training.labels import Labels
from training.tasks import KINDS


def prior_losses(spec: Spec, labels: Labels, rows: Flags) -> Floats:
    """Return what each task's prior loses on the labels of a mask, float64 [tasks]."""
    losses = [
        KINDS[output.learned_as].prior_loss(labels.value[rows[:, index], index], output.width)
        for index, output in enumerate(outputs_of(spec))
    ]
    return np.array(losses)


def task_weights(spec: Spec, labels: Labels, rows: Flags) -> Floats:
    """Return the weight of each task's mean loss, float64 [tasks].

    Args:
        spec: the tasks with their λ.
        labels: of all rows.
        rows: bool [n, tasks], the labels that are trained on.
    """
    count = rows.sum(axis=0)
    wanted = np.array([task.weight for task in spec.tasks])
    weights: Floats = wanted * np.sqrt(count / count.max()) / prior_losses(spec, labels, rows)
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
