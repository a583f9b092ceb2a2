"""Writes a trained network as ONNX. Importing this module loads TensorFlow."""

import warnings
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

import tensorflow as tf

from stream_app.bundle import CHOSEN_NAME, INPUT_NAME, OUTPUT_NAME, REASONS_NAME
from training.graph import simplify
from training.network import Scorer
from training.reasons import Reasons

OPSET: Final = 17


def to_onnx(scorer: Scorer, feature_width: int) -> bytes:
    """Return a scorer as one ONNX file with dynamic batch."""
    return _exported(scorer.arranged, {INPUT_NAME: feature_width}, OUTPUT_NAME)


def reasons_to_onnx(reasons: Reasons, feature_width: int, score_width: int) -> bytes:
    """Return what explains a scorer as one ONNX file with dynamic batch."""
    return _exported(reasons, {INPUT_NAME: feature_width, CHOSEN_NAME: score_width}, REASONS_NAME)


def _exported(compute: Callable[..., Any], widths: dict[str, int], output: str) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter about its own dependencies
        import tf2onnx  # noqa: PLC0415  (warns when imported)

        signature = [tf.TensorSpec([None, width], tf.float32, name=name) for name, width in widths.items()]
        function = tf.function(compute, input_signature=signature)
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    simplify(proto.graph)
    _order(proto.graph)
    _name_by_order(proto.graph, list(widths), output)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _order(graph: Any) -> None:  # noqa: ANN401  (a protobuf)
    """Put each node behind those that it needs, in the order in which they are needed: the converter's may vary."""
    made_by = {name: node for node in graph.node for name in node.output}
    ordered: dict[str, Any] = {}
    waiting = [made_by[value.name] for value in reversed(graph.output)]
    while waiting:
        needed = [made_by[name] for name in waiting[-1].input if name in made_by]
        missing = [node for node in needed if node.output[0] not in ordered]
        if missing:
            waiting.append(missing[0])
        else:
            node = waiting.pop()
            ordered[node.output[0]] = node
    nodes = list(ordered.values())
    del graph.node[:]
    graph.node.extend(nodes)


def _name_by_order(graph: Any, inputs: list[str], output: str) -> None:  # noqa: ANN401  (a protobuf)
    """Name everything by its order: the converter's names count what else the process has made.

    The same training then gives the same bytes.
    """
    ends = list(zip((*graph.input, *graph.output), (*inputs, output), strict=True))
    names = {"": ""} | {value.name: name for value, name in ends}
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        for tensors in (node.input, node.output):
            for index, old in enumerate(tensors):
                tensors[index] = names.setdefault(old, f"tensor_{len(names):03d}")
    used = ((names[item.name], item) for item in graph.initializer if item.name in names)
    constants = sorted(used, key=itemgetter(0))
    del graph.initializer[:], graph.value_info[:]
    for name, item in constants:
        item.name = name
        graph.initializer.append(item)
    for value, name in ends:
        value.name = name
    graph.name, graph.doc_string = "scorer", ""
