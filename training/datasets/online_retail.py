"""The UCI data set "Online Retail": a British online shop's invoice lines, 2010-12-01 to 2011-12-09.

    Chen, D. (2015). Online Retail [Dataset]. UCI Machine Learning Repository. https://doi.org/10.24432/C5BW33
    Licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/).

Lines without a customer, and lines whose stock code does not begin with five digits (postage, fees, discounts), are
left out. An invoice is a transaction, at the time of its first line; invoices of one customer in the same minute are
one. Its amount is the sum of quantity times price, negative where money leaves the customer; its type is the category
with the largest sum, or ``return`` where the sum is not positive. Times are those of London.

The six categories are found once, by what was bought together before the test period, which are the last 90 days
(``test_from`` of the spec). An article that was bought too rarely by then, or came later, is put where the article with
the nearest stock code is: of the articles with a category 63 % have that of their neighbour (by chance 21 %). Nothing
of the test period enters a category, or the catalogue's entry of an article that was there before.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from schemas import spec_file
from schemas.errors import InputError
from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.offline.folder import TEXT, TIME
from training.arrays import DAY_MS, Flags, Floats, Ints
from training.datasets.folder import FolderTables, write_folder
from training.datasets.online_retail_categories import FEWEST, Purchases, cluster, nearest
from training.datasets.online_retail_source import PUBLICATION, Lines, read_lines
from training.datasets.tabular import Imported
from training.datasets.tabular_source import BadRows
from training.rows import day_number, midnight_ms

CATEGORIES: Final = 6
RETURN: Final = "return"
_ELSEWHERE: Final = "elsewhere"
_MINUTE_MS: Final = 60_000
_CODE_DIGITS: Final = 5


@dataclass(frozen=True)
class OnlineRetail:
    """The data set in file ``source``: .xlsx as published, or .csv or .parquet with the same columns."""

    source: Path

    def read(self, progress: Progress = SILENT) -> Imported:
        """Read the lines and make the folder's tables of them.

        Raises:
            InputError: the file is another one, or holds too little to find categories.
        """
        bad = BadRows(self.source)
        progress.step("import", 0, 3, f"reading {self.source.name}")
        lines, total = read_lines(self.source, bad)
        progress.step("import", 1, 3, f"categories of {total:,} lines")
        text = resources.files("training.datasets").joinpath("online_retail.toml").read_text(encoding="utf-8")
        shop = _Shop(lines, spec_file.parse(text, "online_retail.toml"))
        if (shop.categories < 0).any():
            message = (
                f"Expected at least {CATEGORIES} articles that were bought {FEWEST} times before the test period in "
                f"{self.source}, found fewer in {total:,} lines; {PUBLICATION.where_to_get}."
            )
            raise InputError(message)
        progress.step("import", 2, 3, "invoices")
        tables = FolderTables(shop.transactions(), shop.customers(), text, products=shop.products())
        progress.step("import", 3, 3)
        return Imported(tables, total, dict(bad.counts))

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all (see ``DataSet``)."""
        write_folder(out, self.read(progress).tables)


@dataclass(frozen=True)
class _Shop:
    """Lines laid out by article, customer and transaction."""

    lines: Lines
    spec: Spec

    @cached_property
    def before(self) -> Flags:
        """Return which lines lie before the test period."""
        day = self.spec.training.test_from
        cut_ms = midnight_ms(np.array(0 if day is None else day_number(day)), self.spec)
        earlier: Flags = self.lines.time_ms < cut_ms
        return earlier

    @cached_property
    def articles(self) -> tuple[list[str], Ints]:
        """Return the stock codes in their order, and that of each line as an index into them."""
        return _coded(self.lines.article)

    @cached_property
    def transaction(self) -> tuple[Ints, Ints]:
        """Return the transaction of each line, and the first line of each transaction; in the order of the file."""
        _, customer = _coded(self.lines.customer)
        _, invoice = np.unique(np.column_stack([customer, _coded(self.lines.invoice)[1]]), axis=0, return_inverse=True)
        begun_ms = np.full(int(invoice.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(begun_ms, invoice, self.lines.time_ms)
        minute = begun_ms[invoice] // _MINUTE_MS
        _, first, group = np.unique(np.column_stack([customer, minute]), axis=0, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return rank[group], first[order]

    @cached_property
    def sold(self) -> Floats:
        """Return what each article brought in before the test period, less what came back."""
        codes, article = self.articles
        return np.bincount(article, self.lines.sum * self.before, minlength=len(codes)).astype(np.float64)

    @cached_property
    def categories(self) -> Ints:
        """Return the category of each article, from 0 on in the order of their sales; -1 where there are none."""
        codes, article = self.articles
        bought = self.before & (self.lines.sum > 0)
        found = cluster(Purchases.of(article[bought], self.transaction[0][bought], len(codes)), CATEGORIES)
        known = found >= 0
        if not known.any():
            return found
        number = np.array([int(code[:_CODE_DIGITS]) for code in codes])
        found = np.where(known, found, nearest(number, number[known], found[known]))
        sales = np.bincount(found, self.sold, minlength=CATEGORIES)
        place = np.empty(CATEGORIES, np.int64)
        place[np.argsort(-sales, kind="stable")] = np.arange(CATEGORIES)
        return place[found]

    def transactions(self) -> pa.Table:
        """Return the log."""
        lines, (group, first) = self.lines, self.transaction
        category = self.categories[self.articles[1]]
        by_category = np.bincount(group * CATEGORIES + category, lines.sum, minlength=len(first) * CATEGORIES)
        by_category = by_category.reshape(-1, CATEGORIES)
        total = np.round(np.bincount(group, lines.sum, minlength=len(first)), 2)
        names = np.array([*(item.name for item in self.spec.types[:CATEGORIES]), RETURN], object)
        earliest = np.full(len(first), np.iinfo(np.int64).max)
        np.minimum.at(earliest, group, lines.time_ms)
        return pa.table(
            {
                "transaction_id": lines.invoice.take(pa.array(first)),
                "customer_id": lines.customer.take(pa.array(first)),
                "time": pa.array(earliest).cast(TIME),
                "amount": pa.array(0.0 - total),
                "type": pa.array(names[np.where(total > 0, by_category.argmax(axis=1), CATEGORIES)], TEXT),
            }
        )

    def customers(self) -> pa.Table:
        """Return a record of each customer at the first transaction: the country."""
        lines = self.lines
        names, customer = _coded(lines.customer)
        order = np.argsort(lines.time_ms, kind="stable")
        first = order[np.unique(customer[order], return_index=True)[1]]
        last_day = int(lines.time_ms.max()) // DAY_MS + 1
        known = {value for item in self.spec.attributes for value in item.values}
        return pa.table(
            {
                "customer_id": pa.array(names, TEXT),
                "time": pa.array(lines.time_ms[first]).cast(TIME),
                "observed_until": pa.array(np.full(len(names), last_day * DAY_MS)).cast(TIME),
                "country": pa.array(
                    [
                        country if country in known or country is None else _ELSEWHERE
                        for country in lines.country.take(pa.array(first)).to_pylist()
                    ],
                    TEXT,
                ),
            }
        )

    def products(self) -> pa.Table:
        """Return the catalogue, what sold best first: each article's description and median price.

        Lines of the test period count only for articles that were not there before.
        """
        codes, article = self.articles
        old = np.bincount(article, self.before, minlength=len(codes)) > 0
        telling = np.flatnonzero(self.before | ~old[article])
        described = telling[_flags(self.lines.description.is_valid())[telling]]
        names = dict(zip(article[described[::-1]], described[::-1], strict=True))  # the first description stays
        text = self.lines.description.to_pylist()
        paid = telling[self.lines.price[telling] > 0]
        price = _medians(article[paid], self.lines.price[paid], len(codes))
        order = np.lexsort((np.arange(len(codes)), -self.sold))
        return pa.table(
            {
                "product_id": pa.array([codes[index] for index in order], TEXT),
                "name": pa.array([text[names[index]] if index in names else codes[index] for index in order], TEXT),
                "type": pa.array([self.spec.types[self.categories[index]].name for index in order], TEXT),
                "price": pa.array(price[order]),
            }
        )


def _coded(texts: pa.Array) -> tuple[list[str], Ints]:
    """Return the different texts in their order, and the place of each among them."""
    coded = texts.dictionary_encode()
    words: list[str] = coded.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), np.int64)
    rank[order] = np.arange(len(words))
    return [words[index] for index in order], rank[coded.indices.to_numpy()]


def _medians(group: Ints, value: Floats, groups: int) -> Floats:
    """Return the lower median of each group's values, NaN where it has none."""
    order = np.lexsort((value, group))
    starts = np.searchsorted(group[order], np.arange(groups))
    count = np.bincount(group, minlength=groups)
    middle = np.minimum(starts + np.maximum(count - 1, 0) // 2, max(len(order) - 1, 0))
    return np.where(count > 0, value[order][middle], np.nan)


def _flags(mask: pa.Array) -> Flags:
    return np.asarray(mask.to_numpy(zero_copy_only=False), np.bool_)
