"""Intervals of measures are those of repeating the rows of drawn customers, and hold the truth as often as they say."""

import numpy as np
import pytest

from training.arrays import Floats, Ints
from training.bootstrap import MEASURES, calibration, decisions, intervals, spread
from training.measures import calibration_error, f1_scores, gini, log_loss, roc_auc, spearman

DRAWS = 60


def measured(measure: str, scores: Floats, target: Floats) -> float:
    if measure == "log_loss":
        return log_loss(np.column_stack([1 - scores, scores]), target.astype(np.int64))
    if measure == "roc_auc":
        return roc_auc(scores[:, 0], target > 0)
    return spearman(scores[:, 0], target) if measure == "spearman" else gini(scores[:, 0], np.expm1(target))


def answers(measure: str) -> tuple[Ints, Floats, dict[str, Floats]]:
    """Return rows of customers of one to many rows, with ties in labels and scores."""
    rng = np.random.default_rng(3)
    customer = rng.integers(0, 40, 200) * 7
    latent = rng.normal(size=200)
    amount = np.log1p(np.round(np.exp(latent)))
    target = amount if measure in {"spearman", "gini"} else (latent > 0).astype(np.float64)
    chance = {name: 1 / (1 + np.exp(-latent - noise * rng.normal(size=200))) for name, noise in NOISE.items()}
    return customer, target, {name: np.round(values, 2)[:, None] for name, values in chance.items()}


NOISE = {"network": 0.5, "linear": 2.0}


@pytest.mark.parametrize("measure", sorted(MEASURES))
def test_intervals_are_those_of_repeating_the_rows_of_drawn_customers(measure: str) -> None:
    customer, target, scores = answers(measure)
    names, rng = np.unique(customer), np.random.default_rng(5)
    drawn: dict[str, list[float]] = {"network": [], "linear": []}
    for _ in range(DRAWS):
        picked = names[rng.integers(0, len(names), len(names))]
        rows = np.concatenate([np.flatnonzero(customer == each) for each in picked])
        for model, values in scores.items():
            drawn[model].append(measured(measure, values[rows], target[rows]))

    found = intervals(customer, measure, target, scores, 5, DRAWS)

    for model, interval in found.items():
        of_difference = np.quantile(np.subtract(drawn["network"], drawn[model]), (0.025, 0.975))
        assert (interval.low, interval.high) == pytest.approx(np.quantile(drawn[model], (0.025, 0.975)))
        assert (interval.low_difference, interval.high_difference) == pytest.approx(of_difference, abs=1e-12)


def covered(*, by_customer: bool) -> float:
    """Return how often an interval holds the true AUC, where the eight rows of a customer are all alike."""
    rng = np.random.default_rng(11)
    truth, held = 0.7602499, 0
    for number in range(200):
        positive = rng.random(120) < 0.5
        score = rng.normal(size=120) + positive
        rows = np.repeat(np.arange(120), 8)
        customer = rows if by_customer else np.arange(len(rows))
        target, scores = positive[rows].astype(np.float64), {"network": score[rows, None]}
        interval = intervals(customer, "roc_auc", target, scores, number, 200)["network"]
        held += interval.low <= truth <= interval.high
    return held / 200


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    assert 0.90 <= covered(by_customer=True) <= 0.99


def test_intervals_that_draw_rows_promise_too_much() -> None:
    assert covered(by_customer=False) < 0.7


def test_intervals_know_no_value_where_a_class_is_missing() -> None:
    found = intervals(np.arange(4), "roc_auc", np.zeros(4), {"network": np.ones((4, 1))}, 1, 10)["network"]

    assert np.isnan([found.low, found.high, found.low_difference, found.high_difference]).all()


@pytest.mark.parametrize("classes", [2, 4])
def test_intervals_of_decisions_are_those_of_repeating_rows(classes: int) -> None:
    rng = np.random.default_rng(4)
    customer, code = rng.integers(0, 30, 150), rng.integers(0, classes, 150)
    said, confidence = np.where(rng.random(150) < 0.6, code, rng.integers(0, classes, 150)), rng.random(150)
    counted, error = decisions(said, code, classes), calibration(confidence, said == code)
    names, again = np.unique(customer), np.random.default_rng(9)
    drawn: dict[str, list[float]] = {name: [] for name in ("accuracy", "precision", "recall", "f1", "ece")}
    for _ in range(DRAWS):
        picked = names[again.integers(0, len(names), len(names))]
        rows = np.concatenate([np.flatnonzero(customer == each) for each in picked])
        of_class = f1_scores(said[rows], code[rows], classes)
        of_all = [values[1] if classes == 2 else np.nanmean(values) for values in of_class]
        drawn["accuracy"].append(float((said[rows] == code[rows]).mean()))
        for name, value in zip(("precision", "recall", "f1"), of_all, strict=True):
            drawn[name].append(float(value))
        drawn["ece"].append(calibration_error(confidence[rows], (said == code)[rows]))

    found = spread(customer, lambda times: {**counted(times), **error(times)}, 9, DRAWS)

    for name, (low, high) in found.items():
        assert (low, high) == pytest.approx(np.quantile(drawn[name], (0.025, 0.975)))
        assert low < high
