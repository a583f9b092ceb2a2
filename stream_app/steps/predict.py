"""Feature rows to calibrated scores, through ONNX Runtime. The one module that imports it."""

import os
from typing import Any, Final, NamedTuple

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is read when the library is loaded

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from schemas.errors import BundleError
from stream_app.bundle import CHOSEN_NAME, INPUT_NAME, MODEL, OUTPUT_NAME, REASONS, REASONS_NAME, Bundle

BATCH_MULTIPLE: Final = 16
"""Batches are filled up to it: vectorised loops then have no scalar tail, whose last bit would differ."""
EXPLAIN_MULTIPLE: Final = 4
"""Likewise for what explains: a row there is many rows of its products."""
EXPLAIN_BATCH: Final = 64
LARGEST_BATCH: Final = 512
"""What one batch makes on its way then fits into a core's second cache."""


class Predictor:
    """The network of one bundle in one thread."""

    def __init__(self, model: bytes, feature_width: int, score_width: int) -> None:
        """Load a network.

        Raises:
            BundleError: it is no network of these widths.
        """
        self._session = _session(model, MODEL)
        self._feature_width, self._score_width = feature_width, score_width
        shapes = [(item.name, item.shape[-1:]) for item in (*self._session.get_inputs(), *self._session.get_outputs())]
        expected = [(INPUT_NAME, [feature_width]), (OUTPUT_NAME, [score_width])]
        if shapes != expected:
            message = f"Expected inputs and outputs {expected} in model.onnx, found {shapes}; train the bundle again."
            raise BundleError(message)

    @classmethod
    def of(cls, bundle: Bundle) -> "Predictor":
        """Load the network of a bundle."""
        outputs = bundle.manifest.outputs
        return cls(bundle.model, bundle.manifest.feature_width, outputs[-1].start + outputs[-1].width)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of feature rows, float32 [n, score width]; the same bits for any way of batching.

        Raises:
            BundleError: a score is NaN, which no message can carry.
        """
        if len(features) == 0:  # not every operator takes an empty batch
            return np.empty((0, self._score_width), np.float32)
        scores = np.empty((len(features), self._score_width), np.float32)
        for start in range(0, len(features), LARGEST_BATCH):
            scores[start : start + LARGEST_BATCH] = self._batch(features, start)
        if np.isnan(scores).any():
            message = "Expected a number as every score, found NaN from model.onnx; train the bundle again."
            raise BundleError(message)
        return scores

    def _batch(self, features: NDArray[np.float32], start: int) -> NDArray[np.float32]:
        """Return the scores from a row on: of a whole batch, or of what is left.

        What is left is filled up with the rows before it, which costs no copy, or else with zeros.
        """
        stop = min(start + LARGEST_BATCH, len(features))
        missing = (start - stop) % BATCH_MULTIPLE
        if missing <= start:
            rows = features[start - missing : stop]
        else:
            rows = np.zeros((stop + missing, self._feature_width), np.float32)
            rows[:stop] = features
        scores: NDArray[np.float32] = self._session.run([OUTPUT_NAME], {INPUT_NAME: rows})[0]
        return scores[missing:] if missing <= start else scores[:stop]


class Explained(NamedTuple):
    """What the columns of n feature rows contributed to an answer.

    Attributes:
        contributions: float32 [n, feature width].
        reference: float32 [n], the answer that they are added to.
    """

    contributions: NDArray[np.float32]
    reference: NDArray[np.float32]


class Explainer:
    """What explains the network of one bundle (``training.reasons``)."""

    def __init__(self, model: bytes, score_width: int) -> None:
        """Load it.

        Raises:
            BundleError: it is no ONNX file.
        """
        self._session, self._score_width = _session(model, REASONS), score_width

    @classmethod
    def of(cls, bundle: Bundle) -> "Explainer | None":
        """Load what explains a bundle; None where it has nothing of the kind."""
        model, last = bundle.reasons, bundle.manifest.outputs[-1]
        return None if model is None else cls(model, last.start + last.width)

    def __call__(self, features: NDArray[np.float32], columns: NDArray[np.int64]) -> Explained:
        """Explain answers; the same bits for any way of batching.

        Args:
            features: float32 [n, feature width].
            columns: int64 [n], the column of the scores that is explained.
        """
        rows = len(features) + -len(features) % EXPLAIN_MULTIPLE
        filled = np.zeros((rows, features.shape[1]), np.float32)
        filled[: len(features)] = features
        chosen = np.zeros((rows, self._score_width), np.float32)
        chosen[np.arange(len(columns)), columns] = 1.0
        parts = [
            self._session.run([REASONS_NAME], {INPUT_NAME: filled[start:stop], CHOSEN_NAME: chosen[start:stop]})[0]
            for start in range(0, rows, EXPLAIN_BATCH)
            for stop in [min(start + EXPLAIN_BATCH, rows)]
        ]
        found = np.concatenate(parts) if parts else np.empty((0, features.shape[1] + 1), np.float32)
        return Explained(found[: len(features), :-1], found[: len(features), -1])


def _session(model: bytes, name: str) -> Any:  # noqa: ANN401  (onnxruntime is untyped)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a class of its own for every failure, all below Exception
        message = f"Expected an ONNX network in {name}, found: {error}; train the bundle again."
        raise BundleError(message) from error
