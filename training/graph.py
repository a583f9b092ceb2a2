"""Says an ONNX graph in fewer operators, with the same result: for a network that runs for every event."""

from collections import Counter
from typing import Any, Final

import onnx
from onnx import helper, numpy_helper

_MATRIX: Final = 2


def simplify(graph: Any) -> None:  # noqa: ANN401  (a protobuf)
    """Rewrite a graph in place: a pair of scalar bounds as one Clip, a product and what is added to it as one Gemm.

    Its products must be of matrices, as those of a network that takes rows are.

    ONNX Runtime does the first in place and the second without a pass for the sum; by itself it finds a Gemm only
    where the summand is a vector.
    """
    constants = {item.name: item for item in graph.initializer}
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(value.name for value in graph.output)
    kept: dict[str, Any] = {}
    for node in graph.node:
        for rewrite in (_clip, _gemm):
            found = rewrite(node, kept, constants, uses)
            if found is not None:
                inner, node = found  # noqa: PLW2901
                del kept[inner]
        kept[node.output[0]] = node
    nodes = list(kept.values())
    del graph.node[:]
    graph.node.extend(nodes)


def _clip(node: Any, before: dict[str, Any], constants: dict[str, Any], uses: Counter[str]) -> tuple[str, Any] | None:  # noqa: ANN401
    """Return Max(Min(x, high), low) as Clip(x, low, high), and the name of the inner result that it makes dead."""
    if node.op_type != "Max":
        return None
    for inner, low in (node.input, reversed(node.input)):
        below = before.get(inner)
        if below is None or below.op_type != "Min" or uses[inner] != 1 or not _is_scalar(constants, low):
            continue
        for value, high in (below.input, reversed(below.input)):
            if (
                _is_scalar(constants, high)
                and value not in constants
                and _number(constants, low) <= _number(constants, high)
            ):
                return inner, helper.make_node("Clip", [value, low, high], list(node.output))
    return None


def _gemm(node: Any, before: dict[str, Any], constants: dict[str, Any], uses: Counter[str]) -> tuple[str, Any] | None:  # noqa: ANN401
    """Return MatMul(x, constant matrix) + y as Gemm(x, matrix, y), and the name of the product that it makes dead."""
    if node.op_type != "Add":
        return None
    for inner, summand in (node.input, reversed(node.input)):
        product = before.get(inner)
        if product is None or product.op_type != "MatMul" or uses[inner] != 1 or inner == summand:
            continue
        matrix = constants.get(product.input[1])
        if matrix is not None and len(matrix.dims) == _MATRIX and _fits(before, constants, summand, matrix.dims[1]):
            return inner, helper.make_node("Gemm", [*product.input, summand], list(node.output))
    return None


def _fits(before: dict[str, Any], constants: dict[str, Any], summand: str, width: int) -> bool:
    """Say if a summand is a constant vector of the product's width, or itself such a product or sum."""
    if summand in constants:
        return list(constants[summand].dims) == [width]
    made = before.get(summand)
    if made is None or made.op_type not in {"MatMul", "Gemm"}:
        return False
    matrix = constants.get(made.input[1])
    return matrix is not None and list(matrix.dims[1:]) == [width]


def _is_scalar(constants: dict[str, Any], name: str) -> bool:
    return name in constants and not constants[name].dims and constants[name].data_type == onnx.TensorProto.FLOAT


def _number(constants: dict[str, Any], name: str) -> float:
    return float(numpy_helper.to_array(constants[name]))
