"""The oracle: predictions by the true process from the true latent state at a cut, never from the future.

Churn, credit risk, preference and value by Monte-Carlo continuation of the latent processes: paths in steps of
`STEP_DAYS`, along which the probabilities of the labels are computed in closed form rather than drawn
(Rao-Blackwell), so that few paths suffice. The next type in closed form over hours, with the latent state as it is at
the cut. A newcomer's activation on the day of the first record, without knowing what is to come. The risk profile in
closed form too: the attitude moves little until the next questionnaire.
"""

from dataclasses import replace
from math import factorial
from typing import Final

import numpy as np

from training.datasets.simulator import money
from training.datasets.simulator.activity import EARLIEST_HOUR, HOUR_TABLE
from training.datasets.simulator.behaviour import (
    World,
    default_chance,
    demand,
    instalment_due,
    is_here,
    miss_chance,
    profile_chance,
    scheduled,
    spontaneous,
)
from training.datasets.simulator.kinds import (
    ATTITUDE,
    LOAN,
    OWN_TYPES,
    PRODUCTS,
    SALARY,
    TRANSFER_IN,
    Floats,
    take,
)
from training.datasets.simulator.latent import LAPSE_EVERY_DAYS, MOVED, STEADY, Latent, advance, move_household

STEP_DAYS: Final = 10
ACTIVE_EVENTS: Final = 3
"""Own events that make a new customer an active one, as in `schemas/activation.toml`."""
NEXT_DAYS, ACTION_DAYS, CONTRACT_DAYS = 30, 60, 90
"""Horizons of next_behaviour, of churn and value, and of credit_risk and preference."""
PATHS: Final = 16
"""Continuations per customer and cut."""
SLOT_HOURS: Final = 3
_UNFORESEEN: Final = 1e-4
"""Chance left to classes that state and paths exclude: states change, and those who have left do nothing at all."""
_CERTAIN: Final = 0.999
"""A scheduled event is at most this certain, so that its hazard is finite."""
_OUTFLOWS: Final = tuple(k for k in range(len(OWN_TYPES)) if k not in (SALARY, TRANSFER_IN))


Forecast = dict[str, Floats]
"""Predictions by task: shape (customers,), of class tasks (customers, classes)."""


def forecast(world: World, latent: Latent, day: int, rng: np.random.Generator, paths: int = PATHS) -> Forecast:
    """Return the oracle's predictions at 00:00 of `day`.

    Args:
        world: people and calendar.
        latent: true state at the beginning of `day`; not changed.
        day: day of the cut.
        rng: source of the continuations.
        paths: continuations per customer.
    """
    n = len(latent.phase)
    here = np.flatnonzero(is_here(latent, world, day + CONTRACT_DAYS))
    index = np.tile(here, paths)
    tally = _Paths(World(take(world.people, index), world.timeline, world.signal), take(latent, index))
    for ahead in range(0, CONTRACT_DAYS, STEP_DAYS):
        tally.step(day, ahead, rng)
    found = {name: np.zeros(n) for name in ("churn", "credit_risk", "value")} | {"churn": np.ones(n)}
    found["churn"][here] = _mean(np.exp(-tally.own_events), paths)
    found["credit_risk"][here] = 1.0 - _mean(tally.no_default, paths)
    found["value"][here] = _mean(tally.log_outflow(), paths)
    bought = np.zeros((n, len(PRODUCTS)))
    bought[here] = _mean(tally.bought, paths)
    found["preference"] = _open_minded(np.column_stack([1.0 - bought.sum(axis=1), bought]))
    found["next_behaviour"] = next_types(world, latent, day)
    found["risk_profile"] = profile_chance(latent.tastes[:, ATTITUDE], world.signal)
    return found


def _open_minded(chance: Floats) -> Floats:
    """Return chances of classes that sum to one, none of them zero."""
    some = chance + _UNFORESEEN
    return np.asarray(some / some.sum(axis=1, keepdims=True), dtype=np.float64)


def _mean(values: Floats, paths: int) -> Floats:
    """Return the mean over paths; `values` holds one path of all customers after the other."""
    return np.asarray(values.reshape(paths, -1, *values.shape[1:]).mean(axis=0), dtype=np.float64)


class _Paths:
    """Continuations in progress and what has been added up along them."""

    def __init__(self, world: World, latent: Latent) -> None:
        n = len(latent.phase)
        self.world, self.latent = world, latent
        self.own_events = np.zeros(n)
        """Sum of the hazards of own events: minus the log of the chance that there is none."""
        self.no_default = np.ones(n)
        self.no_purchase = np.ones(n)
        self.held = latent.holds.astype(np.float64)
        """Probability that a product held at the cut still is: without it, few paths would miss rare lapses."""
        self.bought = np.zeros((n, len(PRODUCTS)))
        self.outflow = np.zeros(n)
        self.outflow_events = np.zeros(n)

    def step(self, cut: int, ahead: int, rng: np.random.Generator) -> None:
        day = cut + ahead
        if ahead < ACTION_DAYS:
            self._act(day)
        self._lend(day, rng)
        self._buy(day)
        advance(self.latent, self.world.people, STEP_DAYS, rng)
        move_household(self.latent, self.latent.phase >= MOVED)
        self.held *= np.exp(-STEP_DAYS / LAPSE_EVERY_DAYS)
        self.held[:, LOAN] = self.latent.holds[:, LOAN]

    def _act(self, day: int) -> None:
        usual = spontaneous(self.latent, self.world, day, STEP_DAYS)
        orders = scheduled(self.latent, self.world, day, STEP_DAYS)
        self.own_events += usual.sum(axis=1) - np.log1p(-np.minimum(orders, _CERTAIN)).sum(axis=1)
        flows = usual * money.mean_amounts(self.latent, self.world)
        flows += orders * money.order_amounts(self.latent, self.world)
        out = flows[:, _OUTFLOWS].sum(axis=1)
        into = flows[:, SALARY] + flows[:, TRANSFER_IN]
        self.outflow += out
        self.outflow_events += (usual + orders)[:, _OUTFLOWS].sum(axis=1)
        self.latent.balance += into - out

    def _lend(self, day: int, rng: np.random.Generator) -> None:
        latent = self.latent
        due = instalment_due(latent, self.world, day, STEP_DAYS)
        miss = due * miss_chance(latent, self.world.signal)
        default = miss * default_chance(latent.arrears)
        self.no_default *= 1.0 - default
        missed = rng.random(len(miss)) < (miss - default) / (1.0 - default)
        paid = due & ~missed
        latent.arrears = np.where(paid, 0, latent.arrears + missed)
        latent.instalments_left -= paid
        latent.holds[:, LOAN] &= latent.instalments_left > 0

    def _buy(self, day: int) -> None:
        hazard = demand(self.latent, self.world, day) * (1.0 - self.held)
        total = hazard.sum(axis=1)
        leaves = self.no_purchase * np.exp(-STEP_DAYS * total)
        share = np.divide(self.no_purchase - leaves, total, out=np.zeros_like(total), where=total > 0)
        self.bought += hazard * share[:, None]
        self.no_purchase = leaves

    def log_outflow(self) -> Floats:
        """Return the expected log1p of the outflow per path: the chance of any times the log of its usual size."""
        some = -np.expm1(-self.outflow_events)
        size = np.divide(self.outflow, some, out=np.zeros_like(some), where=some > 0)
        return np.asarray(some * np.log1p(size), dtype=np.float64)


def activation(world: World, latent: Latent, day: int, rng: np.random.Generator, paths: int = PATHS) -> Floats:
    """Return the chances that newcomers will do `ACTIVE_EVENTS` things or more within `ACTION_DAYS` from `day` on.

    What they do along a path is taken to be Poisson's. When each begins is part of what is known.

    Args:
        world: the newcomers and the calendar.
        latent: their true state at the beginning of `day`; not changed.
        day: on which they became known.
        rng: source of the continuations.
        paths: continuations per customer.
    """
    index = np.tile(np.arange(len(latent.phase)), paths)
    people, latent = take(world.people, index), take(latent, index)
    begun = World(replace(people, start_day=np.full(len(index), -1)), world.timeline, world.signal)
    expected = np.zeros(len(index))
    for today in range(day, day + ACTION_DAYS, STEP_DAYS):
        orders = scheduled(latent, begun, today, STEP_DAYS).sum(axis=1)
        share = np.clip(today + STEP_DAYS - people.start_day, 0, STEP_DAYS) / STEP_DAYS
        expected += share * (spontaneous(latent, begun, today, STEP_DAYS).sum(axis=1) + orders)
        advance(latent, people, STEP_DAYS, rng)
        move_household(latent, latent.phase >= MOVED)
        latent.phase[people.start_day > today + STEP_DAYS] = STEADY
    fewer = sum(expected**count / factorial(count) for count in range(ACTIVE_EVENTS))
    return _mean(1.0 - np.exp(-expected) * fewer, paths)


def next_types(world: World, latent: Latent, day: int) -> Floats:
    """Return the probabilities of the next own-initiated type within `NEXT_DAYS`, given that there is one."""
    hours = _hour_shares()
    waiting = np.ones(len(latent.phase))
    first = np.zeros((len(latent.phase), len(OWN_TYPES)))
    for ahead in range(NEXT_DAYS):
        # Orders are booked before anything else happens on a day.
        orders = _first_order(scheduled(latent, world, day + ahead))
        first += waiting[:, None] * orders
        waiting = waiting * (1.0 - orders.sum(axis=1))
        usual = spontaneous(latent, world, day + ahead)
        for share in hours:
            hazard = usual * share
            total = hazard.sum(axis=1)
            leaves = waiting * np.exp(-total)
            first += hazard * np.divide(waiting - leaves, total, out=np.zeros_like(total), where=total > 0)[:, None]
            waiting = leaves
    return _open_minded(first)


def _first_order(chance: Floats) -> Floats:
    """Return the probability of each type to be the first of a day's orders, which come in random sequence.

    Exact for one order a day and for two certain ones; between these a smooth approximation.
    """
    others = chance.sum(axis=1, keepdims=True) - chance
    share = chance / (1.0 + others)
    some = 1.0 - np.prod(1.0 - chance, axis=1, keepdims=True)
    total = share.sum(axis=1, keepdims=True)
    return np.asarray(share * np.divide(some, total, out=np.zeros_like(some), where=total > 0), dtype=np.float64)


def _hour_shares() -> Floats:
    """Return the share of each type's unscheduled events in each slot of the day, shape (slots, types)."""
    grid = np.arange(EARLIEST_HOUR, 24.0, 0.05) + 0.025
    density = np.exp(-0.5 * ((grid[:, None] - HOUR_TABLE[: len(OWN_TYPES), 0]) / HOUR_TABLE[: len(OWN_TYPES), 1]) ** 2)
    density /= density.sum(axis=0)
    slot = ((grid - EARLIEST_HOUR) // SLOT_HOURS).astype(np.int64)
    shares = np.zeros((int(slot[-1]) + 1, len(OWN_TYPES)))
    np.add.at(shares, slot, density)
    return shares
