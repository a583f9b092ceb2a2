"""Who the customers are: the constants of each customer, drawn once."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import (
    DINING,
    INVESTMENT,
    OWN_TYPES,
    SHOPPING,
    TASTES,
    TRANSFER_IN,
    TRAVEL,
    Flags,
    Floats,
    Ints,
)

TYPICAL_INCOME: Final = 2400.0
"""Median monthly net income in EUR."""
PRIMARY_SHARE: Final = 0.36
"""Customers whose salary and household run over this bank; for the others it is a second account."""
SECOND_ACCOUNT_ACTIVITY: Final = 0.075
"""Own events on a second account relative to a main account."""
MAIN_SPREAD: Final = 0.2
"""Spread of the log activity of main accounts."""
SECOND_ACCOUNT_SPREAD: Final = 0.15
"""Spread of the log activity of second accounts: the smaller, the less can be told about who falls silent."""
WIDEST: Final = 0.8
"""Its bound for very easy simulations, so that second accounts stay second."""
NEVER_ACTIVE_SHARE: Final = 0.03
WOMEN_SHARE: Final = 0.5
HOUSED_SHARE: Final = 0.8
"""Main accounts that pay rent or a mortgage."""
FROM_THE_START_SHARE: Final = 0.65
JOIN_UNTIL: Final = 0.6
"""Later customers join during this first part of the log."""
PAY_DAYS: Final = (1, 15, 25, 26, 27, 28)
PAY_DAY_SHARES: Final = (0.2, 0.15, 0.2, 0.15, 0.15, 0.15)

DAILY_RATE: Final = (0.0, 0.022, 0.0, 0.055, 0.045, 0.055, 0.036, 0.045, 0.010, 0.0, 0.040, 0.002)
"""Own events per day of a typical main account by type; scheduled ones (0 here) come on top."""
_TASTED: Final = (DINING, SHOPPING, TRAVEL, INVESTMENT)


@dataclass(frozen=True)
class Population:
    """Constants of n customers; one-dimensional arrays of length n unless said otherwise."""

    start_day: Ints
    """From this day on the customer may act; beyond the log for those who never do."""
    known_day: Ints
    """Day of the first `customer` record, before `start_day` by 1 to 45 days."""
    age: Ints
    woman: Flags
    income: Floats
    primary: Flags
    rates: Floats
    """Usual own events per day by type, shape (n, types)."""
    base_stress: Floats
    base_tastes: Floats
    """Long-run mean of the tastes, shape (n, tastes)."""
    fade_days: Floats
    """Days in which the activity of a customer who turns away falls to 1/e."""
    pay_day: Ints
    rent_day: Ints
    """Day of the month; 0 for those who do not pay rent or mortgage from here (likewise below)."""
    saving_day: Ints
    plan_day: Ints
    premium_day: Ints
    instalment_day: Ints
    rent: Floats
    premium: Floats

    @property
    def affluence(self) -> Floats:
        """Return log income relative to the median."""
        return np.asarray(np.log(self.income / TYPICAL_INCOME), dtype=np.float64)


def draw_population(customers: int, days: int, signal: float, rng: np.random.Generator) -> Population:
    """Draw `customers` customers for a log of `days` days.

    `signal` scales how far customers differ from each other in what can be learnt (1 = default).
    """
    primary = rng.random(customers) < PRIMARY_SHARE
    income = TYPICAL_INCOME * np.exp(0.45 * rng.standard_normal(customers))
    affluence = np.log(income / TYPICAL_INCOME)
    age = np.clip(rng.normal(44.0, 15.0, customers), 18, 90).astype(np.int64)
    tastes = 0.65 * rng.standard_normal((customers, len(TASTES)))
    tastes[:, -1] += 0.25 * affluence
    start_day, known_day = _draw_joining(customers, days, rng)
    pay_day = rng.choice(PAY_DAYS, customers, p=PAY_DAY_SHARES)
    rent_share = np.where(primary & (rng.random(customers) < HOUSED_SHARE), rng.uniform(0.2, 0.35, customers), 0.0)
    return Population(
        start_day=start_day,
        known_day=known_day,
        age=age,
        woman=rng.random(customers) < WOMEN_SHARE,
        income=np.round(income, 2),
        primary=primary,
        rates=_draw_rates(primary, signal, rng),
        base_stress=0.8 * rng.standard_normal(customers) - 0.4 * affluence,
        base_tastes=tastes,
        fade_days=rng.uniform(25.0, 55.0, customers),
        pay_day=pay_day,
        rent_day=np.where(rent_share > 0, rng.choice((1, 2, 3, 5), customers), 0),
        saving_day=np.where(primary, pay_day % 28 + 1, 0),
        plan_day=rng.choice((5, 10, 15, 20), customers),
        premium_day=rng.choice((3, 8, 12, 18), customers),
        instalment_day=rng.choice((1, 5, 10, 15, 20), customers),
        rent=np.round(income * rent_share, 2),
        premium=np.round(rng.uniform(15.0, 70.0, customers), 2),
    )


def _draw_joining(customers: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the first possible day of activity and the day of the first record."""
    late = rng.random(customers) >= FROM_THE_START_SHARE
    start = np.where(late, rng.integers(0, max(1, int(JOIN_UNTIL * days)), customers), 0)
    known = start - rng.integers(1, 46, customers)
    never = rng.random(customers) < NEVER_ACTIVE_SHARE
    return np.where(never, np.int64(10 * days), start), known


def _draw_rates(primary: Flags, signal: float, rng: np.random.Generator) -> Floats:
    """Return the usual daily rates by type: level of the customer times the mix of the customer."""
    n = len(primary)
    spread = np.where(primary, MAIN_SPREAD, np.minimum(SECOND_ACCOUNT_SPREAD * signal**2, WIDEST))
    level = np.where(primary, 1.0, SECOND_ACCOUNT_ACTIVITY) * np.exp(spread * rng.standard_normal(n))
    mix = np.exp(np.where(primary, 0.4, 0.1)[:, None] * rng.standard_normal((n, len(OWN_TYPES))))
    mix[:, _TASTED] = 1.0  # tastes tell these customers apart already
    rates = np.asarray(DAILY_RATE) * level[:, None] * mix
    rates[:, TRANSFER_IN] *= np.where(primary, 1.0, 2.0)  # a second account is filled from the first one
    return np.asarray(rates, dtype=np.float64)
