"""From samples to a proven ONNX file: fit, calibrate, export, check. Importing this module loads TensorFlow."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.errors import TrainingError
from schemas.progress import SILENT, Progress
from stream_app.bundle import Output, outputs_of
from training.arrays import Floats, Ints, Singles
from training.calibrate import BINARY, Calibration, best
from training.export import reasons_to_onnx, to_onnx
from training.fit import Lesson, Material, fit, seed_everything
from training.heads import go_on
from training.history import History
from training.labels import Labels
from training.matrix import evenly
from training.network import Network, Scorer, Shape
from training.parity import BATCHES, prove, prove_reasons
from training.prepare import Options, Prepared
from training.reasons import Reasons
from training.recipe import Recipe
from training.scaling import Scaling
from training.tasks import KINDS
from training.teachers import Taught, teach
from training.units import Splits, Units
from training.weights import WEIGHTINGS, prior_losses, row_weights, task_weights

_ROWS_OF_UNITS: Final = 200_000
"""Training rows that tell how far the units of an input reach."""


@dataclass(frozen=True)
class Trained:
    """A network and what explains it as ONNX, the scaled inputs of all rows, and how it came about.

    ``teachers`` tells of each task that was taught what share of the answers was a linear model's.
    """

    model: bytes
    reasons: bytes
    inputs: Singles
    calibrations: dict[str, Calibration]
    parity: dict[str, Any]
    history: History
    teachers: dict[str, float]


def train(prepared: Prepared, options: Options, progress: Progress = SILENT, taught: Taught | None = None) -> Trained:
    """Train, calibrate and export a network.

    Args:
        prepared: the samples.
        options: how to train.
        progress: told of each phase.
        taught: what teachers answer; default: they are asked, if the options want them.

    Raises:
        TrainingError: the exported network is not exactly the trained one.
    """
    _, inputs = scaled(prepared)
    if taught is None and options.teachers:
        taught = teach(prepared, inputs, options.seed, progress)
    network, history = fitted(prepared, taught, options.recipe, options.seed, progress)
    logits, layout = network.logits(inputs), prepared.layout
    calibrations = _calibrations(prepared, logits, prepared.spec.training.calibration)
    progress.step("exporting", 0, 1)
    try:
        scorer, model, parity = _proven(network, calibrations, prepared)
    except TrainingError:
        if all(calibration.is_straight for calibration in calibrations.values()):
            raise
        # Where a bent calibration magnifies the rounding of logits beyond what is accepted, the straight one stands.
        calibrations = _calibrations(prepared, logits, "platt")
        scorer, model, parity = _proven(network, calibrations, prepared)
    progress.step("exporting", 1, 1, f"largest difference {parity['largest_difference']:.1g}")
    explains = Reasons(scorer)
    reasons = reasons_to_onnx(explains, layout.feature_width, network.outputs[-1].start + network.outputs[-1].width)
    parity["reasons"] = prove_reasons(reasons, explains, _some(prepared.samples.features), network.outputs)
    return Trained(model, reasons, inputs, calibrations, parity, history, taught.linear if taught else {})


def scaled(prepared: Prepared) -> tuple[Scaling, Singles]:
    """Return how raw features become inputs, and the scaled inputs of all samples."""
    features, learned = prepared.samples.features, np.flatnonzero(prepared.split.train.any(axis=1))
    scaling = Scaling.of(features, prepared.layout, learned)
    return scaling, scaling.rows(features)


def fitted(
    prepared: Prepared, taught: Taught | None, recipe: Recipe, seed: int, progress: Progress = SILENT
) -> tuple[Network, History]:
    """Fit a network to the training rows; arguments as of ``train``."""
    seed_everything(seed)
    scaling, inputs = scaled(prepared)
    some = evenly(np.flatnonzero(prepared.split.train.any(axis=1)), _ROWS_OF_UNITS)
    learned = prepared.samples.features[some]
    splits = Splits.joined([] if taught is None else list(taught.splits.values()))
    units = Units.of(splits, learned, scaling, recipe.units)
    shape = Shape(recipe.layers, recipe.dropout, recipe.network)
    network = Network.build(prepared.spec, scaling, shape, priors_of(prepared), units)
    material = material_of(prepared, inputs, taught, recipe)
    history = fit(network, material, recipe, seed, progress)
    if taught is not None:
        go_on(network, material, seed, progress)
    return network, history


def material_of(prepared: Prepared, inputs: Singles, taught: Taught | None, recipe: Recipe) -> Material:
    """Return what the network learns: labels, mixed with what teachers answer.

    Args:
        prepared: the samples.
        inputs: scaled inputs of all samples.
        taught: the teachers' answers, if there are any.
        recipe: how they are mixed with the labels.
    """
    spec, labels, split = prepared.spec, prepared.samples.labels, prepared.split
    outputs = outputs_of(spec)
    rows, checked = (np.flatnonzero(side.any(axis=1)) for side in (split.train, split.validation))
    rows = rows if taught is None else taught.rows
    targets, counts = _hard(outputs, labels, rows), split.train[rows].astype(np.float32)
    if taught is not None:
        for index, output in enumerate(outputs):
            if taught.tasks[index]:
                part, known = slice(output.start, output.start + output.width), split.train[rows, index]
                trust = np.where(known, recipe.trust, 1.0).astype(np.float32)[:, None]
                targets[:, part] = trust * taught.answers[:, part] + (1.0 - trust) * targets[:, part]
                counts[:, index] = np.where(known, 1.0, recipe.unlabelled)
    of_classes = np.array([output.kind == "multiclass" for output in outputs])
    weighting = WEIGHTINGS[recipe.weights](len(outputs))
    weights = task_weights(spec, labels, split.train, weighting) * np.where(of_classes, recipe.classes, 1.0)
    return Material(
        train=Lesson(inputs, rows, targets, counts),
        validation=Lesson(
            inputs, checked, _hard(outputs, labels, checked), split.validation[checked].astype(np.float32)
        ),
        weights=weights,
        per_row=row_weights(weights, counts),
        priors=prior_losses(spec, labels, split.train),
        weighting=weighting,
    )


def _hard(outputs: tuple[Output, ...], labels: Labels, rows: Ints) -> Singles:
    """Return labels as targets, float32 [rows, score width]."""
    parts = [
        KINDS[output.learned_as].hard(labels.value[rows, index], output.width) for index, output in enumerate(outputs)
    ]
    return np.concatenate(parts, axis=1).astype(np.float32)


def priors_of(prepared: Prepared) -> Floats:
    """Return the logits with which each task begins as its prior, float64 [score width]."""
    labels, train = prepared.samples.labels, prepared.split.train
    return np.concatenate(
        [
            KINDS[output.learned_as].prior(labels.value[train[:, index], index], output.width)
            for index, output in enumerate(outputs_of(prepared.spec))
        ]
    )


def _proven(
    network: Network, calibrations: dict[str, Calibration], prepared: Prepared
) -> tuple[Scorer, bytes, dict[str, Any]]:
    """Return what goes from features to scores, the same as ONNX, and what the manifest says of how alike they are."""
    scorer = network.scorer(tuple(calibrations.values()))
    model = to_onnx(scorer, prepared.layout.feature_width)
    some = _some(prepared.samples.features)
    return scorer, model, prove(model, scorer, some, prepared.layout, network.outputs)


def _calibrations(prepared: Prepared, logits: Floats, method: str) -> dict[str, Calibration]:
    labels = prepared.samples.labels
    _, group = np.unique(prepared.log.groups, return_inverse=True)
    found = {}
    for index, output in enumerate(outputs_of(prepared.spec)):
        rows = np.flatnonzero(prepared.split.calibration[:, index])
        said, target = logits[rows, output.start : output.start + output.width], labels.value[rows, index]
        if output.kind != "binary" or method == "platt":
            found[output.task] = KINDS[output.learned_as].calibrate(said, target)
        elif method == "best":
            found[output.task] = best(said, target, group[prepared.samples.rows.customer[rows]])
        else:
            found[output.task] = BINARY[method](said, target)
    return found


def _some(features: Singles) -> Singles:
    """Return at most as many rows as the largest checked batch, spread over all."""
    return features[:: max(1, len(features) // BATCHES[-1])][: BATCHES[-1]]
