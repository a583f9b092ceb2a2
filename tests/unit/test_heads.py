"""Heads go on alone: none gets worse on the validation rows, and the shared bottom stays as it was."""

import keras
import numpy as np
import pytest

from training import heads
from training.fit import Material, fit, seed_everything
from training.heads import go_on
from training.network import Network, Shape
from training.prepare import Prepared
from training.recipe import QUICK
from training.scaling import Scaling
from training.tasks import KINDS
from training.trainer import material_of, priors_of


@pytest.fixture(scope="module")
def trained(tiny_prepared: Prepared) -> tuple[Network, Material]:
    seed_everything(1)
    features = tiny_prepared.samples.features
    scaling = Scaling.of(features, tiny_prepared.layout)
    network = Network.build(tiny_prepared.spec, scaling, Shape((32,)), priors_of(tiny_prepared))
    material = material_of(tiny_prepared, scaling.rows(features), None, QUICK)
    fit(network, material, QUICK, 1)
    return network, material


def losses(network: Network, material: Material) -> list[float]:
    """Return the mean validation loss of each task."""
    lesson = material.validation
    logits = network.logits(lesson.inputs[lesson.rows])
    found = []
    for index, output in enumerate(network.outputs):
        part, rows = slice(output.start, output.start + output.width), lesson.counts[:, index] > 0
        each = KINDS[output.learned_as].loss(
            keras.ops.convert_to_tensor(logits[rows, part], "float32"), lesson.targets[rows, part]
        )
        found.append(float(np.mean(np.asarray(each))))
    return found


def test_no_head_gets_worse_and_the_shared_bottom_stays(
    trained: tuple[Network, Material], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, material = trained
    monkeypatch.setattr(heads, "ROUNDS", 3)
    monkeypatch.setattr(heads, "_STEPS", 20)
    before, bottom = losses(network, material), network.model.get_layer("first").get_weights()

    rounds = go_on(network, material, 1)

    after = losses(network, material)
    assert set(rounds) == {output.task for output in network.outputs}
    for index, output in enumerate(network.outputs):
        assert after[index] < before[index] if rounds[output.task] else after[index] == before[index]
    assert all(
        np.array_equal(*pair) for pair in zip(bottom, network.model.get_layer("first").get_weights(), strict=True)
    )


def test_a_head_that_could_only_get_worse_is_left_alone(
    trained: tuple[Network, Material], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, material = trained
    monkeypatch.setattr(heads, "ROUNDS", 2)
    monkeypatch.setattr(heads, "_STEPS", 5)
    monkeypatch.setattr(heads, "_RATE", 10.0)
    before = [network.model.get_layer(f"head_{output.task}").get_weights()[0] for output in network.outputs]

    rounds = go_on(network, material, 1)

    after = [network.model.get_layer(f"head_{output.task}").get_weights()[0] for output in network.outputs]
    assert set(rounds.values()) == {0}
    assert all(np.array_equal(*pair) for pair in zip(before, after, strict=True))
