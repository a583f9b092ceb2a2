"""Curves and pictures of the report show what the scores say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from training.arrays import Flags, Floats
from training.report import curves
from training.report.chart import HEIGHT, WIDTH, Axis, Chart, round_step, short, up_to

scored = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40
).filter(lambda rows: len({hit for _, hit in rows}) == 2)


def columns(rows: list[tuple[float, bool]]) -> tuple[Floats, Flags]:
    return np.array([score for score, _ in rows]), np.array([hit for _, hit in rows])


@given(scored)
def test_roc_agrees_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    score, hit = columns(rows)

    false_rate, true_rate, _ = metrics.roc_curve(hit, score, drop_intermediate=False)

    assert curves.roc(score, hit) == pytest.approx(np.column_stack([false_rate, true_rate]))


@given(scored)
def test_precision_and_recall_agree_with_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    score, hit = columns(rows)

    precision, recall, _ = metrics.precision_recall_curve(hit, score)

    assert curves.precision_recall(score, hit) == pytest.approx(np.column_stack([recall, precision])[-2::-1])


@given(scored)
def test_gain_counts_the_positives_among_the_highest_scores(rows: list[tuple[float, bool]]) -> None:
    score, hit = columns(rows)

    expected = [(0.0, 0.0)]
    for bound in sorted(set(score.tolist()), reverse=True):
        taken = score >= bound
        expected.append((float(taken.mean()), float(hit[taken].sum() / hit.sum())))

    assert curves.gain(score, hit) == pytest.approx(np.array(expected))


def test_concentration_is_the_share_of_money_among_the_highest_scores_and_ties_are_taken_together() -> None:
    score, amount = np.array([3.0, 1.0, 1.0, 2.0]), np.array([10.0, 0.0, 20.0, 10.0])

    found = curves.concentration(score, amount)

    assert found.tolist() == [[0.0, 0.0], [0.25, 0.25], [0.5, 0.5], [1.0, 1.0]]
    assert curves.gini(found) == 0.0
    assert curves.gini(curves.concentration(np.ones(4), amount)) == 0.0


def test_gini_is_the_mean_difference_of_all_pairs_where_the_order_is_perfect() -> None:
    amount = np.array([1.0, 5.0, 2.0, 8.0, 8.0])

    pairs = np.abs(amount[:, None] - amount[None]).mean() / (2 * amount.mean())

    assert curves.gini(curves.concentration(amount, amount)) == pytest.approx(pairs)


def test_the_mean_of_the_classes_leaves_out_those_that_do_not_occur() -> None:
    code = np.array([0, 0, 1, 1])
    scores = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.5, 0.5, 0.0], [0.1, 0.9, 0.0]])

    found = curves.mean_of_classes(curves.roc, scores, code)

    each = [curves.roc(scores[:, k], code == k) for k in (0, 1)]
    assert curves.occurring(code, 3) == [0, 1]
    assert curves.at(found, 0.25) == pytest.approx(np.mean([curves.at(points, 0.25) for points in each]))
    assert found[[0, -1], 0].tolist() == [0.0, 1.0]


def test_mean_precision_is_that_of_the_highest_threshold_that_reaches_a_recall() -> None:
    hit = np.array([True, False, True])
    score = np.array([0.9, 0.8, 0.7])

    found = curves.mean_of_classes(
        curves.precision_recall, np.column_stack([1 - score, score]), hit.astype(int), steps=True
    )
    yes, no = curves.precision_recall(score, hit), curves.precision_recall(1 - score, ~hit)

    assert yes.tolist() == [[0.5, 1.0], [0.5, 0.5], [1.0, 2 / 3]]
    assert no.tolist() == [[0.0, 0.0], [1.0, 0.5], [1.0, 1 / 3]]
    assert curves.at(found, 0.3) == pytest.approx((1.0 + 0.5) / 2)
    assert curves.at(found, 0.8) == pytest.approx((2 / 3 + 0.5) / 2)


def test_calibration_has_ten_groups_of_equally_many_rows_and_wilsons_interval() -> None:
    said = np.random.default_rng(0).permutation(np.arange(1000) / 1000)
    hit = np.random.default_rng(1).random(1000) < said

    found = curves.calibration(said, hit)

    for group, (count, mean, share, low, high) in enumerate(found):
        mine = (said >= group / 10) & (said < (group + 1) / 10)
        assert (count, mean, share) == pytest.approx((100, said[mine].mean(), hit[mine].mean()))
        for bound in (low, high):  # where the distance is 1.96 standard errors under that share
            assert abs(share - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / 100), abs=1e-9)


def test_fewer_rows_than_groups_are_a_group_each() -> None:
    assert curves.calibration(np.array([0.2, 0.1]), np.array([True, False]))[:, :3].tolist() == [
        [1.0, 0.1, 0.0],
        [1.0, 0.2, 1.0],
    ]


def test_deciles_hold_means_and_percentiles_of_the_truth_by_prediction() -> None:
    said = np.arange(100.0)[::-1]
    true = 2.0 * said

    found = curves.deciles(said, true)

    assert found[0].tolist() == pytest.approx([4.5, 9.0, *np.percentile(np.arange(10) * 2.0, [10, 90])])
    assert found[:, 1] == pytest.approx(2 * found[:, 0])


def test_a_thinned_curve_keeps_its_ends_and_lies_on_the_whole_one() -> None:
    x = np.linspace(0, 1, 5000)
    curve = np.column_stack([x, np.sqrt(x)])

    thin = curves.thin(curve, 50)

    assert len(thin) <= 50
    assert thin[[0, -1]].tolist() == curve[[0, -1]].tolist()
    assert np.interp(x, *thin.T) == pytest.approx(np.sqrt(x), abs=0.02)
    assert curves.thin(curve[:50], 50).tolist() == curve[:50].tolist()


@pytest.mark.parametrize(
    ("span", "step"), [(1.0, 0.2), (0.07, 0.02), (5.0, 1.0), (6.0, 2.0), (11.0, 2.5), (80.0, 20.0)]
)
def test_steps_of_a_scale_are_round_and_few(span: float, step: float) -> None:
    assert round_step(span) == pytest.approx(step)


def test_a_scale_ends_at_a_round_number_and_writes_what_it_marks() -> None:
    axis = up_to(0.83, "share")

    assert axis.high == pytest.approx(1.0)
    assert [text for _, text in axis.ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert [text for _, text in up_to(29_000.0, "money", short).ticks] == ["0", "10k", "20k", "30k"]
    assert up_to(0.0, "nothing").high == 1.0


def test_a_chart_puts_points_where_their_values_are_and_what_is_beyond_at_its_edge() -> None:
    chart = Chart(Axis("x"), Axis("y"))
    chart.line(np.array([[0.0, 0.0], [0.5, 0.5], [1.0, 1.0], [2.0, 3.0]]), "network")

    drawn = chart.svg("a line")

    left, right, top, ground = 44.0, WIDTH - 10, 8.0, HEIGHT - 36
    middle = f"{(left + right) / 2:.1f},{(top + ground) / 2:.1f}"
    assert f'points="{left:.1f},{ground:.1f} {middle} {right:.1f},{top:.1f} {right:.1f},{top:.1f}"' in drawn
