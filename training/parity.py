"""Proves that the exported network is the trained one: export is checked, not trusted."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import onnx

from schemas.errors import BundleError, TrainingError
from stream_app.bundle import INPUT_NAME, OUTPUT_NAME, Output
from stream_app.kernel.layout import Layout
from stream_app.steps.predict import BATCH_MULTIPLE, Explainer, Predictor
from training.arrays import Flags, Singles
from training.export import OPSET
from training.tasks import LARGEST_LOG

TOLERANCE: Final = 1e-6
"""Largest difference of a score as a share of its range: a probability's is 1; money is compared on the scale on which
it is learned, log(1 + x), whose range is ``LARGEST_LOG``. float32 knows a logarithm of 10 to no better than 1e-6."""
EDGE_TOLERANCE: Final = 1e-5
"""Likewise at the edge rows: hundreds of inputs stand at their bounds at once, and float32 sums are larger."""
BATCHES: Final = (1, 7, 4096)
LARGEST_WINDOW: Final = 300
REASON_TOLERANCE: Final = 1e-4
"""Largest difference of a contribution: they are told with four decimals, and are of the order of 1."""
BENT_ROWS: Final = 0.05
BENT_SHARE: Final = 0.01
"""The share of rows that may differ by more, and by what share of all that contributes there: where a point of the line
falls on the bend of a unit, rounding decides on which side of it, and so if the unit counts at that one point."""
REASON_ROWS: Final = 70
_LARGEST_AMOUNT: Final = 1e12


def prove(
    model: bytes, trained: Callable[[Singles], Any], features: Singles, layout: Layout, outputs: tuple[Output, ...]
) -> dict[str, Any]:
    """Check an exported network against the trained one; return what the manifest says of it.

    Args:
        model: the ONNX file.
        trained: from raw features to scores, in TensorFlow.
        features: real feature rows, float32 [n, feature width].
        layout: of the features.
        outputs: of the scores.

    Raises:
        TrainingError: names, types or shapes are others; a score differs by more than the tolerance, or in any bit
            between batch sizes.
    """
    _check_signature(model)
    try:
        predict = Predictor(model, layout.feature_width, outputs[-1].start + outputs[-1].width)
    except BundleError as error:
        message = f"Expected an exported network that can be loaded, found: {error}"
        raise TrainingError(message) from error
    edges = edge_rows(layout)
    rows = np.concatenate([edges, np.resize(features, (BATCHES[-1] - len(edges), layout.feature_width))])
    money = _money_columns(outputs)
    largest = {"real": 0.0, "edge": 0.0}
    for size in BATCHES:
        for kind, part in (("edge", rows[: min(size, len(edges))]), ("real", rows[len(edges) :][:size])):
            found = difference(predict(part), np.asarray(trained(part)), money)
            largest[kind] = max(largest[kind], found)
    for kind, tolerance in (("real", TOLERANCE), ("edge", EDGE_TOLERANCE)):
        if not largest[kind] <= tolerance:
            message = (
                f"Expected exported scores within {tolerance:g} of the trained network's at {kind} rows, found a "
                f"difference of {largest[kind]:.3g}; no bundle was written: train with another --seed, and report this."
            )
            raise TrainingError(message)
    _check_bits(predict, rows)
    return {
        "tolerance": TOLERANCE,
        "largest_difference": largest["real"],
        "edge_tolerance": EDGE_TOLERANCE,
        "largest_edge_difference": largest["edge"],
        "batches": list(BATCHES),
        "edge_rows": len(edges),
        "same_bits_for_batches": [1, LARGEST_WINDOW],
    }


def prove_reasons(
    model: bytes, trained: Callable[[Any, Any], Any], features: Singles, outputs: tuple[Output, ...]
) -> dict[str, Any]:
    """Check what explains a network, as exported, against what was exported; return what the manifest says of it.

    Args:
        model: the ONNX file.
        trained: from raw features and chosen columns to contributions and reference, in TensorFlow.
        features: real feature rows, float32 [n, feature width].
        outputs: of the scores.

    Raises:
        TrainingError: a contribution differs by more than the tolerance, or in any bit between batch sizes.
    """
    width = outputs[-1].start + outputs[-1].width
    explain, rows = Explainer(model, width), features[:REASON_ROWS]
    columns = np.arange(len(rows)) % width
    chosen = np.eye(width, dtype=np.float32)[columns]
    found, expected = explain(rows, columns), np.asarray(trained(rows, chosen))
    apart = np.abs(np.column_stack(found) - expected).max(axis=1, initial=0.0)
    largest, bent = float(apart.max(initial=0.0)), ~(apart <= REASON_TOLERANCE)
    size_of_all = np.abs(expected[:, :-1]).sum(axis=1)
    if bent.mean() > BENT_ROWS or not (apart <= REASON_TOLERANCE + BENT_SHARE * size_of_all).all():
        message = (
            f"Expected exported contributions within {REASON_TOLERANCE:g} of the computed ones, found a difference of "
            f"{largest:.3g}; no bundle was written: train with another --seed, and report this."
        )
        raise TrainingError(message)
    for size in range(1, len(rows) + 1):
        if explain(rows[:size], columns[:size]).contributions.tobytes() != found.contributions[:size].tobytes():
            message = (
                f"Expected the same bits for every batch size, found other contributions in a batch of {size}; no "
                "bundle was written: use widths that are multiples of 16."
            )
            raise TrainingError(message)
    return {"tolerance": REASON_TOLERANCE, "largest_difference": largest, "same_bits_for_batches": [1, len(rows)]}


def edge_rows(layout: Layout) -> Singles:
    """Return feature rows at the edges of what the kernel can give, float32 [k, feature width]."""
    width, logs = layout.feature_width, layout.log_width
    rows = np.zeros((8, width), np.float32)
    rows[1, :logs] = _LARGEST_AMOUNT
    rows[2, logs:] = 100.0
    rows[3, logs:] = -100.0
    rows[4] = 1.0
    rows[5, :logs] = 1e-20
    rows[6, :logs:2] = _LARGEST_AMOUNT
    rows[7, 1:logs:2], rows[7, logs:] = np.finfo(np.float32).max, -20.0
    return rows


def difference(found: Singles, expected: Singles, money: Flags) -> float:
    """Return the largest difference, as ``TOLERANCE`` counts it; infinite where a score is not finite.

    Args:
        found: scores [n, width].
        expected: scores [n, width].
        money: bool [width], which columns are money.
    """
    if not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return float("inf")
    a, b = (
        np.where(money, np.log1p(np.maximum(scores, 0.0, dtype=np.float64)), scores) for scores in (found, expected)
    )
    return float(np.max(np.abs(a - b) / np.where(money, LARGEST_LOG, 1.0), initial=0.0))


def _check_signature(model: bytes) -> None:
    proto = onnx.load_from_string(model)
    values = (*proto.graph.input, *proto.graph.output)
    dynamic = [value.type.tensor_type.shape.dim[0].HasField("dim_param") for value in values]
    found = ([value.name for value in values], {value.type.tensor_type.elem_type for value in values}, all(dynamic))
    expected = ([INPUT_NAME, OUTPUT_NAME], {onnx.TensorProto.FLOAT}, True)
    opset = max(item.version for item in proto.opset_import)
    if found != expected or opset < OPSET:
        message = (
            f"Expected an exported network with names, types and a free batch size {expected} of opset {OPSET}, found "
            f"{found} of opset {opset}; use the versions of tf2onnx and TensorFlow that `foretell[train]` names."
        )
        raise TrainingError(message)


def _check_bits(predict: Predictor, rows: Singles) -> None:
    """Compare batches of all sizes, at both ends of the largest window, with the same rows among all others."""
    whole, rows = predict(rows)[: LARGEST_WINDOW + 1], rows[: LARGEST_WINDOW + 1]
    for size in range(1, LARGEST_WINDOW + 1):
        for part in (slice(0, size), slice(len(rows) - size, len(rows))):
            if predict(rows[part]).tobytes() != whole[part].tobytes():
                message = (
                    f"Expected the same bits for every batch size, found others in a batch of {size} (filled up to a "
                    f"multiple of {BATCH_MULTIPLE}); no bundle was written: use widths that are multiples of 16."
                )
                raise TrainingError(message)


def _money_columns(outputs: tuple[Output, ...]) -> Flags:
    money = [np.full(output.width, output.kind == "value") for output in outputs]
    return np.concatenate(money)
