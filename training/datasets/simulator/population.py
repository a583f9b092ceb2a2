"""Who the customers are: the constants of each customer, drawn once."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import (
    CASH,
    DINING,
    GROCERIES,
    INVESTMENT,
    OTHER,
    OWN_TYPES,
    SHOPPING,
    TASTES,
    TRANSFER_IN,
    TRANSFER_OUT,
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
SECOND_ACCOUNT_SPREAD: Final = 0.12
"""Spread of the log activity of second accounts: the smaller, the less can be told about who falls silent."""
NEVER_ACTIVE_SHARE: Final = 0.03
FROM_THE_START_SHARE: Final = 0.65
JOIN_UNTIL: Final = 0.6
"""Later customers join during this first part of the log."""
PAY_DAYS: Final = (1, 15, 25, 26, 27, 28)
PAY_DAY_SHARES: Final = (0.2, 0.15, 0.2, 0.15, 0.15, 0.15)

DAILY_RATE: Final = (0.0, 0.020, 0.0, 0.080, 0.050, 0.050, 0.016, 0.045, 0.012, 0.0, 0.028, 0.006)
"""Own events per day of a typical main account by type; scheduled ones (0 here) come on top."""
_AMOUNT: Final = {  # median in EUR, spread of the logarithm
    TRANSFER_IN: (80.0, 0.6),
    GROCERIES: (42.0, 0.5),
    DINING: (24.0, 0.5),
    SHOPPING: (65.0, 0.9),
    TRAVEL: (280.0, 0.9),
    CASH: (90.0, 0.5),
    TRANSFER_OUT: (110.0, 1.0),
    INVESTMENT: (110.0, 0.4),
    OTHER: (40.0, 1.1),
}
MEDIAN_AMOUNT: Final = np.array([_AMOUNT.get(kind, (0.0, 0.0))[0] for kind in range(len(OWN_TYPES))])
SPREAD: Final = np.array([_AMOUNT.get(kind, (0.0, 0.0))[1] for kind in range(len(OWN_TYPES))])
"""Amounts of spontaneous events by type: median in EUR at median income, and spread of the logarithm."""
AFFLUENCE_EFFECT: Final = 0.6
"""Elasticity of amounts in income."""
_TASTED: Final = (DINING, SHOPPING, TRAVEL, INVESTMENT)
SAVED_SHARE: Final = (0.06, 0.2)
"""Part of the income that a main account has left over when nothing is wrong."""
TYPICAL_INSTALMENT: Final = 0.1
"""Instalments relative to income."""


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
    thrift: Floats
    """Factor on the amounts of everyday spending, so that income suffices."""

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
    rates = _draw_rates(primary, signal, rng)
    rent_share = np.where(primary & (rng.random(customers) < 0.8), rng.uniform(0.2, 0.35, customers), 0.0)
    return Population(
        start_day=start_day,
        known_day=known_day,
        age=age,
        woman=rng.random(customers) < 0.5,
        income=np.round(income, 2),
        primary=primary,
        rates=rates,
        base_stress=0.6 * rng.standard_normal(customers) - 0.4 * affluence,
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
        thrift=np.where(primary, _thrift(income, rates, tastes, rent_share, rng), 1.0),
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
    spread = np.where(primary, 0.25, SECOND_ACCOUNT_SPREAD * signal**2)
    level = np.where(primary, 1.0, SECOND_ACCOUNT_ACTIVITY) * np.exp(spread * rng.standard_normal(n))
    mix = np.exp(0.4 * rng.standard_normal((n, len(OWN_TYPES))))
    mix[:, _TASTED] = 1.0  # tastes tell these customers apart already
    rates = np.asarray(DAILY_RATE) * level[:, None] * mix
    rates[:, TRANSFER_IN] *= np.where(primary, 1.0, 2.0)  # a second account is filled from the first one
    return np.asarray(rates, dtype=np.float64)


def everyday_scale(income: Floats) -> Floats:
    """Return by what factor amounts grow with income."""
    return np.asarray((income / TYPICAL_INCOME) ** AFFLUENCE_EFFECT, dtype=np.float64)


def _thrift(income: Floats, rates: Floats, tastes: Floats, rent_share: Floats, rng: np.random.Generator) -> Floats:
    """Return the factor on everyday amounts at which usual spending leaves the usual surplus."""
    usual = rates.copy()
    usual[:, (DINING, SHOPPING, TRAVEL)] *= np.exp(tastes[:, :3])
    usual[:, TRANSFER_IN] = 0.0
    spent = 30.4 * (usual * MEDIAN_AMOUNT * np.exp(SPREAD**2 / 2)).sum(axis=1) * everyday_scale(income)
    free = income * (1.0 - rent_share - TYPICAL_INSTALMENT - rng.uniform(*SAVED_SHARE, len(income)))
    return np.clip(free / spent, 0.4, 2.5)
