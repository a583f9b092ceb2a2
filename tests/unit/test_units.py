"""Piecewise-linear units stand where trees split, and say the same as the splits' steps would."""

import numpy as np
import pytest

from schemas import spec_file
from stream_app.kernel.layout import Layout
from tests.logs import SPEC
from training.arrays import Singles
from training.scaling import Scaling
from training.units import MOST_OF_ONE, NARROWEST, Splits, Units


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(spec_file.parse(SPEC, "a test")).check()


@pytest.fixture(scope="module")
def features(layout: Layout) -> Singles:
    rng = np.random.default_rng(1)
    rows = np.abs(rng.normal(0, 3, (2000, layout.feature_width))).astype(np.float32)
    rows[:, 1] = rng.random(2000) < 0.5
    return rows


def splits(column: list[int], threshold: list[float], gain: list[float]) -> Splits:
    return Splits(np.array(column), np.array(threshold), np.array(gain))


def test_an_input_has_units_between_the_quantiles_of_its_thresholds(features: Singles, layout: Layout) -> None:
    scaling = Scaling.of(features, layout)
    found = Units.of(splits([0] * 4, [1.0, 2.0, 3.0, 4.0], [0.25] * 4), features, scaling, 4)
    low, high = np.quantile(features[:, 0], (0.001, 0.999))
    edges = scaling.of_column(np.array([low, 1.0, 2.0, 3.0, 4.0, high]), 0)

    assert found.column.tolist() == [0] * 4
    assert found.start == pytest.approx(edges[:4], abs=1e-6)
    assert found.slope == pytest.approx(1 / np.diff(edges)[:4], rel=1e-5)


def test_more_gain_is_more_units_up_to_a_bound(features: Singles, layout: Layout) -> None:
    thresholds = np.linspace(0.5, 6, 40)
    column = [0] * 40 + [2] * 40
    found = Units.of(
        splits(column, [*thresholds, *thresholds], [0.02] * 40 + [0.005] * 40),
        features,
        Scaling.of(features, layout),
        30,
    )
    of_first, of_second = (int((found.column == column).sum()) for column in (0, 2))

    assert 0 < of_second < of_first <= MOST_OF_ONE + 1
    assert of_first + of_second <= 30


def test_two_values_a_constant_and_what_the_network_may_not_see_have_no_units(
    features: Singles, layout: Layout
) -> None:
    scaling = Scaling.of(features, layout)
    hidden = int(np.flatnonzero(scaling.factor == 0)[0]) if (scaling.factor == 0).any() else 1
    assert len(Units.of(splits([1, hidden], [0.5, 0.5], [0.5, 0.5]), features, scaling, 8)) == 0
    assert len(Units.of(Splits.joined([]), features, scaling, 8)) == 0


def test_no_unit_is_so_narrow_that_it_magnifies_the_rounding_of_its_input(features: Singles, layout: Layout) -> None:
    near = np.linspace(2.0, 2.001, 12).tolist()
    found = Units.of(splits([0] * 12, near, [1 / 12] * 12), features, Scaling.of(features, layout), 12)
    assert (1 / found.slope >= NARROWEST * 0.999).all()


def test_a_unit_rises_from_0_to_1_between_its_edges() -> None:
    units = Units(np.array([1, 1]), np.array([0.0, 2.0], np.float32), np.array([0.5, 1.0], np.float32))
    rows = np.array([[9.0, -1.0], [9.0, 1.0], [9.0, 2.5], [9.0, 7.0]], np.float32)
    assert np.asarray(units(rows)).tolist() == [[0.0, 0.0], [0.5, 0.0], [1.0, 0.5], [1.0, 1.0]]
