"""Drift: how far the rows that are tested lie from those that were learned from, by the population stability index."""

from typing import Any, Final

import numpy as np

from stream_app.bundle import outputs_of
from training.arrays import Floats, Ints, Singles
from training.matrix import evenly
from training.prepare import Prepared
from training.rows import TICK

BINS: Final = 10
MODERATE: Final = 0.1
LARGE: Final = 0.25
"""What is usually taken for a moderate and for a large shift (Siddiqi 2006)."""
MOST_TOLD: Final = 10
MOST_ROWS: Final = 100_000
"""Of either side that are compared."""
_FEWEST: Final = 1e-4
"""The least share of a bin: an empty one would make the index infinite."""


def psi(learned: Floats, tested: Floats) -> float:
    """Return the population stability index: the sum over bins of (q - p) log(q / p).

    The bins are tenths of what was learned from; equal values are in one.

    Args:
        learned: values of one column, float64 [n].
        tested: values of the same column, float64 [m].
    """
    bounds = np.unique(np.quantile(learned, np.arange(1, BINS) / BINS))
    shares = [
        np.bincount(np.searchsorted(bounds, values), minlength=len(bounds) + 1) / len(values)
        for values in (learned, tested)
    ]
    p, q = (np.maximum(share, _FEWEST) for share in shares)
    return float(((q - p) * np.log(q / p)).sum())


def drift(prepared: Prepared, scores: Singles) -> dict[str, Any]:
    """Return the index of the inputs that moved most and of each score; nothing where no row is tested.

    Rows at cuts are compared where there are any, others else: the two kinds differ by themselves.

    Args:
        prepared: samples and split.
        scores: of all rows, float32 [n, score width].
    """
    learned, tested = _compared(prepared)
    if not (len(learned) and len(tested)):
        return {}
    learned, tested = (evenly(side, MOST_ROWS) for side in (learned, tested))
    layout, features = prepared.layout, prepared.samples.features
    before, after = features[learned], features[tested]
    names = {column: name for name, column in layout.column.items()}

    def moved(first: Singles, then: Singles) -> float:
        return psi(first.astype(np.float64), then.astype(np.float64))

    found = {names[column]: moved(before[:, column], after[:, column]) for column in layout.inputs}
    most = sorted(found, key=lambda name: (-found[name], name))[:MOST_TOLD]
    return {
        "inputs": {name: found[name] for name in most},
        "large": sum(value >= LARGE for value in found.values()),
        "moderate": sum(MODERATE <= value < LARGE for value in found.values()),
        "of": len(found),
        "scores": {
            output.task: max(
                moved(scores[learned, column], scores[tested, column])
                for column in range(output.start, output.start + output.width)
            )
            for output in outputs_of(prepared.spec)
        },
    }


def _compared(prepared: Prepared) -> tuple[Ints, Ints]:
    rows, split = prepared.samples.rows, prepared.split
    learned, tested = (side.any(axis=1) & rows.asked for side in (split.train, split.test))
    tick = rows.kind == TICK
    if (learned & tick).any() and (tested & tick).any():
        learned, tested = learned & tick, tested & tick
    return np.flatnonzero(learned), np.flatnonzero(tested)
