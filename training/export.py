"""Writes a trained network as ONNX. Importing this module loads TensorFlow."""

import warnings
from operator import itemgetter
from typing import Any, Final

import tensorflow as tf

from stream_app.bundle import INPUT_NAME, OUTPUT_NAME
from training.graph import simplify
from training.network import Scorer

OPSET: Final = 17


def to_onnx(scorer: Scorer, feature_width: int) -> bytes:
    """Return a scorer as one ONNX file with dynamic batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter about its own dependencies
        import tf2onnx  # noqa: PLC0415  (warns when imported)

        signature = [tf.TensorSpec([None, feature_width], tf.float32, name=INPUT_NAME)]
        function = tf.function(scorer.arranged, input_signature=signature)
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    simplify(proto.graph)
    _name_by_order(proto.graph)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _name_by_order(graph: Any) -> None:  # noqa: ANN401  (a protobuf)
    """Name everything by its order: the converter's names count what else the process has made.

    The same training then gives the same bytes.
    """
    (features,), (scores,) = graph.input, graph.output
    names = {"": "", features.name: INPUT_NAME, scores.name: OUTPUT_NAME}
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
    features.name, scores.name = INPUT_NAME, OUTPUT_NAME
    graph.name, graph.doc_string = "scorer", ""
