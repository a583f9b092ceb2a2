"""The replay before a demo's stream: it says what will come, whatever the log and the spec."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from schemas import spec_file
from schemas.progress import SILENT
from stream_app.offline.folder import CUSTOMERS, TIME, TRANSACTIONS, read_folder
from stream_app.offline.log import FolderLog
from stream_app.offline.replay import Outputs, replay
from stream_app.shelf import Shelf
from tests.bundles import random_bundle
from tests.logs import HEAD, SPEC, write_tiny
from tests.unit.conftest import Tiny
from training.demo.cast import Role
from training.demo.jobs import Rehearse
from training.demo.rehearsal import Rehearsal, found_in, rehearse
from training.demo.truth import read
from training.split import TEST, sides

VALUE_ONLY = f"""{HEAD}
score_on_customer = true
[[tasks]]
name = "spend"
kind = "value"
label = "outflow"
horizon_days = 7
"""


def rehearsed(data: Path, bundle: Path, out: Path, paced: int = 1000) -> Rehearsal:
    out.mkdir()
    return rehearse(Rehearse(str(data), str(bundle), str(out), 2, paced), SILENT)


def with_times(data: Path, times_ms: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    """Put other times into a folder's transactions."""
    table = pq.read_table(data / TRANSACTIONS)
    column = pa.array(times_ms).cast(TIME)
    pq.write_table(table.set_column(table.column_names.index("time"), "time", column), data / TRANSACTIONS)


def test_it_gives_what_a_replay_gives_and_finds_people_that_training_has_not_seen(
    tiny_bundle: Tiny, tmp_path: Path
) -> None:
    data, bundle = tiny_bundle.folder.path, tiny_bundle.bundle
    found = rehearsed(data, bundle.path, tmp_path / "out", paced=10_000)
    outputs = Outputs(tmp_path / "s.parquet", tmp_path / "a.parquet", tmp_path / "d.parquet")
    summary = replay(FolderLog(tiny_bundle.folder, 2), Shelf(bundle), outputs)
    assert pq.read_table(tmp_path / "s.parquet").equals(pq.read_table(tmp_path / "out" / "scores.parquet"))
    assert (found.records, found.scores, found.letters) == (summary.records, summary.scores, 0)
    assert found.alerts == summary.alerts.total()
    assert found == found_in(tmp_path / "out")
    log = read(tiny_bundle.folder, bundle.spec)
    assert log is not None
    test = set(log.customers[sides(log, tiny_bundle.options.seed) == TEST])
    assert {role.customer for role in found.cast.roles} <= test
    assert [role.task for role in found.cast.roles] == ["churn", "loan", "next"]
    scored = pq.read_table(tmp_path / "s.parquet").to_pylist()
    for role in found.cast.roles:
        name = f"{role.task}.{role.class_}" if role.class_ else role.task
        seen = [row[name] for row in scored if row["customer_id"] == role.customer and row[name] is not None]
        assert role.high in seen
        assert role.low == pytest.approx(min(seen[: seen.index(role.high) + 1]))


def test_only_the_part_that_can_be_watched_is_looked_at(tiny_bundle: Tiny, tmp_path: Path) -> None:
    data, paced = tiny_bundle.folder.path, 1500
    early = rehearsed(data, tiny_bundle.bundle.path, tmp_path / "early", paced)
    late = rehearsed(data, tiny_bundle.bundle.path, tmp_path / "late", 100_000)
    tables = [pq.read_table(data / name)["time"].cast(pa.int64()) for name in (CUSTOMERS, TRANSACTIONS)]
    until_ms = np.sort(np.concatenate([times.to_numpy() for times in tables]))[paced - 1]
    scored = pq.read_table(tmp_path / "early" / "scores.parquet")
    seen = scored.filter(pc.less_equal(scored["time"].cast(pa.int64()), int(until_ms)))
    assert [highest(role, seen) for role in early.cast.roles] == [True] * 3
    assert [highest(role, seen) for role in late.cast.roles] != [True] * 3
    assert all(role.came_ms is None or role.came_ms <= until_ms for role in early.cast.roles)
    assert not all(role.came_ms is None or role.came_ms <= until_ms for role in late.cast.roles)


def highest(role: Role, scores: pa.Table) -> bool:
    """Return whether the score that a role ends with is among some scores."""
    mine = scores.filter(pc.equal(scores["customer_id"], role.customer))
    return role.high in mine[f"{role.task}.{role.class_}" if role.class_ else role.task].to_pylist()


def test_events_ahead_of_today_are_refused_as_the_stream_will(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", customers=5)
    bundle = random_bundle(tmp_path / "bundle", read_folder(data).spec)
    count = pq.read_metadata(data / TRANSACTIONS).num_rows
    today_ms = round(time.time() * 1000)
    with_times(data, today_ms + (np.arange(count) - 10) * 86_400_000 * 3)
    found = rehearsed(data, bundle.path, tmp_path / "out")
    assert (found.scores, found.letters) == (11, count - 11)
    assert set(pq.read_table(tmp_path / "out" / "dead-letters.parquet")["reason"].to_pylist()) == {"time"}


def test_a_log_of_refused_records_only_has_nobody_to_watch_and_is_no_failure(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", customers=5)
    bundle = random_bundle(tmp_path / "bundle", read_folder(data).spec)
    with_times(data, np.zeros(pq.read_metadata(data / TRANSACTIONS).num_rows, np.int64))
    found = rehearsed(data, bundle.path, tmp_path / "out")
    assert (found.scores, found.cast.roles, found.first_ms) == (0, (), 0)
    assert found.letters > 0


@pytest.mark.parametrize("text", [VALUE_ONLY, SPEC.replace('name = "churn"', 'name = "leaving"')])
def test_any_spec_has_somebody_to_watch(text: str, tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", customers=8)
    bundle = random_bundle(tmp_path / "bundle", spec_file.parse(text, "a test"))
    found = rehearsed(data, bundle.path, tmp_path / "out")
    assert len({role.customer for role in found.cast.roles}) == 3
    assert "from all customers" in found.cast.chosen


def test_one_customer_with_few_transactions_is_enough(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", customers=1, days=20)
    bundle = random_bundle(tmp_path / "bundle", read_folder(data).spec)
    found = rehearsed(data, bundle.path, tmp_path / "out", paced=1)
    assert len(found.cast.roles) <= 1
