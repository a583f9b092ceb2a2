"""The importer: how rows of somebody else's file become transactions, and which rows it refuses by number."""

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from schemas.progress import SILENT
from stream_app.offline.folder import read_folder
from tests.kit.imports import HEAD, column, imported, side_tables
from training.datasets.tabular import Imported, TabularImport, TabularOptions
from training.datasets.tabular_money import MoneyColumns
from training.datasets.tabular_source import TableFormat

RETAIL = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"
RETAIL_COLUMNS = {
    "customer_id": "CustomerID",
    "transaction_id": "InvoiceNo",
    "time": "InvoiceDate",
}
RETAIL_MONEY = MoneyColumns("Quantity*UnitPrice", negate=True)
RETAIL_OPTIONS = TabularOptions(
    form=TableFormat(timezone="Europe/London"),
    columns=RETAIL_COLUMNS,
    money=RETAIL_MONEY,
    type="purchase",
    incoming_type="return",
    group="transaction_id",
    skip_bad=True,
    currency="GBP",
)


def rows(result: Imported) -> list[dict[str, object]]:
    found: list[dict[str, object]] = result.tables.transactions.to_pylist()
    return found


# ---- Online Retail ------------------------------------------------------------------------------------------------


def test_invoice_lines_become_a_log_of_purchases_and_returns(tmp_path: Path) -> None:
    TabularImport(RETAIL, RETAIL_OPTIONS).write(tmp_path / "d", SILENT)

    folder = read_folder(tmp_path / "d")
    assert folder.transactions.num_rows == 400
    assert len(folder.transactions["customer_id"].unique()) == 84
    assert Counter(folder.transactions["type"].to_pylist()) == {"purchase": 333, "return": 67}
    assert folder.spec.currency == "GBP"
    assert [task.name for task in folder.spec.tasks] == ["churn", "value", "next_behaviour"]


def test_lines_without_customer_are_counted_when_left_out() -> None:
    result = TabularImport(RETAIL, RETAIL_OPTIONS).read()

    assert result.rows == 2000
    assert result.skipped == {"`CustomerID` is empty": 56}


def test_lines_without_customer_are_refused_by_number_otherwise() -> None:
    options = TabularOptions(columns=RETAIL_COLUMNS, money=RETAIL_MONEY, type="purchase", group="transaction_id")

    with pytest.raises(
        InputError, match=r"Expected good rows only in .*, found 56 bad of 2,000 \(row \d+(, \d+){9}: `Customer"
    ):
        TabularImport(RETAIL, options).read()


def test_the_money_of_all_lines_is_kept() -> None:
    lines = pa_csv.read_csv(RETAIL).to_pylist()
    spent = sum(line["Quantity"] * line["UnitPrice"] for line in lines if line["CustomerID"])

    amounts = TabularImport(RETAIL, RETAIL_OPTIONS).read().tables.transactions["amount"].to_pylist()

    assert sum(amounts) == pytest.approx(-spent)


# ---- columns ------------------------------------------------------------------------------------------------------


def test_columns_with_interchange_names_need_no_mapping(tmp_path: Path) -> None:
    result = imported(tmp_path, HEAD + "anna,2024-05-01T12:00:00Z,-3.5,cash\n")

    assert rows(result) == [
        {
            "customer_id": "anna",
            "time": datetime(2024, 5, 1, 12, tzinfo=UTC),
            "amount": -3.5,
            "type": "cash",
            "transaction_id": "row-2",
        }
    ]


def test_optional_columns_come_along_and_blank_is_null(tmp_path: Path) -> None:
    text = "customer_id,time,amount,type,balance,currency,noise\na,2024-05-01,1,x,,EUR,1\na,2024-05-02,1,x,7,,2\n"

    result = imported(tmp_path, text)

    assert column(result, "balance") == [None, 7.0]
    assert column(result, "currency") == ["EUR", None]
    assert "noise" not in result.tables.transactions.column_names


def test_ids_that_went_through_a_data_frame_lose_their_point_zero(tmp_path: Path) -> None:
    table = pa.table(
        {"customer_id": [17850.0, 3.0], "time": [date(2024, 5, 1)] * 2, "amount": [1, 2], "type": ["x"] * 2}
    )
    pq.write_table(table, tmp_path / "log.parquet")

    result = TabularImport(tmp_path / "log.parquet", TabularOptions()).read()

    assert column(result, "customer_id") == ["17850", "3"]
    assert column(result, "transaction_id") == ["row-1", "row-2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TabularOptions(columns={"shop": "A"}), r"Expected --map NAME=COLUMN with a NAME of .*, found 'shop'"),
        (TabularOptions(columns={"time": "When"}), r"Expected column `When` in .*, found only .*--map time=COLUMN"),
        (TabularOptions(columns={"amount": "Q*P"}), r"Expected column `Q` in .*--map amount=COLUMN"),
        (TabularOptions(columns={"currency": "C"}), r"Expected column `C` in .*--map currency=COLUMN"),
        (TabularOptions(columns={"type": "kind"}), r"found only the columns .*; name one with --map type=COLUMN"),
        (TabularOptions(columns={"type": "type"}, type="x"), r"Expected --type or --map type=COLUMN, found both"),
        (TabularOptions(incoming_type="x"), r"Expected --type beside --type-in x, found none"),
        (TabularOptions(group="transaction_id"), r"Expected column `transaction_id` in .*--map transaction_id=COLUMN"),
        (
            TabularOptions(form=TableFormat(timezone="Mars")),
            r"Expected a time zone .*, found 'Mars'; correct --timezone",
        ),
        (TabularOptions(form=TableFormat(decimal="'")), r"Expected the decimal mark . or ,"),
        (TabularOptions(form=TableFormat(delimiter="||")), r"Expected one character as the delimiter"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, options: TabularOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(tmp_path, HEAD + "anna,2024-05-01,1,cash\n", options)


# ---- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("2024-05-01", TableFormat(), datetime(2024, 5, 1, tzinfo=UTC)),
        ("2024-05-01 12:30", TableFormat(), datetime(2024, 5, 1, 12, 30, tzinfo=UTC)),
        ("2024-05-01T12:30:15.250+02:00", TableFormat(), datetime(2024, 5, 1, 10, 30, 15, 250_000, tzinfo=UTC)),
        ("2024-05-01 12:30", TableFormat(timezone="Europe/London"), datetime(2024, 5, 1, 11, 30, tzinfo=UTC)),
        ("2024-05-01 12:30Z", TableFormat(timezone="Europe/London"), datetime(2024, 5, 1, 12, 30, tzinfo=UTC)),
        ("2024-10-27 01:30", TableFormat(timezone="Europe/London"), datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("1/5/2024 7:05", TableFormat(time_format="%d/%m/%Y %H:%M"), datetime(2024, 5, 1, 7, 5, tzinfo=UTC)),
        ("1714564800", TableFormat(time_format="epoch_s"), datetime(2024, 5, 1, 12, tzinfo=UTC)),
        ("1714564800250", TableFormat(time_format="epoch_ms"), datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_the_format_says(tmp_path: Path, text: str, form: TableFormat, expected: datetime) -> None:
    result = imported(tmp_path, HEAD + f"anna,{text},1,cash\n", TabularOptions(form=form))

    assert column(result, "time") == [expected]


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1.0), ("-2.50", -2.5), ("+.5", 0.5), ("1e3", 1000.0), (" 7 ", 7.0)]
)
def test_numbers_are_read(tmp_path: Path, text: str, expected: float) -> None:
    assert column(imported(tmp_path, HEAD + f"anna,2024-05-01,{text},cash\n"), "amount") == [expected]


def test_decimal_commas_are_read(tmp_path: Path) -> None:
    form = TableFormat(delimiter=";", decimal=",", encoding="cp1252")
    text = "customer_id;time;amount;type\nJürgen;2024-05-01;-3,25;Bäckerei\n"

    result = imported(tmp_path, text, TabularOptions(form=form))

    assert column(result, "amount") == [-3.25]
    assert column(result, "customer_id") == ["Jürgen"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (",2024-05-01,1,cash", "row 3: `customer_id` is empty"),
        ("  ,2024-05-01,1,cash", "row 3: `customer_id` is empty"),
        ("ben,2024-05-01,1,", "row 3: `type` is empty"),
        ("ben,2024-05-01,,cash", "row 3: `amount` empty, expected a number"),
        ("ben,2024-05-01,nan,cash", "row 3: `amount` 'nan', expected a number"),
        ("ben,2024-05-01,1e999,cash", "row 3: `amount` '1e999', expected a number"),
        ('ben,2024-05-01,"1,5",cash', "row 3: `amount` '1,5', expected a number"),
        ("ben,yesterday,1,cash", "row 3: `time` 'yesterday', expected an ISO 8601 time"),
        ("ben,2024-02-31,1,cash", "row 3: `time` '2024-02-31', expected an ISO 8601 time"),
        ("ben,2024-05-01,1", "row 3: 3 fields, expected 4"),
    ],
)
def test_a_bad_row_is_refused_with_its_number_or_left_out(tmp_path: Path, line: str, message: str) -> None:
    text = HEAD + "anna,2024-05-01,1,cash\n" + line + "\n\nanna,2024-05-02,1,cash\n"

    with pytest.raises(InputError) as refusal:
        imported(tmp_path, text)
    left = imported(tmp_path, text, TabularOptions(skip_bad=True))

    assert f"Expected good rows only in {tmp_path / 'log.csv'}, found 1 bad of 3 ({message}); " in str(refusal.value)
    assert column(left, "transaction_id") == ["row-2", "row-5"]
    assert sum(left.skipped.values()) == 1


def test_the_first_ten_bad_rows_are_listed_and_all_are_counted(tmp_path: Path) -> None:
    lines = [f"c{index},2024-05-01,{'x' if index % 2 else ''},cash" for index in range(13)]

    with pytest.raises(InputError) as refusal:
        imported(tmp_path, HEAD + "\n".join(lines))

    assert "found 13 bad of 13 (row 2, 4, 6, 8, 10: `amount` empty, expected a number; " in str(refusal.value)
    assert "row 3, 5, 7, 9, 11: `amount` 'x', expected a number; and 3 more)" in str(refusal.value)


def test_rows_are_counted_by_record_where_a_text_holds_line_breaks(tmp_path: Path) -> None:
    text = HEAD + '"an\nna",2024-05-01,1,cash\nben,2024-05-01,x,cash\n'

    with pytest.raises(InputError, match="row 3: `amount` 'x'"):
        imported(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected separated text in utf-8 at .*, found: Empty CSV file; give its separator"),
        (HEAD, "Expected at least one row in .*, found only the names of columns"),
        (HEAD + "a,x,y,z\n", r"Expected good rows only in .*, found 1 bad of 1 \("),
        ("a,a\n1,2\n", "Expected each column of .* once, found `a` more than once"),
    ],
)
def test_files_without_rows_or_with_doubled_columns_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        imported(tmp_path, text)


def test_a_file_with_no_good_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"Expected a good row in .*, found none of 1; leave out --skip-bad to see why"
    ):
        imported(tmp_path, HEAD + "a,x,y,z\n", TabularOptions(skip_bad=True))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    places = {tmp_path / "log.csv": "nothing", tmp_path: "a folder", Path("/dev/null"): "a device or a pipe"}
    for path, found in places.items():
        with pytest.raises(InputError, match=rf"^Expected a CSV or Parquet file at {path}, found {found}; name an"):
            TabularImport(path, TabularOptions()).read()


@pytest.mark.parametrize(
    ("begin", "message"),
    [
        (b"PK\x03\x04", "found a workbook or an archive; save its sheet as .csv in a spreadsheet program, or unpack"),
        (b"\xd0\xcf\x11\xe0", "found an .xls workbook; save its sheet as .csv in a spreadsheet program"),
        (b"PAR1", "found Parquet; rename it to .parquet"),
    ],
)
def test_a_file_of_another_kind_is_known_by_its_first_bytes(tmp_path: Path, begin: bytes, message: str) -> None:
    (tmp_path / "log.csv").write_bytes(begin + bytes(200))

    with pytest.raises(InputError, match=rf"^Expected a CSV or Parquet file at .*log.csv, {message}.*\.$"):
        TabularImport(tmp_path / "log.csv", TabularOptions()).read()


def test_text_in_utf_16_is_known_by_its_first_bytes_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(HEAD + "ann,2024-05-01,1.5,cash\n", encoding="utf-16")

    with pytest.raises(InputError, match=r"give its encoding, such as --encoding utf-16\.$"):
        TabularImport(path, TabularOptions()).read()

    table = TabularImport(path, TabularOptions(form=TableFormat(encoding="utf-16"))).read().tables.transactions
    assert table["amount"].to_pylist() == [1.5]


def test_another_encoding_far_behind_is_refused_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(
        HEAD.encode() + b"ann,2024-05-01,1.5,cash\n" * 50_000 + "jürgen,2024-05-01,1,5,cash\n".encode("cp1252")
    )

    with pytest.raises(InputError, match=r"give its encoding, such as --encoding cp1252 "):
        TabularImport(path, TabularOptions()).read()
    assert capfd.readouterr().err == ""


def test_a_line_that_is_too_long_for_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^Expected separated text in utf-8 at .*, found: field larger than .*; give"):
        imported(tmp_path, "x" * 200_000)


def test_names_of_columns_in_an_error_are_few_and_do_not_steer_the_terminal(tmp_path: Path) -> None:
    names = ",".join(["a\x1b[2J", *(f"c{number}" for number in range(30))])

    with pytest.raises(InputError, match=r"found only the columns a\?\[2J, c0, .*, c10 and 19 more; name one with"):
        imported(tmp_path, f"{names}\n{names}\n")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(bytes(range(256)) * 8)

    with pytest.raises(InputError, match=r"Expected separated text in utf-8 at .*log.csv, found: "):
        TabularImport(tmp_path / "log.csv", TabularOptions()).read()


# ---- grouping -----------------------------------------------------------------------------------------------------

LINES = """transaction_id,customer_id,time,amount,type,balance
i1,anna,2024-05-01T10:00,-1,bread,9
i2,ben,2024-05-01T10:01,-8,milk,1
i1,anna,2024-05-01T09:59,-2,milk,7
i1,ben,2024-05-01T10:03,-5,milk,2
i1,anna,2024-05-01T10:01,-1.5,bread,5.5
"""


def test_lines_of_one_transaction_are_summed(tmp_path: Path) -> None:
    result = imported(tmp_path, LINES, TabularOptions(group="transaction_id"))

    assert column(result, "transaction_id") == ["i1", "i2", "i1"]
    assert column(result, "customer_id") == ["anna", "ben", "ben"]
    assert column(result, "amount") == [-4.5, -8.0, -5.0]
    assert column(result, "type") == ["bread", "milk", "milk"]
    assert column(result, "balance") == [5.5, 1.0, 2.0]
    assert column(result, "time")[0] == datetime(2024, 5, 1, 9, 59, tzinfo=UTC)


def test_lines_of_one_time_are_summed(tmp_path: Path) -> None:
    text = HEAD + "a,2024-05-01,-1,x\nb,2024-05-01,-1,x\na,2024-05-01,-1,x\na,2024-05-02,-1,x\n"

    result = imported(tmp_path, text, TabularOptions(group="time"))

    assert column(result, "transaction_id") == ["row-2", "row-3", "row-5"]
    assert column(result, "amount") == [-2.0, -1.0, -1.0]


def test_a_repeated_transaction_id_is_refused_where_lines_are_not_grouped(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"row 4, 6: transaction id seen before \(--group sums the lines"):
        imported(tmp_path, LINES)


# ---- specs and side tables ----------------------------------------------------------------------------------------


def test_a_made_spec_keeps_the_frequent_types_apart(tmp_path: Path) -> None:
    kinds = [f"kind {index}" for index in range(20) for _ in range(40 - index)] + ["7 days", "7-days"] * 30
    text = HEAD + "\n".join(f"anna,2024-05-01,-1,{kind}" for kind in kinds)

    result = imported(tmp_path, text)
    TabularImport(tmp_path / "log.csv", TabularOptions()).write(tmp_path / "d", SILENT)

    types = [item.name for item in read_folder(tmp_path / "d").spec.types]
    assert len(types) == 16
    assert types[-1] == "other"
    assert {"kind_0", "kind_13", "type_7_days"} < set(types)
    assert Counter(column(result, "type"))["type_7_days"] == 60
    assert "kind_19" in column(result, "type")


def test_a_given_spec_is_kept_with_the_types_as_they_are(tmp_path: Path) -> None:
    spec = tmp_path / "mine.toml"
    spec.write_text(
        'name = "mine"\ncurrency = "USD"\ntypes = [{ name = "other" }]\n'
        '[[tasks]]\nname = "value"\nkind = "value"\nlabel = "outflow"\nhorizon_days = 30\n',
        encoding="utf-8",
    )
    (tmp_path / "log.csv").write_text(HEAD + "anna,2024-05-01,-1,Odd One\n", encoding="utf-8")

    TabularImport(tmp_path / "log.csv", TabularOptions(), spec=spec).write(tmp_path / "d", SILENT)

    folder = read_folder(tmp_path / "d")
    assert folder.spec.name == "mine"
    assert folder.transactions["type"].to_pylist() == ["Odd One"]


def test_customers_and_outcomes_may_come_along(tmp_path: Path) -> None:
    paths = side_tables(
        tmp_path,
        customers='customer_id,time,age,town,blank,observed_until\nanna,2024-01-01,31,"Yo""rk",,2024-09-01\nb,2024-01-01,,,,\n',
        outcomes="customer_id,task,time,value\nanna,default,2024-06-01,1\n",
    )

    source = TabularImport(
        tmp_path / "log.csv", TabularOptions(), customers=paths["customers"], outcomes=paths["outcomes"]
    )
    source.write(tmp_path / "d", SILENT)

    folder = read_folder(tmp_path / "d")
    assert [(item.name, item.kind, item.values) for item in folder.spec.attributes] == [
        ("age", "number", ()),
        ("town", "category", ('Yo"rk',)),
    ]
    assert folder.customers["age"].to_pylist() == [31.0, None]
    assert folder.customers["observed_until"].to_pylist() == [datetime(2024, 9, 1, tzinfo=UTC), None]
    assert folder.outcomes is not None
    assert folder.outcomes["value"].to_pylist() == ["1"]


@pytest.mark.parametrize(
    ("customers", "message"),
    [
        ("customer_id,age\nanna,31\n", r"Expected column `time` in .*customers.csv"),
        (
            "customer_id,time\nanna,soon\n",
            r"Expected good rows only in .*customers.csv, found 1 bad of 1 \(row 2: `time` 'soon', .*; correct them\.$",
        ),
        (
            "customer_id,time,age\nanna,2024-01-01,old\n",
            r"row 2: `age` 'old', expected a number",
        ),
    ],
)
def test_a_customers_file_that_cannot_be_used_is_refused(tmp_path: Path, customers: str, message: str) -> None:
    paths = side_tables(tmp_path, customers=customers)

    with pytest.raises(InputError, match=message):
        TabularImport(tmp_path / "log.csv", TabularOptions(), customers=paths["customers"]).read()
