"""The folder of a demo: taken whole, by one at a time, and never one that holds anything else."""

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import OutputError
from training.demo import folder
from training.demo.plan import Places, Plan

HOLD = """
import sys
from pathlib import Path
from training.demo import folder
from training.demo.plan import Places
with folder.taken(Places(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def plan(out: Path, data: Path | None = None, bundle: Path | None = None) -> Plan:
    places = Places(out)
    return Plan(
        places=places, data=data or places.bank, bundle=bundle or places.bundle, simulated=data is None, seed=1,
        customers=10, months=3, epochs=1, rate=1000.0, pace_s=10.0,
    )  # fmt: skip


def run_through(out: Path) -> None:
    folder.check(plan(out))
    with folder.taken(Places(out)):
        pass


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    run_through(out)
    assert {item.name for item in out.iterdir()} == {folder.MARKER, "logs", "replay", "servers"}


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    run_through(tmp_path)
    assert (tmp_path / folder.MARKER).is_file()


def test_what_a_former_demo_wrote_is_replaced_and_what_others_put_there_stays(tmp_path: Path) -> None:
    run_through(tmp_path)
    for name in ("scores.parquet", "alerts.parquet", "dead-letters.parquet", "summary.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "bank").mkdir()
    (tmp_path / "logs" / "worker.log").write_text("old")
    (tmp_path / ".bundle.4711.part").mkdir()
    (tmp_path / ".scores.parquet.4711.part").write_text("half")
    (tmp_path / "again.parquet").write_text("mine")
    (tmp_path / ".mine.part").write_text("mine")
    run_through(tmp_path)
    left = {item.name for item in tmp_path.iterdir()}
    assert left == {folder.MARKER, "logs", "replay", "servers", "again.parquet", ".mine.part"}
    assert list((tmp_path / "logs").iterdir()) == []


def test_a_link_in_the_place_of_a_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    out, precious = tmp_path / "out", tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("keep")
    run_through(out)
    (out / "bank").symlink_to(precious)
    run_through(out)
    assert not (out / "bank").exists()
    assert (precious / "file").read_text() == "keep"


def test_a_folder_that_is_no_demo_s_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    with pytest.raises(
        OutputError, match=r"Expected nothing at .*, or the folder of a former demo, found bank; choose"
    ):
        folder.check(plan(tmp_path))
    assert [item.name for item in tmp_path.iterdir()] == ["bank"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="found a file; choose another place with --out"):
        folder.check(plan(tmp_path / "out"))


@pytest.mark.parametrize(("data", "bundle"), [("out/bank", "bundle"), ("bank", "out/bundle"), ("out", "bundle")])
def test_a_demo_on_what_lies_in_its_own_folder_is_refused(tmp_path: Path, data: str, bundle: str) -> None:
    out = tmp_path / "out"
    run_through(out)
    with pytest.raises(OutputError, match="outside the demo's folder"):
        folder.check(plan(out, tmp_path / data, tmp_path / bundle))
    folder.check(plan(out, tmp_path / "bank", tmp_path / "bundle"))


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="Not a directory"):
        run_through(tmp_path / "file" / "out")


def test_one_demo_at_a_time_works_in_a_folder_and_a_killed_one_leaves_it_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(OutputError, match="found another demo at work there"):
            run_through(tmp_path)
        other.kill()
        other.wait()
    run_through(tmp_path)


@pytest.mark.parametrize(
    ("records", "paced", "rate"),
    [(200_000, 10_000, 1000.0), (10_000, 6000, 600.0), (1000, 600, 60.0), (100, 60, 50.0), (1, 1, 50.0)],
)
def test_a_short_log_goes_slower_so_that_there_is_something_to_watch(records: int, paced: int, rate: float) -> None:
    asked = plan(Path("out"))
    assert (asked.paced(records), asked.pace(records)) == (paced, rate)
