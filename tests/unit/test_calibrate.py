"""Calibration finds the distortion that was put in, and leaves alone what it knows too little of."""

import numpy as np
import pytest

from training.arrays import Floats
from training.calibrate import FEWEST, affine, log_mean, platt, temperature

RNG = np.random.default_rng(5)
ROWS = 20_000


def sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))


def test_platt_finds_gain_and_shift() -> None:
    true = RNG.normal(-1, 2, ROWS)
    label = (RNG.random(ROWS) < sigmoid(true)).astype(float)

    found = platt(((true - 0.5) / 2.0)[:, None], label)

    assert (found.method, found.rows, found.reason) == ("platt", ROWS, None)
    assert (found.gain, found.shift) == pytest.approx((2.0, 0.5), abs=0.1)


def test_temperature_finds_the_gain() -> None:
    true = RNG.normal(0, 2, (ROWS, 4))
    label = (true + RNG.gumbel(size=true.shape)).argmax(axis=1).astype(float)

    found = temperature(true * 2.5, label)

    assert (found.method, found.shift) == ("temperature", 0.0)
    assert found.gain == pytest.approx(0.4, abs=0.02)


def test_affine_finds_gain_and_shift() -> None:
    true = RNG.normal(6, 1, ROWS)

    found = affine(((true - 1) / 0.8)[:, None], true + RNG.normal(0, 0.1, ROWS))

    assert found.method == "affine"
    assert (found.gain, found.shift) == pytest.approx((0.8, 1.0), abs=0.02)


def test_the_log_of_a_mean_finds_gain_and_shift() -> None:
    true = RNG.normal(5, 1, ROWS)
    money = np.exp(true) * RNG.exponential(1, ROWS)

    found = log_mean(((true - 1) / 0.8)[:, None], money)

    assert found.method == "log_mean"
    assert (found.gain, found.shift) == pytest.approx((0.8, 1.0), abs=0.05)
    said = np.exp(found(((true - 1) / 0.8)[:, None]))
    assert said.sum() == pytest.approx(money.sum(), rel=0.03)


def test_nothing_is_fitted_where_no_money_came() -> None:
    assert log_mean(RNG.normal(0, 1, (100, 1)), np.zeros(100)).method == "identity"


def test_calibrated_logits_are_gain_times_logits_plus_shift() -> None:
    found = affine(np.arange(50.0)[:, None], 3 + 0.5 * np.arange(50.0))

    assert found(np.array([[2.0]])) == pytest.approx(np.array([[4.0]]))


@pytest.mark.parametrize("positives", [0, 1, FEWEST - 1])
def test_too_few_positives_leave_probabilities_as_they_are_and_say_why(positives: int) -> None:
    label = np.zeros(500)
    label[:positives] = 1

    found = platt(RNG.normal(size=(500, 1)), label)

    assert (found.gain, found.shift) == (1.0, 0.0)
    assert found.told() == {
        "method": "identity",
        "gain": 1.0,
        "shift": 0.0,
        "rows": 500,
        "reason": f"only {positives} rows of the rarer class, {FEWEST} are needed",
    }


def test_too_few_rows_leave_classes_and_values_as_they_are() -> None:
    label = np.zeros(5)

    assert temperature(np.zeros((5, 3)), label).reason == f"only 5 rows, {FEWEST} are needed"
    assert affine(np.zeros((5, 1)), label).reason == f"only 5 rows, {FEWEST} are needed"


def test_no_calibration_turns_the_order_round() -> None:
    x = np.linspace(-2, 2, 200)

    assert platt(x[:, None], (x < 0).astype(float)).method == "identity"
    assert affine(x[:, None], -x).method == "identity"
    assert affine(np.ones((200, 1)), x).method == "identity"


def test_perfectly_separated_classes_give_a_finite_gain() -> None:
    x = np.linspace(-2, 2, 200)

    assert np.isfinite(platt(x[:, None], (x > 0).astype(float)).gain)
