"""Calibration finds the distortion that was put in, and leaves alone what it knows too little of."""

from collections.abc import Callable

import numpy as np
import pytest

from training.arrays import Floats
from training.calibrate import (
    FEWEST,
    MOST_KNOTS,
    STEEPEST,
    Calibration,
    affine,
    best,
    beta,
    isotonic,
    log_mean,
    platt,
    temperature,
)

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


def losses(found: Calibration, logits: Floats, label: Floats) -> float:
    z = found(logits[:, None])[:, 0]
    return float((np.logaddexp(0.0, z) - z * label).mean())


def test_beta_finds_what_a_straight_line_cannot() -> None:
    said = RNG.normal(-1, 2, ROWS)
    log_p, log_not = -np.logaddexp(0.0, -said), -np.logaddexp(0.0, said)
    true = 0.4 * log_p - 2.0 * log_not + 0.3
    label = (RNG.random(ROWS) < sigmoid(true)).astype(float)

    found = beta(said[:, None], label)

    assert found.method == "beta"
    assert (found.gain, found.gain + found.bend, found.shift) == pytest.approx((0.4, 2.0, 0.3), abs=0.12)
    assert found(said[:, None])[:, 0] == pytest.approx(true, abs=0.25)
    assert losses(found, said, label) < losses(platt(said[:, None], label), said, label) - 0.002


def stepped(rows: int) -> tuple[Floats, Floats, Floats]:
    """Return logits, the chance that rises from .1 to .7 in one step, and labels."""
    said = RNG.normal(0, 2, rows)
    chance = np.where(said < 0.5, 0.1, 0.7)
    return said, chance, (RNG.random(rows) < chance).astype(float)


def test_a_table_finds_a_step_and_rises() -> None:
    said, chance, label = stepped(ROWS)

    found = isotonic(said[:, None], label)

    assert found.method == "isotonic"
    assert 2 <= len(found.knots) <= MOST_KNOTS
    at, value = np.array(found.knots).T
    assert (np.diff(at) > 0).all()
    assert (np.diff(value) >= 0).all()
    assert (np.diff(value) / np.diff(at)).max() <= STEEPEST
    far = np.abs(said - 0.5) > 1.0
    assert np.abs(sigmoid(found(said[:, None])[:, 0]) - chance)[far].mean() < 0.04
    assert losses(found, said, label) < losses(platt(said[:, None], label), said, label) - 0.005


def test_the_best_out_of_fold_is_chosen_and_platt_where_no_other_is_clearly_better() -> None:
    said, _, label = stepped(4000)
    straight = (RNG.random(4000) < sigmoid(said)).astype(float)
    group = np.arange(4000) // 2

    assert best(said[:, None], label, group).method == "isotonic"
    assert best(said[:, None], straight, group).method == "platt"


@pytest.mark.parametrize("fit", [beta, isotonic])
def test_with_too_few_of_a_class_nothing_is_fitted(fit: Callable[[Floats, Floats], Calibration]) -> None:
    label = np.r_[np.ones(FEWEST - 1), np.zeros(500)]

    assert fit(RNG.normal(size=(len(label), 1)), label).method == "identity"


def test_beta_that_would_fall_is_platts() -> None:
    said = RNG.normal(0, 3, ROWS)
    label = (RNG.random(ROWS) < sigmoid(np.where(said > 1, -said, said))).astype(float)

    found = beta(said[:, None], label)

    rising = np.diff(found(np.linspace(-6, 6, 100)[:, None])[:, 0])
    assert (rising >= 0).all()


def test_a_told_calibration_holds_all_that_it_is() -> None:
    said, _, label = stepped(3000)

    for fit in (platt, beta, isotonic):
        told = fit(said[:, None], label).told()
        again = Calibration(**{**told, "knots": tuple(map(tuple, told.get("knots", ())))})
        assert again(said[:, None]).tobytes() == fit(said[:, None], label)(said[:, None]).tobytes()
