"""What tasks count for: the weightings' rules, by hand."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.fit import fit, seed_everything
from training.network import Network, Shape
from training.prepare import Prepared
from training.recipe import QUICK, WEIGHTS
from training.scaling import Scaling
from training.trainer import material_of, priors_of
from training.weights import WEIGHTINGS, DynamicAverage, Uncertainty, prior_losses, row_weights, task_weights


def total(name: str, losses: list[float]) -> float:
    return float(WEIGHTINGS[name](len(losses)).total(keras.ops.convert_to_tensor(losses, "float32")))


def test_before_training_only_labels_make_tasks_differ() -> None:
    labels = np.array([400, 100, 25])
    shares = {name: WEIGHTINGS[name](3).shares(labels).tolist() for name in WEIGHTS}

    assert shares == {"sqrt": [1.0, 0.5, 0.25], "static": [1.0] * 3, "uncertainty": [1.0] * 3, "dwa": [1.0] * 3}
    assert {name: total(name, [0.5, 0.25]) for name in WEIGHTS} == dict.fromkeys(WEIGHTS, 0.75)


def test_a_tasks_weight_is_lambda_times_its_share_by_what_its_prior_loses(tiny_prepared: Prepared) -> None:
    spec, labels, train = tiny_prepared.spec, tiny_prepared.samples.labels, tiny_prepared.split.train
    found = {
        name: task_weights(spec, labels, train, WEIGHTINGS[name](len(spec.tasks))) * prior_losses(spec, labels, train)
        for name in ("static", "sqrt")
    }
    count = train.sum(axis=0)

    assert found["static"] == pytest.approx([task.weight for task in spec.tasks])
    assert found["sqrt"] == pytest.approx(found["static"] * np.sqrt(count / count.max()))


def test_a_row_weighs_so_that_batches_sum_to_the_mean_of_labelled_rows() -> None:
    counts = np.array([[1, 1], [1, 0], [1, 0], [1, 0.5]], np.float32)
    losses = np.array([[1, 8], [2, 0], [3, 0], [4, 2]], np.float64)

    weighted = (losses * counts).mean(axis=0) * row_weights(np.array([1.0, 1.0]), counts)

    assert weighted == pytest.approx([2.5, (8 + 0.5 * 2) / 1.5])


def test_learned_uncertainty_comes_to_the_log_of_the_loss() -> None:
    weighting, losses = Uncertainty(2), keras.ops.convert_to_tensor([0.5, 3.0], "float32")
    optimizer = keras.optimizers.SGD(0.2)
    for _ in range(100):
        with tf.GradientTape() as tape:
            value = weighting.total(losses)
        optimizer.apply(tape.gradient(value, [weighting.log_variance.value]), weighting.variables)

    assert np.asarray(weighting.log_variance) == pytest.approx(np.log([0.5, 3.0]), abs=1e-3)


def test_a_task_that_falls_more_slowly_counts_more() -> None:
    weighting = DynamicAverage(2)
    weighting.after_epoch(np.array([2.0, 2.0]))
    assert np.asarray(weighting.factor).tolist() == [1.0, 1.0]  # one epoch tells nothing

    weighting.after_epoch(np.array([1.0, 2.0]))

    expected = 2 * np.exp([0.25, 0.5]) / np.exp([0.25, 0.5]).sum()
    assert np.asarray(weighting.factor) == pytest.approx(expected, abs=1e-6)
    assert float(weighting.total(keras.ops.convert_to_tensor([1.0, 1.0]))) == pytest.approx(2.0)

    weighting.after_epoch(np.array([0.5, 0.5]))  # the first epoch is forgotten
    assert np.asarray(weighting.factor)[0] > np.asarray(weighting.factor)[1]


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_network_learns_with_each(tiny_prepared: Prepared, name: str) -> None:
    seed_everything(1)
    scaling = Scaling.of(tiny_prepared.samples.features, tiny_prepared.layout)
    network = Network.build(tiny_prepared.spec, scaling, Shape((16,)), priors_of(tiny_prepared))
    recipe = replace(QUICK, epochs=8, weights=name)
    material = material_of(tiny_prepared, scaling.rows(tiny_prepared.samples.features), None, recipe)

    history = fit(network, material, recipe, 1)

    assert history.total[history.best] < history.total[0]
    learned = [np.asarray(variable) for variable in material.weighting.variables]
    assert [values.all() for values in learned] == ([True] if name == "uncertainty" else [])
