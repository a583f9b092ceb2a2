"""What nobody sees: engagement, stress, tastes and holdings of each customer, and how they move.

All processes can be advanced by any number of days: the simulation takes one, the oracle several at once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import LOAN, PRODUCTS, Flags, Floats, Ints
from training.datasets.simulator.population import Population

STEADY, FADING, MOVED, LEFT = range(4)
"""Phases of engagement: as usual; doing less and less; household run over another bank; gone."""

FADE_EVERY_DAYS: Final = 1600.0
RECOVER_AFTER_DAYS: Final = 150.0
MOOD_DAYS, MOOD_SD = 40.0, 0.2
"""Engagement of a steady customer wanders around 0 with this memory and spread."""
MOVE_BELOW, MOVE_AFTER_DAYS = -0.7, 12.0
"""A main account whose engagement has fallen below this is soon moved to another bank."""
LEAVE_BELOW: Final = -4.0

STRESS_DAYS, STRESS_SD = 400.0, 0.7
SHOCK_EVERY_DAYS, SHOCK_SIZE = 600.0, 1.0
"""Illness, divorce, a broken car: stress jumps and relaxes with the memory above."""
JOB_LOSS_EVERY_DAYS, JOB_SEARCH_DAYS = 1500.0, 120.0
UNEMPLOYED_STRESS: Final = 1.3
TASTE_DAYS, TASTE_SD = 500.0, 0.25

HELD_AT_START: Final = (0.9, 0.35, 0.25, 0.25)
"""Share of main accounts that hold each product at the beginning, in the order of `PRODUCTS`."""
SECOND_ACCOUNT_HELD: Final = (0.0, 0.3, 0.0, 0.0)
"""The same for second accounts: a card at most, so that nothing runs there by standing order."""
LAPSE_EVERY_DAYS: Final = 1500.0
"""Cards, funds and policies are given up after this long; loans end by repayment."""
LOAN_MONTHS: Final = (24, 84)


@dataclass
class Latent:
    """State of n customers; changed in place by `advance` and by what the customers do."""

    phase: Ints
    engagement: Floats
    """Log of the activity relative to the usual one."""
    stress: Floats
    employed: Flags
    tastes: Floats
    """Deviation from the usual frequency or attitude, shape (n, tastes)."""
    holds: Flags
    """Shape (n, products)."""
    instalment: Floats
    """Monthly instalment of the present or last loan in EUR."""
    instalments_left: Ints
    arrears: Ints
    """Instalments missed in a row."""
    defaulted: Flags
    balance: Floats
    """Account balance in EUR."""


def draw_latent(people: Population, rng: np.random.Generator) -> Latent:
    """Draw the state of each customer at the beginning, from the long-run distribution."""
    n = len(people.income)
    held = np.where(people.primary[:, None], HELD_AT_START, SECOND_ACCOUNT_HELD)
    return Latent(
        phase=np.full(n, STEADY),
        engagement=MOOD_SD * rng.standard_normal(n),
        stress=people.base_stress + STRESS_SD * rng.standard_normal(n),
        employed=np.ones(n, dtype=np.bool_),
        tastes=people.base_tastes + TASTE_SD * rng.standard_normal(people.base_tastes.shape),
        holds=rng.random((n, len(PRODUCTS))) < held,
        instalment=draw_instalment(people.income, rng),
        instalments_left=rng.integers(6, LOAN_MONTHS[1], n),
        arrears=np.zeros(n, dtype=np.int64),
        defaulted=np.zeros(n, dtype=np.bool_),
        balance=np.round(people.income * rng.uniform(0.3, 1.2, n), 2),
    )


def draw_instalment(income: Floats, rng: np.random.Generator) -> Floats:
    """Draw monthly instalments for new loans of customers with these incomes."""
    return np.asarray(np.round(income * rng.uniform(0.06, 0.15, len(income)), 2), dtype=np.float64)


def advance(latent: Latent, people: Population, days: float, rng: np.random.Generator) -> None:
    """Move engagement, work, stress and tastes on by `days` (holdings change by what customers do)."""
    _advance_engagement(latent, people, days, rng)
    n = len(latent.stress)
    change = rng.random(n)
    found = ~latent.employed & (change < _chance(days, JOB_SEARCH_DAYS))
    lost = latent.employed & (change < _chance(days, JOB_LOSS_EVERY_DAYS))
    latent.employed = (latent.employed | found) & ~lost
    mean = people.base_stress + UNEMPLOYED_STRESS * ~latent.employed
    latent.stress = _wander(latent.stress - mean, days, STRESS_DAYS, STRESS_SD, rng) + mean
    latent.stress += SHOCK_SIZE * (rng.random(n) < _chance(days, SHOCK_EVERY_DAYS))
    lapses = rng.random(latent.holds.shape) < _chance(days, LAPSE_EVERY_DAYS)
    lapses[:, LOAN] = False
    latent.holds &= ~lapses
    latent.tastes = people.base_tastes + _wander(latent.tastes - people.base_tastes, days, TASTE_DAYS, TASTE_SD, rng)


def _advance_engagement(latent: Latent, people: Population, days: float, rng: np.random.Generator) -> None:
    n = len(latent.phase)
    steady = latent.phase == STEADY
    calm = _wander(latent.engagement, days, MOOD_DAYS, MOOD_SD, rng)
    fall = latent.engagement - days / people.fade_days
    latent.engagement = np.where(steady, calm, fall)
    chance, moving = rng.random(n), rng.random(n)
    products = latent.holds.sum(axis=1)
    fades = steady & (chance < _chance(days, FADE_EVERY_DAYS) * 1.5 * 0.75**products)
    fading = latent.phase == FADING
    recovers = fading & (chance < _chance(days, RECOVER_AFTER_DAYS))
    moves = fading & ~recovers & (latent.engagement < MOVE_BELOW) & (moving < _chance(days, MOVE_AFTER_DAYS))
    latent.phase[fades] = FADING
    latent.phase[recovers] = STEADY
    latent.phase[moves] = MOVED
    latent.phase[latent.engagement < LEAVE_BELOW] = LEFT


def move_household(latent: Latent, moved: Flags) -> None:
    """Let those customers end their standing orders, plans and policies and repay their loan elsewhere."""
    latent.holds[moved] = False
    latent.arrears[moved] = 0


def open_loan(latent: Latent, who: Ints, people: Population, rng: np.random.Generator) -> None:
    """Give a new loan to each of those customers."""
    latent.holds[who, LOAN] = True
    latent.instalment[who] = draw_instalment(people.income[who], rng)
    latent.instalments_left[who] = rng.integers(*LOAN_MONTHS, len(who))
    latent.arrears[who] = 0


def _chance(days: float, every: float) -> float:
    """Return the probability of an event of mean waiting time `every` within `days`."""
    return float(-np.expm1(-days / every))


def _wander(deviation: Floats, days: float, memory: float, sd: float, rng: np.random.Generator) -> Floats:
    """Advance an Ornstein-Uhlenbeck process around 0 exactly (stationary spread `sd`)."""
    keep = float(np.exp(-days / memory))
    fresh = sd * np.sqrt(1.0 - keep * keep) * rng.standard_normal(deviation.shape)
    return np.asarray(deviation * keep + fresh, dtype=np.float64)
