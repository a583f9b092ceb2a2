"""The network: the same bits for any way of batching, and what is no network is refused."""

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from schemas import spec_file
from schemas.errors import BundleError
from stream_app.kernel.layout import Layout
from stream_app.steps.predict import LARGEST_BATCH, Predictor
from tests.bundles import random_bundle

WIDTH = 16


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Load a random network of the built-in bank."""
    return Predictor.of(random_bundle(tmp_path_factory.mktemp("predict") / "bundle", spec_file.bank()))


@pytest.fixture(scope="module")
def features() -> NDArray[np.float32]:
    """Make rows of many sizes, more than one batch holds."""
    rng = np.random.default_rng(0)
    width = Layout(spec_file.bank()).feature_width
    rows: NDArray[np.float32] = (
        np.abs(rng.normal(0, 1, (LARGEST_BATCH + 1000, width))) * 10.0 ** rng.integers(-3, 9, width)
    ).astype(np.float32)
    return rows


def network(operator: str, constant: float, width: int = 2, name: str = "scores") -> bytes:
    """Make a network that combines the first columns with a constant."""
    nodes = [
        helper.make_node("Slice", ["features", "zero", "width", "axis"], ["cut"]),
        helper.make_node(operator, ["cut", "constant"], [name]),
    ]
    values: dict[str, NDArray[np.generic]] = {
        "zero": np.array([0], np.int64),
        "width": np.array([width], np.int64),
        "axis": np.array([1], np.int64),
        "constant": np.array(constant, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "plain",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])],
        [numpy_helper.from_array(value, key) for key, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def test_no_bit_changes_over_batch_sizes_1_to_300(predictor: Predictor, features: NDArray[np.float32]) -> None:
    whole = predictor(features[:300])
    for size in range(1, 301):
        assert predictor(features[:size]).tobytes() == whole[:size].tobytes(), size


def test_no_bit_changes_with_the_place_in_a_batch(predictor: Predictor, features: NDArray[np.float32]) -> None:
    whole = predictor(features[:300])
    for start in range(0, 294, 7):
        assert predictor(features[start : start + 7]).tobytes() == whole[start : start + 7].tobytes(), start


def test_more_rows_than_the_largest_batch_are_all_scored(predictor: Predictor, features: NDArray[np.float32]) -> None:
    whole = predictor(features)
    assert whole.shape == (len(features), 23)
    for start in (0, LARGEST_BATCH - 5, LARGEST_BATCH, len(features) - 5):
        assert predictor(features[start : start + 5]).tobytes() == whole[start : start + 5].tobytes()


def test_no_row_gives_no_score(predictor: Predictor, features: NDArray[np.float32]) -> None:
    assert predictor(features[:0]).shape == (0, 23)


def test_rows_need_not_lie_behind_each_other(predictor: Predictor, features: NDArray[np.float32]) -> None:
    assert predictor(features[::3][:50]).tobytes() == predictor(features[::3][:50].copy()).tobytes()


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 1000])
def test_what_is_no_network_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^Expected an ONNX network in model.onnx, found"):
        Predictor(content, WIDTH, 2)


@pytest.mark.parametrize(
    ("content", "feature_width", "score_width"),
    [
        (network("Add", 1.0), WIDTH + 16, 2),
        (network("Add", 1.0), WIDTH, 3),
        (network("Add", 1.0, name="outcome"), WIDTH, 2),
    ],
)
def test_a_network_of_other_inputs_and_outputs_is_refused(content: bytes, feature_width: int, score_width: int) -> None:
    with pytest.raises(
        BundleError, match=r"^Expected inputs and outputs .* in model.onnx, found .*; train the bundle again"
    ):
        Predictor(content, feature_width, score_width)


def test_a_score_that_is_nan_stops() -> None:
    rows = np.ones((5, WIDTH), np.float32)
    assert Predictor(network("Mul", 2.0), WIDTH, 2)(rows).tolist() == [[2.0, 2.0]] * 5
    with pytest.raises(BundleError, match=r"found NaN from model\.onnx"):
        Predictor(network("Mul", np.nan), WIDTH, 2)(rows)


def test_infinity_is_a_score() -> None:
    assert np.isinf(Predictor(network("Mul", np.inf), WIDTH, 2)(np.ones((1, WIDTH), np.float32))).all()
