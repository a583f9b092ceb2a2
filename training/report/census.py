"""Counts what the data holds, for the report."""

from dataclasses import dataclass

import numpy as np

from schemas.spec import Spec
from training.log import Log
from training.samples import Samples
from training.split import SHARES, Split

PARTS = tuple(SHARES)


@dataclass(frozen=True)
class Census:
    """What the data holds.

    Attributes:
        months: transactions in each month (UTC) from the first to the last, by "2024-01".
        types: transactions of each type of the spec.
        customers: how many customers have a label in each part of the split.
        cut: the day (UTC) from which on a split by time tests; empty for a split by customer.
    """

    months: dict[str, int]
    types: dict[str, int]
    customers: dict[str, int]
    cut: str = ""

    @classmethod
    def of(cls, spec: Spec, log: Log, samples: Samples, split: Split) -> "Census":
        """Count."""
        kinds = np.bincount(log.transactions.kind, minlength=len(spec.types))
        sides = {name: getattr(split, name).any(axis=1) for name in PARTS}
        return cls(
            months=_months(log),
            types=dict(zip((item.name for item in spec.types), kinds.tolist(), strict=True)),
            customers={name: len(np.unique(samples.rows.customer[rows])) for name, rows in sides.items()},
            cut="" if split.cut_ms is None else str(np.datetime64(split.cut_ms, "ms").astype("datetime64[D]")),
        )


def _months(log: Log) -> dict[str, int]:
    month = log.transactions.time_ms.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    counts = np.bincount(month - month.min())
    names = np.arange(month.min(), month.min() + len(counts)).astype("datetime64[M]").astype(str)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))
