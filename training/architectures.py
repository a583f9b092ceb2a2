"""Architectures: what lies between the first layer and the heads of a multi-task network.

Each is written once, as a function of its weights, and serves training, export and reasons alike. The first layer is
common to all: it takes the encoded inputs, and its width is what the architecture asks for. Widths are multiples of 16,
so that no bit of a score depends on the batch. Importing this module loads TensorFlow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
import tensorflow as tf
from keras import ops

from training.recipe import NETWORKS

Weights = Mapping[str, Any]
"""By name: kernels [a, b] and biases [b], as arrays or as variables."""
Shapes = dict[str, tuple[int, ...]]
Drop = Callable[[Any], Any]
"""Leaves units out while the network is trained."""
EXPERTS: Final = 4
SHARED_EXPERTS: Final = 2
TOWER: Final = 32
VECTOR: Final = 16
"""Width of a learned task vector."""
_MULTIPLE: Final = 16


@tf.custom_gradient  # type: ignore[untyped-decorator]
def relu(values: Any) -> Any:  # noqa: ANN401  (tensors)
    """Return max(x, 0), whose gradient is a product: the converter to ONNX knows no gradient of Relu."""
    return tf.nn.relu(values), lambda upwards: upwards * tf.cast(values > 0, upwards.dtype)


def as_they_are(values: Any) -> Any:  # noqa: ANN401  (tensors)
    """Drop nothing."""
    return values


class Architecture(Protocol):
    """One way from the first layer to the heads.

    Attributes:
        first: the width of the first layer, which has no activation.
        shapes: of the weights behind it: kernels [a, b], biases [b].
    """

    @property
    def first(self) -> int:
        """Return the width of the first layer."""

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of all weights behind the first layer."""

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return what the heads take: one tensor [n, width] for all of them, or one for each.

        Args:
            weights: of the shapes.
            values: what the first layer gives, [n, first].
            drop: leaves units out.
        """


@dataclass(frozen=True)
class SharedBottom:
    """All tasks share all layers (Caruana 1997), as in the article."""

    layers: tuple[int, ...]
    tasks: int

    @property
    def first(self) -> int:
        """Return the width of the first shared layer."""
        return self.layers[0]

    @property
    def shapes(self) -> Shapes:
        """Return those of the other shared layers."""
        return _stack("shared", self.layers)

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return the last shared layer."""
        return [drop(relu(self.last(weights, values, drop)))]

    def last(self, weights: Weights, values: Any, drop: Drop) -> Any:  # noqa: ANN401
        """Return the last shared layer before its activation."""
        for number in range(1, len(self.layers)):
            values = _dense(weights, f"shared_{number}", drop(relu(values)))
        return values


@dataclass(frozen=True)
class Towers(SharedBottom):
    """Each task has a layer of its own between the shared ones and its head."""

    @property
    def shapes(self) -> Shapes:
        """Return those of shared layers and towers."""
        return super().shapes | _shape("towers", self.layers[-1], self.tasks * TOWER)

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return each task's tower."""
        (bottom,) = super().__call__(weights, values, drop)
        towers = drop(relu(_dense(weights, "towers", bottom)))
        return _cut(towers, [TOWER] * self.tasks)


@dataclass(frozen=True)
class TaskEmbedding(SharedBottom):
    """A learned vector of each task scales and shifts the last shared layer (FiLM: Perez et al. 2018)."""

    @property
    def shapes(self) -> Shapes:
        """Return those of shared layers, task vectors, and what these are multiplied by."""
        own = {"vectors/kernel": (self.tasks, VECTOR), "condition/kernel": (VECTOR, 2 * self.layers[-1])}
        return super().shapes | own

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return the last shared layer as each task's vector conditions it."""
        width, last = self.layers[-1], self.last(weights, values, drop)
        said = ops.matmul(weights["vectors/kernel"], weights["condition/kernel"])
        return [
            drop(relu(last * (1.0 + said[task : task + 1, :width]) + said[task : task + 1, width:]))
            for task in range(self.tasks)
        ]


@dataclass(frozen=True)
class MixtureOfExperts:
    """Each task mixes common experts through a gate of its own (MMoE: Ma et al. 2018).

    The first layer holds the experts' first layers and the gates, which both look at the inputs.
    """

    layers: tuple[int, ...]
    tasks: int

    @property
    def first(self) -> int:
        """Return the width of all experts' first layers and all gates."""
        return EXPERTS * self.layers[0] + _padded(self.tasks * EXPERTS)

    @property
    def shapes(self) -> Shapes:
        """Return those of the experts' other layers."""
        experts = [_stack(f"expert_{expert}", self.layers) for expert in range(EXPERTS)]
        return {name: shape for shapes in experts for name, shape in shapes.items()}

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return each task's mixture."""
        parts = _cut(values, [self.layers[0]] * EXPERTS + [EXPERTS] * self.tasks)
        experts, gates = [drop(relu(part)) for part in parts[:EXPERTS]], parts[EXPERTS:]
        for number in range(1, len(self.layers)):
            names = (f"expert_{expert}_{number}" for expert in range(EXPERTS))
            experts = [drop(relu(_dense(weights, name, expert))) for name, expert in zip(names, experts, strict=True)]
        return [_mixed(gate, *experts) for gate in gates]


@dataclass(frozen=True)
class Extraction:
    """Tasks have experts of their own beside shared ones, layer upon layer (PLE: Tang et al. 2020).

    On each level a task's gate mixes its own expert and the shared ones; a gate of the shared stream mixes all. The
    next level's experts look at these mixtures.
    """

    layers: tuple[int, ...]
    tasks: int

    @property
    def first(self) -> int:
        """Return the width of the first level's experts and gates."""
        return self._experts * self.layers[0] + _padded(sum(self._gates(0)))

    @property
    def shapes(self) -> Shapes:
        """Return those of the other levels' experts and gates."""
        shapes: Shapes = {}
        for level, (before, width) in enumerate(pairwise(self.layers), 1):
            for expert in range(self._experts):
                shapes |= _shape(f"expert_{expert}_{level}", before, width)
            for stream, mixed in enumerate(self._gates(level)):
                shapes |= _shape(f"gate_{stream}_{level}", before, _padded(mixed))
        return shapes

    def __call__(self, weights: Weights, values: Any, drop: Drop = as_they_are) -> list[Any]:  # noqa: ANN401
        """Return each task's mixture on the last level."""
        parts = _cut(values, [self.layers[0]] * self._experts + self._gates(0))
        experts = [drop(relu(part)) for part in parts[: self._experts]]
        streams = self._mixtures(parts[self._experts :], experts)
        for level in range(1, len(self.layers)):
            sources = [streams[min(expert, self.tasks)] for expert in range(self._experts)]
            experts = [
                drop(relu(_dense(weights, f"expert_{expert}_{level}", source))) for expert, source in enumerate(sources)
            ]
            gates = [
                _cut(_dense(weights, f"gate_{stream}_{level}", streams[stream]), [mixed])[0]
                for stream, mixed in enumerate(self._gates(level))
            ]
            streams = self._mixtures(gates, experts)
        return streams[: self.tasks]

    @property
    def _experts(self) -> int:
        """Return how many experts a level has: one of each task, then the shared ones."""
        return self.tasks + SHARED_EXPERTS

    def _gates(self, level: int) -> list[int]:
        """Return how many experts each gate of a level mixes: the tasks' gates, then the shared one but on the last."""
        shared = [] if level == len(self.layers) - 1 else [self._experts]
        return [1 + SHARED_EXPERTS] * self.tasks + shared

    def _mixtures(self, gates: list[Any], experts: list[Any]) -> list[Any]:
        common = experts[self.tasks :]
        mixed = [_mixed(gates[task], experts[task], *common) for task in range(self.tasks)]
        return [*mixed, _mixed(gates[self.tasks], *experts)] if gates[self.tasks :] else mixed


ARCHITECTURES: Final[dict[str, Callable[[tuple[int, ...], int], Architecture]]] = dict(
    zip(NETWORKS, (SharedBottom, Towers, TaskEmbedding, MixtureOfExperts, Extraction), strict=True)
)
"""By name; each takes the widths of the layers and the number of tasks."""


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _mixed(gate: Any, *experts: Any) -> Any:  # noqa: ANN401  (tensors)
    """Return the experts' mean by the shares that a gate [n, experts] gives them."""
    shares = ops.softmax(gate, axis=-1)
    each = ops.split(shares, len(experts), axis=1)

    def back(upwards: Any) -> list[Any]:  # noqa: ANN401
        of_shares = [ops.sum(upwards * expert, axis=1, keepdims=True) for expert in experts]
        mean = sum(share * gained for share, gained in zip(each, of_shares, strict=True))
        return [shares * (ops.concatenate(of_shares, axis=1) - mean), *(share * upwards for share in each)]

    return sum(share * expert for share, expert in zip(each, experts, strict=True)), back


def _cut(values: Any, widths: list[int]) -> list[Any]:  # noqa: ANN401  (tensors)
    """Return parts of these widths, from the first column on."""
    ends = np.cumsum(widths)
    inner = ends if ends[-1] < values.shape[-1] else ends[:-1]
    return list(ops.split(values, inner.tolist(), axis=1))[: len(widths)] if len(inner) else [values]


def _dense(weights: Weights, name: str, values: Any) -> Any:  # noqa: ANN401  (tensors)
    return ops.matmul(values, weights[f"{name}/kernel"]) + weights[f"{name}/bias"]


def _stack(name: str, layers: tuple[int, ...]) -> Shapes:
    """Return the shapes of layers upon the first."""
    shapes: Shapes = {}
    for number, (before, width) in enumerate(pairwise(layers), 1):
        shapes |= _shape(f"{name}_{number}", before, width)
    return shapes


def _shape(name: str, before: int, width: int) -> Shapes:
    return {f"{name}/kernel": (before, width), f"{name}/bias": (width,)}


def _padded(width: int) -> int:
    return -(-width // _MULTIPLE) * _MULTIPLE
