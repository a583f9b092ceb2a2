"""Networks with random weights, of any architecture."""

import numpy as np

from stream_app.bundle import Output
from training.architectures import ARCHITECTURES
from training.arrays import Singles
from training.network import Layer, Scorer, Shape, Trunk
from training.scaling import Scaling
from training.units import Units


def random_scorer(
    outputs: tuple[Output, ...], scaling: Scaling, units: Units, shape: Shape, rng: np.random.Generator
) -> Scorer:
    """Return a scorer whose values are of the order of 1 in every layer."""
    architecture = ARCHITECTURES[shape.network](shape.layers, len(outputs))
    first = _layer(rng, len(scaling.mean) + len(units), architecture.first)
    trunk = Trunk(architecture, {name: _weight(rng, form) for name, form in architecture.shapes.items()})
    taken = trunk(np.zeros((1, architecture.first), np.float32))
    heads = tuple(_layer(rng, taken[0].shape[1], output.width, 0.3) for output in outputs)
    return Scorer(outputs, scaling, units, first, trunk, heads)


def _layer(rng: np.random.Generator, before: int, width: int, size: float = 1.0) -> Layer:
    kernel: Singles = np.float32(size) * _weight(rng, (before, width))
    return kernel, _weight(rng, (width,))


def _weight(rng: np.random.Generator, form: tuple[int, ...]) -> Singles:
    spread = 0.1 if len(form) == 1 else (2 / form[0]) ** 0.5
    return rng.normal(0, spread, form).astype(np.float32)
