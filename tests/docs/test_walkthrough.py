"""The walk-through "your own data" of the README: its cheap commands, as written (`make walkthrough` does all)."""

import shlex
import subprocess
from pathlib import Path

import pytest

from stream_app import cli
from stream_app.offline.folder import read_folder
from tests.docs import walkthrough
from tests.kit import banksim
from tests.kit.compose import ROOT

LINES = walkthrough.commands((ROOT / "README.md").read_text(encoding="utf-8"))
HEAVY = ("train", "demo")
PARTS = [part.strip() for line in LINES for part in line.split("&&")]
CHEAP = [line for line in LINES if shlex.split(line)[1] not in HEAVY]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return walkthrough.furnish(tmp_path, customers=300)


def typed(lines: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        walkthrough.script(lines), cwd=place, capture_output=True, text=True, timeout=200, check=False
    )


def test_lines_that_go_on_are_one_command() -> None:
    text = "<!-- own-data -->\n```console\n$ a \\\n    b\n$ c\n```\ntext\n```console\n$ d\n```\n<!-- /own-data -->\n"

    assert [shlex.split(line) for line in walkthrough.commands(text + "```console\n$ e\n```\n")] == [
        ["a", "b"],
        ["c"],
        ["d"],
    ]


def test_every_command_is_one_that_foretell_takes() -> None:
    for part in PARTS:
        name, *arguments = shlex.split(part)
        assert name == "foretell"
        cli._parser().parse_args(arguments)  # noqa: SLF001  (what the command itself uses)

    assert [shlex.split(part)[1] for part in PARTS] == 2 * ["data", "spec", "spec", "train", "demo"]


@pytest.mark.slow
def test_both_files_are_imported_drafted_and_checked_as_written(place: Path) -> None:
    done = typed(CHEAP, place)

    assert done.returncode == 0, done.stderr
    assert [f"It fits the log in {name}." in done.stdout for name in ("payments", "shop")] == [True, True]
    tasks = {name: [task.name for task in read_folder(place / name).spec.tasks] for name in ("payments", "shop")}
    assert tasks == {
        "payments": ["churn", "value", "next_behaviour", "fraud"],
        "shop": ["churn", "value", "next_behaviour"],
    }


def test_a_command_that_fails_ends_it(tmp_path: Path) -> None:
    banksim.write(tmp_path / "banksim.csv", customers=3)

    done = typed([CHEAP[0].replace("=step", "=day"), "echo went on"], tmp_path)

    assert (done.returncode, done.stdout) == (3, "")
    assert "Expected column `day` in banksim.csv, found only step, customer, age" in done.stderr
    assert not (tmp_path / "payments").exists()


@pytest.mark.parametrize(("line", "code"), [("true && false", 1), ("false && true", 1), ("true && true", 0)])
def test_either_of_two_that_are_joined_ends_it(tmp_path: Path, line: str, code: int) -> None:
    assert typed([line], tmp_path).returncode == code


def test_scores_and_bundles_that_are_not_there_are_noticed(tmp_path: Path) -> None:
    assert walkthrough.problems(tmp_path, "  scored  12\n") == [
        "no payments-bundle/model.onnx",
        "no payments-bundle/report.html",
        "no shop-bundle/model.onnx",
        "no shop-bundle/report.html",
        "expected [] transactions scored live, found ['12']",
    ]
