"""A table as published: what a file may be, and what is refused in one sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import InputError
from tests.workbooks import write_workbook
from training.datasets.published import Publication
from training.datasets.tabular_source import BadRows, Rows

PUBLICATION = Publication({"Client No": ("X1",), "PAY_0": (), "note": ()}, frozenset({"note"}), "get it from the shelf")


def read(path: Path) -> Rows:
    return PUBLICATION.read(path, BadRows(path))


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def columns(rows: Rows) -> dict[str, Sequence[object]]:
    table: dict[str, Sequence[object]] = rows.table.to_pydict()
    return table


def test_text_workbook_and_parquet_give_the_same_columns_by_the_published_names(tmp_path: Path) -> None:
    text = written(tmp_path / "t.csv", "client.no,other,pay-0\n7,x,1.5\n8,y,\n")
    book = write_workbook(tmp_path / "t.xlsx", [["client.no", "other", "pay-0"], [7, "x", 1.5], [8, "y"]])
    pq.write_table(pa.table({"client.no": ["7", "8"], "other": ["x", "y"], "pay-0": ["1.5", None]}), tmp_path / "t.pq")

    for path in (text, book, tmp_path / "t.pq"):
        assert columns(read(path)) == {"Client No": ["7", "8"], "PAY_0": ["1.5", None]}


def test_columns_may_be_numbered_as_some_copies_do(tmp_path: Path) -> None:
    assert columns(read(written(tmp_path / "t.csv", "X1,pay_0,NOTE\n7,1,n\n"))) == {
        "Client No": ["7"],
        "PAY_0": ["1"],
        "note": ["n"],
    }


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_the_names_may_stand_in_the_second_row(tmp_path: Path, suffix: str) -> None:
    rows: list[list[str | float | None]] = [[None, "X1", "X2"], ["Client No", "PAY_0", "note"], ["7", "1", "n"]]
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        written(path, "\n".join(",".join(str(cell or "") for cell in row) for row in rows) + "\n")
    else:
        write_workbook(path, rows)

    found = read(path)

    assert columns(found) == {"Client No": ["7"], "PAY_0": ["1"], "note": ["n"]}
    assert found.numbers.tolist() == [3]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_text_may_be_utf_8_utf_16_or_windows_latin(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path / "t.csv", "Client No,PAY_0,note\n7,1,£5\n", encoding)

    assert columns(read(path))["note"] == ["£5"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ('Client No,PAY_0,note\n7,"1,5",a b\n', "1,5"),
        ("Client No\tPAY_0\tnote\n7\t1,5\ta b\n", "1,5"),
        ("Client No;PAY_0;note\n7;1.5;a b\n", "1.5"),
        ("Client No;PAY_0;note\n7;1,5;a b\n", "1.5"),
    ],
)
def test_fields_may_be_apart_by_what_spreadsheets_write(tmp_path: Path, text: str, number: str) -> None:
    # Beside semicolons a comma is that of decimals; elsewhere it may be one of thousands, and stays.
    assert columns(read(written(tmp_path / "t.csv", text))) == {"Client No": ["7"], "PAY_0": [number], "note": ["a b"]}


def test_lines_with_a_wrong_number_of_fields_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "Client No,PAY_0\n7,1\n8\n9,1,1\n10,1\n")
    bad = BadRows(path)

    rows = PUBLICATION.read(path, bad)

    assert columns(rows)["Client No"] == ["7", "10"]
    assert (rows.numbers.tolist(), dict(bad.counts)) == ([2, 5], {"wrong number of fields": 2})
    assert np.array_equal([number for number, _ in bad.first], [3, 4])


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (
            "t.csv",
            "Client No,b,c\n1,2,3\n",
            "Expected column `PAY_0` in .*t.csv, found only Client No, b, c; get it from",
        ),
        (
            "t.csv",
            ",".join("abcdefghijklmn") + "\n",
            "Expected column `Client No` in .*, found only a, b, .*, l and 2 more; get",
        ),
        ("t.csv", "", "Expected a table at .*t.csv, found an empty file; get it from the shelf"),
        (
            "t.csv",
            "Client No,PAY_0\n",
            "Expected rows in .*t.csv, found only the names of columns; get it from the shelf",
        ),
        ("t.xls", "x", "Expected a .csv, .xlsx or .parquet file, found .*t.xls; save it as .csv or .xlsx"),
        ("t.zip", "x", "Expected a .csv, .xlsx or .parquet file, found .*t.zip; unpack it and name the file in it"),
        ("t.xlsx", "x", "Expected a whole .xlsx workbook at .*t.xlsx, found: File is not a zip file; copy it again"),
        ("t.parquet", "x", "Expected a whole Parquet file at .*t.parquet, found: "),
        ("t.csv", "x" * 200_000, "Expected a table of separated values at .*t.csv, found: field larger than .*; get"),
        ("t.csv", "a\x1b[2J,b\n1,2\n", r"Expected column `Client No` in .*t.csv, found only a\?\[2J, b; get"),
        ("t.csv", "PAR1", "Expected a CSV or Parquet file at .*t.csv, found Parquet; rename it to .parquet"),
    ],
)
def test_another_file_is_refused_with_what_to_do(tmp_path: Path, name: str, text: str, found: str) -> None:
    with pytest.raises(InputError, match=rf"^{found}.*\.$"):
        read(written(tmp_path / name, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    places = {tmp_path / "none.csv": "nothing", tmp_path: "a folder", Path("/dev/null"): "a device or a pipe"}
    for path, found in places.items():
        with pytest.raises(InputError, match=rf"^Expected a file at {path}, found {found}; get it from the shelf\.$"):
            read(path)
