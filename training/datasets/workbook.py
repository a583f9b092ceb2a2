"""Reads the first sheet of an .xlsx workbook as texts, by the standard library alone.

A workbook is a zip of XML (ECMA-376): texts stand in a table of their own, numbers in the cells. A time is a number,
the days since 1899-12-30; which cells hold times only their format says, so the caller has to know.
"""

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from schemas.errors import InputError

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CHUNK: Final = 1 << 20
_MOST_COLUMNS: Final = 16_384
_BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, RuntimeError),  # the archive: broken, encrypted, or packed in an unknown way
    *(expat.ExpatError, ET.ParseError, LookupError, ValueError),
    *(OSError, EOFError),
)
_ROW, _CELL, _VALUE, _TEXT, _ITEM, _SOUND = (f"{_MAIN} {tag}" for tag in ("row", "c", "v", "t", "si", "rPh"))

Row = list[str | None]


def read_sheet(path: Path) -> Iterator[Row]:
    """Yield the rows of the first sheet, each as long as its last filled cell says.

    Raises:
        InputError: it is no workbook, or one that ends early.
    """
    try:
        with zipfile.ZipFile(path) as book:
            shared = _shared(book)
            with book.open(_first_sheet(book)) as file:
                for row in _parsed(file, _ROW):
                    yield _filled(row, shared)
    except _BROKEN as error:
        message = (
            f"Expected a whole .xlsx workbook at {path}, found: {error}; copy it again, or save it as .csv in a "
            "spreadsheet program."
        )
        raise InputError(message) from error


def _first_sheet(book: zipfile.ZipFile) -> str:
    sheets = ET.fromstring(book.read("xl/workbook.xml")).iter(f"{{{_MAIN}}}sheet")  # noqa: S314  (the user's own file)
    wanted = next((sheet.get(_RELATION) for sheet in sheets), None)
    for relation in ET.fromstring(book.read("xl/_rels/workbook.xml.rels")):  # noqa: S314
        if wanted and relation.get("Id") == wanted:
            target = relation.get("Target", "")
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    message = "no sheet in it"
    raise LookupError(message)


def _shared(book: zipfile.ZipFile) -> list[str]:
    """Return the texts that cells refer to by their number."""
    if "xl/sharedStrings.xml" not in book.namelist():
        return []
    with book.open("xl/sharedStrings.xml") as file:
        return [item[0].text for item in _parsed(file, _ITEM)]


@dataclass
class _Cell:
    """What stands in a cell, or in an item of the shared texts."""

    reference: str | None
    kind: str | None
    text: str = ""


@dataclass
class _Handler:
    """Gathers the cells of rows, or the items of the shared texts, as a parser goes through them."""

    whole: str
    done: list[list[_Cell]] = field(default_factory=list)
    cells: list[_Cell] = field(default_factory=list)
    reading: bool = False
    sounding: bool = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self.whole:
            self.cells = []
        if tag in (_CELL, _ITEM):
            self.cells.append(_Cell(attributes.get("r"), attributes.get("t")))
        elif tag in (_VALUE, _TEXT):
            self.reading = not self.sounding
        elif tag == _SOUND:  # how Chinese or Japanese texts are read aloud
            self.sounding = True

    def data(self, text: str) -> None:
        if self.reading:
            self.cells[-1].text += text

    def end(self, tag: str) -> None:
        self.reading = False
        if tag == self.whole:
            self.done.append(self.cells)
        elif tag == _SOUND:
            self.sounding = False


def _parsed(file: IO[bytes], whole: str) -> Iterator[list[_Cell]]:
    """Yield the cells of each row, or each item, as they end: a sheet may be larger than memory."""
    parser = expat.ParserCreate(namespace_separator=" ")
    handler = _Handler(whole)
    parser.buffer_text = True
    parser.StartElementHandler = handler.start
    parser.CharacterDataHandler = handler.data
    parser.EndElementHandler = handler.end
    last = False
    while not last:
        chunk = file.read(_CHUNK)
        last = not chunk
        parser.Parse(chunk, last)
        yield from handler.done
        handler.done.clear()


def _filled(cells: list[_Cell], shared: list[str]) -> Row:
    row: Row = []
    for cell in cells:
        row.extend([None] * (_column(cell.reference, len(row)) - len(row)))
        text = shared[int(cell.text)] if cell.kind == "s" else cell.text
        row.append(text or None)
    return row


def _column(reference: str | None, otherwise: int) -> int:
    """Return the place of a cell from its name: 0 for A7, 27 for AB7; a cell without a name follows the last one."""
    if not reference:
        return otherwise
    place = 0
    for letter in reference:
        if not letter.isalpha():
            break
        place = place * 26 + ord(letter) - ord("A") + 1
    if place > _MOST_COLUMNS:
        message = f"cell {reference} beyond the last column"
        raise LookupError(message)
    return place - 1
