"""Where the bounds of bands lie, and how scores are spread over the population that was trained on."""

from typing import Final

import numpy as np

from schemas.spec import Spec, Task
from stream_app.bundle import ResolvedBand, outputs_of
from stream_app.kernel.layout import Layout
from stream_app.portrait.standing import compared
from training.arrays import Floats, Singles
from training.rows import EVENT
from training.samples import Samples

DECIMALS: Final = 6
"""Bands decide on emitted scores, which have so many."""
_PERCENTS: Final = tuple(range(1, 100))


def populations(spec: Spec, samples: Samples, scores: Singles) -> dict[str, Floats]:
    """Return the scores of each binary and value task over whom it is asked for: ticks if there are any, or events."""
    found = {}
    tick = samples.rows.kind != EVENT
    for index, output in enumerate(outputs_of(spec)):
        if output.classes:
            continue
        asked = samples.eligible[:, index] & samples.rows.asked
        rows = asked & tick if (asked & tick).any() else asked
        found[output.task] = np.round(scores[rows, output.start].astype(np.float64), DECIMALS)
    return found


def features_of_all(layout: Layout, samples: Samples) -> dict[str, tuple[float, ...]]:
    """Return the percentiles of the features that portraits compare: over ticks if there are any, or events.

    An event row is right after an activity: over these everybody would be recent.
    """
    tick = (samples.rows.kind != EVENT) & samples.rows.asked
    rows = np.flatnonzero(tick) if tick.any() else np.arange(len(samples))
    return {
        name: quantiles(samples.features[rows, layout.column[name]].astype(np.float64))
        for name in compared(layout.spec)
    }


def resolve(task: Task, population: Floats) -> tuple[ResolvedBand, ...]:
    """Return a task's bands, ascending, each share of the population turned into a score."""
    bands = [ResolvedBand(band.name, _bound(band.at_least, band.top_share, population)) for band in task.bands]
    return tuple(sorted(bands, key=lambda band: -np.inf if band.at_least is None else band.at_least))


def quantiles(population: Floats) -> tuple[float, ...]:
    """Return the value at the 1st to 99th percentile; empty for an empty population."""
    if not len(population):
        return ()
    return tuple(float(value) for value in np.round(np.percentile(population, _PERCENTS), DECIMALS))


def _bound(at_least: float | None, top_share: float | None, population: Floats) -> float | None:
    if top_share is None:
        return at_least
    if not len(population):
        return float("inf")
    return round(float(np.quantile(population, 1.0 - top_share, method="higher")), DECIMALS)
