"""The products of the simulated bank, and which of them a customer has."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import CARD, FUND, INSURANCE, LOAN, Floats, Ints


@dataclass(frozen=True)
class Product:
    """One line of the catalogue; `price` in EUR per month (a loan's: per 1,000 borrowed; a fund's: smallest rate)."""

    product_id: str
    name: str
    family: int
    price: float


CATALOGUE: Final = (
    Product("loan-basic", "Personal loan", LOAN, 21.5),
    Product("loan-plus", "Flexible loan", LOAN, 22.9),
    Product("card-basic", "Debit card", CARD, 4.9),
    Product("card-gold", "Gold card", CARD, 4.9),
    Product("fund-mixed", "Mixed fund plan", FUND, 25.0),
    Product("fund-equity", "Equity fund plan", FUND, 25.0),
    Product("cover-home", "Household insurance", INSURANCE, 15.0),
    Product("cover-travel", "Travel insurance", INSURANCE, 15.0),
)
"""Two of each family, the second for the better off."""


def choose(family: Ints, affluence: Floats) -> Ints:
    """Return indices into `CATALOGUE` for products of these families and customers; -1 where `family` is -1."""
    return np.where(family >= 0, 2 * family + (affluence > 0), -1)
