"""The first sheet of an .xlsx workbook, cell by cell."""

import zipfile
from pathlib import Path

import pytest

from schemas.errors import InputError
from tests.workbooks import MAIN, PARTS, write_parts, write_workbook
from training.datasets.workbook import read_sheet


def sheet(*rows: str) -> str:
    return f"<worksheet {MAIN}><cols><c/></cols><sheetData>{''.join(rows)}</sheetData></worksheet>"


def test_texts_and_numbers_are_read_as_texts_and_gaps_as_nothing(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "b.xlsx", [["name", "sum", "note"], ["a & b", 2.5, None], [None, None, "a & b"]])

    assert list(read_sheet(path)) == [["name", "sum", "note"], ["a & b", "2.5"], [None, None, "a & b"]]


def test_texts_may_stand_in_the_cell_or_in_several_parts_and_how_they_sound_is_left_out(tmp_path: Path) -> None:
    inline = '<row><c t="inlineStr"><is><t>in</t><r><t>side</t></r></is></c><c t="str"><f>A1</f><v>told</v></c></row>'
    sound = "<si><t>東京</t><rPh><t>とうきょう</t></rPh></si>"
    shared = f"<sst {MAIN}><si><r><t>two </t></r><r><t>parts</t></r></si>{sound}</sst>"
    rows = '<row r="2"><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>'
    path = write_parts(tmp_path / "b.xlsx", sheet(inline, rows), shared)

    assert list(read_sheet(path)) == [["inside", "told"], ["two parts", "東京"]]


def test_columns_behind_z_have_two_letters_and_empty_rows_stay(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "b.xlsx", sheet("<row/>", '<row><c r="AB2"><v>7</v></c></row>'))

    assert list(read_sheet(path)) == [[], [None] * 27 + ["7"]]


def test_a_sheet_larger_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    numbers = range(30_000)

    read = list(read_sheet(write_workbook(tmp_path / "b.xlsx", [[f"article {one}", one * 0.5] for one in numbers])))

    assert read == [[f"article {one}", repr(one * 0.5)] for one in numbers]


def packed(whole: Path, path: Path) -> bytearray:
    """Pack a workbook as spreadsheet programs do, and return its bytes."""
    with zipfile.ZipFile(whole) as parts, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name in parts.namelist():
            book.writestr(name, parts.read(name))
    return bytearray(path.read_bytes())


def test_whatever_byte_of_a_workbook_is_damaged_it_is_read_or_refused(tmp_path: Path) -> None:
    whole = write_workbook(tmp_path / "whole.xlsx", [[f"a{number}", number * 0.5] for number in range(40)])
    good = packed(whole, path := tmp_path / "damaged.xlsx")
    assert list(read_sheet(path)) == list(read_sheet(whole))

    refused = 0
    for place in range(0, len(good), 3):
        damaged = good.copy()
        damaged[place] ^= 0x5A
        path.write_bytes(damaged)
        try:
            list(read_sheet(path))
        except InputError:
            refused += 1
    assert refused > len(good) / 12


def test_a_cell_beyond_all_columns_is_refused_at_once(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "far.xlsx", sheet('<row><c r="ZZZZZZZ1"><v>3</v></c></row>'))

    with pytest.raises(InputError, match="found: cell ZZZZZZZ1 beyond the last column; copy it again"):
        list(read_sheet(path))


def test_what_is_no_whole_workbook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write_workbook(tmp_path / "whole.xlsx", [["a"] * 9] * 9)
    text, short = tmp_path / "text.xlsx", tmp_path / "short.xlsx"
    text.write_text("a,b\n1,2\n")
    short.write_bytes(whole.read_bytes()[:-40])
    broken = write_parts(tmp_path / "broken.xlsx", sheet("<row><c>"))
    unknown = write_parts(tmp_path / "unknown.xlsx", sheet('<row><c t="s"><v>3</v></c></row>'))
    monkeypatch.setitem(PARTS, "xl/workbook.xml", f"<workbook {MAIN}/>")
    empty = write_parts(tmp_path / "empty.xlsx", sheet())

    for path in (text, short, broken, unknown, empty, tmp_path / "none.xlsx"):
        with pytest.raises(
            InputError, match=rf"^Expected a whole .xlsx workbook at {path}, found: .+; copy it again, or"
        ):
            list(read_sheet(path))
