"""`foretell train` from the command line: a bundle, or one sentence and nothing half-written."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ForetellError, InputError, OutputError, SpecError, TrainingError
from stream_app.bundle import load
from stream_app.offline.folder import CUSTOMERS, OUTCOMES, SPEC, TRANSACTIONS
from stream_app.steps.predict import Predictor
from tests.logs import tiny_tables, write_tiny
from tests.unit.conftest import Tiny
from training import run, teachers
from training.cli import register
from training.datasets.folder import FolderTables, write_folder


def train(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="foretell")
    register(parser.add_subparsers())
    args = parser.parse_args(["train", *arguments])
    code: int = args.run(args)
    return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "tiny")


def left(path: Path) -> list[str]:
    return sorted(item.name for item in path.iterdir())


def test_training_writes_a_bundle_that_loads_and_a_table_of_measures_and_is_repeatable(
    tiny_bundle: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "bundle", tmp_path / "page.html"

    code = train(
        *(str(tiny_bundle.folder.path), "--out", str(out), "--quick", "--epochs", "30", "--layers", "32"),
        *("--report", str(report)),
    )

    told, bundle = capsys.readouterr().out, load(out)
    assert code == 0
    assert Predictor.of(bundle) is not None
    assert told.splitlines()[0].split() == ["task", "rows", "tested", "measure", "network", "linear", "prior"]
    assert f"Wrote {out}: bundle {bundle.short}" in told
    assert report.read_bytes() == (out / "report.html").read_bytes()
    assert left(tmp_path) == ["bundle", "page.html"]
    for name in ("model.onnx", "reasons.onnx", "manifest.json", "report.html", "model_card.md"):
        assert (out / name).read_bytes() == (tiny_bundle.bundle.path / name).read_bytes()


@pytest.mark.parametrize(
    ("cut", "asked", "how"),
    [
        ("", [], "customer"),
        ("test_from = 2024-02-01", [], "time"),
        ("test_from = 2024-02-01", ["customer"], "customer"),
    ],
)
def test_a_test_period_of_the_spec_is_what_is_tested_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cut: str, asked: list[str], how: str
) -> None:
    seen: list[str] = []

    def learn(*arguments: Any) -> None:  # noqa: ANN401  (what training takes)
        seen.append(arguments[3].split)
        raise TrainingError

    monkeypatch.setattr(run, "learn", learn)
    (folder / SPEC).write_text((folder / SPEC).read_text().replace("[training]\n", f"[training]\n{cut}\n"))
    with pytest.raises(TrainingError):
        train(str(folder), "--out", str(folder / "bundle"), *(["--split", *asked] if asked else []))
    assert seen == [how]


def test_unless_it_is_to_be_quick_the_network_is_taught(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachers, "MOST_TREES", 20)
    code = train(str(folder), "--out", str(tmp_path / "bundle"), "--epochs", "2", "--layers", "32")

    assert code == 0
    assert set(load(tmp_path / "bundle").manifest.data["teachers"]) == {"churn", "next", "value"}
    assert "Taught by trees" in (tmp_path / "bundle" / "report.html").read_text()


def spoil(folder: Path, how: str) -> None:
    """Make a folder unusable in one way."""
    transactions = pq.read_table(folder / TRANSACTIONS)
    if how == "missing":
        (folder / TRANSACTIONS).unlink()
    elif how == "columns":
        pq.write_table(transactions.drop_columns(["amount"]), folder / TRANSACTIONS)
    elif how == "empty":
        pq.write_table(transactions.slice(0, 0), folder / TRANSACTIONS)
    elif how == "one class":
        outcomes = pq.read_table(folder / OUTCOMES)
        same = outcomes.set_column(outcomes.column_names.index("value"), "value", pa.array(["1"] * outcomes.num_rows))
        pq.write_table(same, folder / OUTCOMES)
    elif how == "no labels":
        (folder / OUTCOMES).unlink()
    elif how == "unknown key":
        (folder / SPEC).write_text("colour = 1\n" + (folder / SPEC).read_text())
    elif how == "unknown feature":
        (folder / SPEC).write_text('exclude_inputs = ["incme"]\n' + (folder / SPEC).read_text())
    elif how == "unknown class":
        text = (
            (folder / SPEC)
            .read_text()
            .replace(
                'kind = "binary"\nlabel = "outcome_at"',
                'kind = "multiclass"\nlabel = "outcome_at"\nclasses = ["a", "b"]',
            )
        )
        (folder / SPEC).write_text(text)
    elif how == "text for a number":
        customers = pq.read_table(folder / CUSTOMERS)
        text = pa.array(["much"] * customers.num_rows)
        pq.write_table(customers.set_column(customers.column_names.index("income"), "income", text), folder / CUSTOMERS)


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("missing", InputError, r"Expected transactions.parquet in .*; write it, or name another folder"),
        ("columns", InputError, r"Expected column `amount` in .*transactions.parquet, found only"),
        ("empty", InputError, r"Expected at least one transaction in .*, found an empty table"),
        (
            "one class",
            TrainingError,
            r"task 'loan', found only the label 1 in all training rows .*; remove the task or bring more data",
        ),
        (
            "no labels",
            TrainingError,
            r"Expected labels for task 'loan', found none: .*; remove the task or bring more data",
        ),
        ("unknown key", SpecError, r"Expected a valid spec at .*scorer.toml, found: .*`colour`"),
        ("unknown feature", SpecError, r"found 'incme'; the nearest are income"),
        ("unknown class", InputError, r"Expected one of the classes a, b in outcomes.parquet, task 'loan', found '0'"),
        ("text for a number", InputError, r"Expected numbers in column `income` of customers.parquet"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_sentence_and_leaves_nothing(
    folder: Path, tmp_path: Path, how: str, error: type[ForetellError], message: str
) -> None:
    spoil(folder, how)

    with pytest.raises(error, match=message):
        train(str(folder), "--out", str(tmp_path / "bundle"))

    assert left(tmp_path) == ["tiny"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected an interchange folder at .*nowhere, found nothing"):
        train(str(tmp_path / "nowhere"), "--out", str(tmp_path / "bundle"))


def test_a_leak_is_refused(tmp_path: Path) -> None:
    tables = tiny_tables()
    assert tables.outcomes is not None
    fate = dict(zip(tables.outcomes["customer_id"].to_pylist(), tables.outcomes["value"].to_pylist(), strict=True))
    telling = pa.array([float(fate[name]) for name in tables.customers["customer_id"].to_pylist()])
    known = tables.customers.set_column(tables.customers.column_names.index("income"), "income", telling)
    leaky = FolderTables(tables.transactions, known, tables.spec_text, outcomes=tables.outcomes)
    write_folder(tmp_path / "leaky", leaky)

    with pytest.raises(TrainingError, match="--allow-leak 'income'"):
        train(str(tmp_path / "leaky"), "--out", str(tmp_path / "bundle"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("bundle", "found a previous bundle; add --force to replace it"),
        ("other", "found something else; choose another place"),
    ],
)
def test_a_place_that_is_taken_is_refused_before_any_work(
    tiny_folder: Path, tmp_path: Path, content: str, message: str
) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    (out / ("manifest.json" if content == "bundle" else "precious.txt")).write_text("{}")

    with pytest.raises(OutputError, match=message):
        train(str(tiny_folder), "--out", str(out))

    assert len(left(out)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "100"], "multiples of 16"),
        (["--epochs", "0"], "whole number of at least 1"),
        (["--split", "day"], "invalid choice"),
    ],
)
def test_wrong_usage_says_what_was_expected(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        train("folder", "--out", "bundle", *arguments)

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_and_refusals_come_without_loading_tensorflow(tmp_path: Path) -> None:
    program = (
        "import argparse, sys\n"
        "from training.cli import register\n"
        "from schemas.errors import InputError\n"
        "parser = argparse.ArgumentParser(); register(parser.add_subparsers())\n"
        f"args = parser.parse_args(['train', {str(tmp_path / 'nowhere')!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "try:\n    args.run(args)\n"
        "except InputError:\n    print('refused', 'tensorflow' in sys.modules, 'keras' in sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["refused", "False", "False"]
