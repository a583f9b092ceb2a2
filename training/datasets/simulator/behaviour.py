"""How often customers do what, given their latent state: the intensities that simulation and oracle share."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import (
    ATTITUDE,
    CARD,
    CASH,
    DINING,
    FUND,
    GROCERIES,
    HOUSING,
    INSURANCE,
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
    Flags,
    Floats,
    Ints,
    logistic,
)
from training.datasets.simulator.latent import LEFT, MOVED, Latent
from training.datasets.simulator.population import Population
from training.datasets.simulator.timeline import Timeline

AFTER_PAY, AFTER_PAY_DAYS = 0.8, 5.0
"""Spending is up by this share right after pay day and falls back with this memory."""
MISS_AT_EASE: Final = -2.75
MISS_SLOPE: Final = 1.35
"""Log odds of missing an instalment at stress 0, and their rise with stress."""
DEFAULT_AFTER: Final = (0.06, 0.3, 0.45)
"""Chance that a missed instalment becomes a default, by the instalments missed before it (the last for more)."""
SAVE_AT_EASE, SAVE_SLOPE = 2.5, -0.4
"""Log odds that the monthly savings order is carried out at stress 0, and their change with stress."""
PURCHASE_EVERY_DAYS: Final = (450.0, 450.0, 450.0, 450.0)
"""Mean waiting time for each of `PRODUCTS`, for a typical customer who does not hold it."""
ASKED_EVERY_DAYS: Final = 30.0
"""Mean waiting time for the questionnaire on investment risk."""
PROFILE_SLOPE, PROFILE_STEP = 2.5, 1.0
"""Slope of the answers in the attitude, and half the distance between their two thresholds."""

SECOND_ACCOUNT_SHOWS: Final = 0.3
"""Part of the effects of stress and tastes that is seen on a second account."""
_STRESS_EFFECT: Final = {
    TRANSFER_IN: 0.9, DINING: -0.25, SHOPPING: -0.1, TRAVEL: -0.35, CASH: 0.8, INVESTMENT: -0.2, OTHER: 0.2,
}  # fmt: skip
_TASTE_EFFECT: Final = {(0, DINING): 1.0, (1, SHOPPING): 1.0, (2, TRAVEL): 1.0, (ATTITUDE, INVESTMENT): 0.4}
_PAY_DAY_EFFECT: Final = (GROCERIES, DINING, SHOPPING, CASH)


def _table(entries: dict[int, float]) -> Floats:
    table = np.zeros(len(OWN_TYPES))
    table[list(entries)] = list(entries.values())
    return table


_STRESS: Final = _table(_STRESS_EFFECT)


@dataclass(frozen=True)
class World:
    """What does not change while customers live: who they are, the calendar, and how clearly they show themselves."""

    people: Population
    timeline: Timeline
    signal: float
    """Strength of the effects of latent state on outcomes; 1 / difficulty."""


def is_here(latent: Latent, world: World, day: int) -> Flags:
    """Tell who has begun to act and has not left."""
    return np.asarray((latent.phase < LEFT) & (world.people.start_day <= day))


def keeps_house(latent: Latent, world: World, day: int) -> Flags:
    """Tell who is here and has not moved salary and standing orders away."""
    return is_here(latent, world, day) & (latent.phase < MOVED)


def spontaneous(latent: Latent, world: World, day: int, span: int = 1) -> Floats:
    """Return the expected number of unscheduled own events in `span` days from `day`, shape (n, types)."""
    people = world.people
    shown = np.where(people.primary, 1.0, SECOND_ACCOUNT_SHOWS)
    log_factor = (shown * np.clip(latent.stress, -3.0, 4.0))[:, None] * _STRESS
    log_factor += latent.engagement[:, None]
    for (taste, kind), effect in _TASTE_EFFECT.items():
        log_factor[:, kind] += effect * shown * latent.tastes[:, taste]
    rates = people.rates * np.exp(log_factor)
    rates[:, _PAY_DAY_EFFECT] *= _after_pay(world, day + span // 2)[:, None]
    rates *= world.timeline.rhythm[day : day + span].sum(axis=0)
    rates[~is_here(latent, world, day)] = 0.0
    return rates


def _after_pay(world: World, day: int) -> Floats:
    since = (world.timeline.day_of_month[day] - world.people.pay_day) % 30
    factor = 1.0 + AFTER_PAY * np.exp(-since / AFTER_PAY_DAYS)
    return np.where(world.people.primary, factor, 1.0)


def scheduled(latent: Latent, world: World, day: int, span: int = 1) -> Floats:
    """Return the chance of each type's scheduled event in `span` (≤ 28) days from `day`, shape (n, types)."""
    people, due = world.people, world.timeline.due(day, span)
    house = keeps_house(latent, world, day)
    paid = house & people.primary & due[people.pay_day]
    chance = np.zeros((len(house), len(OWN_TYPES)))
    chance[:, SALARY] = paid & latent.employed
    chance[:, TRANSFER_IN] = paid & ~latent.employed
    chance[:, HOUSING] = house & due[people.rent_day]
    saving = house & due[people.saving_day]
    chance[:, TRANSFER_OUT] = saving * logistic(SAVE_AT_EASE + SAVE_SLOPE * latent.stress)
    chance[:, LOAN_PAYMENT] = instalment_due(latent, world, day, span) * (1.0 - miss_chance(latent, world.signal))
    chance[:, INVESTMENT] = house & latent.holds[:, FUND] & due[people.plan_day]
    chance[:, OTHER] = house & latent.holds[:, INSURANCE] & due[people.premium_day]
    return chance


def instalment_due(latent: Latent, world: World, day: int, span: int = 1) -> Flags:
    """Tell whose loan instalment falls into `span` days from `day`."""
    due = world.timeline.due(day, span)[world.people.instalment_day]
    return np.asarray(due & latent.holds[:, LOAN] & is_here(latent, world, day))


def miss_chance(latent: Latent, signal: float) -> Floats:
    """Return the probability of missing an instalment that is due."""
    return logistic(MISS_AT_EASE + MISS_SLOPE * signal * latent.stress)


def default_chance(arrears: Ints) -> Floats:
    """Return the probability that missing one more instalment is a default."""
    return np.asarray(DEFAULT_AFTER)[np.minimum(arrears, len(DEFAULT_AFTER) - 1)]


def demand(latent: Latent, world: World, day: int) -> Floats:
    """Return the hazard per day of buying each product for those who do not hold it, shape (n, products).

    Loans follow stress, cards the taste for shopping, funds attitude and income, insurance the taste for travel.
    Holders of a second account buy elsewhere.
    """
    people, tastes, stress = world.people, latent.tastes, latent.stress
    pull = np.empty((len(stress), len(PRODUCTS)))
    pull[:, LOAN] = 0.7 * stress - 0.2
    pull[:, CARD] = 0.7 * tastes[:, 1]
    pull[:, FUND] = 0.7 * tastes[:, ATTITUDE] + 0.3 * people.affluence
    pull[:, INSURANCE] = 0.7 * tastes[:, 2]
    hazard = np.exp(np.clip(world.signal * pull, -5.0, 4.0)) / np.asarray(PURCHASE_EVERY_DAYS)
    hazard *= (keeps_house(latent, world, day) & people.primary)[:, None]
    hazard[:, LOAN] *= ~latent.defaulted
    return np.asarray(hazard, dtype=np.float64)


def profile_chance(attitude: Floats, signal: float) -> Floats:
    """Return the probabilities of the answers `PROFILES` to the questionnaire, shape (n, 3): an ordered logit."""
    slope = PROFILE_SLOPE * signal
    upper = logistic(slope * attitude[:, None] - np.array([[-PROFILE_STEP, PROFILE_STEP]]))
    return np.column_stack([1.0 - upper[:, 0], upper[:, 0] - upper[:, 1], upper[:, 1]])
