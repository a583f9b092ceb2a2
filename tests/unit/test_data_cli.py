"""The verb `data`: what it writes, says and refuses."""

import argparse
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from schemas.errors import OutputError
from stream_app.offline.folder import read_folder
from tests.docs import walkthrough
from tests.kit import banksim
from tests.kit.compose import ROOT
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
        f"Drafted {tmp_path / 'd' / 'scorer.toml'}; review:\n"
        "- initiator: no type looks like the bank's\n"
        "- thresholds of rules: three times the average odds; set them when you have seen the report\n"
        f"Next: read it, then foretell spec check {tmp_path / 'd'}\n"
    )


def test_csv_takes_quotes_day_numbers_attributes_and_outcomes(tmp_path: Path) -> None:
    source = banksim.write(tmp_path / "banksim.csv", customers=60)
    columns = ["--map", "customer_id=customer", "--map", "time=step", "--map", "type=category"]
    times = ["--time-format", "epoch_d", "--epoch", "2026-01-01", "--timezone", "Europe/Madrid"]
    told = ["--attribute", "age_band=age", "--attribute", "gender=gender", "--outcome", "fraud=fraud", "--negate"]

    code = run("csv", "--source", str(source), "--quote", "'", *columns, *times, *told, "--out", str(tmp_path / "d"))

    lines = [line.split(",") for line in source.read_text(encoding="utf-8").splitlines()[1:]]
    folder = read_folder(tmp_path / "d")
    assert code == 0
    assert folder.transactions["customer_id"].to_pylist() == [line[1].strip("'") for line in lines]
    assert folder.transactions["amount"].to_pylist() == [-float(line[8]) for line in lines]
    assert f"{folder.transactions['time'][0]}" == "2025-12-31 23:00:00+00:00"
    assert folder.outcomes is not None
    assert folder.outcomes.num_rows == sum(line[9] == "1" for line in lines) > 0
    assert folder.customers.num_rows == 60
    assert [(item.name, item.is_input) for item in folder.spec.attributes] == [("age_band", False), ("gender", False)]
    assert folder.spec.utc_offset_minutes == 120


def test_the_command_of_the_readme_imports_a_bank_s_card_payments_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = banksim.write(tmp_path / "banksim.csv", customers=40, seed=6)  # of one the age is unknown, "U"
    _, _, *arguments = shlex.split(walkthrough.commands((ROOT / "README.md").read_text(encoding="utf-8"))[0])
    monkeypatch.chdir(tmp_path)

    code = run(*arguments)

    lines = [line.replace("'", "").split(",") for line in source.read_text(encoding="utf-8").splitlines()[1:]]
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=int(line[0])) for line in lines]
    folder = read_folder(tmp_path / "payments")
    assert code == 0
    assert folder.transactions.select(["transaction_id", "customer_id", "time", "amount", "type"]).to_pylist() == [
        {
            "transaction_id": f"row-{row}",
            "customer_id": line[1],
            "time": day,
            "amount": -float(line[8]),
            "type": line[7],
        }
        for row, (line, day) in enumerate(zip(lines, days, strict=True), start=2)
    ]
    assert folder.transactions["counterparty"].to_pylist() == [line[5] for line in lines]
    assert "U" in {line[2] for line in lines}
    known = {row["customer_id"]: (row["age_band"], row["gender"]) for row in folder.customers.to_pylist()}
    assert known == {line[1]: (line[2], line[3]) for line in lines}
    assert folder.outcomes is not None
    told = [(line[1], "fraud", day, "1") for line, day in zip(lines, days, strict=True) if line[9] == "1"]
    assert [tuple(row.values()) for row in folder.outcomes.to_pylist()] == told
    attributes = {item.name: item.is_input for item in folder.spec.attributes}
    assert (folder.spec.currency, attributes) == ("EUR", {"age_band": False, "gender": False})


def test_csv_takes_debit_credit_and_marks(tmp_path: Path) -> None:
    source = tmp_path / "konto.csv"
    text = "Tag;Konto;Text;Soll;Haben\n1.5.2024;K1;Miete;1.234,50;\n2.5.2024;K1;Gehalt;;2.000,00\n"
    source.write_bytes(text.encode("cp1252"))
    form = [
        "--delimiter",
        ";",
        "--encoding",
        "cp1252",
        "--decimal",
        ",",
        "--thousands",
        ".",
        "--time-format",
        "%d.%m.%Y",
    ]
    columns = [
        "--map",
        "customer_id=Konto",
        "--map",
        "time=Tag",
        "--map",
        "type=Text",
        "--debit",
        "Soll",
        "--credit",
        "Haben",
    ]

    assert run("csv", "--source", str(source), *form, *columns, "--currency", "CHF", "--out", str(tmp_path / "d")) == 0

    folder = read_folder(tmp_path / "d")
    assert folder.transactions["amount"].to_pylist() == [-1234.5, 2000.0]
    assert folder.spec.currency == "CHF"


def test_a_taken_place_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").touch()

    with pytest.raises(OutputError, match=r"Expected an empty place at .*, found thesis.txt; choose another place"):
        run("berka", "--source", str(tmp_path / "nowhere"), "--out", str(tmp_path / "d"), "--force")


def test_a_previous_folder_is_replaced_with_force(tmp_path: Path) -> None:
    for _ in range(2):
        run("csv", *RETAIL_ARGUMENTS, "--out", str(tmp_path / "d"), "--force")

    assert [item.name for item in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("verb", ["simulate", "berka", "online-retail", "taiwan", "csv"])
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
        (["csv", "--source", "x", "--out", "d", "--debit-if", "D"], "expected COLUMN=VALUE, found 'D'"),
        (["csv", "--source", "x", "--out", "d", "--epoch", "May"], "expected a date such as 2026-01-01, found 'May'"),
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*arguments)

    assert stop.value.code == 2
    assert message in capsys.readouterr().err
