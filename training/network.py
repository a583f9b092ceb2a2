"""The network: inputs and units, an architecture, and one head per task. Importing this module loads TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import numpy as np

from schemas.spec import Spec
from stream_app.bundle import Output, outputs_of
from training.architectures import ARCHITECTURES, Architecture, Drop, Weights
from training.arrays import Floats, Ints, Singles
from training.bends import bent
from training.calibrate import Calibration
from training.recipe import TAUGHT
from training.scaling import Block, Scaling
from training.tasks import KINDS
from training.units import Units

Layer = tuple[Singles, Singles]


@dataclass(frozen=True)
class Shape:
    """Widths of the layers (the article's: one of 64), share of units dropped to train, and the architecture."""

    layers: tuple[int, ...] = TAUGHT.layers
    dropout: float = TAUGHT.dropout
    network: str = TAUGHT.network


@dataclass(frozen=True)
class Trunk:
    """Trained: from the first layer to what the heads take, one tensor for all of them or one for each.

    Attributes:
        architecture: says how.
        weights: float32, by name.
    """

    architecture: Architecture
    weights: Weights

    def __call__(self, values: Any) -> list[Any]:  # noqa: ANN401  (tensors)
        """Return what the heads take, of what the first layer gives."""
        return self.architecture(self.weights, values)


@dataclass(frozen=True)
class Scorer:
    """The trained weights, from raw features to calibrated scores, in two forms that compute the same.

    Attributes:
        outputs: of the bundle.
        scaling: how raw features become inputs.
        units: of the inputs; the first layer takes both, the inputs first.
        first: kernel [inputs, width] and bias [width] of the first layer, float32.
        trunk: what lies between it and the heads.
        heads: kernel [units, width] and bias [width] of each output, with its calibration where that is straight.
        bends: by output, the calibrations that are not.
    """

    outputs: tuple[Output, ...]
    scaling: Scaling
    units: Units
    first: Layer
    trunk: Trunk
    heads: tuple[Layer, ...]
    bends: Mapping[int, Calibration] = field(default_factory=dict)

    def __call__(self, features: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the scores as the network was trained, layer by layer: what an export is compared with.

        Args:
            features: [n, feature width].
        """
        kernel, bias = self.first
        taken = self.trunk(keras.ops.matmul(self.encoded(features), kernel) + bias)
        taken = taken * len(self.heads) if len(taken) == 1 else taken
        heads = zip(taken, self.heads, strict=True)
        return self._scores(self._bent([keras.ops.matmul(values, kernel) + bias for values, (kernel, bias) in heads]))

    def encoded(self, features: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return what the first layer takes: scaled inputs and their units, [n, inputs]."""
        return _encoded(self.scaling(keras.ops.convert_to_tensor(features)), self.units)

    def arranged(self, features: Any) -> Any:  # noqa: ANN401  (tensors)
        """Return the scores in the form that is exported, with fewer passes over memory.

        The first layer takes the inputs block by block, and heads that look at the same are one product.

        Args:
            features: tensor [n, feature width].
        """
        (kernel, bias), width = self.first, len(self.scaling.mean)
        unscaled, values = kernel[:width] * self.scaling.factor[:, None], bias
        blocks = self.scaling.blocks(features)
        for block in blocks:
            values = keras.ops.matmul(block.distances, unscaled[block.columns]) + values
        if len(self.units):
            values = keras.ops.matmul(self._units(blocks), kernel[width:]) + values
        return self._scores(self.logits(self.trunk(values)))

    def logits(self, taken: list[Any]) -> list[Any]:
        """Return the calibrated logits of each output.

        Args:
            taken: what the heads take, one tensor for all or one for each.
        """
        if len(taken) > 1:
            heads = zip(taken, self.heads, strict=True)
            return self._bent([keras.ops.matmul(values, kernel) + bias for values, (kernel, bias) in heads])
        kernels, biases = zip(*self.heads, strict=True)
        logits = keras.ops.matmul(taken[0], np.concatenate(kernels, axis=1)) + np.concatenate(biases)
        starts = [output.start for output in self.outputs[1:]]
        return self._bent(list(keras.ops.split(logits, starts, axis=1)) if starts else [logits])

    def _bent(self, logits: list[Any]) -> list[Any]:
        return [bent(part, self.bends[index]) if index in self.bends else part for index, part in enumerate(logits)]

    def _units(self, blocks: tuple[Block, ...]) -> Any:  # noqa: ANN401  (tensors)
        """Return the units from the blocks of inputs, bit by bit as the units of all inputs would be.

        A product with ones and zeros takes out the few columns that are looked at, and another copies each to its
        units: both are as exact as to gather them, and quicker.
        """
        looked_at, parts, places = np.unique(self.units.column), [], []
        last = {column: number for number, block in enumerate(blocks) for column in block.columns.tolist()}
        for number, block in enumerate(blocks):
            mine = np.array([column for column in looked_at.tolist() if last[column] == number], np.int64)
            if len(mine):
                parts.append(keras.ops.matmul(block.distances, _copies(block.columns, mine)))
                places.append(mine)
        columns = np.concatenate(places)
        distances = keras.ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        values = keras.ops.matmul(distances * self.scaling.factor[columns], _copies(columns, self.units.column))
        return keras.ops.clip((values - self.units.start) * self.units.slope, 0.0, 1.0)

    def _scores(self, logits: list[Any]) -> Any:  # noqa: ANN401  (tensors)
        parts = [KINDS[output.learned_as].activate(part) for output, part in zip(self.outputs, logits, strict=True)]
        return keras.ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


@dataclass(frozen=True)
class Network:
    """A network that can be trained: scaled inputs in, logits out, in the order of the bundle's outputs."""

    outputs: tuple[Output, ...]
    scaling: Scaling
    units: Units
    model: Any

    @classmethod
    def build(cls, spec: Spec, scaling: Scaling, shape: Shape, priors: Floats, units: Units | None = None) -> "Network":
        """Build an untrained network.

        Args:
            spec: the tasks.
            scaling: how raw features become inputs.
            shape: of what lies between inputs and heads.
            priors: logits to start from, float64 [score width].
            units: of the scaled inputs; default: none.
        """
        units = Units.none() if units is None else units
        inputs = keras.Input((len(scaling.mean),), name="inputs")
        outputs = outputs_of(spec)
        architecture = ARCHITECTURES[shape.network](shape.layers, len(outputs))
        values = keras.layers.Dense(architecture.first, name="first")(_encoded(inputs, units))
        taken = _Trunk(architecture, shape.dropout)(values)
        taken = taken * len(outputs) if len(taken) == 1 else taken
        heads = [
            keras.layers.Dense(
                output.width,
                name=f"head_{output.task}",
                bias_initializer=_constant(priors[output.start : output.start + output.width]),
            )(head)
            for output, head in zip(outputs, taken, strict=True)
        ]
        logits = keras.layers.Concatenate()(heads) if len(heads) > 1 else heads[0]
        return cls(outputs, scaling, units, keras.Model(inputs, logits))

    def logits(self, inputs: Singles) -> Floats:
        """Return the logits of scaled inputs, float64 [n, score width]."""
        parts = [np.asarray(self.model(part, training=False), np.float64) for part in _parts(inputs)]
        return np.concatenate(parts)

    def scorer(self, calibrations: tuple[Calibration, ...]) -> Scorer:
        """Return what goes from raw features to calibrated scores; straight calibrations are folded into the heads."""
        heads: list[Layer] = []
        for output, calibration in zip(self.outputs, calibrations, strict=True):
            kernel, bias = self.model.get_layer(f"head_{output.task}").get_weights()
            if not calibration.is_straight:
                heads.append((kernel, bias))
                continue
            shifted = calibration(bias.astype(np.float64)).astype(np.float32)
            heads.append((kernel * np.float32(calibration.gain), shifted))
        first, trunk = (self.model.get_layer(name) for name in ("first", "trunk"))
        bends = {index: item for index, item in enumerate(calibrations) if not item.is_straight}
        weights = tuple(first.get_weights()), trunk.trained(), tuple(heads)
        return Scorer(self.outputs, self.scaling, self.units, *weights, bends)


class _Trunk(keras.layers.Layer):  # type: ignore[misc]
    """What lies between the first layer and the heads, while it is trained."""

    def __init__(self, architecture: Architecture, dropout: float) -> None:
        super().__init__(name="trunk")
        self._architecture = architecture
        self._dropout = keras.layers.Dropout(dropout)
        self._own = {
            name: self.add_weight(shape, "zeros" if len(shape) == 1 else "glorot_uniform", name=name.replace("/", "_"))
            for name, shape in architecture.shapes.items()
        }

    def call(self, values: Any, *, training: bool = False) -> list[Any]:  # noqa: ANN401  (tensors)
        """Return what the heads take."""
        drop: Drop = partial(self._dropout, training=training)
        return self._architecture(self._own, values, drop)

    def trained(self) -> Trunk:
        """Return a copy of what was learned."""
        return Trunk(self._architecture, {name: np.array(weight.numpy()) for name, weight in self._own.items()})


def _copies(source: Ints, wanted: Ints) -> Singles:
    """Return what a row of columns is multiplied by to have the wanted ones, float32 [source, wanted]."""
    copies: Singles = (source[:, None] == wanted).astype(np.float32)
    return copies


def _encoded(inputs: Any, units: Units) -> Any:  # noqa: ANN401  (tensors)
    """Return scaled inputs and their units, what the first layer takes."""
    return keras.ops.concatenate([inputs, units(inputs)], axis=1) if len(units) else inputs


def _constant(values: Floats) -> Any:  # noqa: ANN401  (Keras is untyped)
    def fill(shape: tuple[int, ...], dtype: str | None = None) -> Any:  # noqa: ANN401
        return keras.ops.convert_to_tensor(np.reshape(values, shape), dtype)

    return fill


_BATCH = 8192


def _parts(rows: Singles) -> list[Singles]:
    return [rows[start : start + _BATCH] for start in range(0, max(len(rows), 1), _BATCH)]
