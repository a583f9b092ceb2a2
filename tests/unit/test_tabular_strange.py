"""The importer on the files of strangers: other marks, dates, zones and columns, and what it says of them."""

import gzip
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.errors import InputError
from tests.kit.imports import HEAD, column, imported, side_tables
from training.datasets.tabular import TabularImport, TabularOptions
from training.datasets.tabular_money import MoneyColumns
from training.datasets.tabular_source import TableFormat

# ---- what strangers' files are like -------------------------------------------------------------------------------


def test_days_are_counted_from_a_date_in_its_zone(tmp_path: Path) -> None:
    form = TableFormat(time_format="epoch_d", epoch=datetime(2024, 5, 1), timezone="Europe/Berlin")  # noqa: DTZ001
    text = HEAD + "anna,0,1,cash\nanna,1.5,1,cash\nanna,200,1,cash\n"

    assert column(imported(tmp_path, text, TabularOptions(form=form)), "time") == [
        datetime(2024, 4, 30, 22, tzinfo=UTC),
        datetime(2024, 5, 2, 10, tzinfo=UTC),
        datetime(2024, 11, 16, 23, tzinfo=UTC),  # in winter
    ]


def test_numbers_count_from_a_moment_with_its_offset(tmp_path: Path) -> None:
    epoch = datetime(2024, 5, 1, tzinfo=UTC)
    form = TableFormat(time_format="epoch_s", epoch=epoch, timezone="Europe/Berlin")

    result = imported(tmp_path, HEAD + "anna,60,1,cash\n", TabularOptions(form=form))

    assert column(result, "time") == [datetime(2024, 5, 1, 0, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("1.234.567,8", TableFormat(decimal=",", thousands=".", delimiter=";"), 1_234_567.8),
        ("-1,234.5", TableFormat(thousands=",", delimiter=";"), -1234.5),
        ("1 234,50", TableFormat(decimal=",", thousands=" ", delimiter=";"), 1234.5),
        ("1\u202f234,50", TableFormat(decimal=",", thousands=" ", delimiter=";"), 1234.5),
        ("12'345.60", TableFormat(thousands="'", delimiter=";"), 12345.6),
        ("5,00-", TableFormat(decimal=",", delimiter=";"), -5.0),
        ("999", TableFormat(thousands=",", delimiter=";"), 999.0),
    ],
)
def test_marks_of_thousands_and_a_minus_behind_are_read(
    tmp_path: Path, text: str, form: TableFormat, expected: float
) -> None:
    lines = f"customer_id;time;amount;type\nanna;2024-05-01;{text};cash\n"

    assert column(imported(tmp_path, lines, TabularOptions(form=form)), "amount") == [expected]


def test_a_mark_of_thousands_at_another_place_is_no_number(tmp_path: Path) -> None:
    form = TableFormat(thousands=",", delimiter=";")

    with pytest.raises(InputError, match="row 2: `amount` '1,5', expected a number"):
        imported(tmp_path, "customer_id;time;amount;type\na;2024-05-01;1,5;x\n", TabularOptions(form=form))


BOOKED = """customer_id,time,type,out,in,side,sum
a,2024-05-01,x,3.5,,D,3.5
a,2024-05-02,x,,20,C,20
a,2024-05-03,x,1,3,d,7
"""


@pytest.mark.parametrize(
    ("money", "expected"),
    [
        (MoneyColumns(debit="out", credit="in"), [-3.5, 20.0, 2.0]),
        (MoneyColumns("sum", debit_if=("side", frozenset({"D", "d"}))), [-3.5, 20.0, -7.0]),
        (MoneyColumns("sum", debit_if=("side", frozenset({"C"})), negate=True), [-3.5, 20.0, -7.0]),
    ],
)
def test_debit_and_credit_have_columns_or_a_mark_of_their_own(
    tmp_path: Path, money: MoneyColumns, expected: list[float]
) -> None:
    assert column(imported(tmp_path, BOOKED, TabularOptions(money=money)), "amount") == expected


def test_a_row_with_neither_debit_nor_credit_is_bad(tmp_path: Path) -> None:
    text = BOOKED + "a,2024-05-04,x,,,D,1\n"

    with pytest.raises(InputError, match=r"found 1 bad of 4 \(row 5: `out` and `in` empty\)"):
        imported(tmp_path, text, TabularOptions(money=MoneyColumns(debit="out", credit="in")))


@pytest.mark.parametrize(
    ("columns", "money", "found"),
    [
        ({"amount": "sum"}, MoneyColumns("sum"), "--map amount beside --amount"),
        ({}, MoneyColumns("sum", debit="out"), "--amount beside --debit and --credit"),
        ({}, MoneyColumns(debit="out", debit_if=("side", frozenset("D"))), "--debit and --credit beside --debit-if"),
    ],
)
def test_two_ways_to_say_the_amount_are_refused(
    tmp_path: Path, columns: dict[str, str], money: MoneyColumns, found: str
) -> None:
    with pytest.raises(InputError, match=f"Expected one way to say the amount, found {found}; drop one of them"):
        imported(tmp_path, BOOKED, TabularOptions(columns=columns, money=money))


def test_a_missing_column_is_told_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"Expected column `Soll` in .*; say which column holds it with --debit COLUMN"
    ):
        imported(tmp_path, BOOKED, TabularOptions(money=MoneyColumns(debit="Soll", credit="in")))
    with pytest.raises(InputError, match=r"Expected column `Alter` in .* with --attribute age=COLUMN"):
        imported(tmp_path, HEAD + "a,2024-05-01,1,x\n", TabularOptions(attributes={"age": "Alter"}))


def test_compressed_files_with_a_mark_of_order_and_spaces_around_names_are_read(tmp_path: Path) -> None:
    text = "\ufeff customer_id ,time, amount,type\nJürgen,2024-05-01,1,x\n"
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(text.encode()))

    result = TabularImport(tmp_path / "log.csv.gz", TabularOptions()).read()

    assert column(result, "customer_id") == ["Jürgen"]


def test_single_quotes_are_quotes_where_that_is_said_and_refused_otherwise(tmp_path: Path) -> None:
    text = "customer_id,time,amount,type\n'C1',2024-05-01,1,'a,b'\n"

    result = imported(tmp_path, text, TabularOptions(form=TableFormat(quote="'")))

    assert (column(result, "customer_id"), column(result, "type")) == (["C1"], ["a_b"])
    with pytest.raises(InputError, match=r"Expected customer ids in .*, found all between single quotes, as 'C1'; say"):
        imported(tmp_path, text.replace("a,b", "a b"))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (HEAD + "a,01.05.2024,1,x\nb,31.05.2024,1,x\n", "; try --time-format '%d.%m.%Y', or correct"),
        (HEAD + "a,05/31/2024 09:30,1,x\n", "; try --time-format '%m/%d/%Y %H:%M', or correct"),
        (HEAD + "a,1714564800,1,x\n", "; try --time-format epoch_s, or correct"),
        (HEAD + "a,17,1,x\n", "; try --time-format epoch_d --epoch DATE (if these are days since a date), or correct"),
        (HEAD + 'a,2024-05-01,"1,50",x\n', "; try --decimal ',', or correct"),
        (HEAD + 'a,2024-05-01,"1.234,50",x\n', "; try --decimal ',' --thousands '.', or correct"),
        (HEAD + 'a,01.05.2024,"1,50",x\n', "; try --time-format '%d.%m.%Y' with --decimal ',', or correct"),
        (HEAD + "a,soon,much,x\n", "); correct them, or drop them with --skip-bad."),
        (HEAD + "a,2024-05-01,1,x\nb,01.05.2024,1,x\nc,2024-05-01,1,x\n", "); correct them, or drop them with"),
    ],
)
def test_options_that_seem_to_be_missing_are_told(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(InputError) as refusal:
        imported(tmp_path, text)

    assert hint in str(refusal.value)


@pytest.mark.parametrize(("mark", "said"), [(";", ";"), ("\t", "tab"), ("|", "|")])
def test_another_separator_is_recognised(tmp_path: Path, mark: str, said: str) -> None:
    text = (HEAD + "anna,2024-05-01,1,cash\n").replace(",", mark)

    with pytest.raises(
        InputError, match=rf"Expected several columns in .*, found one, .* --delimiter '{re.escape(said)}'"
    ):
        imported(tmp_path, text)
    assert column(imported(tmp_path, text, TabularOptions(form=TableFormat(delimiter=said))), "amount") == [1.0]


def test_another_encoding_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes((HEAD + "Jürgen,2024-05-01,1,x\n").encode("latin-1"))

    with pytest.raises(
        InputError, match=r"Expected separated text in utf-8 .*; give its encoding, such as --encoding cp1252"
    ):
        TabularImport(tmp_path / "log.csv", TabularOptions()).read()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (TableFormat(quote=""), "Expected one character as the quote, found ''; correct --quote"),
        (TableFormat(thousands=".."), "Expected one character as the thousands, found '..'"),
        (TableFormat(thousands="."), "Expected different marks for decimals and thousands, found '.' for both"),
        (
            TableFormat(epoch=datetime(2024, 5, 1, tzinfo=UTC)),
            "Expected --time-format epoch_s, epoch_ms, epoch_d beside",
        ),
    ],
)
def test_marks_that_cannot_be_are_refused(tmp_path: Path, form: TableFormat, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        imported(tmp_path, HEAD + "a,2024-05-01,1,x\n", TabularOptions(form=form))


# ---- what the log tells of customers ------------------------------------------------------------------------------

TOLD = """customer_id,time,amount,type,band,town,fraud
b,2024-05-02,1,x,2,,0
a,2024-05-01,1,x,1,York,0
a,2024-05-03,1,x,1,,1
a,2024-05-02,1,x,,York,no
a,2024-05-04,1,x,2,Hull,stolen
b,2024-05-05,1,x,2,,
"""


def test_attributes_in_the_log_are_told_whenever_they_are_new(tmp_path: Path) -> None:
    result = imported(tmp_path, TOLD, TabularOptions(attributes={"level": "band", "town": "town"}))

    assert result.tables.customers.to_pylist() == [
        {"customer_id": "a", "time": datetime(2024, 5, 1, tzinfo=UTC), "level": 1.0, "town": "York"},
        {"customer_id": "a", "time": datetime(2024, 5, 4, tzinfo=UTC), "level": 2.0, "town": "Hull"},
        {"customer_id": "b", "time": datetime(2024, 5, 2, tzinfo=UTC), "level": 2.0, "town": None},
    ]


def test_outcomes_in_the_log_are_rows_that_say_that_something_happened(tmp_path: Path) -> None:
    result = imported(tmp_path, TOLD, TabularOptions(outcomes={"theft": "fraud"}))

    assert result.tables.outcomes is not None
    assert result.tables.outcomes.to_pylist() == [
        {"customer_id": "a", "task": "theft", "time": datetime(2024, 5, 3, tzinfo=UTC), "value": "1"},
        {"customer_id": "a", "task": "theft", "time": datetime(2024, 5, 4, tzinfo=UTC), "value": "stolen"},
    ]


@pytest.mark.parametrize("name", ["my band", "time", "name"])
def test_an_attribute_needs_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"Expected --attribute NAME=COLUMN with a NAME .*, found '{name}'; choose"):
        imported(tmp_path, TOLD, TabularOptions(attributes={name: "band"}))


def test_facts_come_from_the_log_or_from_a_file(tmp_path: Path) -> None:
    paths = side_tables(tmp_path, customers="customer_id,time,age\nanna,2024-01-01,31\n")
    options = TabularOptions(attributes={"level": "type"})

    with pytest.raises(InputError, match=r"Expected --attribute or --customers, found both; drop one of them"):
        TabularImport(tmp_path / "log.csv", options, customers=paths["customers"]).read()


def test_columns_that_the_draft_cannot_use_are_dropped_and_told(tmp_path: Path) -> None:
    text = "customer_id,time,age,my note\nanna,2024-01-01,31,x\n"
    paths = side_tables(tmp_path, customers=text)

    result = TabularImport(tmp_path / "log.csv", TabularOptions(), customers=paths["customers"]).read()

    assert result.tables.customers.column_names == ["customer_id", "time", "age"]
    assert result.drafted is not None
    assert list(result.drafted.attributes.left) == ["my note"]
