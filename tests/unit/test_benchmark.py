"""The benchmark: all models on the same rows, kept answers, and a table that says what does not hold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from schemas.progress import SILENT
from stream_app.bundle import outputs_of
from stream_app.cli import main
from training.benchmark import table
from training.benchmark.cells import Answers, Cells
from training.benchmark.contest import CONTESTS, Contest, Part, Row
from training.benchmark.curve import Curve
from training.benchmark.parts import alone, fewer, later
from training.benchmark.rivals import LINEAR, NETWORK, TREES, Field
from training.benchmark.search import Search, search_trees
from training.benchmark.table import Table, measured
from training.benchmark.tuned import Tuned, tuned
from training.datasets.simulator import BankSimulator
from training.prepare import Prepared
from training.rows import BETWEEN
from training.tasks import KINDS
from training.trees import grow

CONTEST = Contest("test", lambda source: BankSimulator(1, 10, 3), (), needs_source=True)  # noqa: ARG005
PART = Part(0, 1)


def answers(scores: list[float], target: list[float], customer: list[int] | None = None) -> Answers:
    codes = np.arange(len(target)) if customer is None else np.array(customer)
    return Answers(codes, np.array(target), np.array(scores)[:, None])


def of(row: Row, network: Answers, trees: Answers, kind: str = "binary") -> Table:
    contest = replace(CONTEST, rows=(row,))
    return Table.of(contest, {NETWORK: {PART: {row.task: network}}, TREES: {PART: {row.task: trees}}}, {row.task: kind})


GOOD, POOR = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], [0.6, 0.1, 0.8, 0.3, 0.2, 0.9, 0.4, 0.7]
TARGET = [0.0, 0, 0, 0, 1, 1, 1, 1]


def test_a_network_that_is_far_enough_ahead_holds() -> None:
    found = of(Row("churn", "roc_auc", 0.0, level=0.6), answers(GOOD, TARGET), answers(POOR, TARGET))
    assert found.holds
    assert found.lines[0].ahead[TREES] == pytest.approx(1.0 - found.lines[0].levels[TREES])


def test_one_that_is_behind_misses_and_says_by_how_much() -> None:
    found = of(Row("churn", "roc_auc", -0.01), answers(POOR, TARGET), answers(GOOD, TARGET))
    assert not found.holds
    assert found.lines[0].misses == ["behind LightGBM by more than 0.01"]
    assert "behind LightGBM" in found.told()[1]


def test_trees_below_their_level_make_a_line_void() -> None:
    found = of(Row("churn", "roc_auc", 0.0, level=0.9), answers(GOOD, TARGET), answers(POOR, TARGET))
    assert found.lines[0].misses == []
    assert found.lines[0].void
    assert not found.holds


def test_less_log_loss_is_better_and_a_level_of_it_is_the_most_that_counts() -> None:
    row = Row("churn", "log_loss", 0.0, level=0.5)
    found = of(row, answers(GOOD, TARGET), answers(POOR, TARGET)).lines[0]
    assert found.ahead[TREES] > 0
    assert found.void  # the trees lose more than 0.5


def test_what_must_be_reached_whatever_the_trees_do() -> None:
    found = of(Row("churn", "roc_auc", -1.0, absolute=0.8), answers(POOR, TARGET), answers(POOR, TARGET))
    assert found.lines[0].misses == ["not 0.8"]


def test_customers_are_drawn_whole_so_that_repeated_rows_tell_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "RESAMPLES", 200)
    rng = np.random.default_rng(1)
    target = (rng.random(60) < 0.5).astype(float)
    network, trees = (1 / (1 + np.exp(-target - rng.normal(0, spread, 60))) for spread in (1.0, 2.0))
    row = Row("churn", "roc_auc")

    def width(repeats: int, *, whole: bool) -> float:
        customer = np.repeat(np.arange(60), repeats) if whole else np.arange(60 * repeats)
        first, second = (
            Answers(customer, target.repeat(repeats), each.repeat(repeats)[:, None]) for each in (network, trees)
        )
        low, high = of(row, first, second).lines[0].interval
        return high - low

    assert width(9, whole=True) == pytest.approx(width(1, whole=True), rel=0.25)
    assert width(9, whole=False) < 0.6 * width(1, whole=True)


@pytest.mark.parametrize(("measure", "kind"), [("roc_auc", "binary"), ("log_loss", "binary"), ("gini", "expected")])
def test_a_measure_alone_is_what_a_kind_measures(measure: str, kind: str) -> None:
    rng = np.random.default_rng(2)
    target = (rng.random(80) < 0.5).astype(float) if kind == "binary" else np.log1p(rng.exponential(9, 80))
    said = answers(rng.random(80).tolist(), target.tolist())
    assert measured(measure, kind, said) == pytest.approx(
        KINDS[kind].measure(said.scores, said.target, None)[measure], rel=1e-6
    )


def test_answers_are_kept_until_something_that_they_rest_on_changes(tmp_path: Path) -> None:
    asked: list[str] = []

    def compute() -> dict[str, Answers]:
        asked.append("again")
        return {"churn": answers(GOOD, TARGET)}

    for basis, how in (("a", 1), ("a", 1), ("a", 2), ("b", 2)):
        found = Cells(tmp_path / "cells", basis).get("network", PART, how, compute)
        assert found["churn"].scores[:, 0].tolist() == GOOD

    assert len(asked) == 3


def test_folds_are_run_once_and_the_first_with_several_seeds() -> None:
    parts = CONTESTS["taiwan"].parts(quick=False)
    counted = [part for part in parts if CONTESTS["taiwan"].counted(part)]
    assert len(set(parts)) == 9
    assert [part.fold for part in counted] == [0, 1, 2, 3, 4]
    assert {part.seed for part in parts if part.fold == 0} == {1, 2, 3, 4, 5}
    assert [part.name for part in CONTESTS["online-retail"].parts(quick=True)] == ["cut-1"]


def test_one_task_alone_has_the_same_rows_and_labels(tiny_prepared: Prepared) -> None:
    for index, task in enumerate(tiny_prepared.spec.tasks):
        found = alone(tiny_prepared, index)
        assert found.spec.tasks == (task,)
        assert np.array_equal(found.split.test[:, 0], tiny_prepared.split.test[:, index])
        assert np.array_equal(found.samples.labels.value[:, 0], tiny_prepared.samples.labels.value[:, index])
        assert found.samples.features is tiny_prepared.samples.features


def test_what_a_search_is_judged_by_lies_behind_all_that_it_learns_from(tiny_prepared: Prepared) -> None:
    times, drawn = tiny_prepared.samples.rows.time_ms, tiny_prepared.split
    found = later(tiny_prepared).split
    early = (found.train | found.validation).any(axis=1)
    assert found.calibration.any()
    assert times[early].max() < times[found.calibration.any(axis=1)].min()
    assert not found.test.any()
    assert not (found.calibration & drawn.test).any(), "the test rows stay unseen"


def test_fewer_customers_are_some_of_the_more_and_are_tested_alike(tiny_prepared: Prepared) -> None:
    whole, half, tenth = (fewer(tiny_prepared, replace(PART, share=share)).split for share in (1.0, 0.5, 0.1))
    assert 0 < tenth.train.sum() < half.train.sum() < whole.train.sum()
    for side in ("train", "validation", "calibration"):
        assert not (getattr(tenth, side) & ~getattr(half, side)).any()
    assert np.array_equal(tenth.test, tiny_prepared.split.test)


def test_a_curve_has_a_point_for_each_task_and_share_from_few_to_all() -> None:
    few, all_ = replace(PART, share=0.1), PART
    contest = replace(CONTEST, rows=(Row("churn", "roc_auc"),))
    good, poor = ({"churn": answers(scores, TARGET)} for scores in (GOOD, POOR))
    found = Curve.of(contest, {NETWORK: {all_: good, few: poor}, TREES: {all_: good, few: good}}, {"churn": "binary"})
    assert [(point.share, point.levels[TREES]) for point in found.points] == [(0.1, 1.0), (1.0, 1.0)]
    assert found.points[0].levels[NETWORK] < found.points[1].levels[NETWORK] == 1.0
    assert [line.split()[2] for line in found.told()[1:]] == ["10%", "100%"]


def test_a_search_finds_trees_that_lose_no_more_than_the_usual(tiny_prepared: Prepared, tmp_path: Path) -> None:
    one = alone(tiny_prepared, 0)
    kind, judged = KINDS[one.spec.tasks[0].learned_as], one.split.calibration[:, 0]
    found = search_trees(one, Search(tmp_path / "journal", 3, 60.0, SILENT))
    label = one.samples.labels.value[judged, 0]

    def lost(parameters: dict[str, float]) -> float:
        return kind.answer_loss(kind.answer(grow(one, 0, parameters | {"learning_rate": 0.1}, judged, 1)), label)

    assert lost(found[one.spec.tasks[0].name]) <= lost({"lambda_l1": 0.001})
    again = search_trees(one, Search(tmp_path / "journal", 3, 60.0, SILENT))
    assert again == found, "a search that is done is taken from its journal"


def test_linear_models_and_trees_answer_the_same_test_rows(tiny_prepared: Prepared, tmp_path: Path) -> None:
    class Silent:
        def step(self, *told: object) -> None:
            del told

    field = Field(lambda: tiny_prepared, PART, Tuned({}), tmp_path, Silent())
    line, trees = field.answers(LINEAR), field.answers(TREES)
    assert list(line) == list(trees)
    for index, output in enumerate(outputs_of(tiny_prepared.spec)):
        tested = tiny_prepared.split.test[:, index]
        if tested.any():
            assert line[output.task].scores.shape == trees[output.task].scores.shape == (tested.sum(), output.width)
            assert np.array_equal(line[output.task].target, tiny_prepared.samples.labels.value[tested, index])


def test_trees_grow_where_nothing_says_when_to_stop(tiny_prepared: Prepared) -> None:
    split = replace(tiny_prepared.split, validation=np.zeros_like(tiny_prepared.split.validation))
    tested = split.test[:, 0]
    assert grow(replace(tiny_prepared, split=split), 0, {}, tested, 1).shape == (tested.sum(), 1)


def test_trees_see_no_test_label(tiny_prepared: Prepared) -> None:
    tested = tiny_prepared.split.test[:, 0]
    other = tiny_prepared.samples.labels.value.copy()
    other[tested, 0] = 1 - other[tested, 0]
    labels = replace(tiny_prepared.samples.labels, value=other)
    flipped = replace(tiny_prepared, samples=replace(tiny_prepared.samples, labels=labels))
    assert np.array_equal(grow(flipped, 0, {}, tested, 1), grow(tiny_prepared, 0, {}, tested, 1))


@pytest.mark.parametrize("name", ["taiwan", "online-retail", "berka"])
def test_what_was_found_by_search_names_tasks_and_widths_that_can_be(name: str) -> None:
    found = tuned(name)
    assert set(found.trees) <= {row.task for row in CONTESTS[name].rows}
    assert all(width % 16 == 0 for width in found.recipe.layers)


def test_a_missing_source_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["benchmark", "taiwan", "--out", str(tmp_path / "out")]) != 0
    assert "Expected --source with the data of taiwan" in capsys.readouterr().err


def test_trees_learn_at_the_cuts_alone(tiny_prepared: Prepared) -> None:
    rows, split = tiny_prepared.samples.rows, tiny_prepared.split
    answered = split.test[:, 0]
    dropped = split.train[:, 0] & (np.arange(len(rows)) % 2 == 0)
    between = replace(rows, kind=np.where(dropped, BETWEEN, rows.kind))
    marked = replace(tiny_prepared, samples=replace(tiny_prepared.samples, rows=between))
    less = split.train.copy()
    less[dropped, 0] = False
    without = replace(tiny_prepared, split=replace(split, train=less))

    found = {
        name: grow(prepared, 0, {}, answered, 1).tobytes()
        for name, prepared in {"all": tiny_prepared, "marked": marked, "without": without}.items()
    }

    assert found["marked"] == found["without"] != found["all"]
