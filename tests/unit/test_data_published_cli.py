"""`foretell data online-retail` and `foretell data taiwan`: what they say."""

import argparse
from pathlib import Path

import pytest

from tests.cards import client, clients, write_clients
from training.datasets.cli import register

SAMPLE = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(prog="foretell")
    register(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *arguments])
    code: int = args.run(args)
    return code


def test_online_retail_tells_what_was_left_out_and_to_train_by_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "d"

    assert run("online-retail", "--source", str(SAMPLE), "--out", str(out)) == 0

    assert capsys.readouterr().out == (
        "Left out 88 of 2,000 rows: 56 (`CustomerID` is empty), 32 (`StockCode` does not begin with five digits).\n"
        f"Wrote {out}: 389 transactions of 84 customers, 2010-12-01 to 2011-12-09; 84 customer records, 0 outcomes; "
        "tasks churn, value, value_expected, preference, next_behaviour.\n"
        f"Next: foretell train {out} --out BUNDLE\n"
    )


def test_taiwan_tells_what_was_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "d"
    source = write_clients(tmp_path / "clients.csv", [*clients(20), client(99, LIMIT_BAL=0)])

    assert run("taiwan", "--source", str(source), "--out", str(out)) == 0

    told = capsys.readouterr().out.splitlines()
    assert told[0] == "Left out 1 of 21 rows: 1 (`LIMIT_BAL` is not above 0)."
    assert "of 20 customers, 2005-04-30 to 2005-09-30; 120 customer records, 320 outcomes; tasks credit_risk" in told[1]
    assert told[2] == f"Next: foretell train {out} --out BUNDLE"


@pytest.mark.parametrize(
    ("verb", "author", "where"),
    [("online-retail", "Chen, D. (2015)", "10.24432/C5BW33"), ("taiwan", "Yeh, I.-C. & Lien", "10.24432/C55S3H")],
)
def test_help_names_source_and_licence(verb: str, author: str, where: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(verb, "--help")

    told = capsys.readouterr().out
    assert [word in told for word in (author, where, "CC BY 4.0")] == [True] * 3
