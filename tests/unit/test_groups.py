"""Groups of rows: segments, fairness between protected groups, drift, and what the article claims, by hand."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas import spec_file
from stream_app.bundle import Output, outputs_of
from stream_app.cli import main
from stream_app.kernel.layout import Layout
from tests.unit.test_report import Page, tables
from training.arrays import Singles
from training.drift import drift, psi
from training.evaluate import Sheet, evaluate
from training.fairness import FEWEST, fairness
from training.prepare import Prepared
from training.report.groups import group_tables
from training.report.markup import joined
from training.segments import UNKNOWN, Segment, protected, segments


@pytest.fixture(scope="module")
def layout() -> Layout:
    return Layout(spec_file.bank()).check()


def rows_of(layout: Layout, **columns: list[float]) -> Singles:
    rows = np.zeros((len(next(iter(columns.values()))), layout.feature_width), np.float32)
    for name, values in columns.items():
        rows[:, layout.column[name.replace("__", "=")]] = values
    return rows


def named(found: tuple[Segment, ...]) -> dict[str, list[str]]:
    return {item.name: [item.groups[code] if code != UNKNOWN else "?" for code in item.code] for item in found}


def test_activity_and_tenure_are_told_apart_in_thirds(layout: Layout) -> None:
    found = segments(rows_of(layout, own_count=[1, 2, 3, 40, 50, 60], own_tenure_h=[24.0] * 6), layout)

    assert named(found)["transactions so far"] == ["up to 2.667"] * 2 + ["2.667 to 43.33"] * 2 + ["above 43.33"] * 2
    assert "days as a customer" not in named(found)  # all are alike
    assert not {"gender", "age", "risk_level"} & set(named(found))


def test_protected_groups_are_those_of_the_data_and_who_is_unknown_is_in_none(layout: Layout) -> None:
    rows = rows_of(layout, age=[20, 30, 31, 60, 61, 0], age_known=[1, 1, 1, 1, 1, 0], gender__female=[1, 0, 0, 1, 0, 0])
    rows[:, layout.column["gender=male"]] = [0, 1, 1, 0, 0, 0]

    found = named(protected(rows, layout))

    assert found["age"] == ["up to 30", "up to 30", "30 to 45", "45 to 60", "above 60", "?"]
    assert found["gender"] == ["female", "male", "male", "female", "?", "?"]


def test_differences_between_groups_are_those_of_their_rates() -> None:
    code = np.repeat([0, 1, 2], [100, 40, FEWEST - 1])
    positive = np.r_[np.arange(100) < 50, np.arange(40) < 10, np.ones(FEWEST - 1, bool)]
    decided = np.r_[np.arange(100) < 40, np.arange(40) < 12, np.zeros(FEWEST - 1, bool)]

    found = fairness(decided, positive, Segment("gender", ("female", "male", "other"), code))

    assert found["groups"] == {
        "female": {"rows": 100, "selection_rate": 0.4, "true_positive_rate": 0.8, "false_positive_rate": 0.0},
        "male": {
            "rows": 40,
            "selection_rate": pytest.approx(0.3),
            "true_positive_rate": 1.0,
            "false_positive_rate": pytest.approx(2 / 30),
        },
    }
    assert found["demographic_parity_difference"] == pytest.approx(0.1)
    assert found["equalized_odds_difference"] == pytest.approx(0.2)


def test_equal_decisions_differ_by_nothing_and_one_group_tells_nothing() -> None:
    code, half = np.repeat([0, 1], 50), np.tile([True, False], 50)

    assert fairness(half, half, Segment("gender", ("a", "b"), code))["equalized_odds_difference"] == 0.0
    assert fairness(half, half, Segment("gender", ("a", "b"), code))["demographic_parity_difference"] == 0.0
    assert fairness(half, half, Segment("gender", ("a", "b"), np.zeros(100, np.int64))) == {}


def test_a_group_without_a_yes_has_no_rate_of_true_ones() -> None:
    code, positive = np.repeat([0, 1], 50), np.repeat([False, True], 50)

    found = fairness(positive, positive, Segment("gender", ("a", "b"), code))

    assert set(found["groups"]["a"]) == {"rows", "selection_rate", "false_positive_rate"}
    assert set(found["groups"]["b"]) == {"rows", "selection_rate", "true_positive_rate"}
    assert (found["demographic_parity_difference"], found["equalized_odds_difference"]) == (1.0, 0.0)


def test_the_stability_index_is_the_sum_over_tenths() -> None:
    learned = np.arange(1000.0)
    moved = np.arange(500.0, 1500.0)
    # Five tenths are empty, four hold what they held, and the last holds the other six tenths.
    expected = 5 * (1e-4 - 0.1) * np.log(1e-4 / 0.1) + (0.6 - 0.1) * np.log(0.6 / 0.1)

    assert psi(learned, moved) == pytest.approx(expected, rel=0.02)
    assert psi(learned, learned) == 0.0
    assert psi(np.zeros(10), np.zeros(20)) == 0.0


def test_the_input_that_moved_is_told_first(tiny_prepared: Prepared) -> None:
    samples, split = tiny_prepared.samples, tiny_prepared.split
    width = sum(output.width for output in _outputs(tiny_prepared))
    scores = np.random.default_rng(1).random((len(samples), width)).astype(np.float32)
    column = tiny_prepared.layout.inputs[3]
    features = samples.features.copy()
    features[split.test.any(axis=1), column] += 1e6
    name = next(name for name, place in tiny_prepared.layout.column.items() if place == column)

    before = drift(tiny_prepared, scores)
    after = drift(replace(tiny_prepared, samples=replace(samples, features=features)), scores)

    assert next(iter(after["inputs"])) == name
    assert after["inputs"][name] > max(before["inputs"].values())
    assert after["large"] == before["large"] + (before["inputs"].get(name, 0.0) < 0.25)
    assert set(after["scores"]) == {task.name for task in tiny_prepared.spec.tasks}
    assert before["scores"] == after["scores"]


def _outputs(prepared: Prepared) -> tuple[Output, ...]:
    return outputs_of(prepared.spec)


def sheet(task: str, groups: tuple[Segment, ...] = ()) -> Sheet:
    """Return 200 rows, of which the network tells each fourth wrongly."""
    truth = np.tile([0.0, 1.0], 100)
    said = np.where(np.arange(200) % 4 == 0, 1 - truth, truth)[:, None] * 0.8 + 0.1
    scores = {"network": said, "linear": np.full((200, 1), 0.4), "prior": np.full((200, 1), 0.5)}
    return Sheet(
        Output(task, "binary", 0, 1, (), "binary"),
        np.arange(200),
        truth,
        np.arange(200) // 2,
        scores,
        dict.fromkeys(scores, 0.5),
        np.arange(200),
        truth[:, None],
        segments=groups,
        protected=groups,
    )


def test_claims_segments_and_fairness_are_told_in_tables() -> None:
    code = np.repeat([0, 1], 100)
    found = sheet("credit_risk", (Segment("gender", ("female", "male"), code),))
    entry = evaluate({"credit_risk": {"tick": found}})["credit_risk"]["tick"]
    (task,) = [item for item in spec_file.bank().tasks if item.name == "credit_risk"]

    told = tables(Page("<div>" + joined(*group_tables(task, found, entry)) + "</div>").root)

    claims, by_segment, fair = told.values()
    assert claims[1] == ["the article", "0.90", "0.85", "–", "–"]
    assert claims[2][1].startswith("0.750 (")
    low, high = entry["others"]["accuracy_best"]
    assert low < 0.75 < high
    assert claims[-1] == ["oracle, at its own best", "1.000", "1.000", "1.000", "1.000"]
    assert [row[:2] for row in by_segment[1:]] == [["gender: female", "100"], ["gender: male", "100"]]
    assert [row[0] for row in fair[1:]] == ["female", "male"]
    assert entry["others"]["ece"][0] <= entry["network"]["ece"] <= entry["others"]["ece"][1] + 0.02


def test_other_tasks_have_no_claim() -> None:
    found = sheet("churn")
    entry = evaluate({"churn": {"tick": found}})["churn"]["tick"]
    (task,) = [item for item in spec_file.bank().tasks if item.name == "churn"]

    assert group_tables(task, found, entry) == []


def test_a_bundle_tells_groups_drift_calibration_and_recipe(tmp_path: Path) -> None:
    assert main(["data", "simulate", "--customers", "300", "--months", "12", "--out", str(tmp_path / "bank")]) == 0
    spec = tmp_path / "bank" / "scorer.toml"
    text = spec.read_text(encoding="utf-8")
    assert "[training]\n" in text
    spec.write_text(text.replace("[training]\n", '[training]\ncalibration = "isotonic"\n'), encoding="utf-8")
    how = ["--quick", "--epochs", "2", "--layers", "16,16", "--network", "towers", "--weights", "dwa"]
    assert main(["train", str(tmp_path / "bank"), *how, "--out", str(tmp_path / "bundle")]) == 0

    manifest = msgspec.json.decode((tmp_path / "bundle" / "manifest.json").read_bytes())
    tick = manifest["metrics"]["churn"]["tick"]
    card = (tmp_path / "bundle" / "model_card.md").read_text(encoding="utf-8")
    report = (tmp_path / "bundle" / "report.html").read_text(encoding="utf-8")

    assert set(tick["fairness"]) >= {"age", "gender"}
    assert len(tick["segments"]["transactions so far"]) == 3
    assert len(manifest["data"]["drift"]["inputs"]) == 10
    assert "equalized odds difference" in card
    assert "(towers, layers of 16 and 16)" in card
    assert {name: manifest["data"]["recipe"][name] for name in ("network", "weights")} == {
        "network": "towers",
        "weights": "dwa",
    }
    assert "population stability index" in report
    assert "What the article claims" in report
    assert manifest["calibration"]["churn"]["method"] == "isotonic"
    assert f"a table of {len(manifest['calibration']['churn']['knots'])} places" in report
