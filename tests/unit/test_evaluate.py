"""What the manifest says of a network's quality is measured on rows that it has never seen."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from stream_app.bundle import outputs_of
from stream_app.kernel.eligible import Eligibility
from stream_app.offline.folder import TIME
from stream_app.steps.predict import Predictor
from tests.unit.conftest import Tiny
from training import baseline
from training.arrays import Singles
from training.bands import populations, quantiles, resolve
from training.evaluate import Exam, Metrics, answer, evaluate
from training.measures import best_f1_threshold
from training.oracle import Oracle
from training.prepare import Prepared
from training.report.summary import SUMMARY_HEAD, summary_rows
from training.rows import TICK
from training.scaling import Scaling
from training.trees import grow


@pytest.fixture(autouse=True)
def small_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit linear models on few rows: it is not they that are tested here."""
    monkeypatch.setattr(baseline, "MOST_ROWS", 200)


@pytest.fixture(scope="module")
def scores(tiny_bundle: Tiny, tiny_prepared: Prepared) -> Singles:
    return Predictor.of(tiny_bundle.bundle)(tiny_prepared.samples.features)


def perfect(prepared: Prepared) -> Singles:
    """Return the scores of who knows all labels."""
    labels = prepared.samples.labels.value
    columns = []
    for index, output in enumerate(outputs_of(prepared.spec)):
        if output.classes:
            columns.append(np.eye(output.width)[labels[:, index].astype(int)])
        else:
            columns.append(np.expm1(labels[:, [index]]) if output.kind == "value" else labels[:, [index]])
    return np.hstack(columns).astype(np.float32)


def about(prepared: Prepared, scores: Singles, oracle: Oracle | None = None) -> Exam:
    return Exam(prepared.spec, prepared.log, prepared.samples, prepared.split, scores, scaled(prepared), oracle)


def scaled(prepared: Prepared) -> Singles:
    return np.asarray(Scaling.of(prepared.samples.features, prepared.layout)(prepared.samples.features))


def measured(exam: Exam) -> Metrics:
    return evaluate(answer(exam))


def test_who_knows_the_labels_has_the_best_measures(tiny_prepared: Prepared) -> None:
    found = measured(about(tiny_prepared, perfect(tiny_prepared)))

    churn, following, value = (found[name]["tick"]["network"] for name in ("churn", "next", "value"))
    best = ("roc_auc", "pr_auc", "accuracy", "recall", "precision", "f1", "f1_best")
    assert {name: churn[name] for name in best} == dict.fromkeys(best, 1.0)
    assert churn["ece"] == 0.0
    assert (following["accuracy"], following["f1"]) == (1.0, 1.0)
    assert following["log_loss"] < 1e-6
    assert value["spearman"] == pytest.approx(1.0)
    assert value["mae"] == pytest.approx(0.0, abs=1e-2)


def test_every_task_is_measured_on_both_kinds_of_rows(tiny_bundle: Tiny) -> None:
    found = tiny_bundle.bundle.manifest.metrics

    assert {task: set(kinds) for task, kinds in found.items()} == {
        "churn": {"event", "tick"}, "next": {"event", "tick"}, "value": {"event", "tick"}, "loan": {"tick"}
    }  # fmt: skip
    for kinds in found.values():
        for entry in kinds.values():
            assert {"rows", "network", "linear", "prior"} <= set(entry)


def test_each_measure_lies_in_its_interval_and_the_network_is_held_against_trees(tiny_prepared: Prepared) -> None:
    exam = about(tiny_prepared, perfect(tiny_prepared))
    exam = replace(exam, trees=lambda index, rows: grow(tiny_prepared, index, {}, rows, 1))
    found = measured(exam)["churn"]["tick"]

    for model in ("network", "lightgbm", "linear"):
        sure = found["intervals"][model]
        assert sure["low"] <= found[model]["roc_auc"] <= sure["high"]
    assert 0.5 < found["lightgbm"]["roc_auc"] < 1.0
    assert found["intervals"]["lightgbm"]["low_difference"] > 0.0, "who knows the labels is ahead"
    assert measured(exam)["churn"] == measured(exam)["churn"]


def test_only_test_rows_are_measured(tiny_prepared: Prepared, scores: Singles) -> None:
    labels = tiny_prepared.samples.labels
    elsewhere = ~tiny_prepared.split.test & ~tiny_prepared.split.train
    worse = replace(labels, value=np.where(elsewhere, 0.0, labels.value))
    changed = replace(tiny_prepared, samples=replace(tiny_prepared.samples, labels=worse))

    first, second = (measured(about(prepared, scores)) for prepared in (tiny_prepared, changed))

    assert first["churn"]["tick"]["rows"] == int(
        (tiny_prepared.split.test[:, 0] & (tiny_prepared.samples.rows.kind == TICK)).sum()
    )
    assert first["value"] == second["value"]


def test_a_learnable_task_is_learned(tiny_bundle: Tiny) -> None:
    loan = tiny_bundle.bundle.manifest.metrics["loan"]["tick"]
    value = tiny_bundle.bundle.manifest.metrics["value"]["tick"]

    assert loan["network"]["roc_auc"] > 0.75
    assert value["network"]["spearman"] > 0.3


def oracle(prepared: Prepared, task: str, blur: float) -> Oracle:
    """Return an oracle that knows the labels of a binary task's ticks, up to a blur."""
    index = [item.name for item in prepared.spec.tasks].index(task)
    rows = np.flatnonzero((prepared.samples.rows.kind == TICK) & prepared.samples.labels.known[:, index])
    values = prepared.samples.labels.value[rows, index]
    chance = values + blur * np.random.default_rng(0).normal(size=len(rows))
    table = pa.table(
        {
            "customer_id": prepared.log.customers[prepared.samples.rows.customer[rows]].tolist(),
            "task": [task] * len(rows),
            "time": pa.array(prepared.samples.rows.time_ms[rows]).cast(TIME),
            "values": [[float(value)] for value in np.clip(chance, 0, 1)],
        }
    )
    return Oracle(table.take(pa.array(np.random.default_rng(1).permutation(len(rows)))))


def test_the_oracle_is_joined_by_customer_task_and_time(tiny_prepared: Prepared) -> None:
    best = oracle(tiny_prepared, "churn", blur=0.0)

    found = measured(about(tiny_prepared, perfect(tiny_prepared), best))

    assert found["churn"]["tick"]["oracle"] == {
        "rows": found["churn"]["tick"]["rows"],
        "roc_auc": 1.0,
        "share_of_gain": 1.0,
    }
    assert "oracle" not in found["churn"]["event"]
    assert "oracle" not in found["value"]["tick"]


def test_the_share_of_the_gain_compares_network_and_oracle_above_the_prior(
    tiny_prepared: Prepared, scores: Singles
) -> None:
    found = measured(about(tiny_prepared, scores, oracle(tiny_prepared, "churn", blur=0.3)))["churn"]["tick"]

    expected = (found["network"]["roc_auc"] - 0.5) / (found["oracle"]["roc_auc"] - 0.5)
    assert found["oracle"]["share_of_gain"] == pytest.approx(expected)


def test_an_oracle_that_gains_nothing_leaves_no_share(tiny_prepared: Prepared, scores: Singles) -> None:
    best = oracle(tiny_prepared, "churn", blur=0.0)
    values = pa.array([[0.5]] * best.table.num_rows)
    nothing = Oracle(best.table.set_column(best.table.column_names.index("values"), "values", values))

    found = measured(about(tiny_prepared, scores, nothing))["churn"]["tick"]["oracle"]

    assert found == {"rows": found["rows"], "roc_auc": 0.5}


def test_each_model_says_yes_from_where_its_own_f1_is_largest_on_validation_rows(
    tiny_prepared: Prepared, scores: Singles
) -> None:
    sheet = answer(about(tiny_prepared, scores))["churn"]["tick"]
    validation = tiny_prepared.split.validation[:, 0]
    positive = tiny_prepared.samples.labels.value[validation, 0] > 0

    assert sheet.thresholds["network"] == best_f1_threshold(scores[validation, 0].astype(np.float64), positive)
    assert sheet.thresholds["prior"] == sheet.scores["prior"][0, 0]
    assert len(set(sheet.thresholds.values())) == 3


def test_a_sheet_is_compared_with_an_oracle_only_if_that_answered_every_row(
    tiny_prepared: Prepared, scores: Singles
) -> None:
    best = oracle(tiny_prepared, "churn", blur=0.3)
    all_sheets = answer(about(tiny_prepared, scores, best))["churn"]
    known = tiny_prepared.log.customers[tiny_prepared.samples.rows.customer[all_sheets["tick"].rows[0]]]
    others = Oracle(best.table.filter(pc.not_equal(best.table["customer_id"], known)))
    some = answer(about(tiny_prepared, scores, others))["churn"]["tick"]

    assert set(all_sheets["tick"].comparable) == {"network", "linear", "prior", "oracle"}
    assert set(all_sheets["event"].comparable) == {"network", "linear", "prior"}
    assert set(some.comparable) == {"network", "linear", "prior"}
    assert 0 < len(some.answered) < len(some.rows)


def test_bands_are_resolved_on_the_population_that_is_asked(
    tiny_bundle: Tiny, tiny_prepared: Prepared, scores: Singles
) -> None:
    manifest = tiny_bundle.bundle.manifest
    people = populations(tiny_prepared.spec, tiny_prepared.samples, scores)["churn"]

    bands = manifest.bands["churn"]

    assert [band.name for band in bands if band.at_least is None] == ["low"]
    assert {band.name: band.at_least for band in bands}["medium"] == 0.1
    high = next(band.at_least for band in bands if band.name == "high")
    assert high is not None
    assert (people >= high).mean() == pytest.approx(0.1, abs=0.02)
    assert bands == resolve(tiny_prepared.spec.tasks[0], people)
    assert len(people) == int(
        (
            Eligibility.of(tiny_prepared.layout)(tiny_prepared.samples.features)[:, 0]
            & (tiny_prepared.samples.rows.kind != 0)
        ).sum()
    )


def test_quantiles_are_those_of_the_population(tiny_bundle: Tiny) -> None:
    found = tiny_bundle.bundle.manifest.quantiles

    assert set(found) == {"churn", "value", "loan"}
    assert all(len(values) == 99 and list(values) == sorted(values) for values in found.values())
    assert quantiles(np.array([])) == ()


def test_the_summary_has_a_line_for_each_task_and_row_kind(tiny_bundle: Tiny) -> None:
    lines = summary_rows(tiny_bundle.bundle.manifest)

    both = [(task, rows) for task in ("churn", "next", "value") for rows in ("event", "tick")]
    assert [line[:2] for line in lines] == [*both, ("loan", "tick")]
    assert {len(line) for line in lines} == {len(SUMMARY_HEAD)}
