"""What is in a log: who acts how often, in which types, in which currency. Counts only, no guesses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.accepted import EARLIEST_MS, LATEST_MS
from schemas.errors import InputError
from stream_app.offline.folder import Folder
from training.arrays import DAY_MS, Flags, Floats, Ints

MOST_CUSTOMERS: Final = 2_000
"""A draft looks at so many customers; more would tell the same, later."""
_SEED: Final = 1
_HOUR_MS: Final = 3_600_000
_SUMMER_AND_WINTER: Final = 2


@dataclass(frozen=True)
class TypeFound:
    """A type of transactions as the log shows it.

    Attributes:
        name: as it stands in the log.
        count: how many transactions.
        leaves: share of those whose amount leaves the customer.
        median: of the amounts without sign.
        customers: how many have one.
        together: the median, over its days, of the share of its customers that it comes to on one day.
    """

    name: str
    count: int
    leaves: float
    median: float
    customers: int
    together: float


@dataclass(frozen=True)
class Survey:
    """A log as arrays of n transactions, by customer and then by time.

    Attributes:
        customer: int64 [n].
        time_ms: int64 [n].
        kind: int64 [n], index into ``kinds``.
        amount: float64 [n].
        kinds: names of the types.
        currencies: how many transactions each named currency has, the most frequent first.
    """

    customer: Ints
    time_ms: Ints
    kind: Ints
    amount: Floats
    kinds: tuple[str, ...]
    currencies: Mapping[str, int]

    @classmethod
    def of(cls, folder: Folder) -> "Survey":
        """Look at the transactions of a folder.

        Raises:
            InputError: none has customer, time, amount and type, with a time that the stream accepts.
        """
        table = folder.transactions
        time_ms = np.asarray(pc.fill_null(table["time"].cast(pa.int64()), 0).to_numpy(), np.int64)
        good = (time_ms >= EARLIEST_MS) & (time_ms < LATEST_MS)
        for name in ("customer_id", "amount", "type"):
            good &= np.asarray(table[name].is_valid().to_numpy(), np.bool_)
        if not good.any():
            message = (
                f"Expected transactions of 1990 to 2199 with customer, amount and type in {folder.path}, found none "
                f"among {table.num_rows:,}; correct the times and import again."
            )
            raise InputError(message)
        table, time_ms = table.filter(pa.array(good)), time_ms[good]
        customer, kind = (table[name].combine_chunks().dictionary_encode() for name in ("customer_id", "type"))
        owner = _codes(customer)
        order = np.lexsort((time_ms, owner))
        return cls(
            customer=owner[order],
            time_ms=time_ms[order],
            kind=_codes(kind)[order],
            amount=np.asarray(table["amount"].to_numpy(), np.float64)[order],
            kinds=tuple(kind.dictionary.to_pylist()),
            currencies=_currencies(table),
        )

    @cached_property
    def customers(self) -> int:
        """Return how many customers there are."""
        return int(self.customer.max()) + 1

    @property
    def start_ms(self) -> int:
        """Return when the log begins."""
        return int(self.time_ms.min())

    @property
    def end_ms(self) -> int:
        """Return when the log ends."""
        return int(self.time_ms.max())

    @property
    def days(self) -> float:
        """Return the length of the log in days."""
        return (self.end_ms - self.start_ms) / DAY_MS

    @cached_property
    def types(self) -> tuple[TypeFound, ...]:
        """Return the types, the most frequent first."""
        order = np.argsort(self.kind, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(self.kind, minlength=len(self.kinds)))[:-1])
        found = [self._type(name, part) for name, part in zip(self.kinds, parts, strict=True)]
        return tuple(sorted(found, key=lambda item: (-item.count, item.name)))

    def _type(self, name: str, rows: Ints) -> TypeFound:
        amount, customer, day = self.amount[rows], self.customer[rows], self.time_ms[rows] // DAY_MS
        days = np.unique(day * self.customers + customer) // self.customers
        _, customers_of_day = np.unique(days, return_counts=True)
        customers = len(np.unique(customer))
        return TypeFound(
            name=name,
            count=len(rows),
            leaves=float((amount < 0).mean()),
            median=float(np.median(np.abs(amount))),
            customers=customers,
            together=float(np.median(customers_of_day)) / customers,
        )


@dataclass(frozen=True)
class Rhythm:
    """How customers act, by days on which they do something of their own.

    Attributes:
        usual_gap: days between such days, the median over all gaps; infinite where nobody acts twice.
        long_gap: days that nine in ten gaps do not exceed.
        actions: own transactions of a customer, the median over customers.
        dated_only: whether no transaction has a time of day: they come at one, or in summer at an hour earlier.
    """

    usual_gap: float
    long_gap: float
    actions: float
    dated_only: bool

    @classmethod
    def of(cls, survey: Survey, own: Flags) -> "Rhythm":
        """Measure the transactions of a mask, bool [n]."""
        customer, day = survey.customer[own], survey.time_ms[own] // DAY_MS
        same = np.diff(customer) == 0
        gaps = np.diff(day)[same]
        gaps = gaps[gaps > 0]
        usual, long = np.quantile(gaps, (0.5, 0.9)) if len(gaps) else (np.inf, np.inf)
        counts = np.bincount(customer, minlength=survey.customers)
        times = np.unique(survey.time_ms % DAY_MS)
        apart = np.diff(times) % (DAY_MS - 2 * _HOUR_MS)
        dated_only = len(times) == 1 or (len(times) == _SUMMER_AND_WINTER and bool((apart == _HOUR_MS).all()))
        return cls(float(usual), float(long), float(np.median(counts)), dated_only)


@dataclass(frozen=True)
class Sample:
    """A folder with some of its customers; there are ``scale`` times as many."""

    folder: Folder
    scale: float = 1.0


def sampled(folder: Folder) -> Sample:
    """Return the folder with a seeded sample of its customers, or all of them where there are few."""
    ids = folder.transactions["customer_id"].unique().drop_null().sort()
    if len(ids) <= MOST_CUSTOMERS:
        return Sample(folder)
    chosen = np.random.default_rng(_SEED).choice(len(ids), MOST_CUSTOMERS, replace=False)
    kept = ids.take(pa.array(np.sort(chosen)))

    def of_them(table: pa.Table) -> pa.Table:
        return table.filter(pc.is_in(table["customer_id"], kept))

    outcomes = None if folder.outcomes is None else of_them(folder.outcomes)
    part = Folder(folder.path, of_them(folder.transactions), of_them(folder.customers), folder.products, outcomes)
    return Sample(part, len(ids) / MOST_CUSTOMERS)


def _codes(column: pa.DictionaryArray) -> Ints:
    return np.asarray(column.indices.to_numpy(zero_copy_only=False), np.int64)


def _currencies(table: pa.Table) -> dict[str, int]:
    if "currency" not in table.column_names:
        return {}
    found = table["currency"].drop_null().value_counts().to_pylist()
    return {item["values"]: item["counts"] for item in sorted(found, key=lambda item: -item["counts"])}
