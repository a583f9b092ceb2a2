"""Reasons: contributions add up, are the gradient's, and reach the alerts in words, the same in every batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from schemas import spec_file
from schemas.errors import SpecError, TrainingError
from schemas.messages import Alert
from schemas.spec import Spec
from stream_app import bundle as bundles
from stream_app.bundle import MODEL, REASONS, Bundle, outputs_of
from stream_app.kernel.layout import Layout
from stream_app.offline.replay import Outputs, replay_files
from stream_app.steps.phrases import Phrases
from stream_app.steps.predict import Explainer
from stream_app.steps.reasons import Grouping, Reasoner
from tests.logs import SPEC
from tests.networks import random_scorer
from tests.unit.conftest import Tiny
from training import reasons as integrated
from training.arrays import Singles
from training.calibrate import Calibration
from training.export import reasons_to_onnx, to_onnx
from training.network import Scorer, Shape
from training.parity import prove, prove_reasons
from training.reasons import Reasons
from training.recipe import NETWORKS
from training.scaling import Scaling
from training.units import Units


@pytest.fixture(scope="module")
def spec() -> Spec:
    return spec_file.parse(SPEC, "a test")


@pytest.fixture(scope="module")
def layout(spec: Spec) -> Layout:
    return Layout(spec).check()


@pytest.fixture(scope="module")
def features(layout: Layout) -> Singles:
    rng = np.random.default_rng(1)
    logs = np.exp(rng.normal(3, 4, (80, layout.log_width)))
    linear = rng.normal(0, 3, (80, layout.feature_width - layout.log_width))
    return np.hstack([logs, linear]).astype(np.float32)


def scorer_of(
    spec: Spec,
    layout: Layout,
    features: Singles,
    layers: tuple[int, ...],
    units: int = 12,
    network: str = "shared-bottom",
) -> Scorer:
    """Return a network with random weights."""
    rng, scaling = np.random.default_rng(7), Scaling.of(features, layout)
    looks_at = np.sort(rng.choice(np.flatnonzero(scaling.factor), units)).astype(np.int64)
    pieces = Units(looks_at, rng.normal(0, 1, units).astype(np.float32), np.full(units, 1.5, np.float32))
    return random_scorer(outputs_of(spec), scaling, pieces, Shape(layers, network=network), rng)


@pytest.fixture(scope="module", params=NETWORKS)
def scorer(spec: Spec, layout: Layout, features: Singles, request: pytest.FixtureRequest) -> Scorer:
    return scorer_of(spec, layout, features, (32, 16), network=request.param)


def chosen(columns: NDArray[np.int64], width: int) -> Singles:
    return np.eye(width, dtype=np.float32)[columns]


def logits(scorer: Scorer, encoded: tf.Tensor) -> tf.Tensor:
    kernel, bias = scorer.first
    taken = scorer.trunk(encoded @ kernel + bias)
    taken = taken * len(scorer.heads) if len(taken) == 1 else taken
    return tf.concat([here @ kernel + bias for here, (kernel, bias) in zip(taken, scorer.heads, strict=True)], axis=1)


def answer(scorer: Scorer, encoded: tf.Tensor, column: int) -> tf.Tensor:
    """Return the answer that is explained, as its definition says."""
    output = next(item for item in scorer.outputs if item.start <= column < item.start + item.width)
    found = logits(scorer, encoded)
    if not output.classes:
        return found[:, column]
    chances = tf.nn.softmax(tf.cast(found[:, output.start : output.start + output.width], tf.float64))
    own = chances[:, column - output.start]
    return tf.math.log(own / (1 - own))


def width_of(scorer: Scorer) -> int:
    return scorer.outputs[-1].start + scorer.outputs[-1].width


def test_contributions_add_up_to_the_difference_from_the_reference(scorer: Scorer, features: Singles) -> None:
    explains = Reasons(scorer)
    for column in range(width_of(scorer)):
        columns = np.full(len(features), column)
        found = np.asarray(explains(features, chosen(columns, width_of(scorer))))
        here = np.asarray(answer(scorer, scorer.encoded(features), column))
        start = np.asarray(answer(scorer, tf.constant(explains._start)[None], column))  # noqa: SLF001
        assert found[:, -1] == pytest.approx(np.full(len(features), start[0]), abs=1e-4)
        assert found[:, :-1].sum(axis=1) == pytest.approx(here - start, abs=2e-4)


def test_contributions_are_the_averaged_automatic_gradient_times_the_way(
    scorer: Scorer, features: Singles, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = 64
    monkeypatch.setattr(integrated, "POINTS", points)
    explains, some = Reasons(scorer), features[:5]
    start, end = tf.constant(explains._start)[None], scorer.encoded(some)  # noqa: SLF001
    for column in (0, 2, width_of(scorer) - 1):
        total = tf.zeros_like(end)
        for number in range(points):
            at = start + (number + 0.5) / points * (end - start)
            with tf.GradientTape() as tape:
                tape.watch(at)
                value = tf.reduce_sum(answer(scorer, at, column))
            total += tape.gradient(value, at) / points
        parts = np.asarray((end - start) * total)
        expected = parts[:, : some.shape[1]].copy()
        for unit, feature in enumerate(scorer.units.column):
            expected[:, feature] += parts[:, some.shape[1] + unit]
        found = np.asarray(explains(some, chosen(np.full(5, column), width_of(scorer))))[:, :-1]
        assert np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_without_hidden_bends_each_input_contributes_its_weight_times_its_way(
    spec: Spec, layout: Layout, features: Singles
) -> None:
    scorer = scorer_of(spec, layout, features, (16,), units=0)
    (kernel, bias) = scorer.first
    straight = replace(scorer, first=(kernel, bias + np.float32(1e3)))  # no unit of the layer is ever off
    found = np.asarray(Reasons(straight)(features, chosen(np.zeros(len(features), np.int64), width_of(scorer))))
    weights = kernel @ straight.heads[0][0][:, 0]
    assert found[:, :-1] == pytest.approx(np.asarray(scorer.scaling(features)) * weights, abs=2e-3)


BENDS = {
    "beta": Calibration("beta", 0.5, 0.2, bend=1.1),
    "isotonic": Calibration("isotonic", knots=((-2.0, -1.5), (-0.5, -1.2), (0.0, 0.4), (1.5, 2.0))),
}


@pytest.mark.parametrize("name", BENDS)
def test_bent_calibrations_are_exported_explained_and_proven(
    name: str, spec: Spec, layout: Layout, features: Singles
) -> None:
    straight = scorer_of(spec, layout, features, (32, 16))
    bent = replace(straight, bends={0: BENDS[name]})
    column, width = np.zeros(len(features), np.int64), width_of(bent)
    plain, curved = (np.asarray(item(features), np.float64)[:, 0] for item in (straight, bent))
    expected = BENDS[name](np.log(plain / (1 - plain))[:, None])[:, 0]

    found = np.asarray(Reasons(bent)(features, chosen(column, width)))
    prove(to_onnx(bent, layout.feature_width), bent, features, layout, bent.outputs)
    prove_reasons(reasons_to_onnx(Reasons(bent), layout.feature_width, width), Reasons(bent), features, bent.outputs)

    assert np.log(curved / (1 - curved)) == pytest.approx(expected, abs=1e-3)
    assert np.abs(curved - plain).max() > 0.05
    assert found.sum(axis=1) == pytest.approx(expected, abs=2e-3)  # contributions and the answer at the reference
    with pytest.raises(TrainingError, match="found a difference of"):
        prove(to_onnx(straight, layout.feature_width), bent, features, layout, bent.outputs)


def test_what_the_network_may_not_see_contributes_nothing(features: Singles) -> None:
    hidden = spec_file.parse('exclude_inputs = ["income*", "count_*"]\n' + SPEC, "a test")
    layout = Layout(hidden).check()
    scorer = scorer_of(hidden, layout, features, (32, 16))
    found = np.asarray(Reasons(scorer)(features, chosen(np.zeros(len(features), np.int64), width_of(scorer))))
    seen = np.zeros(layout.feature_width, np.bool_)
    seen[list(layout.inputs)] = True
    assert not found[:, :-1][:, ~seen].any()
    assert found[:, :-1][:, seen].any()


def test_an_exported_explanation_is_proven_and_another_one_refused(scorer: Scorer, features: Singles) -> None:
    width = width_of(scorer)
    model = reasons_to_onnx(Reasons(scorer), features.shape[1], width)
    told = prove_reasons(model, Reasons(scorer), features, scorer.outputs)
    assert told["same_bits_for_batches"] == [1, 70]

    kernel, bias = scorer.first
    other = replace(scorer, first=(kernel * np.float32(1.01), bias))
    with pytest.raises(TrainingError, match="found a difference of"):
        prove_reasons(model, Reasons(other), features, scorer.outputs)


def test_a_few_rows_may_fall_on_the_other_side_of_a_bend(spec: Spec, layout: Layout, features: Singles) -> None:
    scorer = scorer_of(spec, layout, features, (32, 16))
    width = width_of(scorer)
    model, explains = reasons_to_onnx(Reasons(scorer), features.shape[1], width), Reasons(scorer)

    def bent(rows: int, by: float) -> Callable[[Singles, Singles], Singles]:
        def trained(given: Singles, asked: Singles) -> Singles:
            found = np.asarray(explains(given, asked)).copy()
            found[:rows, :-1] *= 1.0 + by
            return found

        return trained

    told = prove_reasons(model, bent(2, 0.01), features, scorer.outputs)
    assert told["largest_difference"] > told["tolerance"]
    for rows, by in ((8, 0.01), (2, 1.0), (1, np.nan)):
        with pytest.raises(TrainingError, match="found a difference of"):
            prove_reasons(model, bent(rows, by), features, scorer.outputs)


def test_columns_of_one_thing_are_summed(layout: Layout) -> None:
    grouping = Grouping.of(layout)
    contributions = np.random.default_rng(1).normal(size=(3, layout.feature_width)).astype(np.float32)
    contributions[:, np.setdiff1d(np.arange(layout.feature_width), list(layout.column.values()))] = 0.0
    found = grouping.summed(contributions)

    assert found.sum(axis=1) == pytest.approx(contributions.sum(axis=1), abs=1e-4)
    at = grouping.names.index("last1")
    columns = [column for name, column in layout.column.items() if name.startswith("last1=")]
    assert len(columns) > 1
    assert found[:, at] == pytest.approx(contributions[:, columns].sum(axis=1), abs=1e-5)
    row = np.zeros(layout.feature_width, np.float32)
    assert grouping.value(at, row) is None
    row[columns[1]] = 1.0
    assert grouping.value(at, row) == [name for name in layout.column if name.startswith("last1=")][1].split("=")[1]


@pytest.fixture(scope="module")
def explained(tiny_bundle: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the tiny bundle with rules that fire often, one on a task in each direction and one on a feature."""
    old = tiny_bundle.bundle
    rules = (
        '[[rules]]\nname = "high"\ntask = "churn"\nthreshold = 0.0\nrearm = 0.0\n'
        '[[rules]]\nname = "low"\ntask = "churn"\nthreshold = 1.0\nrearm = 1.0\ndirection = "below"\n'
        '[[rules]]\nname = "amount"\nfeature = "amount_z"\nthreshold = -100.0\nrearm = -101.0\n'
    )
    plain = msgspec.structs.replace(old.spec, rules=spec_file.parse(SPEC.split("[[rules]]")[0] + rules, "a test").rules)
    manifest = msgspec.structs.replace(old.manifest, spec=plain, layout=Layout(plain).check().hash)
    place = tmp_path_factory.mktemp("explained") / "bundle"
    return bundles.write(place, manifest, {MODEL: old.model, REASONS: old.reasons or b""})


def alerts_of(tiny: Tiny, bundle: Bundle, out: Path) -> list[Alert]:
    files = out / "scores.parquet", out / "alerts.parquet"
    out.mkdir(exist_ok=True)
    replay_files(tiny.folder.path, bundle.path, Outputs(files[0], alerts=files[1]))
    return [msgspec.json.decode(text, type=Alert) for text in pq.read_table(files[1])["message"].to_pylist()]


def test_alerts_tell_what_contributed_in_their_direction(tiny_bundle: Tiny, explained: Bundle, tmp_path: Path) -> None:
    found = alerts_of(tiny_bundle, explained, tmp_path)
    by_rule = {name: [alert for alert in found if alert.rule == name] for name in ("high", "low", "amount")}

    assert all(by_rule.values())
    assert all(reason.contribution > 0 for alert in by_rule["high"] for reason in alert.reasons)
    assert all(reason.contribution < 0 for alert in by_rule["low"] for reason in alert.reasons)
    assert all(alert.reasons == () for alert in by_rule["amount"])
    assert max(len(alert.reasons) for alert in by_rule["high"]) == 3
    for alert in by_rule["high"]:
        sizes = [reason.contribution for reason in alert.reasons]
        assert sizes == sorted(sizes, reverse=True)
        assert all(reason.text for reason in alert.reasons)


def test_a_bundle_without_an_explanation_has_alerts_without_reasons(
    tiny_bundle: Tiny, explained: Bundle, tmp_path: Path
) -> None:
    plain = bundles.write(tmp_path / "plain", explained.manifest, {MODEL: explained.model})
    found, told = alerts_of(tiny_bundle, plain, tmp_path / "a"), alerts_of(tiny_bundle, explained, tmp_path / "b")

    assert plain.reasons is None
    assert [alert.reasons for alert in found] == [()] * len(found)
    assert found == [msgspec.structs.replace(alert, reasons=(), bundle=plain.short) for alert in told]


def test_the_spec_says_how_many_in_which_language_and_in_which_words(explained: Bundle) -> None:
    wanted = spec_file.parse(
        SPEC
        + '\n[reasons]\ntop = 2\nlanguage = "zh"\n[[reasons.templates]]\nfeature = "count_*"\nzh = "次数{value}"\n',
        "a test",
    ).reasons
    spec = msgspec.structs.replace(explained.spec, reasons=wanted)
    bundle = replace(explained, manifest=msgspec.structs.replace(explained.manifest, spec=spec))
    reasoner = Reasoner(bundle, Explainer.of(explained))
    row = np.zeros(bundle.rolling.layout.feature_width, np.float32)
    row[bundle.rolling.layout.column["count_7d"]] = 4.0
    names = reasoner.grouping.names
    contributions = np.zeros(len(names))
    for place, name in enumerate(("count_7d", "silence_h", "count")):
        contributions[names.index(name)] = 3.0 - place

    found = reasoner.reasons(row, contributions, 1.0, 2)

    assert [reason.text for reason in found] == ["次数4", "0 小时没有任何交易"]
    assert reasoner.reasons(row, -contributions, 1.0) == ()


def test_the_largest_are_told_whatever_their_sign_and_only_they_are_put_into_words(
    explained: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasoner = Reasoner(explained, Explainer.of(explained))
    row = np.zeros(explained.rolling.layout.feature_width, np.float32)
    names = reasoner.grouping.names
    contributions = np.zeros(len(names))
    contributed = {"count_7d": -2.0, "silence_h": 3.0, "count": 2.0, "in_7d": -0.00004, "out_7d": 1.0}
    for name, much in contributed.items():
        contributions[names.index(name)] = much
    told: list[str] = []

    def record(_: Phrases, feature: str, value: float | str | None) -> str:
        del value
        told.append(feature)
        return feature

    monkeypatch.setattr(Phrases, "__call__", record)

    three = reasoner.largest(row, contributions, 3)
    found = [reason.feature for reason in three]

    assert found == told == ["silence_h", "count", "count_7d"]
    assert [reason.contribution for reason in three] == [3.0, 2.0, -2.0]
    assert [reason.feature for reason in reasoner.largest(row, contributions)] == [*found, "out_7d"]
    assert reasoner.largest(row, 0.0 * contributions) == ()


def test_every_feature_of_the_built_in_bank_has_words_in_both_languages() -> None:
    bank = spec_file.bank()
    for language in ("en", "zh"):
        reasons = msgspec.structs.replace(bank.reasons, language=language)
        phrases = Phrases(msgspec.structs.replace(bank, reasons=reasons))
        for name in Layout(bank).said_by:
            assert "{" not in phrases(name, 3.0)
            assert phrases(name, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{amount}", r"found: \{amount\} in a template of 'count_\*'; \{name\} and \{value\} may stand there"),
        ("{value", r"found: a template of 'count_\*' in 'en' that cannot be read"),
    ],
)
def test_templates_that_cannot_be_filled_are_refused(text: str, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        spec_file.parse(SPEC + f'\n[[reasons.templates]]\nfeature = "count_*"\nen = "{text}"\n', "a test")


def test_a_template_for_no_feature_is_refused() -> None:
    spec = spec_file.parse(SPEC + '\n[[reasons.templates]]\nfeature = "cuont_*"\nen = "x"\n', "a test")
    with pytest.raises(SpecError, match=r"in reasons.templates, found 'cuont_\*'"):
        Layout(spec).check()
