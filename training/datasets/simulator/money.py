"""What things cost: the amounts of a day's events, given who does what in which state."""

from typing import Final

import numpy as np

from training.datasets.simulator.behaviour import World
from training.datasets.simulator.kinds import (
    ATTITUDE,
    CASH,
    DINING,
    GROCERIES,
    HOUSING,
    INVESTMENT,
    LOAN_PAYMENT,
    OTHER,
    OWN_TYPES,
    SALARY,
    SHOPPING,
    TRANSFER_IN,
    TRANSFER_OUT,
    TRAVEL,
    Floats,
    Ints,
    take,
)
from training.datasets.simulator.latent import Latent

_AMOUNT: Final = {  # median in EUR, spread of the logarithm
    TRANSFER_IN: (80.0, 0.6),
    GROCERIES: (46.0, 0.5),
    DINING: (28.0, 0.5),
    SHOPPING: (75.0, 0.5),
    TRAVEL: (160.0, 0.5),
    CASH: (100.0, 0.4),
    TRANSFER_OUT: (130.0, 1.1),
    INVESTMENT: (60.0, 0.2),
    OTHER: (40.0, 1.1),
}
MEDIAN: Final = np.array([_AMOUNT.get(kind, (0.0, 0.0))[0] for kind in range(len(OWN_TYPES))])
SPREAD: Final = np.array([_AMOUNT.get(kind, (0.0, 0.0))[1] for kind in range(len(OWN_TYPES))])
"""Amounts of spontaneous events by type: median in EUR at median income, and spread of the logarithm."""
AFFLUENCE_EFFECT: Final = 0.8
"""Elasticity of amounts in income."""
_STRESS: Final = {GROCERIES: -0.35, DINING: -0.35, CASH: 0.6}
"""Effect of stress on the logarithm of amounts: trading down, and paying in cash what the account need not show."""
_TASTE: Final = ((DINING, 0, 0.5), (SHOPPING, 1, 1.0), (TRAVEL, 2, 1.0))
"""Effect of tastes on the logarithm of amounts: type, taste, elasticity."""
BUFFER_EFFECT: Final = -0.8
"""Effect of stress on the logarithm of the balance that customers keep."""
OVERDRAWN_CARE, LEAST_SPENDING = 0.8, 0.3
"""Below zero, everyday amounts shrink with the overdraft in monthly incomes, down to the least."""
ATTITUDE_EFFECT: Final = 1.6
"""Effect of the attitude to risk on the logarithm of an investment."""
BOLDEST: Final = 2.2
"""Largest effect of it: nobody invests more than a salary in the long run."""
PLAN_SHARE: Final = 0.025
"""Monthly rate of a fund saving plan relative to income, at attitude 0."""
BENEFIT_SHARE: Final = 0.55
"""Unemployment benefit relative to income."""
SECOND_ACCOUNT_BUFFER: Final = 0.3
EVERYDAY: Final = (GROCERIES, DINING, SHOPPING, TRAVEL, CASH, OTHER)


def usual_amounts(latent: Latent, world: World) -> Floats:
    """Return the median of the amounts of spontaneous events by type in EUR, shape (n, types)."""
    amounts = np.outer(np.exp(AFFLUENCE_EFFECT * world.people.affluence), MEDIAN)
    stress = np.clip(latent.stress, -3.0, 4.0)
    for kind, effect in _STRESS.items():
        amounts[:, kind] *= np.exp(effect * stress)
    for kind, taste, effect in _TASTE:
        amounts[:, kind] *= np.exp(effect * latent.tastes[:, taste])
    care = np.clip(1.0 + OVERDRAWN_CARE * latent.balance / world.people.income, LEAST_SPENDING, 1.0)
    amounts[:, EVERYDAY] *= care[:, None]
    amounts[:, INVESTMENT] *= boldness(latent)
    return amounts


def boldness(latent: Latent) -> Floats:
    """Return the factor on investments that comes from the attitude to risk."""
    return np.asarray(np.exp(np.clip(ATTITUDE_EFFECT * latent.tastes[:, ATTITUDE], -3.0, BOLDEST)), dtype=np.float64)


def buffer(latent: Latent, world: World) -> Floats:
    """Return the balance in EUR that customers like to keep: the less, the more stress."""
    stress = np.clip(latent.stress, -3.0, 4.0)
    share = np.exp(BUFFER_EFFECT * stress)
    return np.asarray(world.people.income * share * np.where(world.people.primary, 1.0, SECOND_ACCOUNT_BUFFER))


def plan_rate(latent: Latent, world: World) -> Floats:
    """Return the monthly rate of each customer's fund saving plan in EUR."""
    return np.asarray(PLAN_SHARE * world.people.income * boldness(latent))


def surplus(latent: Latent, world: World) -> Floats:
    """Return what the monthly savings order moves away in EUR."""
    return np.maximum(0.03 * world.people.income, 0.75 * (latent.balance - buffer(latent, world)))


def mean_amounts(latent: Latent, world: World) -> Floats:
    """Return the expected size of spontaneous events by type in EUR, shape (n, types)."""
    amounts = usual_amounts(latent, world) * np.exp(SPREAD**2 / 2)
    amounts[:, TRANSFER_IN] += top_up(latent, world)
    amounts[:, TRANSFER_OUT] += skim(latent, world)
    return amounts


def order_amounts(latent: Latent, world: World) -> Floats:
    """Return the size of scheduled events by type in EUR, shape (n, types)."""
    people = world.people
    amounts = np.zeros((len(people.income), len(OWN_TYPES)))
    amounts[:, SALARY] = people.income
    amounts[:, TRANSFER_IN] = BENEFIT_SHARE * people.income
    amounts[:, HOUSING] = people.rent
    amounts[:, TRANSFER_OUT] = surplus(latent, world)
    amounts[:, LOAN_PAYMENT] = latent.instalment
    amounts[:, INVESTMENT] = plan_rate(latent, world)
    amounts[:, OTHER] = people.premium
    return amounts


def top_up(latent: Latent, world: World) -> Floats:
    """Return what a transfer from elsewhere adds in EUR when the balance is low."""
    return np.asarray(0.8 * np.maximum(0.0, 0.7 * buffer(latent, world) - latent.balance))


def skim(latent: Latent, world: World) -> Floats:
    """Return what a spontaneous transfer takes away in EUR when the balance is high."""
    return np.asarray(0.25 * np.maximum(0.0, latent.balance - 2.0 * buffer(latent, world)))


def spontaneous_amounts(latent: Latent, world: World, who: Ints, kind: Ints, rng: np.random.Generator) -> Floats:
    """Draw signed amounts for unscheduled events of customers `who` of types `kind`."""
    state, world = take(latent, who), World(take(world.people, who), world.timeline, world.signal)
    row = np.arange(len(who))
    amount = usual_amounts(state, world)[row, kind] * np.exp(SPREAD[kind] * rng.standard_normal(len(who)))
    amount += np.where(kind == TRANSFER_IN, top_up(state, world), 0.0)
    amount += np.where(kind == TRANSFER_OUT, skim(state, world), 0.0)
    amount = np.where(kind == CASH, np.maximum(10.0, np.round(amount, -1)), np.maximum(0.5, amount))
    return np.asarray(np.round(np.where(kind == TRANSFER_IN, amount, -amount), 2), dtype=np.float64)
