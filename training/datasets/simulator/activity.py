"""One day of the bank: the events that happen, what they cost, and when in the day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator import money
from training.datasets.simulator.behaviour import World, instalment_due, miss_chance, scheduled, spontaneous
from training.datasets.simulator.kinds import (
    CARD,
    CASH,
    DINING,
    FEE,
    FUND,
    GROCERIES,
    INSURANCE,
    INTEREST,
    INVESTMENT,
    LOAN,
    LOAN_PAYMENT,
    OTHER,
    OWN_TYPES,
    PRODUCTS,
    SALARY,
    SHOPPING,
    TRANSFER_IN,
    TRANSFER_OUT,
    TRAVEL,
    TYPES,
    Flags,
    Floats,
    Ints,
)
from training.datasets.simulator.latent import Latent
from training.datasets.simulator.timeline import DAY_MS

HOUR_MS: Final = 3_600_000
CARD_FEE, LATE_FEE = 4.9, 12.0
"""The bank's fees in EUR: monthly for a card, and per missed instalment; an overdraft costs interest."""
FUND_YIELD: Final = 0.05
"""Yearly distribution of a fund, paid monthly, relative to monthly income."""
CREDIT_RATE, DEBIT_RATE = 0.01, 0.11
"""Interest per year on positive and on negative balances."""
STATEMENT_MONTHS: Final = 6
"""The bank goes on with fees and interest for this many months after a customer has left."""

AFTER_SIGNING_MS: Final = 60_000
"""The first payment follows the purchase: a row at the payment does not look forward to the purchase."""
_PAID_AS: Final = np.array([LOAN_PAYMENT, FEE, INVESTMENT, OTHER])
"""Types of the payments for `PRODUCTS`."""
_HOURS: Final = {  # mean and spread of the time of day of unscheduled events
    TRANSFER_IN: (14.0, 4.5),
    GROCERIES: (15.5, 3.2),
    DINING: (17.5, 3.6),
    SHOPPING: (15.0, 3.4),
    TRAVEL: (13.5, 5.0),
    CASH: (13.0, 3.6),
    TRANSFER_OUT: (16.5, 4.2),
    INVESTMENT: (12.5, 3.5),
    OTHER: (13.0, 4.0),
}
SAVING_SPREAD: Final = 0.15
EARLIEST_HOUR: Final = 6.0
"""Customers are asleep before."""
ORDER_HOURS: Final = (2.0, EARLIEST_HOUR)
"""Standing orders, salaries and instalments are booked in these hours, whatever their type."""


@dataclass
class Events:
    """Events of one day, columns of equal length."""

    customer: Ints
    kind: Ints
    """Index into `TYPES`."""
    offset_ms: Ints
    """Since the beginning of the day."""
    amount: Floats
    scheduled: Flags

    @classmethod
    def of(cls, customer: Ints, kind: Ints | int, hour: Floats, amount: Floats, *, scheduled: bool = False) -> "Events":
        """Return events at fractional hours of the day."""
        offset = np.minimum((hour * HOUR_MS).astype(np.int64), DAY_MS - 1)
        kinds = np.broadcast_to(np.asarray(kind, dtype=np.int64), customer.shape)
        return cls(customer, kinds, offset, np.round(amount, 2), np.full(len(customer), scheduled))


def spontaneous_events(latent: Latent, world: World, day: int, rng: np.random.Generator) -> Events:
    """Draw the unscheduled own-initiated events of a day."""
    counts = rng.poisson(spontaneous(latent, world, day)).ravel()
    cells = np.repeat(np.arange(len(counts)), counts)
    who, kind = np.divmod(cells, len(OWN_TYPES))
    amount = money.spontaneous_amounts(latent, world, who, kind, rng)
    mean, spread = HOUR_TABLE[kind, 0], HOUR_TABLE[kind, 1]
    hour = mean + spread * rng.standard_normal(len(who))
    odd = (hour < EARLIEST_HOUR) | (hour >= 24.0)  # noqa: PLR2004  (the end of the day)
    hour = np.where(odd, rng.uniform(8.0, 22.0, len(who)), hour)
    return Events.of(who, kind, hour, amount)


def scheduled_events(latent: Latent, world: World, day: int, missed: Flags, rng: np.random.Generator) -> Events:
    """Draw the own-initiated events of standing arrangements, given who misses an instalment today."""
    chance = scheduled(latent, world, day)
    chance[:, LOAN_PAYMENT] = instalment_due(latent, world, day) & ~missed
    who, kind = np.nonzero(rng.random(chance.shape) < chance)
    amount = money.order_amounts(latent, world)[who, kind]
    amount *= np.where(kind == TRANSFER_OUT, np.exp(SAVING_SPREAD * rng.standard_normal(len(who))), 1.0)
    signed = np.where(np.isin(kind, (SALARY, TRANSFER_IN)), amount, -amount)
    return Events.of(who, kind, rng.uniform(*ORDER_HOURS, len(who)), signed, scheduled=True)


def missed_instalments(latent: Latent, world: World, day: int, rng: np.random.Generator) -> Flags:
    """Draw who fails to pay an instalment that is due today."""
    due = instalment_due(latent, world, day)
    return np.asarray(due & (rng.random(len(due)) < miss_chance(latent, world.signal)))


def late_fees(missed: Flags, rng: np.random.Generator) -> Events:
    """Return the bank's fees for the instalments that were missed on this day."""
    who = np.flatnonzero(missed)
    return Events.of(who, FEE, rng.uniform(18.0, 19.0, len(who)), np.full(len(who), -LATE_FEE))


def statements(latent: Latent, world: World, day: int, left_for: Ints, rng: np.random.Generator) -> Events:
    """Return fees and interest at the end of a month (interest: of a quarter), nothing on other days.

    `left_for` counts the months since each customer left.
    """
    known = (world.people.start_day <= day) & (left_for < STATEMENT_MONTHS)
    carded = np.flatnonzero(known & latent.holds[:, CARD])
    parts = [
        Events.of(carded, FEE, rng.uniform(22.0, 23.0, len(carded)), np.full(len(carded), -CARD_FEE)),
    ]
    funded = np.flatnonzero(known & latent.holds[:, FUND])
    gain = np.round(FUND_YIELD / 12 * world.people.income[funded] * rng.uniform(0.7, 1.3, len(funded)), 2)
    parts.append(Events.of(funded, INTEREST, rng.uniform(20.0, 21.0, len(funded)), gain))
    if world.timeline.is_quarter_end(day):
        rate = np.where(latent.balance > 0, CREDIT_RATE, DEBIT_RATE) / 4
        interest = np.round(latent.balance * rate, 2)
        who = np.flatnonzero(known & (interest != 0))
        parts.append(Events.of(who, INTEREST, rng.uniform(23.5, 23.9, len(who)), interest[who]))
    return joined(parts)


def first_payments(latent: Latent, world: World, who: Ints, product: Ints, offset_ms: Ints) -> Events:
    """Return what is due at once for new cards, funds and policies, bought at these times; a loan's comes later."""
    amount = np.zeros((len(who), len(PRODUCTS)))
    amount[:, CARD] = -CARD_FEE
    amount[:, FUND] = -money.plan_rate(latent, world)[who]
    amount[:, INSURANCE] = -world.people.premium[who]
    pays = product != LOAN
    who, product, offset_ms = who[pays], product[pays], offset_ms[pays]
    hour = (offset_ms + AFTER_SIGNING_MS) / HOUR_MS
    return Events.of(who, _PAID_AS[product], hour, amount[pays, product], scheduled=True)


def joined(parts: list[Events]) -> Events:
    """Return the events of all parts in one table."""
    return Events(
        np.concatenate([part.customer for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.offset_ms for part in parts]),
        np.concatenate([part.amount for part in parts]),
        np.concatenate([part.scheduled for part in parts]),
    )


HOUR_TABLE: Final = np.array([_HOURS.get(kind, (12.0, 3.0)) for kind in range(len(TYPES))])
