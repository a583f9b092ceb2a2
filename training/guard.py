"""Refuses data that nothing honest can be learned from: labels missing or all the same, and inputs that tell them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.errors import TrainingError
from schemas.spec import Spec, Task
from stream_app.kernel.layout import Layout
from training.arrays import Floats, Singles
from training.measures import mean_ranks, spearman
from training.samples import Samples
from training.split import Split

TELLING: Final = 0.995
"""An input is suspect whose AUC for a class, or whose rank correlation with a value, is above this."""
_FEWEST: Final = 20
"""A class is looked at that has at least so many rows, and so many that are not it."""
_MOST_ROWS: Final = 8_000


@dataclass(frozen=True)
class Leak:
    """An input that alone tells a task's label: ``strength`` is its AUC or rank correlation."""

    feature: str
    task: str
    strength: float


def require_labels(samples: Samples, split: Split, spec: Spec) -> None:
    """Refuse samples with which a task cannot be trained.

    Raises:
        TrainingError: a task has no label, or only one class or value; names the task, and the class.
    """
    for index, task in enumerate(spec.tasks):
        known = int(samples.labels.known[:, index].sum())
        if not known:
            message = (
                f"Expected labels for task {task.name!r}, found none: no row has a history of "
                f"{task.min_history_days:g} d, a horizon of {task.horizon_days:g} d within the observation, and an "
                "eligible customer; remove the task or bring more data."
            )
            raise TrainingError(message)
        values = np.unique(samples.labels.value[split.train[:, index], index])
        if len(values) <= 1:
            found = f"only {_called(spec, task, values[0])} in all training rows" if len(values) else "no training row"
            message = (
                f"Expected at least two different labels for task {task.name!r}, found {found} ({known:,} labelled "
                "rows in all); remove the task or bring more data."
            )
            raise TrainingError(message)
    if not split.validation.any():
        message = (
            f"Expected labelled rows to validate on, found none among {len(samples):,} rows of "
            f"{len(np.unique(samples.rows.customer)):,} customers; bring more data."
        )
        raise TrainingError(message)


def refuse_leaks(samples: Samples, split: Split, layout: Layout, allowed: tuple[str, ...] = ()) -> None:
    """Refuse inputs that alone tell a label.

    Args:
        samples: rows with features and labels.
        split: only its training rows are looked at.
        layout: names the columns and says which are inputs.
        allowed: features that are accepted all the same.

    Raises:
        TrainingError: there is one; names feature and task.
    """
    leak = next((item for item in leaks(samples, split, layout) if item.feature not in allowed), None)
    if leak is not None:
        message = (
            f"Expected inputs that do not know the label, found {leak.feature!r}, which alone tells the label of task "
            f"{leak.task!r} (association {leak.strength:.3f}): it may be the label, or be made from it. Remove it from "
            f"the data, hide it with exclude_inputs in the spec, or accept it with --allow-leak '{leak.feature}'."
        )
        raise TrainingError(message)


def leaks(samples: Samples, split: Split, layout: Layout) -> Iterator[Leak]:
    """Yield the inputs that alone tell a label of the training rows."""
    rng = np.random.default_rng(0)
    for index, task in enumerate(layout.spec.tasks):
        rows = np.flatnonzero(split.train[:, index])
        if len(rows) > _MOST_ROWS:
            rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
        target = samples.labels.value[rows, index]
        names = {column: name for name, column in layout.column.items()}
        for column in layout.inputs:
            strength = _association(samples.features[rows, column], target, task)
            if strength > TELLING:
                yield Leak(names[column], task.name, strength)


def _association(values: Singles, target: Floats, task: Task) -> float:
    """Return the largest AUC for a class, either way round, or the absolute rank correlation; 0 if neither is known."""
    if values.min() == values.max():
        return 0.0
    if task.kind == "value":
        return abs(float(np.nan_to_num(spearman(values.astype(np.float64), target))))
    ranks, code = mean_ranks(values.astype(np.float64)), target.astype(np.int64)
    inside = np.bincount(code).astype(np.float64)
    outside = len(code) - inside
    enough = (inside >= _FEWEST) & (outside >= _FEWEST)
    if not enough.any():
        return 0.0
    rank_sums = np.bincount(code, ranks)
    auc = (rank_sums - inside * (inside + 1) / 2)[enough] / (inside * outside)[enough]
    return float(np.maximum(auc, 1 - auc).max())


def _called(spec: Spec, task: Task, value: float) -> str:
    classes = spec.classes(task)
    return f"class {classes[int(value)]!r}" if classes else f"the label {value:g}"
