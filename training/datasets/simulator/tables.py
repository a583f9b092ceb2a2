"""The interchange tables of a simulated life: what the bank wrote down, as Arrow tables."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.datasets.simulator.activity import CARD_FEE, joined
from training.datasets.simulator.behaviour import World
from training.datasets.simulator.catalogue import CATALOGUE, choose
from training.datasets.simulator.kinds import (
    CARD,
    DINING,
    FEE,
    FUND,
    GROCERIES,
    HOUSING,
    INSURANCE,
    INVESTMENT,
    LOAN,
    LOAN_PAYMENT,
    OTHER,
    PREFERENCES,
    PRODUCTS,
    PROFILES,
    SALARY,
    SHOPPING,
    TRAVEL,
    TYPES,
    Flags,
    Floats,
    Ints,
)
from training.datasets.simulator.labels import Entries, Log
from training.datasets.simulator.life import Diary
from training.datasets.simulator.timeline import epoch_ms

TIME: Final = pa.timestamp("ms", tz="UTC")
PLACES: Final = 40
"""Employers, landlords, shops, restaurants … of each kind."""
_PLACES: Final = {
    SALARY: "employer",
    HOUSING: "landlord",
    GROCERIES: "grocer",
    DINING: "restaurant",
    SHOPPING: "shop",
    TRAVEL: "agency",
}
UNKNOWN_INCOME: Final = 0.02
"""Part of the customers who never tell their income."""
_LOW_RISK, _MEDIUM_RISK = 700.0, 620.0
"""Credit scores from which the risk level is low, and medium."""
_ORDERED: Final = {LOAN_PAYMENT: LOAN, INVESTMENT: FUND, OTHER: INSURANCE}
"""Products by the type of their scheduled payments."""


def log_of(world: World, diary: Diary) -> tuple[Log, Flags]:
    """Return the log for labels, sorted by time, and which of its transactions are scheduled."""
    days = np.concatenate([np.full(len(events.customer), day) for day, events in diary.events])
    events = joined([events for _, events in diary.events])
    time_ms = epoch_ms(days, events.offset_ms)
    order = np.lexsort((events.customer, time_ms))
    records = _entries(*(np.concatenate([record[k] for record in diary.records]) for k in (0, 1, 3)))
    log = Log(
        transactions=Entries(events.customer[order], time_ms[order], events.kind[order]),
        amount=events.amount[order],
        loans=records,
        defaults=_outcomes(diary, "default", ("0", "1")),
        preferences=_outcomes(diary, "preference", PREFERENCES),
        profiles=_outcomes(diary, "risk_profile", PROFILES),
        customers=len(world.people.income),
        end_ms=int(epoch_ms(world.timeline.days)),
    )
    return log, events.scheduled[order]


def _entries(customer: Ints, time_ms: Ints, value: npt.NDArray[np.generic]) -> Entries:
    order = np.argsort(time_ms, kind="stable")
    return Entries(customer[order], time_ms[order], value[order].astype(np.int64))


def _outcomes(diary: Diary, task: str, classes: tuple[str, ...]) -> Entries:
    parts = [part for part in diary.outcomes if part[1] == task]
    values = np.array([classes.index(value) for part in parts for value in part[3]], dtype=np.int64)
    return _entries(np.concatenate([part[0] for part in parts]), np.concatenate([part[2] for part in parts]), values)


def transactions(world: World, log: Log, scheduled: Flags, opening: Floats, rng: np.random.Generator) -> pa.Table:
    """Return `transactions.parquet`; `opening` is each customer's balance in EUR before the first of them."""
    entries = log.transactions
    return pa.table(
        {
            "transaction_id": _numbered("t", np.arange(len(entries.customer)), 8),
            "customer_id": customer_ids(entries.customer),
            "time": pa.array(entries.time_ms, TIME),
            "amount": log.amount,
            "type": _named(TYPES, entries.value),
            "product_id": _product_ids(world, log, scheduled),
            "counterparty": _counterparties(world, log, rng),
            "balance": _balances(log, opening),
        }
    )


def customer_ids(customer: Ints) -> pa.Array:
    """Return the ids of customers by their numbers."""
    return _numbered("c", customer, 5)


def _numbered(prefix: str, numbers: Ints, digits: int) -> pa.Array:
    names = pa.array([f"{prefix}{number:0{digits}d}" for number in range(int(numbers.max(initial=0)) + 1)])
    return names.take(pa.array(numbers))


def _named(names: tuple[str, ...], code: Ints) -> pa.Array:
    """Return names by code; null where the code is negative."""
    return pa.array(names, pa.string()).take(pa.array(code, mask=code < 0))


def _balances(log: Log, opening: Floats) -> Floats:
    """Return the balance in EUR after each transaction: exact sums of cents."""
    customer = log.transactions.customer
    order = np.argsort(customer, kind="stable")
    cents = np.rint(log.amount[order] * 100).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(cents)])
    before = total[np.searchsorted(customer[order], np.arange(log.customers))]
    own = np.rint(opening * 100).astype(np.int64) - before
    balance = np.empty(len(customer))
    balance[order] = (total[1:] + own[customer[order]]) / 100
    return balance


def _product_ids(world: World, log: Log, scheduled: Flags) -> pa.Array:
    kind = log.transactions.value
    family = np.full(len(kind), -1)
    for paid, product in _ORDERED.items():
        family[(kind == paid) & (scheduled | (paid == LOAN_PAYMENT))] = product
    family[(kind == FEE) & (log.amount == -CARD_FEE)] = CARD
    chosen = choose(family, world.people.affluence[log.transactions.customer])
    return _named(tuple(product.product_id for product in CATALOGUE), chosen)


def _counterparties(world: World, log: Log, rng: np.random.Generator) -> pa.Array:
    """Return employers and landlords, the same for a customer each time, and shops; null for all else."""
    customer, kind = log.transactions.customer, log.transactions.value
    faithful = rng.integers(0, PLACES, len(world.people.income))[customer]
    visited = np.minimum(rng.geometric(0.08, len(kind)) - 1, PLACES - 1)
    code = np.full(len(kind), -1)
    names: list[str] = []
    for place, (paid, word) in enumerate(_PLACES.items()):
        number = np.where(paid in (SALARY, HOUSING), faithful, visited)
        code = np.where(kind == paid, place * PLACES + number, code)
        names += [f"{word}-{index:02d}" for index in range(PLACES)]
    return _named(tuple(names), code)


def customers(world: World, diary: Diary, rng: np.random.Generator) -> pa.Table:
    """Return `customers.parquet`: the records in the order of their times."""
    who, time_ms, score, loan = (np.concatenate([record[k] for record in diary.records]) for k in range(4))
    order = np.lexsort((who, time_ms))
    who, time_ms, score, loan = who[order], time_ms[order], score[order], loan[order]
    people = world.people
    untold = rng.random(len(people.income)) < UNKNOWN_INCOME
    level = np.where(score >= _LOW_RISK, 0, np.where(score >= _MEDIUM_RISK, 1, 2))
    return pa.table(
        {
            "customer_id": customer_ids(who),
            "time": pa.array(time_ms, TIME),
            "age": people.age[who].astype(np.float64),
            "gender": _named(("male", "female"), people.woman[who].astype(np.int64)),
            "income": pa.array(people.income[who], mask=untold[who]),
            "credit_score": score,
            "risk_level": _named(("low", "medium", "high"), level),
            "has_loan": _named(("no", "yes"), loan.astype(np.int64)),
        }
    )


def products() -> pa.Table:
    """Return `products.parquet`: the catalogue."""
    return pa.table(
        {
            "product_id": [product.product_id for product in CATALOGUE],
            "name": [product.name for product in CATALOGUE],
            "type": [PRODUCTS[product.family] for product in CATALOGUE],
            "price": [product.price for product in CATALOGUE],
        }
    )


def outcomes(diary: Diary) -> pa.Table:
    """Return `outcomes.parquet`, sorted by time."""
    who = np.concatenate([part[0] for part in diary.outcomes])
    time_ms = np.concatenate([part[2] for part in diary.outcomes])
    task = np.array([part[1] for part in diary.outcomes for _ in part[3]], dtype=object)
    value = np.array([value for part in diary.outcomes for value in part[3]], dtype=object)
    order = np.lexsort((who, time_ms))
    return pa.table(
        {
            "customer_id": customer_ids(who[order]),
            "task": pa.array(task[order], pa.string()),
            "time": pa.array(time_ms[order], TIME),
            "value": pa.array(value[order], pa.string()),
        }
    )
