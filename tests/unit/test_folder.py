"""The interchange folder: what a file may be, what is refused in one sentence, and that writing is all or nothing."""

import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ForetellError, InputError, OutputError, SpecError
from schemas.spec_file import bank_text
from stream_app.offline.folder import TIME, Folder, read_folder
from training.datasets.folder import FolderTables, check_out, write_folder

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
NOON_MS = 1_714_564_800_000


def transactions(**columns: pa.Array) -> pa.Table:
    given = {
        "transaction_id": ["t1", "t2"],
        "customer_id": ["anna", "ben"],
        "time": pa.array([NOON_MS, NOON_MS + 1], TIME),
        "amount": [-5.0, 12.5],
        "type": ["groceries", "salary"],
    }
    return pa.table({name: value for name, value in {**given, **columns}.items() if value is not None})


def customers(**columns: pa.Array) -> pa.Table:
    return pa.table({"customer_id": ["anna"], "time": pa.array([NOON_MS], TIME), **columns})


def written(folder: Path, **tables: pa.Table) -> Folder:
    given = {"transactions": transactions(), "customers": customers(), "spec_text": bank_text()}
    write_folder(folder, FolderTables(**{**given, **tables}))
    return read_folder(folder)


def with_transactions(folder: Path, table: pa.Table) -> Folder:
    """Write a folder of somebody else's making, whose tables nobody checked."""
    folder.mkdir()
    pq.write_table(table, folder / "transactions.parquet")
    pq.write_table(customers(), folder / "customers.parquet")
    return read_folder(folder)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    outcomes = pa.table(
        {"customer_id": ["anna"], "task": ["default"], "time": pa.array([NOON_MS], TIME), "value": ["1"]}
    )
    products = pa.table({"product_id": ["p"], "name": ["Loan"], "type": ["loan"], "price": [0.0]})

    folder = written(
        tmp_path / "d", customers=customers(age=[31.0], gender=["female"]), outcomes=outcomes, products=products
    )

    assert folder.transactions.to_pylist() == transactions().to_pylist()
    assert folder.attributes == ("age", "gender")
    assert folder.outcomes == outcomes
    assert folder.products == products
    assert folder.spec.name == "bank"


def test_rows_are_sorted_by_time_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    table = transactions(
        transaction_id=["late", "b", "a"],
        customer_id=["x", "x", "x"],
        time=pa.array([NOON_MS + 9, NOON_MS, NOON_MS], TIME),
        amount=[1.0, 2.0, 3.0],
        type=["cash"] * 3,
    )

    folder = written(tmp_path / "d", transactions=table)

    assert folder.transactions["transaction_id"].to_pylist() == ["b", "a", "late"]


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name)

    files = sorted(item.name for item in (tmp_path / "one").iterdir())
    assert files == ["customers.parquet", "scorer.toml", "transactions.parquet"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_folder_written_again_replaces_the_former_one(tmp_path: Path) -> None:
    products = pa.table({"product_id": ["p"], "name": ["Loan"], "type": ["loan"], "price": [0.0]})
    written(tmp_path / "d", products=products)

    assert written(tmp_path / "d").products is None


@pytest.mark.parametrize(
    "times",
    [
        pa.array([NOON, NOON], pa.timestamp("s")),
        pa.array([NOON, NOON], pa.timestamp("us")),
        pa.array([NOON, NOON], pa.timestamp("ns", tz="UTC")),
        pa.array([NOON, NOON], pa.timestamp("ms", tz="Asia/Tokyo")),
        pa.array([NOON_MS, NOON_MS], pa.int64()),
    ],
)
def test_times_of_any_unit_and_zone_become_utc_milliseconds(tmp_path: Path, times: pa.Array) -> None:
    folder = with_transactions(tmp_path / "d", transactions(time=times))

    assert folder.transactions["time"].to_pylist() == [NOON, NOON]
    assert folder.transactions["time"].type == TIME


@pytest.mark.parametrize(
    "amounts",
    [pa.array([3, -4], pa.int32()), pa.array([3, -4], pa.float32()), pa.array([Decimal(3), Decimal(-4)])],
)
def test_numbers_of_any_kind_become_float64(tmp_path: Path, amounts: pa.Array) -> None:
    folder = with_transactions(tmp_path / "d", transactions(amount=amounts))

    assert folder.transactions["amount"].to_pylist() == [3.0, -4.0]
    assert folder.transactions["amount"].type == pa.float64()


def test_texts_may_be_dictionaries_or_large(tmp_path: Path) -> None:
    table = transactions(
        type=pa.array(["cash", "cash"]).dictionary_encode(), customer_id=pa.array(["a", "b"], pa.large_string())
    )

    folder = with_transactions(tmp_path / "d", table)

    assert folder.transactions["type"].to_pylist() == ["cash", "cash"]
    assert folder.transactions["customer_id"].type == pa.string()


def test_bad_values_travel_on(tmp_path: Path) -> None:
    table = transactions(amount=[None, float("inf")], customer_id=[None, ""], time=pa.array([-(2**63) + 1, None]))

    folder = with_transactions(tmp_path / "d", table)

    assert folder.transactions["amount"].to_pylist() == [None, float("inf")]
    assert folder.transactions["customer_id"].to_pylist() == [None, ""]
    assert folder.transactions["time"].cast(pa.int64()).to_pylist() == [-(2**63) + 1, None]


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected an interchange folder at .*nowhere, found nothing; name a folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match=r"Expected an interchange folder at .*file, found a file"):
        read_folder(tmp_path / "file")


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "d")
    (tmp_path / "d" / "customers.parquet").unlink()

    with pytest.raises(
        InputError, match=r"Expected customers.parquet in .*d, found scorer.toml, transactions.parquet;"
    ):
        read_folder(tmp_path / "d")


def test_the_spec_is_needed_only_when_asked_for(tmp_path: Path) -> None:
    written(tmp_path / "d")
    (tmp_path / "d" / "scorer.toml").unlink()

    folder = read_folder(tmp_path / "d")

    with pytest.raises(SpecError, match=r"Expected a spec at .*scorer.toml, found: No such file"):
        folder.spec  # noqa: B018  (reading it is what fails)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"amount": None},
            r"Expected column `amount` in .*transactions.parquet, found only transaction_id, customer_id",
        ),
        ({"currancy": ["EUR", "EUR"]}, r"Expected only the columns .*, found also `currancy`; rename or remove it"),
        ({"amount": ["5", "6"]}, r"Expected column `amount` of .* as a number, found string; cast it"),
        ({"customer_id": [1, 2]}, r"Expected column `customer_id` of .* as a string, found int64; cast it"),
        (
            {"time": ["now", "then"]},
            r"Expected column `time` of .* as a timestamp or int64 epoch milliseconds, found str",
        ),
        ({"time": pa.array([1, 2], pa.int32())}, r"Expected column `time` of .* found int32"),
    ],
)
def test_wrong_columns_and_types_are_refused(tmp_path: Path, columns: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        with_transactions(tmp_path / "d", transactions(**columns))


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = transactions().append_column("amount", pa.array([0.0, 0.0]))

    with pytest.raises(InputError, match=r"Expected each column of .* once, found `amount` 2 times"):
        with_transactions(tmp_path / "d", table)


def test_an_attribute_that_is_neither_number_nor_text_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "d")
    pq.write_table(customers(flags=[[True]]), tmp_path / "d" / "customers.parquet")

    with pytest.raises(InputError, match=r"Expected numbers or texts in attribute column `flags` of .* found list"):
        read_folder(tmp_path / "d")


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Expected at least one transaction in .*, found an empty table"):
        with_transactions(tmp_path / "d", transactions().slice(0, 0))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    ids = pa.array([b"\xff\xfe", b"ok"]).view(pa.string())

    with pytest.raises(InputError, match=r"Expected a whole Parquet file at .*, found: .*UTF8"):
        with_transactions(tmp_path / "d", transactions(customer_id=ids))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "d")
    (tmp_path / "d" / "transactions.parquet").write_text("customer_id,amount\n", encoding="utf-8")

    with pytest.raises(InputError, match=r"Expected a whole Parquet file at .*transactions.parquet, found: "):
        read_folder(tmp_path / "d")


def test_a_file_cut_or_changed_anywhere_is_refused_or_reads_the_same(tmp_path: Path) -> None:
    expected = written(tmp_path / "d").transactions
    path = tmp_path / "d" / "transactions.parquet"
    whole, chance = path.read_bytes(), random.Random(7)  # noqa: S311  (no secret)

    for _ in range(150):
        at = chance.randrange(len(whole))
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            try:
                found = read_folder(tmp_path / "d").transactions
            except InputError:
                continue
            assert found.schema == expected.schema


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"transactions": transactions().slice(0, 0)}, "Expected at least one transaction for .*, found an empty log"),
        ({"transactions": transactions(amount=None)}, "Expected column `amount` in transactions.parquet"),
        (
            {"customers": customers(shoe_size=[43.0])},
            "attributes of spec 'bank', found `shoe_size`; add it to the spec",
        ),
        ({"customers": customers(age=["old"])}, "Expected numbers in column `age` of customers.parquet, found string"),
        ({"spec_text": "name = 5"}, "Expected a valid spec at scorer.toml for "),
    ],
)
def test_nothing_is_left_where_tables_are_refused(tmp_path: Path, tables: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        written(tmp_path / "d", **tables)

    assert list(tmp_path.iterdir()) == []


def test_an_attribute_nobody_has_takes_the_type_of_the_spec(tmp_path: Path) -> None:
    folder = written(tmp_path / "d", customers=customers(gender=pa.nulls(1), age=pa.nulls(1)))

    assert folder.customers.schema.field("gender").type == pa.string()
    assert folder.customers.schema.field("age").type == pa.float64()


def test_further_tables_are_written_as_they_are(tmp_path: Path) -> None:
    oracle = pa.table({"customer_id": ["anna"], "churn": [0.25]})

    written(tmp_path / "d", extras={"oracle.parquet": oracle})

    assert pq.read_table(tmp_path / "d" / "oracle.parquet") == oracle


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match=r"Expected to write .*file/d, found: "):
        written(tmp_path / "file" / "d")


def test_a_new_or_empty_place_may_be_written(tmp_path: Path) -> None:
    check_out(tmp_path, force=False)
    check_out(tmp_path / "new", force=False)


def test_a_previous_folder_is_replaced_only_with_force(tmp_path: Path) -> None:
    written(tmp_path / "d")

    check_out(tmp_path / "d", force=True)
    with pytest.raises(OutputError, match="found a previous interchange folder; add --force to replace it"):
        check_out(tmp_path / "d", force=False)


@pytest.mark.parametrize("force", [False, True])
def test_a_place_that_holds_something_else_is_never_replaced(tmp_path: Path, force: bool) -> None:  # noqa: FBT001
    written(tmp_path / "d")
    (tmp_path / "d" / "thesis.txt").touch()
    (tmp_path / "file").touch()

    for place in ("d", "file", ""):
        with pytest.raises(ForetellError, match="Expected"):
            check_out(tmp_path / place, force=force)
