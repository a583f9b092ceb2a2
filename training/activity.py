"""What customers did themselves, laid out for labels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from schemas.spec import Spec
from training.arrays import Floats, Ints, Timeline
from training.log import Log
from training.rows import local_day


@dataclass(frozen=True)
class OwnEvents:
    """What customers did themselves, of some types, in the order of the log.

    Attributes:
        timeline: when, and who.
        kind: int64 [m], index into the types.
        size: float64 [m], the absolute amount.
        spent: float64 [m], what left the customer.
        day: int64 [m], the local day.
        before: int64 [transactions + 1], how many of them stand before each transaction.
    """

    timeline: Timeline
    kind: Ints
    size: Floats
    spent: Floats
    day: Ints
    before: Ints

    @classmethod
    def of(cls, log: Log, spec: Spec, types: tuple[str, ...]) -> "OwnEvents":
        """Return the transactions of a log that are of one of the types."""
        place = np.full(len(spec.types), -1)
        place[[spec.type_code[name] for name in types]] = np.arange(len(types))
        own = place[log.transactions.kind] >= 0
        events = log.transactions.take(own)
        return cls(
            timeline=events.timeline,
            kind=place[events.kind],
            size=np.abs(events.amount),
            spent=np.maximum(-events.amount, 0.0),
            day=local_day(events.time_ms, spec),
            before=np.r_[0, np.cumsum(own)],
        )

    @cached_property
    def largest_of_day(self) -> Ints:
        """Return for each event the index of the largest from it to the end of its customer's day; ties: the first."""
        n = len(self.kind)
        order = np.lexsort((-np.arange(n), self.size))
        rank = np.empty(n, np.int64)
        rank[order] = np.arange(n)
        begins = np.r_[True, (np.diff(self.timeline.customer) != 0) | (np.diff(self.day) != 0)][:n]
        days_to_come = begins.sum() - np.cumsum(begins)  # from the end, each day outdoes what came before it
        best = np.maximum.accumulate((days_to_come * n + rank)[::-1])[::-1]
        largest: Ints = order[best % n]
        return largest


def window_sums(values: Floats, first: Ints, end: Ints) -> Floats:
    """Return the sum of ``values[first:end]`` for each window, 0 where it is empty.

    A sum sees its own window only: a difference of running sums would carry the rounding of everybody's amounts.
    """
    order = np.argsort(first, kind="stable")  # in any other order the stretches between windows would be summed too
    bounds = np.column_stack([first, end])[order].ravel()
    sums = np.empty(len(first))
    sums[order] = np.add.reduceat(np.r_[values, 0.0], bounds)[::2]
    return np.where(first < end, sums, 0.0)
