"""The exported network is the trained one, for every batch; what is not is refused."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import msgspec
import numpy as np
import onnx
import pytest

from schemas import spec_file
from schemas.errors import BundleError, TrainingError
from schemas.spec import Spec
from stream_app.bundle import MODEL, REASONS, load, outputs_of
from stream_app.kernel.layout import Layout
from stream_app.steps.predict import Predictor
from tests.logs import SPEC
from tests.unit.conftest import Tiny
from training import parity, trainer
from training.arrays import Singles
from training.calibrate import Calibration
from training.export import to_onnx
from training.network import Network, Scorer, Shape
from training.parity import TOLERANCE, difference, edge_rows, prove
from training.prepare import Options, Prepared
from training.recipe import QUICK
from training.scaling import LIMIT, Scaling
from training.units import NARROWEST, Units


@pytest.fixture(scope="module")
def spec() -> Spec:
    return spec_file.parse(SPEC, "a test")


@pytest.fixture(scope="module")
def layout(spec: Spec) -> Layout:
    return Layout(spec).check()


@pytest.fixture(scope="module")
def features(layout: Layout) -> Singles:
    rng = np.random.default_rng(1)
    logs = np.exp(rng.normal(3, 4, (600, layout.log_width)))
    linear = rng.normal(0, 3, (600, layout.feature_width - layout.log_width))
    return np.hstack([logs, linear]).astype(np.float32)


CALIBRATIONS = (
    Calibration("platt", 1.3, -0.2),
    Calibration("temperature", 0.7),
    Calibration("affine", 1.1, 0.4),
    Calibration("identity"),
)


@pytest.fixture(scope="module")
def scorer(spec: Spec, layout: Layout, features: Singles) -> Scorer:
    keras.utils.set_random_seed(1)
    width = outputs_of(spec)[-1].start + 1
    network = Network.build(spec, Scaling.of(features, layout), Shape((32, 16)), np.linspace(-1, 3, width))
    scorer = network.scorer(CALIBRATIONS)
    rng = np.random.default_rng(5)  # a new network's biases are 0, which the converter leaves out
    first = (scorer.first[0], rng.normal(0, 0.1, 32).astype(np.float32))
    weights = {**scorer.trunk.weights, "shared_1/bias": rng.normal(0, 0.1, 16).astype(np.float32)}
    return replace(scorer, first=first, trunk=replace(scorer.trunk, weights=weights))


@pytest.fixture(scope="module")
def model(scorer: Scorer, layout: Layout) -> bytes:
    return to_onnx(scorer, layout.feature_width)


def test_an_exported_network_is_proven(
    model: bytes, scorer: Scorer, features: Singles, layout: Layout, spec: Spec
) -> None:
    told = prove(model, scorer, features, layout, outputs_of(spec))

    assert told["largest_difference"] <= told["tolerance"] == 1e-6
    assert told["batches"] == [1, 7, 4096]
    assert told["same_bits_for_batches"] == [1, 300]


def test_no_bit_changes_over_batch_sizes_1_to_300(model: bytes, features: Singles, layout: Layout) -> None:
    predict = Predictor(model, layout.feature_width, 7)
    whole = predict(features[:300])

    assert [size for size in range(1, 301) if predict(features[:size]).tobytes() != whole[:size].tobytes()] == []


def test_scores_are_probabilities_and_money(model: bytes, features: Singles, layout: Layout, spec: Spec) -> None:
    scores = Predictor(model, layout.feature_width, 7)(np.concatenate([features, edge_rows(layout)]))
    churn, following, value, loan = (scores[:, o.start : o.start + o.width] for o in outputs_of(spec))

    assert np.isfinite(scores).all()
    assert ((churn >= 0) & (churn <= 1) & (loan >= 0) & (loan <= 1)).all()
    assert following.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
    assert ((value >= 0) & (value <= 1e12)).all()


def test_calibration_is_inside_the_file(spec: Spec, layout: Layout, features: Singles) -> None:
    keras.utils.set_random_seed(1)
    network = Network.build(spec, Scaling.of(features, layout), Shape((32,)), np.zeros(7))
    logits = network.logits(network.scaling.rows(features))[:, 0]

    scores = np.asarray(network.scorer(CALIBRATIONS)(features))[:, 0]

    assert scores == pytest.approx(1 / (1 + np.exp(-(1.3 * logits - 0.2))), abs=1e-5)


def test_a_column_that_the_network_may_not_see_changes_no_score(features: Singles) -> None:
    hidden = spec_file.parse('exclude_inputs = ["income*", "count_*"]\n' + SPEC, "a test")
    layout = Layout(hidden).check()
    network = Network.build(hidden, Scaling.of(features, layout), Shape((32,)), np.zeros(7))
    scorer = network.scorer(CALIBRATIONS)
    other = features.copy()
    for name in ("income", "income_known", "count_7d"):
        other[:, layout.column[name]] += 100.0

    assert np.asarray(scorer(other)).tobytes() == np.asarray(scorer(features)).tobytes()


def extremes(scaling: Scaling) -> Singles:
    """Return rows of everything that a kernel could give, and each input just at its bounds."""
    rng = np.random.default_rng(2)
    width = len(scaling.mean)
    values = [0.0, -0.0, 1e-38, 1e-20, -1e-20, 1.0, -0.5, -1.0, -1e6, 16777216.0, 1e12, np.finfo(np.float32).max]
    same = np.repeat(np.array(values, np.float32)[:, None], width, axis=1)
    mixed = rng.choice(np.array(values, np.float32), (64, width))
    spread = scaling.mean + LIMIT * np.array([[-1.0], [1.0], [-0.999], [1.001]]) / np.maximum(scaling.factor, 1e-3)
    spread[:, : scaling.log_width] = np.expm1(spread[:, : scaling.log_width].clip(0, 80))
    return np.concatenate([same, mixed, spread.astype(np.float32)])


def strange(features: Singles, layout: Layout) -> Singles:
    """Return rows with columns that are constant, nearly constant, or nearly always 0; the last column is not."""
    rows, rng = features.copy(), np.random.default_rng(3)
    for first in (0, layout.log_width):
        rows[:, first] = 7.0
        rows[:, first + 1] = 100.0 + rng.normal(0, 1e-2, len(rows))
        rows[:, first + 2] = rng.random(len(rows)) < 0.01
        rows[:, first + 3] = 1e9
    return rows


@pytest.mark.parametrize("hidden", ["", 'exclude_inputs = ["due_*", "count_*"]\n'])
def test_blocks_hold_the_same_inputs_to_the_last_bit(hidden: str, features: Singles) -> None:
    layout = Layout(spec_file.parse(hidden + SPEC, "a test")).check()
    scaling = Scaling.of(strange(features, layout), layout)
    rows = np.concatenate([features, extremes(scaling)])
    tensor = keras.ops.convert_to_tensor(rows)
    expected, found = np.asarray(scaling(tensor)), np.zeros_like(rows)

    for columns, distances in scaling.blocks(tensor):
        found[:, columns] += np.asarray(distances) * scaling.factor[columns]

    assert np.array_equal(found, expected)
    assert found.any(axis=0).sum() == np.count_nonzero(scaling.factor)


def some_units(scaling: Scaling, count: int) -> Units:
    """Return units of columns of all blocks: logs, distances and others, a few of them several times."""
    rng, seen = np.random.default_rng(6), np.flatnonzero(scaling.factor)
    near = scaling.log_width + np.flatnonzero(scaling.near * scaling.factor[scaling.log_width :])
    columns = np.sort(np.r_[rng.choice(seen, count), near[:2], near[:2]] if count else [])
    starts, slopes = rng.normal(0, 1, len(columns)), 1 / rng.uniform(NARROWEST, 2, len(columns))
    return Units(columns.astype(np.int64), starts.astype(np.float32), slopes.astype(np.float32))


@pytest.mark.parametrize(("layers", "count"), [((16,), 0), ((32, 16), 0), ((32, 16), 40)])
def test_the_exported_form_is_the_trained_network_at_all_extremes(
    layers: tuple[int, ...], count: int, spec: Spec, layout: Layout, features: Singles
) -> None:
    keras.utils.set_random_seed(4)
    rows = strange(features, layout)
    scaling = Scaling.of(rows, layout)
    network = Network.build(spec, scaling, Shape(layers), np.linspace(-1, 3, 7), some_units(scaling, count))
    scorer = network.scorer((Calibration("identity"),) * 4)
    predict = Predictor(to_onnx(scorer, layout.feature_width), layout.feature_width, 7)
    rows = np.concatenate([rows, extremes(network.scaling)])
    logits = network.logits(network.scaling.rows(rows))
    money = np.arange(7) == outputs_of(spec)[2].start

    assert difference(predict(rows), np.asarray(scorer(rows)), money) <= TOLERANCE
    assert predict(rows)[:, 0] == pytest.approx(1 / (1 + np.exp(-logits[:, 0])), abs=2e-6)


def test_an_exported_form_with_one_other_bound_is_refused(
    scorer: Scorer, features: Singles, layout: Layout, spec: Spec
) -> None:
    factor = scorer.scaling.factor.copy()
    factor[0] *= 1.001
    other = replace(scorer, scaling=replace(scorer.scaling, factor=factor))

    with pytest.raises(TrainingError, match="found a difference of"):
        prove(to_onnx(other, layout.feature_width), scorer, features, layout, outputs_of(spec))


def test_the_exported_graph_has_one_product_a_layer_and_block(model: bytes) -> None:
    operators = Counter(node.op_type for node in onnx.load_from_string(model).graph.node)

    assert {name: operators[name] for name in ("Gemm", "MatMul", "Min", "Max", "Clip", "Split")} == {
        "Gemm": 5,
        "MatMul": 0,
        "Min": 3,
        "Max": 3,
        "Clip": 1,
        "Split": 1,
    }


def test_the_same_scorer_gives_the_same_bytes(model: bytes, scorer: Scorer, layout: Layout) -> None:
    assert to_onnx(scorer, layout.feature_width) == model


def test_a_feature_that_is_nan_stops(model: bytes, features: Singles, layout: Layout) -> None:
    predict = Predictor(model, layout.feature_width, 7)
    for column in (0, layout.log_width, layout.column["due_first_d"]):
        rows = features[:20].copy()
        rows[5, column] = np.nan
        with pytest.raises(BundleError, match="found NaN"):
            predict(rows)


def test_a_difference_beyond_the_tolerance_is_refused(
    model: bytes, scorer: Scorer, features: Singles, layout: Layout, spec: Spec
) -> None:
    def wrong(rows: Singles) -> Singles:
        scores = np.array(scorer(rows))
        scores[:, 0] += 2e-6
        return scores

    with pytest.raises(
        TrainingError, match=r"within 1e-06 of the trained network's at real rows, found a difference of 2.* no bundle"
    ):
        prove(model, wrong, features, layout, outputs_of(spec))


def test_edge_rows_may_differ_by_more_but_not_by_much(
    model: bytes, scorer: Scorer, features: Singles, layout: Layout, spec: Spec
) -> None:
    def wrong(by: float) -> Callable[[Singles], Singles]:
        def scores(rows: Singles) -> Singles:
            found = np.array(scorer(rows))
            edges = (rows[:, None] == edge_rows(layout)).all(axis=2).any(axis=1)
            found[edges, 0] += by
            return found

        return scores

    told = prove(model, wrong(5e-6), features, layout, outputs_of(spec))
    assert told["largest_difference"] <= 1e-6 < told["largest_edge_difference"]
    with pytest.raises(TrainingError, match=r"within 1e-05 of the trained network's at edge rows"):
        prove(model, wrong(5e-5), features, layout, outputs_of(spec))


def test_scores_that_depend_on_the_batch_are_refused(
    model: bytes,
    scorer: Scorer,
    features: Singles,
    layout: Layout,
    spec: Spec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Careless(Predictor):
        def __call__(self, rows: Singles) -> Singles:
            scores = super().__call__(rows)
            return np.nextafter(scores, np.float32(2), dtype=np.float32) if len(rows) == 123 else scores

    monkeypatch.setattr(parity, "Predictor", Careless)

    with pytest.raises(TrainingError, match="same bits for every batch size, found others in a batch of 123"):
        prove(model, scorer, features, layout, outputs_of(spec))


def test_a_network_with_other_names_is_refused(
    model: bytes, scorer: Scorer, features: Singles, layout: Layout, spec: Spec
) -> None:
    proto = onnx.load_from_string(model)
    proto.graph.input[0].name = "rows"

    with pytest.raises(TrainingError, match="names, types and a free batch size"):
        prove(proto.SerializeToString(), scorer, features, layout, outputs_of(spec))


def test_a_file_that_is_no_network_is_refused(features: Singles, layout: Layout, model: bytes) -> None:
    del features
    with pytest.raises(BundleError, match="Expected an ONNX network"):
        Predictor(model[: len(model) // 2], layout.feature_width, 7)


def test_money_is_compared_on_its_log_scale() -> None:
    money = np.array([False, True])
    expected = np.array([[0.5, 1e9]], np.float32)

    assert difference(np.array([[0.5, 1.00001e9]], np.float32), expected, money) < 1e-6
    assert difference(np.array([[0.50001, 1e9]], np.float32), expected, money) == pytest.approx(1e-5, rel=0.01)
    assert difference(np.array([[np.nan, 1e9]], np.float32), expected, money) == np.inf


def test_the_trained_bundle_holds_the_proof_and_verifies(tiny_bundle: Tiny) -> None:
    loaded = load(tiny_bundle.bundle.path)

    assert loaded.sha256 == tiny_bundle.bundle.sha256
    assert 0 <= loaded.manifest.parity["largest_difference"] <= 1e-6
    assert set(loaded.manifest.files) == {MODEL, REASONS, "report.html", "model_card.md"}


@pytest.mark.parametrize("name", [MODEL, "report.html"])
def test_a_bundle_with_one_changed_byte_is_refused(tiny_bundle: Tiny, name: str) -> None:
    path = tiny_bundle.bundle.path / name
    content = path.read_bytes()
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    try:
        path.write_bytes(changed)
        with pytest.raises(BundleError, match=f"of {name} in the bundle .* the file was changed or cut"):
            load(tiny_bundle.bundle.path)
    finally:
        path.write_bytes(content)
    assert hashlib.sha256(content).hexdigest() == load(tiny_bundle.bundle.path).manifest.files[name]


def test_a_bent_calibration_that_magnifies_rounding_gives_way_to_a_straight_one(
    tiny_prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    bent = msgspec.structs.replace(tiny_prepared.spec.training, calibration="isotonic")
    prepared = replace(tiny_prepared, spec=msgspec.structs.replace(tiny_prepared.spec, training=bent))
    options = Options(recipe=replace(QUICK, epochs=2, layers=(16,)))
    asked: list[int] = []
    accepted = [2]

    def strict(model: bytes, scorer: Scorer, *others: Any) -> dict[str, Any]:  # noqa: ANN401  (as of prove)
        asked.append(len(scorer.bends))
        if scorer.bends or len(asked) > accepted[0]:
            message = "Expected exported scores within 0, found a difference of 1"
            raise TrainingError(message)
        return prove(model, scorer, *others)

    monkeypatch.setattr(trainer, "prove", strict)
    found = trainer.train(prepared, options).calibrations
    assert asked[0] > 0
    assert asked[1:] == [0]
    assert {found[task].method for task in ("churn", "loan")} <= {"platt", "identity"}

    accepted[0] = 0
    with pytest.raises(TrainingError, match="found a difference of 1"):
        trainer.train(prepared, options)
