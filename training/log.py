"""An event log as arrays: what labels and features are made from."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from schemas.accepted import Reason
from training.arrays import Flags, Floats, Ints, Texts, Timeline


@dataclass(frozen=True)
class Transactions:
    """Accepted transactions in the order of customer, time and file; arguments of the kernel."""

    customer: Ints
    time_ms: Ints
    kind: Ints
    amount: Floats
    balance: Floats
    id_hash: Ints

    @cached_property
    def timeline(self) -> Timeline:
        """Return when each happened to whom."""
        return Timeline(self.customer, self.time_ms)

    def take(self, keep: Ints | Flags) -> "Transactions":
        """Return those of an index or a mask."""
        return Transactions(
            self.customer[keep],
            self.time_ms[keep],
            self.kind[keep],
            self.amount[keep],
            self.balance[keep],
            self.id_hash[keep],
        )


@dataclass(frozen=True)
class Records:
    """Accepted ``customer`` records in the order of customer, time and file; ``values`` float64 [n, attributes]."""

    customer: Ints
    time_ms: Ints
    values: Floats


@dataclass(frozen=True)
class Outcomes:
    """What became of customers, in the order of customer and time; ``name`` and ``value`` are strings."""

    customer: Ints
    time_ms: Ints
    name: Texts
    value: Texts

    def of(self, name: str) -> "Outcomes":
        """Return the outcomes of one name."""
        keep = self.name == name
        return Outcomes(self.customer[keep], self.time_ms[keep], self.name[keep], self.value[keep])


@dataclass(frozen=True)
class Log:
    """An event log as arrays; a customer is an index into ``customers``.

    Attributes:
        customers: the ids.
        groups: customers of one group fall on the same side of a split; a customer without one is its own.
        transactions: what moved their money.
        records: what was known of them.
        outcomes: what became of them.
        observed_until: int64 ms, from when on the data, not the customer, is silent.
        outcomes_until: int64 ms, until when outcomes are known.
        refused: how many records were refused, by reason.
    """

    customers: Texts
    groups: Texts
    transactions: Transactions
    records: Records
    outcomes: Outcomes
    observed_until: Ints
    outcomes_until: Ints
    refused: dict[str, int]

    @cached_property
    def first_event_ms(self) -> Ints:
        """Return the time of each customer's first transaction; the largest int64 where there is none."""
        first = np.full(len(self.customers), np.iinfo(np.int64).max)
        np.minimum.at(first, self.transactions.customer, self.transactions.time_ms)
        return first

    def counting(self, kept: Flags) -> "Log":
        """Return the log with only the transactions of a mask; the others count as duplicates."""
        repeats = int((~kept).sum())
        refused = self.refused | ({Reason.DUPLICATE.value: repeats} if repeats else {})
        return replace(self, transactions=self.transactions.take(kept), refused=refused)
