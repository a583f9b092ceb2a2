"""Feature rows to calibrated scores, through ONNX Runtime. The one module that imports it."""

import os
from typing import Final

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it is read when the library is loaded

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from schemas.errors import BundleError
from stream_app.bundle import INPUT_NAME, OUTPUT_NAME, Bundle

BATCH_MULTIPLE: Final = 16
"""Batches are filled up to it: vectorised loops then have no scalar tail, whose last bit would differ."""
LARGEST_BATCH: Final = 512
"""What one batch makes on its way then fits into a core's second cache."""


class Predictor:
    """The network of one bundle in one thread."""

    def __init__(self, model: bytes, feature_width: int, score_width: int) -> None:
        """Load a network.

        Raises:
            BundleError: it is no network of these widths.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a class of its own for every failure, all below Exception
            message = f"Expected an ONNX network in model.onnx, found: {error}; train the bundle again."
            raise BundleError(message) from error
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
