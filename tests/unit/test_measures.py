"""Measures agree with those of scikit-learn and scipy, ties included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from training.arrays import Flags, Floats
from training.measures import (
    best_f1_threshold,
    calibration_error,
    entropy,
    f1_scores,
    gini,
    log_loss,
    mean_ranks,
    pr_auc,
    reliability,
    roc_auc,
    spearman,
)

scored = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: len({hit for _, hit in rows}) == 2)


def columns(rows: list[tuple[float, bool]]) -> tuple[Floats, Flags]:
    return np.array([score for score, _ in rows]), np.array([hit for _, hit in rows])


@given(scored)
def test_ranking_measures_agree_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    score, hit = columns(rows)

    assert roc_auc(score, hit) == pytest.approx(metrics.roc_auc_score(hit, score))
    assert pr_auc(score, hit) == pytest.approx(metrics.average_precision_score(hit, score))


@settings(max_examples=25)
@given(scored)
def test_the_best_threshold_has_the_best_f1_of_all(rows: list[tuple[float, bool]]) -> None:
    score, hit = columns(rows)

    best = metrics.f1_score(hit, score >= best_f1_threshold(score, hit))

    assert best == pytest.approx(max(metrics.f1_score(hit, score >= bound) for bound in score))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_scores_of_classes_agree_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    said, true = np.array(rows).T
    present = sorted({*said.tolist(), *true.tolist()})

    found = [values[present] for values in f1_scores(said, true, 4)]

    expected = metrics.precision_recall_fscore_support(true, said, labels=present, zero_division=0)[:3]
    assert np.array(found) == pytest.approx(np.array(expected))


def test_ranks_of_equal_values_share_their_mean() -> None:
    assert mean_ranks(np.array([5.0, 1.0, 5.0, 9.0])).tolist() == [2.5, 1.0, 2.5, 4.0]


def test_a_ranking_without_both_classes_has_no_auc() -> None:
    assert np.isnan(roc_auc(np.array([0.1, 0.2]), np.array([False, False])))
    assert np.isnan(pr_auc(np.array([0.1, 0.2]), np.array([False, False])))
    assert best_f1_threshold(np.array([0.1, 0.2]), np.array([False, False])) == 0.5


def test_spearman_is_1_for_any_rising_function_and_undefined_for_a_constant() -> None:
    values = np.arange(5.0)

    assert spearman(values, np.exp(values)) == pytest.approx(1.0)
    assert np.isnan(spearman(values, np.ones(5)))


def test_log_loss_of_the_shares_is_their_entropy() -> None:
    code = np.array([0, 0, 0, 1])

    assert log_loss(np.tile([0.75, 0.25], (4, 1)), code) == pytest.approx(entropy(np.array([0.75, 0.25])))


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    assert np.isfinite(log_loss(np.array([[1.0, 0.0]]), np.array([1])))


def test_calibration_error_is_the_mean_distance_of_said_and_found() -> None:
    said, hit = np.array([0.95] * 4 + [0.15] * 4), np.array([True, True, True, False] + [False] * 4)

    assert calibration_error(said, hit) == pytest.approx(0.5 * 0.20 + 0.5 * 0.15)
    assert reliability(said, hit)[[1, 9]] == pytest.approx(np.array([[4, 0.15, 0.0], [4, 0.95, 0.75]]))
    assert reliability(np.array([1.0]), np.array([True]))[9].tolist() == [1.0, 1.0, 1.0]


def lorenz_area(score: Floats, amount: Floats) -> float:
    """Return, in steps, the area between the diagonal and the sums of amounts over rows, the lowest score first."""
    curve = np.r_[0.0, np.cumsum(amount[np.argsort(score, kind="stable")])] / amount.sum()
    return 0.5 - float(((curve[1:] + curve[:-1]) / 2).mean())


def test_gini_is_the_share_of_the_best_area_under_the_lorenz_curve() -> None:
    rng = np.random.default_rng(3)
    amount = rng.exponential(10, 200) * (rng.random(200) < 0.6)
    score = amount + rng.normal(0, 10, 200)

    assert gini(score, amount) == pytest.approx(lorenz_area(score, amount) / lorenz_area(amount, amount))
    assert gini(amount, amount) == pytest.approx(1.0)
    assert gini(-amount, amount) == pytest.approx(-1.0)
    assert gini(np.zeros(200), amount) == pytest.approx(0.0, abs=1e-12)
    assert np.isnan(gini(score, np.ones(200)))
