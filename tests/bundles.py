"""Bundles with a random network, made in milliseconds: for tests of everything but training."""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from schemas.spec import Spec
from stream_app import bundle
from stream_app.bundle import Bundle, Manifest, Output, ResolvedBand, outputs_of
from stream_app.kernel.layout import Layout


def random_bundle(path: Path, spec: Spec, seed: int = 0) -> Bundle:
    """Write and return a bundle for ``spec`` whose network has random weights."""
    layout = Layout(spec).check()
    outputs = outputs_of(spec)
    manifest = Manifest(
        spec=spec,
        layout=layout.hash,
        feature_width=layout.feature_width,
        outputs=outputs,
        bands={
            task.name: tuple(
                ResolvedBand(band.name, None if k == 0 else round(k / len(task.bands), 6))
                for k, band in enumerate(task.bands)
            )
            for task in spec.tasks
            if task.bands
        },
    )
    return bundle.write(path, manifest, {"model.onnx": random_network(layout, outputs, seed)})


def random_network(layout: Layout, outputs: tuple[Output, ...], seed: int) -> bytes:
    """Return an ONNX network of the right shapes: log, one shared layer, a head a task."""
    rng = np.random.default_rng(seed)
    weights: dict[str, NDArray[np.generic]] = {
        "zero": np.array([0], np.int64),
        "split": np.array([layout.log_width], np.int64),
        "end": np.array([layout.feature_width], np.int64),
        "axis": np.array([1], np.int64),
        "one": np.array(1, np.float32),
        "shared": rng.normal(0, 0.05, (layout.feature_width, 32)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Slice", ["features", "zero", "split", "axis"], ["amounts"]),
        helper.make_node("Slice", ["features", "split", "end", "axis"], ["linear"]),
        helper.make_node("Add", ["amounts", "one"], ["shifted"]),
        helper.make_node("Log", ["shifted"], ["logged"]),
        helper.make_node("Concat", ["logged", "linear"], ["inputs"], axis=1),
        helper.make_node("MatMul", ["inputs", "shared"], ["mixed"]),
        helper.make_node("Tanh", ["mixed"], ["hidden"]),
    ]
    activation = {"binary": "Sigmoid", "multiclass": "Softmax", "value": "Exp"}
    for output in outputs:
        weights[f"w_{output.task}"] = rng.normal(0, 0.7, (32, output.width)).astype(np.float32)
        nodes.append(helper.make_node("MatMul", ["hidden", f"w_{output.task}"], [f"z_{output.task}"]))
        nodes.append(helper.make_node(activation[output.kind], [f"z_{output.task}"], [f"y_{output.task}"]))
    nodes.append(helper.make_node("Concat", [f"y_{output.task}" for output in outputs], ["scores"], axis=1))
    width = outputs[-1].start + outputs[-1].width
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", layout.feature_width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", width])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content
