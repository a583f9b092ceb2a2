"""A bundle knows how the population that it was trained on is, so that a portrait can compare."""

import numpy as np
import pytest

from stream_app.portrait.standing import compared
from tests.unit.conftest import Tiny
from training.bands import features_of_all
from training.prepare import Prepared
from training.rows import EVENT


def test_a_trained_bundle_holds_percentiles_of_what_portraits_compare(tiny_bundle: Tiny) -> None:
    found = tiny_bundle.bundle.manifest.population
    assert set(found) == {"own_silence_h", "count_7d", "out_7d"} == set(compared(tiny_bundle.bundle.spec))
    assert all(len(values) == 99 and list(values) == sorted(values) for values in found.values())


def test_the_population_is_that_of_the_ticks(tiny_prepared: Prepared) -> None:
    layout, samples = tiny_prepared.layout, tiny_prepared.samples
    found = features_of_all(layout, samples)
    ticks = samples.features[samples.rows.kind != EVENT]
    for name, values in found.items():
        below = [(ticks[:, layout.column[name]] <= value).mean() for value in values]
        assert below[0] >= 0.01
        assert np.median(np.abs(np.array(below) - np.arange(1, 100) / 100)) < 0.05 or name != "own_silence_h"


def test_without_ticks_it_is_that_of_the_events(tiny_prepared: Prepared) -> None:
    layout, samples = tiny_prepared.layout, tiny_prepared.samples
    events = samples.rows.kind == EVENT
    only = type(samples)(samples.rows.take(events), samples.features[events], samples.labels, samples.eligible[events])
    silence = features_of_all(layout, only)["own_silence_h"]
    assert silence == pytest.approx(
        np.percentile(samples.features[events][:, layout.column["own_silence_h"]], range(1, 100)), abs=1e-5
    )
    assert silence != features_of_all(layout, samples)["own_silence_h"]
