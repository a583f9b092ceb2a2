"""Transactions of a bank in plain JSON, the same for the same seed: what all scenarios score."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas import spec_file
from stream_app.offline.log import partition_of

BLOCK: Final = 10_000
FIRST_MS: Final = 1_700_000_000_000
SPAN_MS: Final = 90 * 86_400_000
"""All transactions of a log lie in so long a time."""
OUTLIERS: Final = 0.005
"""So many have a hundred times the amount: for the alert rule on unusual amounts."""
ID_DIGITS: Final = 10
_TIME: Final = b'"time":'
MARK: Final = b'"transaction_id":"t'
"""Behind it, in a transaction and in its score, stands the transaction's number."""


class Record(NamedTuple):
    """One transaction as it goes to Kafka."""

    number: int
    partition: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True)
class Workload:
    """Transactions of some customers.

    Attributes:
        customers: how many there are.
        records: how many transactions.
        zipf: exponent of the law by which customers are chosen; 0 chooses all alike.
        partitions: of the topic.
        seed: of all chance.
        first: the number of the first transaction.
        first_ms: when it happens.
        each: every customer comes once, in an order by chance.
        types: of the transactions; default: the built-in bank's.
    """

    customers: int
    records: int
    zipf: float = 0.0
    partitions: int = 4
    seed: int = 1
    first: int = 0
    first_ms: int = FIRST_MS
    each: bool = False
    types: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what to call it."""
        law = f"Zipf {self.zipf:g}" if self.zipf else "uniform"
        size = f"{self.customers // 1000}k" if self.customers < 1_000_000 else f"{self.customers // 1_000_000}M"
        return f"{size} customers {law}"

    @cached_property
    def chosen(self) -> NDArray[np.int64]:
        """Return the customer of each transaction, int64 [records]."""
        rng = np.random.default_rng(self.seed)
        if self.each:
            return rng.permutation(self.customers)[: self.records]
        if not self.zipf:
            return rng.integers(0, self.customers, self.records)
        weights = np.cumsum(np.arange(1, self.customers + 1, dtype=np.float64) ** -self.zipf)
        found: NDArray[np.int64] = np.searchsorted(weights, rng.random(self.records) * weights[-1], side="right")
        return np.minimum(found, self.customers - 1)

    def __iter__(self) -> Iterator[Record]:
        """Yield all transactions in the order of time."""
        places = dict[int, int]()
        types = self.types or [item.name for item in spec_file.bank().types]
        for start in range(0, self.records, BLOCK):
            stop = min(start + BLOCK, self.records)
            customers = self.chosen[start:stop].tolist()
            rng = np.random.default_rng((self.seed, start))
            amounts = np.exp(rng.normal(3.5, 0.8, BLOCK)) * np.where(rng.random(BLOCK) < OUTLIERS, 100.0, 1.0)
            signed = np.round(np.where(rng.random(BLOCK) < 0.2, amounts, -amounts), 2).tolist()
            balances = np.round(rng.normal(2000.0, 500.0, BLOCK), 2).tolist()
            kinds = rng.integers(0, len(types), BLOCK).tolist()
            for k, customer in enumerate(customers):
                name, number = f"c{customer:06d}", self.first + start + k
                key = name.encode()
                if customer not in places:
                    places[customer] = partition_of(key, self.partitions)
                time_ms = self.first_ms + (start + k) * SPAN_MS // self.records
                value = (
                    f'{{"transaction_id":"t{number:010d}","customer_id":"{name}","time":{time_ms},'
                    f'"amount":{signed[k]},"type":"{types[kinds[k]]}","balance":{balances[k]}}}'
                )
                yield Record(number, places[customer], key, value.encode())


def number_of(value: bytes) -> int:
    """Return the number of the transaction that a transaction or its score tells of."""
    at = value.index(MARK) + len(MARK)
    return int(value[at : at + ID_DIGITS])


def time_of(value: bytes) -> int:
    """Return when a transaction happens, ms."""
    at = value.index(_TIME) + len(_TIME)
    return int(value[at : value.index(b",", at)])
