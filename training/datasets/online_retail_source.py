"""Reads the invoice lines of "Online Retail" as published (.xlsx), or as .csv or .parquet of that."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import InputError
from stream_app.offline.folder import TEXT
from training.arrays import DAY_MS, Flags, Floats, Ints
from training.datasets.published import Publication
from training.datasets.tabular_source import BadRows, TableFormat
from training.datasets.tabular_values import Reading

ZONE: Final = "Europe/London"
"""Where the shop is: times have no zone and are meant there."""
FIRST_DAY, END_DAY = date(2010, 12, 1), date(2011, 12, 10)
"""The days that the data set spans, the end exclusive."""
PUBLICATION: Final = Publication(
    columns=dict.fromkeys(
        ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"), ()
    ),
    optional=frozenset({"Description", "Country"}),
    where_to_get=(
        "get Online Retail from the UCI Machine Learning Repository (https://doi.org/10.24432/C5BW33), unpack it and "
        'name "Online Retail.xlsx", or a .csv or .parquet of it'
    ),
)
_DAYS: Final = "days"
_FORMATS: Final = (
    "iso",
    _DAYS,
    "%m/%d/%Y %H:%M",
    "%m/%d/%y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d-%m-%Y %H:%M",
    "%d.%m.%Y %H:%M",
)
"""How copies write times: ISO 8601, days as a workbook counts them, or as spreadsheets of several countries save them.
That in which most times lie in the span of the data is the one."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MINUTE_MS: Final = 60_000
_EXCEL_EPOCH_DAYS: Final = 25_569
"""Days from 1899-12-30, from which workbooks count, to 1970."""
_OUTSIDE: Final = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Lines:
    """The invoice lines of identified customers that are about articles, in the order of the file; m of them.

    Attributes:
        customer: text.
        invoice: text.
        article: the stock code, text.
        description: text, null where the source has none.
        country: text, null where the source has none.
        time_ms: int64 [m], UTC.
        quantity: float64 [m], negative where goods come back.
        price: float64 [m], of one piece.
    """

    customer: pa.Array
    invoice: pa.Array
    article: pa.Array
    description: pa.Array
    country: pa.Array
    time_ms: Ints
    quantity: Floats
    price: Floats

    @property
    def sum(self) -> Floats:
        """Return what each line costs, float64 [m]."""
        return self.quantity * self.price


def read_lines(path: Path, bad: BadRows) -> tuple[Lines, int]:
    """Read the lines that can be used and count the others in ``bad``; return those and how many there are in all.

    Raises:
        InputError: the file is another one, or no line of it can be used.
    """
    rows = PUBLICATION.read(path, bad)
    total = rows.table.num_rows + bad.total
    reading = Reading.of(rows, TableFormat(timezone=ZONE), bad)
    customer = pc.replace_substring_regex(reading.texts("CustomerID", ""), r"\.0$", "")
    article = reading.texts("StockCode", "")
    numbered = pc.fill_null(pc.match_substring_regex(article, "^[0-9]{5}"), fill_value=False)
    reading.refuse_where(~_flags(numbered), "`StockCode` does not begin with five digits")
    numbers = {name.lower(): reading.numbers(name, "") for name in ("Quantity", "UnitPrice")}
    time_ms = _times(rows.table.column("InvoiceDate").combine_chunks())
    reading.refuse_where(time_ms == _OUTSIDE, f"`InvoiceDate` is no time from {FIRST_DAY} to before {END_DAY}")
    texts = {"customer": customer, "invoice": reading.texts("InvoiceNo", ""), "article": article}
    for name in ("Description", "Country"):
        there = name in rows.table.column_names
        texts[name.lower()] = reading.texts(name, "", needed=False) if there else pa.nulls(len(article), TEXT)
    if not reading.good.any():
        message = f"Expected a usable line in {path}, found none of {total:,}; {PUBLICATION.where_to_get}."
        raise InputError(message)
    good = pa.array(reading.good)
    kept = {name: column.filter(good) for name, column in texts.items()}
    quantity, price = (numbers[name].filter(good).to_numpy() for name in ("quantity", "unitprice"))
    return Lines(**kept, quantity=quantity, price=price, time_ms=time_ms[reading.good]), total


def _times(column: pa.Array) -> Ints:
    """Return UTC milliseconds of local times, ``_OUTSIDE`` for what is no time in the span of the data."""
    if pa.types.is_timestamp(column.type):
        stamps = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        local = _inside(pc.fill_null(stamps, _OUTSIDE).to_numpy())
    else:
        coded = column.cast(TEXT).dictionary_encode()
        words = [word.strip() for word in coded.dictionary.to_pylist()]
        readings = [_inside(np.array([_moment(word, form) for word in words], np.int64)) for form in _FORMATS]
        best = max(readings, key=lambda times: int((times != _OUTSIDE).sum()))
        local = np.r_[best, _OUTSIDE][coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)]
    outside = local == _OUTSIDE
    known = pc.assume_timezone(
        pa.array(np.where(outside, 0, local)).cast(pa.timestamp("ms")),
        ZONE,
        ambiguous="earliest",
        nonexistent="earliest",
    )
    return np.where(outside, _OUTSIDE, known.cast(pa.int64()).to_numpy())


def _inside(local_ms: Ints) -> Ints:
    first, end = ((day - date(1970, 1, 1)).days * DAY_MS for day in (FIRST_DAY, END_DAY))
    return np.where((local_ms >= first) & (local_ms < end), local_ms, _OUTSIDE)


def _moment(word: str, form: str) -> int:
    """Return local milliseconds since 1970, cut to the minute where a workbook counts days."""
    try:
        if form == _DAYS:
            return round((float(word) - _EXCEL_EPOCH_DAYS) * DAY_MS / _MINUTE_MS) * _MINUTE_MS
        moment = datetime.fromisoformat(word) if form == "iso" else datetime.strptime(word, form)  # noqa: DTZ007
    except (ValueError, OverflowError):
        return _OUTSIDE
    return (moment.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def _flags(mask: pa.Array | pa.ChunkedArray) -> Flags:
    return np.asarray(mask.to_numpy(zero_copy_only=False), np.bool_)
