"""Values as the whole numbers that scores are written from: six decimals, bands, choices. Compiled loops."""

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.steps.texts import Whole

# Columns of the integers that a score is written from, which `number` fills in; the tasks' follow, two of each: whether
# it is asked, and the index of the band or of the choice.
OFFSET, KIND, IS_TRANSACTION, IS_TICK, TIME, LATE, TASKS = range(7)
_LARGEST_MILLIONTHS: Final = 9.2e18


class Outputs(NamedTuple):
    """The network's outputs as arrays, t tasks.

    Attributes:
        start: int64 [t], column of the values.
        classes: int64 [t], how many there are; 0 where the task has one value.
        bounds: float64, where the bands above the first begin, task by task.
        ends: int64 [t + 1], where the bounds of each task start and end.
    """

    start: Whole
    classes: Whole
    bounds: NDArray[np.float64]
    ends: Whole


def six_decimals(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return scores as they are emitted: bands and rules decide on these, so that an auditor can redo them."""
    values = np.empty(scores.shape)
    _round(np.ascontiguousarray(scores, np.float32), _LARGEST_MILLIONTHS / 1e6, values)
    return values


@njit(cache=True, nogil=True, error_model="numpy")
def _round(scores, limit, values):  # type: ignore[no-untyped-def]
    for i in range(scores.shape[0]):
        for k in range(scores.shape[1]):
            value = np.float64(scores[i, k])
            if value > limit:
                value = limit
            elif value < -limit:
                value = -limit
            values[i, k] = np.rint(value * 1e6) / 1e6


@njit(cache=True, nogil=True, error_model="numpy")
def number(items, found, known, integers, millionths):  # type: ignore[no-untyped-def]
    """Fill in the numbers of m scored items of a batch.

    Args:
        items: of the batch or its chunk: int64 records, ops and times [n], and offsets.
        found: int64 [m], the items; their features, whether each task is asked, and their values, six decimals.
        known: int64 [kinds, 2], ops and positions; the column of the features that says how late; ``Outputs``.
        integers: int64 [m, TASKS + 2 t], filled in.
        millionths: int64 [m, score width + t], filled in: the values, and behind them that of each task's choice.
    """
    record, op, time_ms, offsets = items
    at, features, eligible, values = found
    codes, late_column, outputs = known
    width = values.shape[1]
    for m in range(len(at)):
        i = at[m]
        row = integers[m]
        row[OFFSET] = offsets[record[i]]
        row[KIND] = row[IS_TRANSACTION] = row[IS_TICK] = 0
        for c in range(len(codes)):
            if op[i] == codes[c, 0]:
                row[KIND] = codes[c, 1]
                row[IS_TRANSACTION] = codes[c, 1] == 0
                row[IS_TICK] = codes[c, 1] == 2
        row[TIME] = time_ms[i]
        row[LATE] = features[m, late_column] > 0.0
        for k in range(width):
            millionths[m, k] = np.int64(np.rint(values[m, k] * 1e6))
        for t in range(len(outputs.start)):
            start = outputs.start[t]
            band = 0
            chosen = start
            if outputs.classes[t] > 0:
                for c in range(1, outputs.classes[t]):
                    if values[m, start + c] > values[m, start + band]:
                        band = c
                chosen = start + band
            else:
                for b in range(outputs.ends[t], outputs.ends[t + 1]):
                    band += values[m, start] >= outputs.bounds[b]
            row[TASKS + 2 * t] = eligible[m, t]
            row[TASKS + 2 * t + 1] = band
            millionths[m, width + t] = millionths[m, chosen]
