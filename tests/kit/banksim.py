"""A file with the columns and habits of BankSim (a simulated bank's card payments), made anew for tests.

Values stand between single quotes, time is the number of a day, amounts are positive, fraud is marked by row. Some
customers stop paying by card, and some cards are tried with small sums before they are plundered: there is something
to learn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

HEADER: Final = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud"


class Kind(NamedTuple):
    """A category of payments: how often compared with others, and its usual amount."""

    name: str
    weight: float
    amount: float


CATEGORIES: Final = (
    Kind("es_transportation", 40.0, 26.0),
    Kind("es_food", 14.0, 37.0),
    Kind("es_health", 8.0, 90.0),
    Kind("es_barsandrestaurants", 7.0, 43.0),
    Kind("es_wellnessandbeauty", 7.0, 60.0),
    Kind("es_fashion", 6.0, 62.0),
    Kind("es_hyper", 5.0, 40.0),
    Kind("es_tech", 4.0, 95.0),
    Kind("es_home", 3.0, 110.0),
    Kind("es_sportsandtoys", 2.0, 80.0),
    Kind("es_hotelservices", 2.0, 105.0),
    Kind("es_otherservices", 1.0, 70.0),
    Kind("es_contents", 1.0, 44.0),
)
LOOTED: Final = ("es_travel", "es_leisure", "es_sportsandtoys")
_PROBED: Final = "es_otherservices"
_PROBES_D, _LOOT_D = 6, 5
"""Days with small sums, and then days with large ones."""


@dataclass(frozen=True)
class Shopper:
    """A customer of the file: an id, what is known, how often a day, until when, what, and when the card is abused."""

    code: str
    age: str
    gender: str
    rate: float
    last_day: float
    tastes: np.ndarray[tuple[int], np.dtype[np.float64]]
    size: float
    abused: int | None


def write(path: Path, customers: int = 900, days: int = 180, seed: int = 1) -> Path:
    """Write the file, rows by day, and return its path; the same arguments give the same bytes."""
    rng = np.random.default_rng(seed)
    lines: list[list[str]] = [[] for _ in range(days)]
    for number in range(customers):
        shopper = _shopper(rng, number, days)
        for day, line in _payments(rng, shopper, days):
            lines[day].append(line)
    path.write_text("\n".join([HEADER, *(line for day in lines for line in day)]) + "\n", encoding="utf-8")
    return path


def _shopper(rng: np.random.Generator, number: int, days: int) -> Shopper:
    """Draw the customer of a number: 35 in 100 leave, and of 12 in 100 the card is abused."""
    weights = np.array([kind.weight for kind in CATEGORIES])
    return Shopper(
        code=f"C{1_000_000_000 + number * 7919}",
        age=str(rng.choice(list("0123456U"), p=[0.01, 0.1, 0.31, 0.25, 0.18, 0.1, 0.045, 0.005])),
        gender=str(rng.choice(list("FMEU"), p=[0.545, 0.445, 0.005, 0.005])),
        rate=float(rng.gamma(4.0, 0.1)) + 0.05,
        last_day=float(rng.uniform(30, days)) if rng.random() < 0.35 else float("inf"),
        tastes=rng.dirichlet(weights * 0.3),
        size=float(rng.lognormal(0.0, 0.3)),
        abused=int(rng.integers(20, days - 20)) if rng.random() < 0.12 else None,
    )


def _payments(rng: np.random.Generator, shopper: Shopper, days: int) -> Iterator[tuple[int, str]]:
    """Yield the day and the line of each payment: what the customer buys, and what others buy with the card."""
    for day in range(days):
        fading = np.clip((shopper.last_day - day) / 30.0, 0.0, 1.0)  # who leaves, leaves slowly
        for _ in range(rng.poisson(shopper.rate * fading)):
            kind = CATEGORIES[int(rng.choice(len(CATEGORIES), p=shopper.tastes))]
            yield day, _line(rng, day, shopper, kind.name, kind.amount * shopper.size * rng.lognormal(0.0, 0.5))
        if shopper.abused is None or not 0 <= day - shopper.abused < _PROBES_D + _LOOT_D or fading == 0.0:
            continue
        if day - shopper.abused < _PROBES_D:
            for _ in range(1 + rng.poisson(1.0)):
                yield day, _line(rng, day, shopper, _PROBED, rng.uniform(0.5, 3.0))
        else:
            for _ in range(1 + rng.poisson(1.0)):
                yield day, _line(rng, day, shopper, str(rng.choice(LOOTED)), 400.0 * rng.lognormal(0.0, 0.8), fraud=1)


def _line(rng: np.random.Generator, day: int, shopper: Shopper, category: str, amount: float, fraud: int = 0) -> str:
    """Write a payment as the file does: texts between single quotes, at one of six merchants of the category."""
    merchant = f"M{348_934_600 + 1_000_003 * int(rng.integers(0, 6)) + 31 * len(category)}"
    quoted = (shopper.code, shopper.age, shopper.gender, "28007", merchant, "28007", category)
    return ",".join([str(day), *(f"'{text}'" for text in quoted), f"{max(amount, 0.01):.2f}", str(fraud)])
