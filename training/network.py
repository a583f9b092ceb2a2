"""The article's network: a shared bottom and one head per task. Importing this module loads TensorFlow."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from schemas.spec import Spec
from stream_app.bundle import INPUT_NAME, Output, outputs_of
from training.arrays import Floats, Singles
from training.calibrate import Calibration
from training.scaling import Scaling
from training.tasks import KINDS


@dataclass(frozen=True)
class Shape:
    """The shared bottom: widths of its layers (the article's: one of 64), and the share of units dropped to train."""

    layers: tuple[int, ...] = (128, 64)
    dropout: float = 0.05


@dataclass(frozen=True)
class Network:
    """A network that can be trained: scaled inputs in, logits out, in the order of the bundle's outputs."""

    outputs: tuple[Output, ...]
    scaling: Scaling
    model: Any

    @classmethod
    def build(cls, spec: Spec, scaling: Scaling, shape: Shape, priors: Floats) -> "Network":
        """Build an untrained network.

        Args:
            spec: the tasks.
            scaling: how raw features become inputs.
            shape: of the shared bottom.
            priors: logits to start from, float64 [score width].
        """
        inputs = keras.Input((len(scaling.mean),), name="inputs")
        shared = inputs
        for number, width in enumerate(shape.layers):
            shared = keras.layers.Dense(width, activation="relu", name=f"shared_{number}")(shared)
            shared = keras.layers.Dropout(shape.dropout)(shared)
        outputs = outputs_of(spec)
        heads = [
            keras.layers.Dense(
                output.width,
                name=f"head_{output.task}",
                bias_initializer=_constant(priors[output.start : output.start + output.width]),
            )(shared)
            for output in outputs
        ]
        logits = keras.layers.Concatenate()(heads) if len(heads) > 1 else heads[0]
        return cls(outputs, scaling, keras.Model(inputs, logits))

    def inputs(self, features: Singles) -> Singles:
        """Return the scaled inputs of raw feature rows, float32 [n, feature width]."""
        parts = [np.asarray(self.scaling(part)) for part in _parts(features)]
        return np.concatenate(parts)

    def logits(self, inputs: Singles) -> Floats:
        """Return the logits of scaled inputs, float64 [n, score width]."""
        parts = [np.asarray(self.model(part, training=False), np.float64) for part in _parts(inputs)]
        return np.concatenate(parts)

    def scorer(self, calibrations: tuple[Calibration, ...]) -> Any:  # noqa: ANN401  (Keras is untyped)
        """Return the Keras model from raw features to calibrated scores: the one that is exported.

        Each calibration is folded into its head.
        """
        features = keras.Input((len(self.scaling.mean),), name=INPUT_NAME)
        shared = self.scaling(features)
        for layer in self.model.layers:
            if layer.name.startswith("shared_"):
                shared = layer(shared)
        scores = []
        for output, calibration in zip(self.outputs, calibrations, strict=True):
            kernel, bias = self.model.get_layer(f"head_{output.task}").get_weights()
            head = keras.layers.Dense(output.width, name=f"calibrated_{output.task}")
            logits = head(shared)
            head.set_weights([kernel * np.float32(calibration.gain), np.float32(calibration(bias.astype(np.float64)))])
            scores.append(KINDS[output.kind].activate(logits))
        return keras.Model(features, keras.ops.concatenate(scores, axis=1))


def _constant(values: Floats) -> Any:  # noqa: ANN401  (Keras is untyped)
    def fill(shape: tuple[int, ...], dtype: str | None = None) -> Any:  # noqa: ANN401
        return keras.ops.convert_to_tensor(np.reshape(values, shape), dtype)

    return fill


_BATCH = 8192


def _parts(rows: Singles) -> list[Singles]:
    return [rows[start : start + _BATCH] for start in range(0, max(len(rows), 1), _BATCH)]
