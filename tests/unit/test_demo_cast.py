"""Whom a demo chooses to watch, and what a log tells of what came true."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas import spec_file
from schemas.spec import Spec
from stream_app.offline.folder import TIME, Folder, read_folder
from tests.logs import at, log_of, spec_of
from tests.unit.conftest import Tiny
from training.demo.cast import LEAST_RISE, MOST, Course, candidates, cast
from training.demo.truth import Truth, read, unseen
from training.split import TEST, sides

BANK = spec_file.bank()
IDS = np.array([f"c{number}" for number in range(6)], np.object_)
ALL = np.ones(len(IDS), np.bool_)
Rows = Sequence[tuple[int, float, int]]
"""Customer, score and when it came true."""


def course(rows: Rows, task: str = "churn", class_: str = "", spec: Spec = BANK) -> Course:
    customer, score, came_ms = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Course(
        task=spec.task(task),
        class_=class_,
        customer=np.array(customer, np.int64),
        time_ms=np.arange(len(rows)),
        score=np.array(score, np.float64),
        came_ms=np.array(came_ms, np.int64),
    )


def slowly(rows: Rows, allowed: set[int], *, true_only: bool) -> dict[int, float]:
    """Return each customer's largest rise, obviously."""
    rises: dict[int, float] = {}
    for k, (customer, score, came) in enumerate(rows):
        if customer not in allowed or np.isnan(score) or (true_only and came < 0):
            continue
        before = [other for who, other, _ in rows[: k + 1] if who == customer and not np.isnan(other)]
        rises[customer] = max(rises.get(customer, -1.0), score - min(before))
    return rises


@pytest.mark.parametrize("true_only", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_candidates_are_the_largest_rises(seed: int, true_only: bool) -> None:  # noqa: FBT001  (a parameter of pytest)
    rng = np.random.default_rng(seed)
    customers = np.sort(rng.integers(0, 6, 60))
    scores = np.where(rng.random(60) < 0.2, np.nan, np.round(rng.random(60) * 1000**seed, 6))
    rows = list(zip(customers.tolist(), scores.tolist(), rng.integers(-3, 3, 60).tolist(), strict=True))
    allowed = rng.random(6) < 0.7
    found = candidates(course(rows), allowed, true_only=true_only)
    expected = slowly(rows, set(np.flatnonzero(allowed).tolist()), true_only=true_only)
    assert {item.customer: item.rise for item in found} == pytest.approx(expected, rel=1e-6, abs=1e-5)
    assert [item.rise for item in found] == sorted((item.rise for item in found), reverse=True)


def test_for_each_task_one_is_chosen_for_whom_it_came_true() -> None:
    courses = [
        course([(0, 0.0, -1), (0, 0.9, -1), (1, 0.1, -1), (1, 0.4, 50), (2, 0.1, 7), (2, 0.2, 7)]),
        course([(3, 0.1, 9), (3, 0.3, 9)], "credit_risk"),
        course([(4, 0.1, -1), (4, 0.2, 11)], "preference", "fund"),
        course([(5, 0.1, -1), (5, 0.3, 12)], "preference", "loan"),
    ]
    chosen = cast(courses, IDS, ALL, unseen=True)
    assert [(role.customer, role.title, role.came_ms, role.came) for role in chosen.roles] == [
        ("c1", "drifting into churn", 50, "did nothing for 60 days"),
        ("c3", "into financial stress", 9, "default"),
        ("c5", "about to buy: loan", 12, "took: loan"),
    ]
    assert [(role.low, role.high) for role in chosen.roles] == [(0.1, 0.4), (0.1, 0.3), (0.1, 0.3)]
    assert "the 6 customers of the test split" in chosen.chosen
    assert "of those for whom it came true, in" in chosen.chosen


def test_only_those_are_chosen_who_may_be() -> None:
    rows = [(0, 0.0, -1), (0, 0.9, 5), (1, 0.1, -1), (1, 0.4, 5)]
    chosen = cast([course(rows)], IDS, np.arange(len(IDS)) == 1, unseen=True)
    assert [role.customer for role in chosen.roles] == ["c1"]
    assert [role.customer for role in cast([course(rows)], IDS, ALL, unseen=False).roles] == ["c0", "c1"]


def test_who_is_best_at_two_tasks_is_watched_for_one() -> None:
    rows = [(0, 0.0, -1), (0, 0.9, 5), (1, 0.0, -1), (1, 0.5, 5)]
    roles = cast([course(rows), course(rows, "credit_risk")], IDS, ALL, unseen=False).roles
    assert [(role.task, role.customer) for role in roles] == [("churn", "c0"), ("credit_risk", "c1")]


def test_one_task_alone_fills_all_places() -> None:
    rows = [(customer, score, 5) for customer in range(5) for score in (0.0, 0.1 * customer + 0.1)]
    roles = cast([course(rows)], IDS, ALL, unseen=False).roles
    assert [role.customer for role in roles] == ["c4", "c3", "c2"]
    assert len(roles) == MOST


def test_where_nothing_came_true_the_largest_rise_is_shown_and_nothing_is_claimed() -> None:
    rows = [(0, 0.1, -1), (0, 0.4, -1), (1, 0.5, 5), (1, 0.5 + LEAST_RISE / 2, 5)]
    chosen = cast([course(rows)], IDS, ALL, unseen=False)
    first = chosen.roles[0]
    assert (first.customer, first.came_ms, first.came) == ("c0", None, "")
    assert "from all customers" in chosen.chosen


@pytest.mark.parametrize("rows", [[], [(0, np.nan, -1)], [(0, 0.5, -1)]])
def test_few_rows_give_few_customers_and_no_failure(rows: Rows) -> None:
    assert len(cast([course(rows)], IDS, ALL, unseen=False).roles) == (1 if rows and rows[0][1] == 0.5 else 0)


def test_a_log_without_any_score_has_nobody_to_watch() -> None:
    chosen = cast([], IDS, ALL, unseen=False)
    assert (chosen.roles, chosen.chosen[:16]) == ((), "Nobody to watch:")


def test_a_spec_of_other_names_has_stories_too() -> None:
    spec = spec_of(
        """
        [[tasks]]
        name = "spend"
        kind = "value"
        label = "outflow"
        horizon_days = 14
        [[tasks]]
        name = "next"
        kind = "multiclass"
        label = "next_type"
        horizon_days = 14
        [[tasks]]
        name = "quiet"
        kind = "binary"
        label = "inactive"
        horizon_days = 14
        """
    )
    courses = [
        course([(0, 100.0, -1), (0, 900.0, -1)], "spend", spec=spec),
        course([(1, 0.1, -1), (1, 0.4, 8)], "next", "shop", spec),
        course([(2, 0.1, -1), (2, 0.4, 9)], "quiet", spec=spec),
    ]
    roles = cast(courses, IDS, ALL, unseen=False).roles
    assert [(role.customer, role.title, role.came) for role in roles] == [
        ("c2", "falling silent", "did nothing for 14 days"),
        ("c1", "next rising: shop", "next was shop"),
        ("c0", "spend rising", ""),
    ]


TASKS = """
[[tasks]]
name = "quiet"
kind = "binary"
label = "inactive"
horizon_days = 10
[[tasks]]
name = "wish"
kind = "multiclass"
label = "outcome_within"
classes = ["none", "loan", "fund"]
horizon_days = 20
[[tasks]]
name = "spend"
kind = "value"
label = "outflow"
horizon_days = 10
"""


def test_the_truth_is_when_the_horizon_of_silence_ended_and_when_an_outcome_came() -> None:
    spec = spec_of(TASKS)
    events = [(0, 1, "shop", -5.0), (0, 3, "shop", -5.0), (1, 2, "shop", -5.0), (1, 30, "shop", -5.0)]
    outcomes = [(0, 3, "wish", "fund"), (0, 8, "wish", "fund"), (1, 60, "wish", "loan")]
    log = log_of(spec, events, outcomes, until=(100.0, 100.0))
    customer = np.array(["c0", "c0", "c1", "c1"], np.object_)
    truth = Truth.of(log, spec, customer, log.transactions.time_ms)
    assert truth.came_ms(spec.task("quiet"), "").tolist() == [-1, at(13), at(12), at(40)]
    assert truth.came_ms(spec.task("wish"), "fund").tolist() == [at(3), at(8), -1, -1]
    assert truth.came_ms(spec.task("wish"), "loan").tolist() == [-1, -1, -1, -1]
    assert truth.came_ms(spec.task("spend"), "").tolist() == [-1] * 4


def test_nothing_is_known_where_what_was_scored_is_not_what_can_be_learned_from() -> None:
    spec = spec_of(TASKS)
    log = log_of(spec, [(0, 1, "shop", -5.0), (0, 30, "shop", -5.0)])
    times, ids = log.transactions.time_ms, np.array(["c0", "c0"], np.object_)
    assert Truth.of(log, spec, ids, times).known is not None
    for other in (
        Truth.of(None, spec, ids, times),
        Truth.of(log, spec, ids[:1], times[:1]),
        Truth.of(log, spec, ids, times + 1),
        Truth.of(log, spec, np.array(["c0", "c1"], np.object_), times),
    ):
        assert other.known is None
        assert set(other.came_ms(spec.task("quiet"), "").tolist()) == {-1}


def test_outcomes_that_are_no_class_of_the_task_are_no_failure() -> None:
    spec = spec_of(TASKS)
    log = log_of(spec, [(0, 1, "shop", -5.0)], outcomes=[(0, 8, "wish", "house")])
    assert Truth.of(log, spec, np.array(["c0"], np.object_), log.transactions.time_ms).known is None


def test_who_is_unseen_is_the_test_side_of_the_very_split_that_trained(tiny_bundle: Tiny) -> None:
    folder, manifest = tiny_bundle.folder, tiny_bundle.bundle.manifest
    log = read(folder, manifest.spec)
    assert log is not None
    found = unseen(folder, log, manifest, log.customers)
    assert found is not None
    assert (found == (sides(log, tiny_bundle.options.seed) == TEST)).all()
    assert 0 < found.sum() < len(found)


def test_of_data_that_training_has_not_seen_everybody_may_be_chosen(tiny_bundle: Tiny, tmp_path: Path) -> None:
    folder, manifest = tiny_bundle.folder, tiny_bundle.bundle.manifest
    log = read(folder, manifest.spec)
    assert log is not None
    other = tmp_path / "other"
    other.mkdir()
    for item in folder.path.iterdir():
        (other / item.name).write_bytes(item.read_bytes())
    assert unseen(read_folder(other), log, manifest, log.customers) is not None, "the same data in another place"
    (other / "outcomes.parquet").unlink()
    assert unseen(read_folder(other), log, manifest, log.customers) is None


def test_a_folder_that_cannot_be_learned_from_has_no_truth(tiny_folder: Path) -> None:
    folder = read_folder(tiny_folder)
    refused = folder.transactions.set_column(
        folder.transactions.column_names.index("time"),
        "time",
        pa.array(np.zeros(folder.transactions.num_rows, np.int64)).cast(TIME),
    )
    broken: Folder = replace(folder, transactions=refused)
    assert read(broken, folder.spec) is None
