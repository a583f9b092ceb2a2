"""Labels of the tick rows, by the rules and the eligibility of the built-in bank spec, straight from a simulated log.

They serve to measure the oracle; training makes its own from the interchange folder.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from training.datasets.simulator.kinds import OWN_TYPES, PREFERENCES, PROFILES, Flags, Floats, Ints
from training.datasets.simulator.timeline import DAY_MS

MASKED: Final = -1.0
"""Label of rows that a task does not ask about, or whose horizon leaves the log."""
HORIZON_DAYS: Final = {
    "churn": 60,
    "credit_risk": 90,
    "preference": 90,
    "next_behaviour": 30,
    "value": 60,
    "risk_profile": 180,
}
MIN_HISTORY_DAYS: Final = {name: 30 if name == "next_behaviour" else 60 for name in HORIZON_DAYS}
ACTIVE_DAYS, ACTIVE_EVENTS = 30, 5
"""Churn is asked for customers with an own event in the last days and so many in all."""


@dataclass(frozen=True)
class Entries:
    """Things that happened to customers, sorted by time; `value` is a code or a class."""

    customer: Ints
    time_ms: Ints
    value: Ints

    def of(self, mask: Flags) -> "Entries":
        """Return the entries where `mask` holds."""
        return Entries(self.customer[mask], self.time_ms[mask], self.value[mask])

    def between(self, start_ms: int, end_ms: int) -> slice:
        """Return the place of the entries in [start, end)."""
        start, end = np.searchsorted(self.time_ms, (start_ms, end_ms))
        return slice(int(start), int(end))

    def first(self, start_ms: int, end_ms: int, customers: int) -> Floats:
        """Return the value of each customer's first entry in [start, end), or `MASKED`."""
        window = self.between(start_ms, end_ms)
        found = np.full(customers, MASKED)
        found[self.customer[window][::-1]] = self.value[window][::-1]  # the first one is written last
        return found

    def count(self, start_ms: int, end_ms: int, customers: int) -> Ints:
        """Return the number of each customer's entries in [start, end)."""
        return np.bincount(self.customer[self.between(start_ms, end_ms)], minlength=customers).astype(np.int64)


@dataclass(frozen=True)
class Log:
    """What labels are made from."""

    transactions: Entries
    """Values are indices into `TYPES`."""
    amount: Floats
    loans: Entries
    """`customer` records: 1 where a loan is held."""
    defaults: Entries
    preferences: Entries
    """Values are indices into `PREFERENCES`."""
    profiles: Entries
    customers: int
    end_ms: int


def label(log: Log, task: str, cut_ms: int) -> Floats:
    """Return the labels of all customers at a cut; `MASKED` where there is none.

    Args:
        log: what happened.
        task: one of `HORIZON_DAYS`.
        cut_ms: time of the cut; labels lie in [cut, cut + horizon).
    """
    end_ms = cut_ms + HORIZON_DAYS[task] * DAY_MS
    if end_ms > log.end_ms:
        return np.full(log.customers, MASKED)
    values = _RULES[task](log, cut_ms, end_ms)
    return np.where(_asked(log, task, cut_ms), values, MASKED)


def _asked(log: Log, task: str, cut_ms: int) -> Flags:
    """Tell for which customers the task's eligibility and minimal history hold at the cut."""
    own = log.transactions.of(log.transactions.value < len(OWN_TYPES))
    count = own.count(0, cut_ms, log.customers)
    asked = count >= 1
    asked &= log.transactions.count(0, cut_ms - MIN_HISTORY_DAYS[task] * DAY_MS + 1, log.customers) >= 1
    recent = own.count(cut_ms - ACTIVE_DAYS * DAY_MS, cut_ms, log.customers) >= 1
    if task == "churn":
        asked &= recent & (count >= ACTIVE_EVENTS)
    if task == "preference":
        asked &= recent
    if task == "credit_risk":
        asked &= _last(log.loans, cut_ms, log.customers) == 1
    return np.asarray(asked)


def _last(entries: Entries, end_ms: int, customers: int) -> Floats:
    window = entries.between(-(2**62), end_ms)
    found = np.full(customers, MASKED)
    found[entries.customer[window]] = entries.value[window]
    return found


def _inactive(log: Log, start_ms: int, end_ms: int) -> Floats:
    return np.where(_next_type(log, start_ms, end_ms) == MASKED, 1.0, 0.0)


def _next_type(log: Log, start_ms: int, end_ms: int) -> Floats:
    own = log.transactions.of(log.transactions.value < len(OWN_TYPES))
    return own.first(start_ms, end_ms, log.customers)


def _default(log: Log, start_ms: int, end_ms: int) -> Floats:
    return np.where(log.defaults.count(start_ms, end_ms, log.customers) > 0, 1.0, 0.0)


def _preference(log: Log, start_ms: int, end_ms: int) -> Floats:
    return np.maximum(log.preferences.first(start_ms, end_ms, log.customers), PREFERENCES.index("none"))


def _profile(log: Log, start_ms: int, end_ms: int) -> Floats:
    return log.profiles.first(start_ms, end_ms, log.customers)


def _outflow(log: Log, start_ms: int, end_ms: int) -> Floats:
    window = log.transactions.between(start_ms, end_ms)
    amount = np.where(log.transactions.value[window] < len(OWN_TYPES), -np.minimum(log.amount[window], 0.0), 0.0)
    total = np.bincount(log.transactions.customer[window], amount, minlength=log.customers)
    return np.asarray(np.log1p(total), dtype=np.float64)


_RULES: Final = {
    "churn": _inactive,
    "credit_risk": _default,
    "preference": _preference,
    "next_behaviour": _next_type,
    "value": _outflow,
    "risk_profile": _profile,
}
CLASSES: Final = {
    "preference": PREFERENCES,
    "next_behaviour": OWN_TYPES,
    "risk_profile": PROFILES,
}
