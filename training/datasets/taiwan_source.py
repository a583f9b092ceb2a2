"""Reads "Default of Credit Card Clients" (a .csv or .xlsx of the published .xls, or .parquet of that)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc

from schemas.errors import InputError
from training.arrays import Flags, Floats, Ints, Texts
from training.datasets.published import Publication
from training.datasets.tabular_source import BadRows, Rows, TableFormat
from training.datasets.tabular_values import Reading

MONTHS: Final = 6
"""April to September 2005, which are 0 to 5 here; the source numbers them backwards."""
NO_USE, PAID, REVOLVING, MOST_LATE = -2, -1, 0, 9
"""Repayment status: nothing used, paid in full, the least that is asked for was paid, months late up to nine."""
_EDUCATION: Final = {1: "graduate_school", 2: "university", 3: "high_school", 4: "other"}
_MARRIAGE: Final = {1: "married", 2: "single", 3: "other"}
_UNKNOWN: Final = "unknown"
_CODES: Final = {"EDUCATION": 7, "MARRIAGE": 4}
"""How many codes a column has; some copies of the data set have a column of 0 and 1 for each instead."""
_STATUS: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
_BILL: Final = tuple(f"BILL_AMT{back}" for back in range(1, MONTHS + 1))
_PAID: Final = tuple(f"PAY_AMT{back}" for back in range(1, MONTHS + 1))
_DEFAULT: Final = "default payment next month"
_PUBLISHED: Final = ("LIMIT_BAL", "SEX", "EDUCATION", "MARRIAGE", "AGE", *_STATUS, *_BILL, *_PAID)
_LARGEST: Final = 1e9

PUBLICATION: Final = Publication(
    # Some copies number the columns, X1 to X23 and Y. Sex is not read.
    columns={
        "ID": (),
        **{name: (f"X{number}",) for number, name in enumerate(_PUBLISHED, 1) if name != "SEX"},
        _DEFAULT: ("Y", "default"),
        **{f"{name}_{code}": () for name, codes in _CODES.items() for code in range(codes)},
    },
    optional=frozenset({*_CODES, *(f"{name}_{code}" for name, codes in _CODES.items() for code in range(codes))}),
    where_to_get=(
        "get Default of Credit Card Clients from the UCI Machine Learning Repository "
        '(https://doi.org/10.24432/C55S3H), open "default of credit card clients.xls" in a spreadsheet program and '
        "save it as .csv or .xlsx"
    ),
)


@dataclass(frozen=True)
class Clients:
    """The clients that can be used, n of them; months run from April to September.

    Attributes:
        name: the client's number, text [n].
        limit: float64 [n], what the client may owe, New Taiwan dollars.
        age: float64 [n], years.
        education: text [n].
        marriage: text [n].
        status: int64 [n, MONTHS], repayment status.
        bill: float64 [n, MONTHS], what is owed at the end of the month; below 0, the bank owes it.
        paid: float64 [n, MONTHS], in the month.
        default: bool [n], whether the client defaulted in October.
    """

    name: Texts
    limit: Floats
    age: Floats
    education: Texts
    marriage: Texts
    status: Ints
    bill: Floats
    paid: Floats
    default: Flags

    @property
    def spent(self) -> Floats:
        """Return what a month's bill and payment say was bought in it, float64 [n, MONTHS]; NaN in the first month.

        A payment of a month pays the bill of the month before.
        """
        changed = np.diff(self.bill, axis=1, prepend=np.nan)
        return np.maximum(changed + self.paid, 0.0)


def read_clients(path: Path, bad: BadRows) -> tuple[Clients, int]:
    """Read the rows that can be used and count the others in ``bad``; return those and how many there are in all.

    Raises:
        InputError: the file is another one, or no row of it can be used.
    """
    rows = PUBLICATION.read(path, bad)
    total = rows.table.num_rows + bad.total
    reading = Reading.of(rows, TableFormat(), bad)
    name = pc.replace_substring_regex(reading.texts("ID", ""), r"\.0$", "").to_numpy(zero_copy_only=False)
    number = {column: _numbers(reading, column) for column in ("LIMIT_BAL", "AGE", *_STATUS, *_BILL, *_PAID, _DEFAULT)}
    codes = {column: _codes(reading, rows, column) for column in _CODES}
    status, bill, paid = (np.column_stack([number[name] for name in names[::-1]]) for names in (_STATUS, _BILL, _PAID))
    amounts = np.column_stack([bill, paid, number["LIMIT_BAL"]])
    for cause, wrong in {
        f"a repayment status other than {NO_USE} to {MOST_LATE}": ~np.isin(status, np.arange(NO_USE, MOST_LATE + 1)),
        f"`{_DEFAULT}` is not 0 or 1": ~np.isin(number[_DEFAULT], (0, 1))[:, None],
        "a payment below 0": paid < 0,
        "`LIMIT_BAL` is not above 0": number["LIMIT_BAL"][:, None] <= 0,
        f"an amount above {_LARGEST:g}": np.abs(amounts) > _LARGEST,
    }.items():
        reading.refuse_where(np.logical_or.reduce(wrong, axis=1), cause)
    reading.refuse_where(_repeated(name, reading.good), "`ID` of an earlier row")
    good = reading.good
    if not good.any():
        message = f"Expected a usable row in {path}, found none of {total:,}; {PUBLICATION.where_to_get}."
        raise InputError(message)
    clients = Clients(
        name=name[good],
        limit=number["LIMIT_BAL"][good],
        age=number["AGE"][good],
        education=_worded(codes["EDUCATION"][good], _EDUCATION),
        marriage=_worded(codes["MARRIAGE"][good], _MARRIAGE),
        status=status[good].astype(np.int64),
        bill=bill[good],
        paid=paid[good],
        default=number[_DEFAULT][good] == 1,
    )
    return clients, total


def _numbers(reading: Reading, column: str) -> Floats:
    values: Floats = pc.fill_null(reading.numbers(column, ""), 0.0).to_numpy()
    return values


def _codes(reading: Reading, rows: Rows, column: str) -> Floats:
    """Return a column of codes, or which of a code's own columns is 1."""
    if column in rows.table.column_names:
        return _numbers(reading, column)
    own = [f"{column}_{code}" for code in range(_CODES[column])]
    missing = [name for name in own if name not in rows.table.column_names]
    if missing:
        message = (
            f"Expected column `{column}` in {rows.path}, found neither it nor `{missing[0]}`; "
            f"{PUBLICATION.where_to_get}."
        )
        raise InputError(message)
    flags = np.column_stack([_numbers(reading, name) for name in own])
    code: Floats = flags.argmax(axis=1).astype(np.float64)
    return code


def _worded(codes: Floats, words: dict[int, str]) -> Texts:
    return np.array([words.get(int(code), _UNKNOWN) for code in codes], object)


def _repeated(names: Texts, good: Flags) -> Flags:
    repeated = good.copy()
    rows = np.flatnonzero(good)
    repeated[rows[np.unique(names[rows].astype(str), return_index=True)[1]]] = False
    return repeated
