"""A graph in fewer operators gives the same numbers; what only looks alike is left as it is."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from training.graph import simplify

node = helper.make_node
ROWS, WIDTH = 16, 3
X = np.random.default_rng(0).normal(0, 3, (ROWS, WIDTH)).astype(np.float32)
CONSTANTS: dict[str, NDArray[np.float32]] = {
    "low": np.array(-1, np.float32),
    "high": np.array(2, np.float32),
    "bounds": np.array([-1, 0, 1], np.float32),
    "matrix": np.arange(9, dtype=np.float32).reshape(3, 3),
    "bias": np.array([5, -5, 0.5], np.float32),
    "scalar": np.array(3, np.float32),
}


def model(nodes: list[NodeProto], outputs: tuple[str, ...] = ("y",)) -> ModelProto:
    """Make a network of one input ``x``."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", WIDTH]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in CONSTANTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(network: ModelProto) -> list[NDArray[np.float32]]:
    """Run it without any rewriting of ONNX Runtime's own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows = X.copy()
    rows[0] = np.nan, np.inf, -np.inf
    return session.run(None, {"x": rows})  # type: ignore[no-any-return]


def simplified(nodes: list[NodeProto], outputs: tuple[str, ...] = ("y",)) -> list[str]:
    """Return the operators of a rewritten graph, having compared its results with the original's."""
    network = model(nodes, outputs)
    before = run(network)
    simplify(network.graph)
    for expected, found in zip(before, run(network), strict=True):
        assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
    return [item.op_type for item in network.graph.node]


@pytest.mark.parametrize("inner", [["x", "high"], ["high", "x"]])
@pytest.mark.parametrize("outer", [["t", "low"], ["low", "t"]])
def test_two_scalar_bounds_become_one_clip(inner: list[str], outer: list[str]) -> None:
    assert simplified([node("Min", inner, ["t"]), node("Max", outer, ["y"])]) == ["Clip"]


@pytest.mark.parametrize("summand", [["t", "bias"], ["bias", "t"]])
def test_a_product_and_a_bias_become_one_gemm(summand: list[str]) -> None:
    assert simplified([node("MatMul", ["x", "matrix"], ["t"]), node("Add", summand, ["y"])]) == ["Gemm"]


def test_a_sum_of_products_becomes_a_chain() -> None:
    nodes = [
        node("MatMul", ["x", "matrix"], ["a"]),
        node("Add", ["a", "bias"], ["b"]),
        node("Abs", ["x"], ["c"]),
        node("MatMul", ["c", "matrix"], ["d"]),
        node("Add", ["d", "b"], ["y"]),
    ]

    assert simplified(nodes) == ["Gemm", "Abs", "Gemm"]


def test_a_sum_of_two_products_needs_one_gemm() -> None:
    nodes = [
        node("MatMul", ["x", "matrix"], ["a"]),
        node("Abs", ["x"], ["c"]),
        node("MatMul", ["c", "matrix"], ["d"]),
        node("Add", ["a", "d"], ["y"]),
    ]

    assert Counter(simplified(nodes)) == {"Abs": 1, "Gemm": 1, "MatMul": 1}


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ([node("Min", ["x", "bounds"], ["t"]), node("Max", ["t", "low"], ["y"])], ("y",)),
        ([node("Min", ["x", "high"], ["t"]), node("Max", ["t", "bounds"], ["y"])], ("y",)),
        ([node("Min", ["x", "low"], ["t"]), node("Max", ["t", "high"], ["y"])], ("y",)),
        ([node("Min", ["x", "high"], ["t"]), node("Max", ["t", "low"], ["y"])], ("y", "t")),
        ([node("Max", ["x", "low"], ["t"]), node("Min", ["t", "high"], ["y"])], ("y",)),
        ([node("MatMul", ["x", "matrix"], ["t"]), node("Add", ["t", "bias"], ["y"])], ("y", "t")),
        ([node("MatMul", ["x", "matrix"], ["t"]), node("Add", ["t", "scalar"], ["y"])], ("y",)),
        ([node("MatMul", ["x", "matrix"], ["t"]), node("Add", ["t", "t"], ["y"])], ("y",)),
        ([node("MatMul", ["x", "matrix"], ["t"]), node("Add", ["t", "x"], ["y"])], ("y",)),
    ],
)
def test_what_only_looks_alike_is_left(nodes: list[NodeProto], outputs: tuple[str, ...]) -> None:
    assert simplified(nodes, outputs) == [item.op_type for item in nodes]
