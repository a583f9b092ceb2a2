"""Who a task is asked for: one function, used by label masks and by the stream."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.kernel.layout import Layout

_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Eligibility:
    """The conditions of all tasks, as columns and bounds (float32 as features are, so that 0.1 is at most 0.1)."""

    task: NDArray[np.int64]
    column: NDArray[np.int64]
    at_least: NDArray[np.float32]
    at_most: NDArray[np.float32]
    tasks: int

    @classmethod
    def of(cls, layout: Layout) -> "Eligibility":
        """Return the eligibility of the tasks of a layout's spec.

        Raises:
            SpecError: a condition names an unknown feature.
        """
        rows = [
            (
                index,
                layout.require(item.feature, f"task {task.name!r}, eligible"),
                -np.inf if item.at_least is None else item.at_least,
                np.inf if item.at_most is None else item.at_most,
            )
            for index, task in enumerate(layout.spec.tasks)
            for item in task.eligible
        ]
        table = np.array(rows, np.float64).reshape(-1, 4)
        task, column = table[:, :2].astype(np.int64).T
        low, high = np.clip(table[:, 2:], -_LARGEST, _LARGEST).astype(np.float32).T
        return cls(task.copy(), column.copy(), low.copy(), high.copy(), len(layout.spec.tasks))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return for each feature row and task whether the task is asked, bool [n, tasks]."""
        eligible = np.empty((len(features), self.tasks), np.bool_)
        conditions = (self.task, self.column, self.at_least, self.at_most)
        _decide(np.ascontiguousarray(features, np.float32), conditions, eligible)
        return eligible


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(features, conditions, eligible):  # type: ignore[no-untyped-def]
    task, column, low, high = conditions
    for i in range(len(features)):
        for t in range(eligible.shape[1]):
            eligible[i, t] = True
        for k in range(len(task)):
            value = features[i, column[k]]
            if not (low[k] <= value <= high[k]):  # nor is NaN
                eligible[i, task[k]] = False
