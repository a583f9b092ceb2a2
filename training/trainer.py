"""From samples to a proven ONNX file: fit, calibrate, export, check. Importing this module loads TensorFlow."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.progress import SILENT, Progress
from stream_app.bundle import Output, outputs_of
from training.arrays import Floats, Ints, Singles
from training.calibrate import Calibration
from training.export import to_onnx
from training.fit import FitOptions, Lesson, Material, fit, seed_everything
from training.history import History
from training.labels import Labels
from training.network import Network, Shape
from training.parity import BATCHES, prove
from training.prepare import Options, Prepared
from training.scaling import Scaling
from training.tasks import KINDS
from training.teachers import Taught, teach
from training.weights import prior_losses, row_weights, task_weights

TRUST: Final = 0.9
"""The teacher's share in the target of a labelled row; the rest is the label's."""
UNLABELLED: Final = 0.5
"""What a row counts for a task that has no label there, beside one that has."""


@dataclass(frozen=True)
class Trained:
    """A network as ONNX, the scaled inputs of all rows, and how it came about.

    ``teachers`` tells of each task that was taught what share of the answers was a linear model's.
    """

    model: bytes
    inputs: Singles
    calibrations: dict[str, Calibration]
    parity: dict[str, Any]
    history: History
    teachers: dict[str, float]


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
    taught = teach(prepared, inputs, options.seed, progress) if options.teachers else None
    material = material_of(prepared, inputs, taught)
    history = fit(network, material, FitOptions(epochs=options.epochs, seed=options.seed), progress)
    calibrations = _calibrations(prepared, network.logits(inputs))
    progress.step("exporting", 0, 1)
    scorer = network.scorer(tuple(calibrations.values()))
    model = to_onnx(scorer, layout.feature_width)
    parity = prove(model, scorer, _some(samples.features), layout, network.outputs)
    progress.step("exporting", 1, 1, f"largest difference {parity['largest_difference']:.1g}")
    return Trained(model, inputs, calibrations, parity, history, taught.linear if taught else {})


def material_of(prepared: Prepared, inputs: Singles, taught: Taught | None) -> Material:
    """Return what the network learns: labels, mixed with what teachers answer.

    Args:
        prepared: the samples.
        inputs: scaled inputs of all samples.
        taught: the teachers' answers, if there are any.
    """
    spec, labels, split = prepared.spec, prepared.samples.labels, prepared.split
    outputs = outputs_of(spec)
    rows, checked = (np.flatnonzero(side.any(axis=1)) for side in (split.train, split.validation))
    targets, counts = _hard(outputs, labels, rows), split.train[rows].astype(np.float32)
    if taught is not None:
        for index, output in enumerate(outputs):
            if taught.tasks[index]:
                part, known = slice(output.start, output.start + output.width), split.train[rows, index]
                trust = np.where(known, TRUST, 1.0).astype(np.float32)[:, None]
                targets[:, part] = trust * taught.answers[:, part] + (1.0 - trust) * targets[:, part]
                counts[:, index] = np.where(known, 1.0, UNLABELLED)
    weights = task_weights(spec, labels, split.train)
    return Material(
        train=Lesson(inputs[rows], targets, counts),
        validation=Lesson(
            inputs[checked], _hard(outputs, labels, checked), split.validation[checked].astype(np.float32)
        ),
        weights=weights,
        per_row=row_weights(weights, counts),
        priors=prior_losses(spec, labels, split.train),
    )


def _hard(outputs: tuple[Output, ...], labels: Labels, rows: Ints) -> Singles:
    """Return labels as targets, float32 [rows, score width]."""
    parts = [KINDS[output.kind].hard(labels.value[rows, index], output.width) for index, output in enumerate(outputs)]
    return np.concatenate(parts, axis=1).astype(np.float32)


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
