"""Names shared by the whole simulator: transaction types, products, classes, and array aliases."""

from dataclasses import fields
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

OWN_TYPES: Final = (
    "salary",
    "transfer_in",
    "housing",
    "groceries",
    "dining",
    "shopping",
    "travel",
    "cash",
    "transfer_out",
    "loan_payment",
    "investment",
    "other",
)
"""The types that a customer initiates, in the order of the built-in bank spec."""
BANK_TYPES: Final = ("interest", "fee")
TYPES: Final = OWN_TYPES + BANK_TYPES

SALARY, TRANSFER_IN, HOUSING, GROCERIES, DINING, SHOPPING = range(6)
TRAVEL, CASH, TRANSFER_OUT, LOAN_PAYMENT, INVESTMENT, OTHER = range(6, 12)
INTEREST, FEE = 12, 13

PRODUCTS: Final = ("loan", "card", "fund", "insurance")
"""What can be held and bought; the classes of `preference` are `none` and these."""
LOAN, CARD, FUND, INSURANCE = range(4)

PREFERENCES: Final = ("none", *PRODUCTS)
PROFILES: Final = ("conservative", "balanced", "growth")

TASTES: Final = ("dining", "shopping", "travel", "attitude")
"""Slowly moving preferences; `attitude` is the attitude towards investment risk."""
ATTITUDE: Final = 3

RowsT = TypeVar("RowsT")


def take(table: RowsT, index: Ints | Flags) -> RowsT:
    """Return a dataclass of arrays with the rows of `index` (copies, never views)."""
    columns: dict[str, Any] = {f.name: getattr(table, f.name)[index].copy() for f in fields(table)}  # type: ignore[arg-type]
    return type(table)(**columns)


def logistic(x: Floats) -> Floats:
    """Return 1 / (1 + e^-x), with x held within ±50 so that nothing overflows."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -50.0, 50.0))), dtype=np.float64)
