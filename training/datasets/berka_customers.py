"""What is known of a customer of the Berka data, and when: records, outcomes, ends of observation (see ``berka``)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.errors import InputError
from training.datasets.berka_source import WHERE_TO_GET, Dates

EARLIER_EVENTS = 5
"""A loan application is labelled where at least so many transactions precede it."""
DATA_END = np.datetime64("1999-01-01", "D")
_DAYS_PER_YEAR = 365.25


@dataclass(frozen=True)
class Part:
    """What was observed of the customers of one part; ``ends`` None = each until the account's loan."""

    suffix: str
    ends: np.datetime64 | None
    applications_before: np.datetime64
    outcomes_known: bool = True


PARTS = {
    "prefix93_94": Part("-1", np.datetime64("1994-04-01", "D"), np.datetime64("1995-04-01", "D")),
    "preloan97_98": Part("-2", None, np.datetime64("1998-07-01", "D"), outcomes_known=False),
    "": Part("", DATA_END, np.datetime64("1998-07-01", "D")),
}


@dataclass(frozen=True)
class Loan:
    """A granted loan: when, whether it went bad, and its attributes."""

    date: np.datetime64
    bad: bool
    terms: dict[str, float]


@dataclass(frozen=True)
class Account:
    """What the small tables say of one account."""

    opened: np.datetime64
    static: dict[str, Any]
    born: np.datetime64 | None
    loan: Loan | None
    card: np.datetime64 | None


@dataclass(frozen=True)
class Customer:
    """An account in one part, with the dates of its transactions, ascending."""

    account_id: int
    account: Account
    part: Part
    dates: Dates

    @property
    def id(self) -> str:
        """Return the customer id: account and part."""
        return f"{self.account_id}{self.part.suffix}"

    @property
    def first_day(self) -> np.datetime64:
        """Return the day from which the customer is known."""
        return min(self.account.opened, self.dates[0])

    @property
    def observed_until(self) -> np.datetime64:
        """Return the day from which on the data is silent.

        Raises:
            InputError: it is the day of a loan that the data does not have.
        """
        if self.part.ends is not None:
            return self.part.ends
        if self.account.loan is None:
            message = (
                f"Expected a loan of each account of part preloan97_98, found none of account {self.account_id}; "
                f"{WHERE_TO_GET}."
            )
            raise InputError(message)
        return self.account.loan.date

    @property
    def applied(self) -> np.datetime64 | None:
        """When the loan's application is known: at its date, at the latest when the part ends."""
        loan = self.account.loan
        if loan is None or loan.date >= max(self.part.applications_before, self.observed_until):
            return None
        return min(loan.date, self.observed_until)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the customer records in order of time, each with all that is known by then."""
        news: list[tuple[np.datetime64, dict[str, Any]]] = []
        if self.applied is not None and self.account.loan is not None:
            news.append((self.applied, {"has_loan": "yes", **self.account.loan.terms}))
        card = self.account.card
        if card is not None and card < self.observed_until:
            news.append((card, {"has_card": "yes"}))
        born = self.account.born
        known = {
            "customer_id": self.id,
            "observed_until": self.observed_until,
            "outcomes_until": DATA_END if self.part.outcomes_known else self.first_day,
            "split_group": str(self.account_id),
            "age": None if born is None else round(float((self.first_day - born).astype(int)) / _DAYS_PER_YEAR, 2),
            **self.account.static,
            "has_loan": "no",
            "has_card": "no",
        }
        for time, new in [(self.first_day, {}), *sorted(news, key=lambda item: item[0])]:
            known = {**known, **new, "time": time}
            yield known

    def outcomes(self) -> Iterator[tuple[str, str, np.datetime64, str]]:
        """Yield (customer, task, time, value) of each outcome."""
        loan, card = self.account.loan, self.account.card
        if self.part.outcomes_known:
            if loan is not None:
                yield self.id, "preference", loan.date, "loan"
            if card is not None:
                yield self.id, "preference", card, "card"
        if loan is None or self.applied is None or loan.date >= self.part.applications_before:
            return
        if np.searchsorted(self.dates, self.applied) >= EARLIER_EVENTS:
            yield self.id, "credit_risk", self.applied, str(int(loan.bad))
