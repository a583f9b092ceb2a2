"""Credit card clients of Taiwan: a few made here, in the file as published, and the real ones where they are."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from schemas.progress import SILENT
from stream_app.offline.folder import Folder, read_folder
from tests.cards import BILL, DEFAULT, NAMES, PAID, STATUS, Client, client, clients, write_clients
from tests.workbooks import write_workbook
from training.datasets.taiwan import Taiwan
from training.prepare import Options, Prepared, prepare

ENDS = [
    datetime(2005, month, day, 15, tzinfo=UTC) for month, day in ((4, 30), (5, 31), (6, 30), (7, 31), (8, 31), (9, 30))
]
OCTOBER = datetime(2005, 10, 31, 15, tzinfo=UTC)


def folder_of(source: Path, out: Path) -> Folder:
    Taiwan(source).write(out, SILENT)
    return read_folder(out)


def made(tmp_path: Path, *rows: Client) -> Folder:
    return folder_of(write_clients(tmp_path / "clients.csv", rows), tmp_path / "d")


def utc(month: int, day: int, hour: int) -> datetime:
    return datetime(2005, month, day, hour, tzinfo=UTC)


def test_a_month_is_a_payment_where_there_was_one_and_the_statement_that_follows(tmp_path: Path) -> None:
    folder = made(tmp_path, client(7, bill=[500, -20, 0, 0, 0, 90], paid=[0, 520, 0, 0, 0, 0]))

    log = [tuple(row.values()) for row in folder.transactions.to_pylist()]

    assert log[:3] == [
        ("7-4-statement", "7", ENDS[0], 0.0, "statement", -500.0),
        ("7-5-payment", "7", utc(5, 15, 4), -520.0, "payment", None),
        ("7-5-statement", "7", ENDS[1], 0.0, "statement", 20.0),
    ]
    assert [row[0] for row in log[3:]] == [f"7-{month}-statement" for month in (6, 7, 8, 9)]
    assert log[-1][5] == -90.0


def test_each_statement_comes_with_what_is_known_of_the_months_so_far(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        client(
            7,
            status=[-2, -1, 0, 1, 2, 8],
            bill=[0, 1000, 3000, -100, 2000, 2000],
            paid=[0, 0, 400, 3200, 0, 50],
            LIMIT_BAL=10_000,
            EDUCATION=1,
            MARRIAGE=0,
        ),
    )

    records = {row["time"]: row for row in folder.customers.to_pylist()}

    assert sorted(records) == ENDS
    first, fourth, last = (records[ENDS[place]] for place in (0, 3, 5))
    facts = ("limit", "age", "education", "marriage")
    assert [first[name] for name in facts] == [10_000.0, 30.0, "graduate_school", "unknown"]
    lags = ("", "_1", "_2", "_3", "_4", "_5")
    assert [fourth[f"status{lag}"] for lag in lags] == ["late_1", "revolving", "paid_in_full", "no_use", None, None]
    assert [fourth[f"owed{lag}"] for lag in lags] == [0.0, 3000.0, 1000.0, 0.0, None, None]
    assert [fourth[f"paid{lag}"] for lag in lags] == [3200.0, 400.0, 0.0, 0.0, None, None]
    assert [fourth[f"spent{lag}"] for lag in lags[:5]] == [100.0, 2400.0, 1000.0, None, None]
    assert [fourth[f"bought{lag}"] for lag in lags[:4]] == ["yes", "yes", "yes", None]
    assert (fourth["credit"], fourth["active"], first["active"]) == (100.0, "yes", "no")
    assert [fourth[f"used{lag}"] for lag in lags] == [0.0, 30.0, 10.0, 0.0, None, None]
    assert [fourth[f"paid_share{lag}"] for lag in lags[:5]] == [pytest.approx(3200 / 30), 40.0, 100.0, None, None]
    assert [last[name] for name in ("status", "status_1")] == ["late_3", "late_2"]
    assert [last[f"spent_{what}"] for what in ("mean", "least", "most", "share")] == [1130.0, 50.0, 2400.0, 0.5]
    assert (last["paid_mean"], last["room"], first["spent_mean"]) == (pytest.approx(3650 / 6), 8000.0, None)


def test_what_became_of_a_client_stands_at_the_time_of_its_statement(tmp_path: Path) -> None:
    folder = made(
        tmp_path,
        client(7, status=[0, -1, -2, -2, 3, 0], bill=[50, 80, 0, 5, 4, 4], paid=[0, 0, 0, 0, 0, 0], **{DEFAULT: 1}),
    )

    assert folder.outcomes is not None
    told: dict[str, list[tuple[datetime, str]]] = {}
    for row in folder.outcomes.to_pylist():
        told.setdefault(row["task"], []).append((row["time"], row["value"]))
    later = ENDS[1:]
    assert told == {
        "next_behaviour": list(zip(later, ["paid_in_full", "no_use", "no_use", "late", "revolving"], strict=True)),
        "value": list(zip(later, ["30.0", "0.0", "5.0", "0.0", "0.0"], strict=True)),
        "churn": list(zip(later, ["0", "1", "0", "0", "0"], strict=True)),
        "credit_risk": [(OCTOBER, "1")],
    }


@pytest.mark.parametrize("month", range(6))
def test_what_happens_later_changes_no_earlier_record_and_transaction(tmp_path: Path, month: int) -> None:
    plain, other = clients(20), clients(20, seed=1)
    later = [columns[back] for columns in (STATUS, BILL, PAID) for back in range(5 - month)] + [DEFAULT]
    changed = [row | {name: another[name] for name in later} for row, another in zip(plain, other, strict=True)]

    folders = [
        folder_of(write_clients(tmp_path / f"{name}.csv", rows), tmp_path / name)
        for name, rows in (("plain", plain), ("changed", changed))
    ]

    first, second = (
        [
            [row for row in table.to_pylist() if row["time"] <= ENDS[month]]
            for table in (folder.customers, folder.transactions)
        ]
        for folder in folders
    )
    assert len(first[0]) == 20 * (month + 1)
    assert first == second
    assert folders[0].outcomes != folders[1].outcomes
    assert (folders[0].customers == folders[1].customers) == (month == 5)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    place = tmp_path_factory.mktemp("cards")
    folder = folder_of(write_clients(place / "clients.csv", clients(300)), place / "d")
    return prepare(folder, folder.spec, Options())


def rows_of(prepared: Prepared, task: str) -> Iterator[tuple[Client, int, float]]:
    """Yield client, months known and label of each labelled row."""
    index = [item.name for item in prepared.spec.tasks].index(task)
    samples, made_of = prepared.samples, {f"{one['ID']:g}": one for one in clients(300)}
    for row in np.flatnonzero(samples.labels.known[:, index]):
        when = datetime.fromtimestamp(samples.rows.time_ms[row] / 1000, UTC)
        who = made_of[str(prepared.log.customers[samples.rows.customer[row]])]
        yield who, sum(end < when for end in ENDS), float(samples.labels.value[row, index])


def months(who: Client, columns: tuple[str, ...]) -> list[float]:
    return [who[name] for name in reversed(columns)]


def test_default_is_asked_after_september_of_everyone(prepared: Prepared) -> None:
    found = [(who["ID"], known, label) for who, known, label in rows_of(prepared, "credit_risk")]

    assert sorted(found) == [(who["ID"], 6, who[DEFAULT]) for who in clients(300)]


def test_the_next_status_is_asked_after_july_and_august(prepared: Prepared) -> None:
    expected = [
        (who["ID"], known, float(min(months(who, STATUS)[known] + 2, 3))) for who in clients(300) for known in (4, 5)
    ]

    found = [(who["ID"], known, label) for who, known, label in rows_of(prepared, "next_behaviour")]

    assert sorted(found) == sorted(expected)


def test_value_is_what_the_next_month_adds_to_the_bill(prepared: Prepared) -> None:
    found = list(rows_of(prepared, "value"))

    assert Counter(known for _, known, _ in found) == {4: 300, 5: 300}
    for who, known, label in found:
        bill, paid = months(who, BILL), months(who, PAID)
        assert label == pytest.approx(math.log1p(max(0.0, bill[known] - bill[known - 1] + paid[known])))


def test_churn_is_asked_of_those_who_owe_or_have_used_their_card(prepared: Prepared) -> None:
    found = list(rows_of(prepared, "churn"))

    expected = [
        (who["ID"], known, float(status[known] == -2 and bill[known] <= 0))
        for who in clients(300)
        for status, bill in [(months(who, STATUS), months(who, BILL))]
        for known in (4, 5)
        if bill[known - 1] > 0 or status[known - 1] > -2
    ]
    assert sorted((who["ID"], known, label) for who, known, label in found) == sorted(expected)
    assert 0 < sum(label for *_, label in found) < len(found) < 600


def test_sex_is_not_read_and_age_is_an_input(tmp_path: Path, prepared: Prepared) -> None:
    rows = clients(20)
    without = [{name: value for name, value in row.items() if name != "SEX"} for row in rows]
    other = [row | {"SEX": 3 - row["SEX"]} for row in rows]

    tables = [
        Taiwan(write_clients(tmp_path / "clients.csv", some)).read().tables.customers for some in (rows, without, other)
    ]

    assert tables[0] == tables[1] == tables[2]
    names = {column: name for name, column in prepared.layout.column.items()}
    assert "age" in {names[column] for column in prepared.layout.inputs}


def test_copies_with_other_columns_give_the_same(tmp_path: Path) -> None:
    rows = clients(30)
    plain = folder_of(write_clients(tmp_path / "clients.csv", rows), tmp_path / "d")
    numbered = dict(zip(NAMES[1:], [*(f"X{number}" for number in range(1, 24)), "Y"], strict=True))
    renamed = [{numbered.get(name, name): value for name, value in row.items()} for row in rows]
    flags = [
        {name.replace(" ", "-"): value for name, value in row.items() if name not in {"EDUCATION", "MARRIAGE"}}
        | {f"EDUCATION_{code}": float(row["EDUCATION"] == code) for code in range(7)}
        | {f"MARRIAGE_{code}": float(row["MARRIAGE"] == code) for code in range(4)}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(flags), tmp_path / "flags.parquet")
    cells: list[list[str | float | None]] = [[None, *numbered.values()], [*NAMES]]
    cells += [[row[name] for name in NAMES] for row in rows]
    book = write_workbook(tmp_path / "saved.xlsx", cells)

    for number, source in enumerate((write_clients(tmp_path / "x.csv", renamed), tmp_path / "flags.parquet", book)):
        folder = folder_of(source, tmp_path / f"e{number}")
        assert (folder.customers, folder.outcomes) == (plain.customers, plain.outcomes)
        assert folder.transactions == plain.transactions


def test_rows_that_cannot_be_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [
        client(1),
        client(2, status=[0, 0, 0, 0, 0, 10]),
        client(3, status=[0, 0.5, 0, 0, 0, 0]),
        client(4, **{DEFAULT: 2}),
        client(5, paid=[0, 0, -1, 0, 0, 0]),
        client(6, LIMIT_BAL=0),
        client(7, bill=[0, 0, 0, 0, 0, 2e9]),
        client(8, AGE=float("nan")),
        client(1),
    ]

    imported = Taiwan(write_clients(tmp_path / "clients.csv", rows)).read()

    assert (imported.rows, imported.tables.customers.num_rows) == (9, 6)
    assert imported.skipped == {
        "`AGE` is not a number": 1,
        "a repayment status other than -2 to 9": 2,
        "`default payment next month` is not 0 or 1": 1,
        "a payment below 0": 1,
        "`LIMIT_BAL` is not above 0": 1,
        "an amount above 1e+09": 1,
        "`ID` of an earlier row": 1,
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"ID": 1.0, "LIMIT_BAL": 1.0}], "column `AGE` in .*, found only ID, LIMIT_BAL"),
        (
            [{name: value for name, value in client(1).items() if name != "MARRIAGE"}],
            "column `MARRIAGE` in .*, found neither it nor `MARRIAGE_0`",
        ),
        ([client(1, status=[99] * 6)], "a usable row in .*clients.csv, found none of 1"),
    ],
)
def test_another_file_is_refused_and_nothing_is_left(tmp_path: Path, rows: list[Client], message: str) -> None:
    source = write_clients(tmp_path / "clients.csv", rows)

    with pytest.raises(InputError, match=rf"^Expected {message}; get Default of Credit Card Clients from .*\.$"):
        Taiwan(source).write(tmp_path / "d", SILENT)
    assert not (tmp_path / "d").exists()


@pytest.mark.slow
def test_the_real_tasks_have_the_known_rows_and_shares(data_dir: Callable[[str], Path], tmp_path: Path) -> None:
    folder = folder_of(data_dir("taiwan") / "clients.parquet", tmp_path / "d")
    labels = prepare(folder, folder.spec, Options()).samples.labels

    known = dict(zip((task.name for task in folder.spec.tasks), labels.known.T, strict=True))
    values = dict(zip(known, labels.value.T, strict=True))
    assert Counter(folder.transactions["type"].to_pylist()) == {"statement": 180_000, "payment": 143_103}
    assert {name: int(mask.sum()) for name, mask in known.items()} == {
        "credit_risk": 30_000,
        "next_behaviour": 60_000,
        "value": 60_000,
        "value_expected": 60_000,
        "churn": 55_382,
    }
    assert round(float(values["credit_risk"][known["credit_risk"]].mean()), 4) == 0.2212
    assert round(float(values["churn"][known["churn"]].mean()), 4) == 0.0132
    shares = np.bincount(values["next_behaviour"][known["next_behaviour"]].astype(int)) / 60_000
    assert [round(float(share), 3) for share in shares] == [0.109, 0.196, 0.508, 0.188]
