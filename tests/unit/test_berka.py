"""The Berka data set: a bank of a few accounts made here, in the files as published, and the real one where it is."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from schemas.progress import SILENT
from stream_app.offline.folder import Folder, read_folder
from training.datasets.berka import Berka

FILES = {
    "account": '"account_id";"district_id";"frequency";"date"\n'
    '1;18;"POPLATEK MESICNE";930110\n'
    '2;1;"POPLATEK TYDNE";930201\n'
    '3;1;"POPLATEK PO OBRATU";960105\n'
    '4;1;"POPLATEK MESICNE";930301\n',
    "card": '"card_id";"disp_id";"type";"issued"\n1;12;"classic";"931107 00:00:00"\n2;13;"gold";"970107 00:00:00"\n',
    "client": '"client_id";"birth_number";"district_id"\n21;"705510";18\n22;"450204";1\n23;"406009";1\n24;"560112";1\n',
    "disp": '"disp_id";"client_id";"account_id";"type"\n'
    '11;21;1;"OWNER"\n12;22;2;"OWNER"\n13;23;3;"OWNER"\n14;24;4;"OWNER"\n15;23;1;"DISPONENT"\n',
    "district": '"A1";"A2";"A3";"A4";"A10";"A11";"A12";"A13";"A14"\n'
    '1;"Hl.m. Praha";"Prague";1204953;100;12541;0.29;0.43;167\n18;"Pisek";"south Bohemia";70699;65.3;8968;?;3.35;131\n',
    "loan": '"loan_id";"account_id";"date";"amount";"duration";"payments";"status"\n'
    '31;1;940705;96396;12;8033.00;"B"\n32;2;930811;165960;36;4610.00;"A"\n'
    '33;3;970303;105804;36;2939.00;"D"\n34;4;951203;60000;12;5000.00;"C"\n',
}
TRANS = '"trans_id";"account_id";"date";"type";"operation";"amount";"balance";"k_symbol";"bank";"account"'


def trans(*rows: str) -> str:
    return "\n".join([TRANS, *rows]) + "\n"


def days(account: int, year: int, first: int, count: int) -> Iterator[str]:
    for day in range(first, first + count):
        yield f'{account}{year}{day:02d};{account};{year}01{day:02d};"PRIJEM";"VKLAD";900.00;900.00;"";"";'


def publish(folder: Path, transactions: str, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in {**FILES, "trans": transactions, **changes}.items():
        (folder / f"{name}.asc").write_text(text, encoding="latin1")
    return folder


def convert(source: Path, part_of: Callable[[int], str]) -> Path:
    """Write the tables as Parquet, saying of each transaction by its account which part it belongs to."""
    for path in list(source.glob("*.asc")):
        table = pa_csv.read_csv(path, parse_options=pa_csv.ParseOptions(delimiter=";"))
        if path.stem == "trans":
            table = table.append_column(
                "src", pa.array([part_of(account) for account in table["account_id"].to_pylist()])
            )
        pq.write_table(table, path.with_suffix(".parquet"))
        path.unlink()
    return source


def folder_of(source: Path, out: Path) -> Folder:
    Berka(source).write(out, SILENT)
    return read_folder(out)


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


def test_purpose_operation_and_direction_make_type_and_sign(tmp_path: Path) -> None:
    source = publish(
        tmp_path / "s",
        trans(
            '1;1;930110;"PRIJEM";"VKLAD";900.00;900.00;"";"";',
            '2;1;930111;"PRIJEM";"PREVOD Z UCTU";5.50;905.50;"DUCHOD";"YZ";123',
            '3;1;930111;"PRIJEM";"PREVOD Z UCTU";6.00;911.50;" ";"ST";124',
            '4;1;930112;"VYDAJ";"PREVOD NA UCET";10.00;901.50;"SIPO";"AB";125',
            '5;1;930112;"VYDAJ";"PREVOD NA UCET";11.00;890.50;"POJISTNE";"AB";125',
            '6;1;930113;"VYBER";"VYBER";100.00;790.50;"";"";',
            '7;1;930113;"VYDAJ";"VYBER KARTOU";200.00;590.50;"";"";',
            '8;1;930131;"PRIJEM";"";3.30;593.80;"UROK";"";',
            '9;1;930131;"VYDAJ";"VYBER";14.60;579.20;"SLUZBY";"";',
            '10;1;930131;"VYDAJ";"VYBER";0.20;579.00;"SANKC. UROK";"";',
        ),
    )

    table = folder_of(source, tmp_path / "d").transactions

    assert list(zip(table["type"].to_pylist(), table["amount"].to_pylist(), strict=True)) == [
        ("cash_deposit", 900.0),
        ("pension", 5.5),
        ("collection", 6.0),
        ("household_payment", -10.0),
        ("other_payment", -11.0),
        ("cash_withdrawal", -100.0),
        ("cash_withdrawal", -200.0),
        ("interest", 3.3),
        ("statement_fee", -14.6),
        ("sanction_interest", -0.2),
    ]
    assert table["time"].to_pylist()[0] == day(1993, 1, 10)
    assert table["counterparty"].to_pylist()[:2] == [None, "YZ"]
    assert table["balance"].to_pylist()[-1] == 579.0


def test_the_data_as_published_gives_one_customer_per_account(tmp_path: Path) -> None:
    source = publish(tmp_path / "s", trans(*days(1, 93, 10, 6), *days(3, 97, 5, 4)))

    folder = folder_of(source, tmp_path / "d")

    records = folder.customers.to_pylist()
    assert [(record["customer_id"], record["time"], record["has_loan"], record["has_card"]) for record in records] == [
        ("1", day(1993, 1, 10), "no", "no"),
        ("1", day(1994, 7, 5), "yes", "no"),
        ("3", day(1996, 1, 5), "no", "no"),
        ("3", day(1997, 1, 7), "no", "yes"),
        ("3", day(1997, 3, 3), "yes", "yes"),
    ]
    assert {record["observed_until"] for record in records} == {day(1999, 1, 1)}
    assert folder.outcomes is not None
    assert [tuple(row.values()) for row in folder.outcomes.to_pylist()] == [
        ("1", "preference", day(1994, 7, 5), "loan"),
        ("1", "credit_risk", day(1994, 7, 5), "1"),
        ("3", "preference", day(1997, 1, 7), "card"),
        ("3", "preference", day(1997, 3, 3), "loan"),
    ]


def test_records_carry_what_is_known_by_then_and_never_sex(tmp_path: Path) -> None:
    source = publish(tmp_path / "s", trans(*days(1, 93, 10, 6)))

    first, loan = folder_of(source, tmp_path / "d").customers.to_pylist()

    assert first["age"] == pytest.approx(22.67, abs=0.01)  # born on 1970-05-10; women's months carry 50
    assert (first["dispositions"], first["statement_frequency"]) == (2.0, "monthly")
    assert (first["district_inhabitants"], first["district_unemployment"]) == (70699.0, 3.35)
    assert first["loan_amount"] is None
    assert (loan["loan_amount"], loan["loan_duration"], loan["loan_payment"]) == (96396.0, 12.0, 8033.0)
    assert loan["age"] == first["age"]
    assert not {"sex", "gender"} & set(first)


def test_an_application_with_too_little_history_has_no_outcome(tmp_path: Path) -> None:
    source = publish(tmp_path / "s", trans(*days(1, 93, 10, 4)))

    outcomes = folder_of(source, tmp_path / "d").outcomes

    assert outcomes is not None
    assert outcomes["task"].to_pylist() == ["preference"]


def test_each_part_ends_where_its_data_ends(tmp_path: Path) -> None:
    rows = (*days(1, 93, 10, 6), *days(2, 93, 2, 6), *days(3, 97, 5, 6), *days(4, 93, 2, 6))
    source = convert(publish(tmp_path / "s", trans(*rows)), lambda one: "preloan97_98" if one == 3 else "prefix93_94")

    folder = folder_of(source, tmp_path / "d")

    ends = {row["customer_id"]: (row["observed_until"], row["outcomes_until"]) for row in folder.customers.to_pylist()}
    assert ends == {
        "1-1": (day(1994, 4, 1), day(1999, 1, 1)),
        "2-1": (day(1994, 4, 1), day(1999, 1, 1)),
        "3-2": (day(1997, 3, 3), day(1996, 1, 5)),
        "4-1": (day(1994, 4, 1), day(1999, 1, 1)),
    }
    assert folder.outcomes is not None
    risk = [tuple(row.values()) for row in folder.outcomes.to_pylist() if row["task"] == "credit_risk"]
    assert risk == [
        ("2-1", "credit_risk", day(1993, 8, 11), "0"),
        ("1-1", "credit_risk", day(1994, 4, 1), "1"),  # applied for later, known as of the part's end
        ("3-2", "credit_risk", day(1997, 3, 3), "1"),
    ]
    assert "3-2" not in [row["customer_id"] for row in folder.outcomes.to_pylist() if row["task"] == "preference"]
    loans = [row["customer_id"] for row in folder.customers.to_pylist() if row["has_loan"] == "yes"]
    assert sorted(set(loans)) == ["1-1", "2-1", "3-2"]  # that of account 4 lies too far ahead


def test_an_account_in_both_parts_is_two_customers_of_one_split_group(tmp_path: Path) -> None:
    source = publish(tmp_path / "s", trans(*days(1, 93, 10, 2), *days(1, 94, 10, 2)))
    parts = iter(["prefix93_94"] * 2 + ["preloan97_98"] * 2)
    convert(source, lambda _: next(parts))

    customers = folder_of(source, tmp_path / "d").customers.to_pylist()

    assert {(row["customer_id"], row["split_group"]) for row in customers} == {("1-1", "1"), ("1-2", "1")}


def test_a_missing_file_is_refused_with_the_place_where_the_data_can_be_had(tmp_path: Path) -> None:
    source = publish(tmp_path / "s", trans())
    (source / "loan.asc").unlink()

    with pytest.raises(
        InputError, match=r"Expected loan.parquet, loan.asc or loan.csv in .*, found .*PKDD'99 Discovery"
    ):
        Berka(source).tables()
    with pytest.raises(InputError, match=r"in .*nowhere, found no folder; get the financial data set"):
        Berka(tmp_path / "nowhere").tables()


ONE = '1;1;930110;"PRIJEM";"VKLAD";900.00;900.00;"";"";'


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"loan": '"loan_id";"account_id"\n1;2\n'},
            "Expected column `date` in table loan of .*, found only loan_id, acc",
        ),
        (
            {"transactions": trans(ONE.replace("930110", "931310"))},
            "Expected dates as YYMMDD .* found '931310' at row 1",
        ),
        ({"transactions": trans(ONE.replace("PRIJEM", "GIFT"))}, "Expected the direction credit .*, found 'GIFT'"),
        (
            {"transactions": trans(ONE.replace(";1;", ";9;"))},
            "Expected account 9 in account of .*, found it in trans only",
        ),
        ({"loan": FILES["loan"].replace('"B"', '"E"')}, "Expected the status A, B, C or D of loans in .*, found 'E'"),
        ({"client": FILES["client"].replace("705510", "sometime")}, "Expected dates as YYMMDD .* table client"),
        ({"transactions": trans()}, "Expected at least one transaction"),
        ({"transactions": trans("1;1")}, "Expected a table of separated values at .*trans.asc, found: "),
    ],
)
def test_other_content_is_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    source = publish(tmp_path / "s", **{"transactions": trans(ONE), **changes})

    with pytest.raises(InputError, match=message):
        Berka(source).write(tmp_path / "d", SILENT)
    assert not (tmp_path / "d").exists()


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    source = convert(publish(tmp_path / "s", trans(ONE)), lambda _: "all")

    with pytest.raises(InputError, match=r"Expected a part prefix93_94 or preloan97_98 in column `src`.*, found 'all'"):
        Berka(source).tables()


@pytest.fixture(scope="module")
def real(data_dir: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return folder_of(data_dir("berka"), tmp_path_factory.mktemp("berka") / "d")


def test_the_real_log_is_whole(real: Folder) -> None:
    assert real.transactions.num_rows == 79_302
    assert len(real.transactions["customer_id"].unique()) == 1_583
    assert Counter(real.transactions["type"].to_pylist()) == {
        "cash_withdrawal": 24_807,
        "cash_deposit": 15_063,
        "interest": 14_593,
        "statement_fee": 8_631,
        "household_payment": 5_911,
        "other_payment": 4_970,
        "collection": 3_450,
        "pension": 1_770,
        "sanction_interest": 107,
    }


def test_the_real_loans_have_the_known_outcomes(real: Folder) -> None:
    assert real.outcomes is not None
    outcomes = Counter((row["task"], row["value"]) for row in real.outcomes.to_pylist())

    assert outcomes[("credit_risk", "1")] == 49
    assert outcomes[("credit_risk", "0")] + outcomes[("credit_risk", "1")] == 429


def test_no_real_transaction_lies_beyond_its_customers_observation(real: Folder) -> None:
    ends = {row["customer_id"]: row["observed_until"] for row in real.customers.to_pylist()}
    pairs = zip(real.transactions["customer_id"].to_pylist(), real.transactions["time"].to_pylist(), strict=True)

    assert all(time < ends[customer] for customer, time in pairs)


def test_real_preferences_are_as_rare_as_published(real: Folder) -> None:
    """Rows on the first of the month, 60 days after the first event, of part 1 without loan or card: 83 / 12 / 5 %."""
    shares = Counter(preference for _, preference in _preferences(real))

    total = sum(shares.values())
    assert [round(shares[value] / total, 2) for value in ("none", "loan", "card")] == [0.83, 0.12, 0.05]


def _preferences(folder: Folder) -> Iterator[tuple[datetime, str]]:
    assert folder.outcomes is not None
    first: dict[str, datetime] = {}
    for customer, time in zip(
        folder.transactions["customer_id"].to_pylist(), folder.transactions["time"].to_pylist(), strict=True
    ):
        first.setdefault(customer, time)
    products: dict[str, list[tuple[datetime, str]]] = {}
    for row in folder.outcomes.to_pylist():
        if row["task"] == "preference":
            products.setdefault(row["customer_id"], []).append((row["time"], row["value"]))
    for customer in {customer for customer in first if customer.endswith("-1")}:
        for cut in [datetime(1993, month, 1, tzinfo=UTC) for month in range(1, 13)] + [day(1994, 1, 1)]:
            bought = sorted(products.get(customer, []))
            if (cut - first[customer]).days < 60 or any(time < cut for time, _ in bought):
                continue
            yield cut, next((value for time, value in bought if (time - cut).days < 730), "none")
