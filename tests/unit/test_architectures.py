"""Architectures: one suite for all of them. Each learns, is exported exactly, and costs what it says."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from schemas.errors import TrainingError
from stream_app.bundle import Output, outputs_of
from tests.networks import random_scorer
from training.architectures import ARCHITECTURES, EXPERTS, SHARED_EXPERTS, TOWER, relu
from training.arrays import Singles
from training.calibrate import Calibration
from training.export import to_onnx
from training.fit import fit, seed_everything
from training.network import Network, Scorer, Shape
from training.parity import prove
from training.prepare import Prepared
from training.recipe import NETWORKS, QUICK
from training.scaling import Scaling
from training.trainer import material_of, priors_of
from training.units import Units

every = pytest.mark.parametrize("name", NETWORKS)


def outputs(prepared: Prepared) -> tuple[Output, ...]:
    return outputs_of(prepared.spec)


def scorer(prepared: Prepared, name: str, layers: tuple[int, ...] = (32, 16)) -> Scorer:
    scaling, rng = Scaling.of(prepared.samples.features, prepared.layout), np.random.default_rng(3)
    return random_scorer(outputs(prepared), scaling, Units.none(), Shape(layers, network=name), rng)


def built(prepared: Prepared, name: str) -> tuple[Network, Singles]:
    seed_everything(1)
    scaling = Scaling.of(prepared.samples.features, prepared.layout)
    network = Network.build(prepared.spec, scaling, Shape((32, 16), network=name), priors_of(prepared))
    return network, scaling.rows(prepared.samples.features)


@every
def test_it_learns_what_its_prior_does_not_know(tiny_prepared: Prepared, name: str) -> None:
    network, inputs = built(tiny_prepared, name)
    recipe = replace(QUICK, network=name, epochs=12)

    history = fit(network, material_of(tiny_prepared, inputs, None, recipe), recipe, 1)

    assert history.training[-1] < history.training[0]
    assert np.nanmin(history.validation[history.best]) < 0.9


@every
@pytest.mark.parametrize("layers", [(16,), (32, 16), (32, 16, 16)])
def test_what_is_exported_is_what_was_trained(tiny_prepared: Prepared, name: str, layers: tuple[int, ...]) -> None:
    trained, layout = scorer(tiny_prepared, name, layers), tiny_prepared.layout
    model = to_onnx(trained, layout.feature_width)

    told = prove(model, trained, tiny_prepared.samples.features, layout, outputs(tiny_prepared))

    assert told["same_bits_for_batches"] == [1, 300]
    other = replace(trained, first=(trained.first[0] * np.float32(1.01), trained.first[1]))
    with pytest.raises(TrainingError, match="found a difference of"):
        prove(model, other, tiny_prepared.samples.features, layout, outputs(tiny_prepared))


@every
def test_a_trained_network_and_its_frozen_form_answer_alike(tiny_prepared: Prepared, name: str) -> None:
    network, inputs = built(tiny_prepared, name)
    frozen = network.scorer((Calibration("identity"),) * len(network.outputs))
    first, bias = frozen.first

    logits = tf.concat(frozen.logits(frozen.trunk(inputs @ first + bias)), axis=1)

    assert np.asarray(logits) == pytest.approx(network.logits(inputs), abs=1e-5)


@every
def test_every_weight_has_a_say_in_some_task(tiny_prepared: Prepared, name: str) -> None:
    shape, tasks = (32, 16), len(outputs(tiny_prepared))
    architecture, rng = ARCHITECTURES[name](shape, tasks), np.random.default_rng(5)
    weights = {
        key: tf.Variable(rng.normal(0, 0.5, form), dtype=tf.float32) for key, form in architecture.shapes.items()
    }
    values = tf.Variable(rng.normal(0, 1, (64, architecture.first)), dtype=tf.float32)
    with tf.GradientTape() as tape:
        taken = architecture(weights, values)
        total = tf.add_n([tf.reduce_sum(part * part) for part in taken])
    gradients = dict(zip(["values", *weights], tape.gradient(total, [values, *weights.values()]), strict=True))

    assert [key for key, gradient in gradients.items() if gradient is None or not np.asarray(gradient).any()] == []
    assert len(taken) == (1 if name == "shared-bottom" else tasks)


def test_each_asks_for_the_weights_that_its_paper_has() -> None:
    def count(name: str) -> int:
        architecture = ARCHITECTURES[name]((32, 16), 3)
        return sum(int(np.prod(form)) for form in architecture.shapes.values())

    bottom = 32 * 16 + 16
    assert count("shared-bottom") == bottom
    assert count("towers") == bottom + 16 * 3 * TOWER + 3 * TOWER
    assert count("task-embedding") == bottom + 3 * 16 + 16 * 2 * 16
    assert count("mmoe") == EXPERTS * bottom
    gates = 3 * (32 * 16 + 16)  # a gate mixes three experts: filled up to 16
    assert count("ple") == (3 + SHARED_EXPERTS) * bottom + gates
    assert ARCHITECTURES["mmoe"]((32, 16), 3).first == EXPERTS * 32 + 16
    assert ARCHITECTURES["ple"]((32, 16), 3).first == (3 + SHARED_EXPERTS) * 32 + 16


def test_experts_are_mixed_by_the_shares_of_the_gate() -> None:
    architecture = ARCHITECTURES["mmoe"]((16,), 2)
    values = np.zeros((1, architecture.first), np.float32)
    for expert in range(EXPERTS):
        values[0, expert * 16 : (expert + 1) * 16] = expert + 1.0
    gates = np.log(np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]], np.float32))
    values[0, EXPERTS * 16 : EXPERTS * 16 + 2 * EXPERTS] = gates.ravel()

    first, second = architecture({}, values)

    assert np.asarray(first) == pytest.approx(0.1 * 1 + 0.2 * 2 + 0.3 * 3 + 0.4 * 4)
    assert np.asarray(second) == pytest.approx(0.7 * 1 + 0.1 * 2 + 0.1 * 3 + 0.1 * 4)


@pytest.mark.parametrize("name", ["mmoe", "ple"])
def test_gradients_of_mixtures_are_those_of_small_steps(name: str) -> None:
    architecture, rng = ARCHITECTURES[name]((16, 16), 2), np.random.default_rng(2)
    weights = {key: rng.normal(0, 0.5, form).astype(np.float32) for key, form in architecture.shapes.items()}
    at = tf.constant(rng.normal(0, 1, (1, architecture.first)), tf.float32)

    def total(values: tf.Tensor) -> tf.Tensor:
        return tf.add_n([tf.reduce_sum(tf.sin(part)) for part in architecture(weights, values)])

    with tf.GradientTape() as tape:
        tape.watch(at)
        value = total(at)
    gradient, step = np.asarray(tape.gradient(value, at))[0], 1e-2
    apart = [
        float(total(at + step * to) - total(at - step * to)) / (2 * step) - gradient[column]
        for column, to in enumerate(np.eye(architecture.first, dtype=np.float32))
    ]
    # A step may cross the bend of one unit, where there is no gradient.
    assert np.median(np.abs(apart)) < 1e-3
    assert np.quantile(np.abs(apart), 0.95) < 2e-2 < np.abs(gradient).max()


def test_relu_has_the_gradient_of_relu() -> None:
    at = tf.constant([-1.0, 0.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = relu(at) * 3.0
    assert np.asarray(tape.gradient(value, at)).tolist() == [0.0, 0.0, 3.0]
