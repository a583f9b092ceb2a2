"""Bent calibrations as part of a network. Importing this module loads TensorFlow."""

from typing import Any, Final

import numpy as np
import tensorflow as tf
from keras import ops

from training.architectures import relu
from training.calibrate import Calibration

_MULTIPLE: Final = 16


@tf.custom_gradient  # type: ignore[untyped-decorator]
def softplus(values: Any) -> Any:  # noqa: ANN401  (tensors)
    """Return log(1 + exp(x)), whose gradient is the sigmoid: the converter to ONNX knows no gradient of Softplus."""
    return tf.nn.softplus(values), lambda upwards: upwards * tf.sigmoid(values)


def bent(logits: Any, calibration: Calibration) -> Any:  # noqa: ANN401  (tensors)
    """Return calibrated logits, tensor [n, 1], of a task whose calibration is not folded into its head."""
    if not calibration.knots:
        gain, bend, shift = (np.float32(part) for part in (calibration.gain, calibration.bend, calibration.shift))
        return logits * gain + softplus(logits) * bend + shift
    at, value = np.array(calibration.knots).T
    # Filled up with steps of height 0: products of such widths have the same bits in every batch.
    filled = np.pad(np.stack([at[:-1], 1.0 / np.diff(at), np.diff(value)]), ((0, 0), (0, -len(at[1:]) % _MULTIPLE)))
    start, slope, rise = filled.astype(np.float32)
    place = (logits - start[None]) * slope[None]
    # A step from 0 to 1 as two bends, whose gradients are known.
    steps = relu(place) - relu(place - 1.0)
    return ops.matmul(steps, rise[:, None]) + np.float32(value[0])
