"""From samples to a proven ONNX file: fit, calibrate, export, check. Importing this module loads TensorFlow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.progress import SILENT, Progress
from stream_app.bundle import outputs_of
from training.arrays import Floats, Singles
from training.calibrate import Calibration
from training.export import to_onnx
from training.fit import FitOptions, Material, fit, seed_everything
from training.history import History
from training.network import Network, Shape
from training.parity import BATCHES, prove
from training.prepare import Options, Prepared
from training.scaling import Scaling
from training.tasks import KINDS
from training.weights import prior_losses, row_weights, task_weights


@dataclass(frozen=True)
class Trained:
    """A network as ONNX, the scaled inputs of all rows, and how it came about."""

    model: bytes
    inputs: Singles
    calibrations: dict[str, Calibration]
    parity: dict[str, Any]
    history: History


def train(prepared: Prepared, options: Options, progress: Progress = SILENT) -> Trained:
    """Train, calibrate and export a network.

    Raises:
        TrainingError: the exported network is not exactly the trained one.
    """
    seed_everything(options.seed)
    samples, split, layout = prepared.samples, prepared.split, prepared.layout
    scaling = Scaling.of(samples.features[split.train.any(axis=1)], layout)
    network = Network.build(prepared.spec, scaling, Shape(options.layers), _priors(prepared))
    inputs = network.inputs(samples.features)
    weights = task_weights(prepared.spec, samples.labels, split.train)
    material = Material(
        inputs=inputs,
        labels=samples.labels,
        train=split.train,
        validation=split.validation,
        weights=weights,
        per_row=row_weights(weights, split.train),
        priors=prior_losses(prepared.spec, samples.labels, split.train),
    )
    history = fit(network, material, FitOptions(epochs=options.epochs, seed=options.seed), progress)
    calibrations = _calibrations(prepared, network.logits(inputs))
    progress.step("exporting", 0, 1)
    scorer = network.scorer(tuple(calibrations.values()))
    model = to_onnx(scorer, layout.feature_width)
    parity = prove(model, scorer, _some(samples.features), layout, network.outputs)
    progress.step("exporting", 1, 1, f"largest difference {parity['largest_difference']:.1g}")
    return Trained(model, inputs, calibrations, parity, history)


def _priors(prepared: Prepared) -> Floats:
    """Return the logits with which each task begins as its prior, float64 [score width]."""
    labels, train = prepared.samples.labels, prepared.split.train
    return np.concatenate(
        [
            KINDS[output.kind].prior(labels.value[train[:, index], index], output.width)
            for index, output in enumerate(outputs_of(prepared.spec))
        ]
    )


def _calibrations(prepared: Prepared, logits: Floats) -> dict[str, Calibration]:
    labels, rows = prepared.samples.labels, prepared.split.calibration
    return {
        output.task: KINDS[output.kind].calibrate(
            logits[rows[:, index], output.start : output.start + output.width], labels.value[rows[:, index], index]
        )
        for index, output in enumerate(outputs_of(prepared.spec))
    }


def _some(features: Singles) -> Singles:
    """Return at most as many rows as the largest checked batch, spread over all."""
    return features[:: max(1, len(features) // BATCHES[-1])][: BATCHES[-1]]
