"""The verb `data`: what it writes, says and refuses."""

import argparse
from pathlib import Path

import pytest

from schemas.errors import OutputError
from stream_app.offline.folder import read_folder
from training.datasets.cli import register

RETAIL = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"
RETAIL_ARGUMENTS = [
    *("--source", str(RETAIL), "--map", "customer_id=CustomerID", "--map", "transaction_id=InvoiceNo"),
    *("--map", "time=InvoiceDate", "--amount", "Quantity*UnitPrice", "--negate", "--type", "purchase"),
    *("--type-in", "return", "--group", "--timezone", "Europe/London", "--currency", "GBP", "--skip-bad"),
]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="foretell")
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *arguments])
    code: int = args.run(args)
    return code


def test_csv_writes_a_folder_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run("csv", *RETAIL_ARGUMENTS, "--out", str(tmp_path / "d"))

    assert code == 0
    assert read_folder(tmp_path / "d").transactions.num_rows == 400
    assert capsys.readouterr().out == (
        "Left out 56 of 2,000 rows: 56 (`CustomerID` is empty).\n"
        f"Wrote {tmp_path / 'd'}: 400 transactions of 84 customers, 2010-12-01 to 2011-12-09; "
        "0 customer records, 0 outcomes; tasks churn, value, next_behaviour.\n"
        f"Next: foretell train {tmp_path / 'd'} --out BUNDLE\n"
    )


def test_a_taken_place_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").touch()

    with pytest.raises(OutputError, match=r"Expected an empty place at .*, found thesis.txt; choose another place"):
        run("berka", "--source", str(tmp_path / "nowhere"), "--out", str(tmp_path / "d"), "--force")


def test_a_previous_folder_is_replaced_with_force(tmp_path: Path) -> None:
    for _ in range(2):
        run("csv", *RETAIL_ARGUMENTS, "--out", str(tmp_path / "d"), "--force")

    assert [item.name for item in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("verb", ["simulate", "berka", "csv"])
def test_help_shows_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(verb, "--help")

    assert stop.value.code == 0
    assert f"foretell data {verb} --" in capsys.readouterr().out.split("example")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["csv", "--source", "x", "--out", "d", "--map", "time"], "expected NAME=COLUMN, found 'time'"),
        (["simulate", "--out", "d", "--customers", "0"], "expected a whole number of at least 1, found '0'"),
        (["simulate", "--out", "d", "--difficulty", "nan"], "expected a number above 0, found 'nan'"),
        (["berka", "--out", "d"], "--source"),
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)

    assert stop.value.code == 2
    assert message in capsys.readouterr().err
