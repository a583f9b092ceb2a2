"""The questions that a log may be able to answer, each with the ways to ask it, the likeliest first."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.spec import Band, Condition, Task
from training.draft.horizons import carried, history, nearest
from training.draft.survey import Rhythm
from training.report.meaning import days

CHURN, VALUE, NEXT = "churn", "value", "next_behaviour"
_TRIED: Final = 4
"""Horizons that are tried for one question."""
_OFTEN: Final = 15
"""Own transactions of a customer from which on five are asked for before churn is predicted, else two."""
_WORTH_ASKING: Final = (0.02, 0.6)
"""Share of customers who fall silent for it to be called churn."""
_RARE_BANDS: Final = (Band("low"), Band("medium", top_share=0.2), Band("high", top_share=0.05))
_VALUE_BANDS: Final = (Band("low"), Band("medium", top_share=0.5), Band("high", top_share=0.1))
_KNOWN: Final = (Condition("own_count", at_least=1),)


@dataclass(frozen=True)
class Candidate:
    """A way to ask: a task, and what to say of it. ``shares`` bound the share of yes that makes it worth asking."""

    task: Task
    note: str = ""
    shares: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Question:
    """A question by its name, with its candidates; ``missing`` says why there is none."""

    name: str
    candidates: tuple[Candidate, ...]
    missing: str = ""


@dataclass(frozen=True)
class Span:
    """How far a log can look ahead.

    Attributes:
        days: its length.
        rhythm: how customers act.
        fixed: the horizon that was asked for, days; None to choose.
    """

    days: float
    rhythm: Rhythm
    fixed: int | None = None

    @property
    def horizons(self) -> tuple[int, ...]:
        """Return the horizons to choose from, ascending."""
        return (self.fixed,) if self.fixed else carried(self.days)

    @property
    def too_short(self) -> str:
        """Return why no horizon fits; "" where one does."""
        return "" if self.horizons else f"a log of {self.days:.1f} days carries no horizon of a day"

    def near(self, wanted: float) -> list[int]:
        """Return the horizons to try, the likeliest first: at least as long as nine in ten gaps, if the log is."""
        fit = tuple(days for days in self.horizons if days >= self.rhythm.long_gap) or self.horizons[-1:]
        return nearest(fit, wanted)[:_TRIED]

    @property
    def told(self) -> str:
        """Return how horizons are chosen."""
        if self.fixed:
            return f"All horizons are {days(self.fixed)}, as asked for."
        if self.too_short:
            return f"{self.too_short[0].upper()}{self.too_short[1:]}: no task can be learned from it."
        gaps = "Nobody acts on two days"
        if np.isfinite(self.rhythm.long_gap):
            gaps = f"Nine in ten pauses of a customer last at most {self.rhythm.long_gap:.0f} days"
        return (
            f"{gaps}. A log of {self.days:.0f} days carries horizons up to {self.horizons[-1]}: a quarter of it, so "
            "that history, rows at different times and a test part fit."
        )


def churn(span: Span) -> Question:
    """Return the ways to ask who leaves: falls silent, or where nobody does, takes the money elsewhere."""
    if span.too_short or not np.isfinite(span.rhythm.long_gap):
        return Question(CHURN, (), span.too_short or "no customer acts on two days")
    wanted = float(np.clip(4 * span.rhythm.long_gap, 30, 60))
    horizons = span.near(wanted)
    silent = [Candidate(_silence(days, span), shares=_WORTH_ASKING) for days in horizons]
    note = "Review: too few or too many fall silent here, so it asks who takes the money elsewhere."
    fewer = [Candidate(_drop(days, span), note) for days in horizons]
    return Question(CHURN, (*silent, *fewer, *(Candidate(item.task, "Review: the share of yes.") for item in silent)))


def value(span: Span) -> Question:
    """Return the ways to ask what a customer will spend."""
    if span.too_short:
        return Question(VALUE, (), span.too_short)
    wanted = float(np.clip(4 * span.rhythm.long_gap, 30, 60))
    return Question(VALUE, tuple(Candidate(_outflow(days, span)) for days in span.near(wanted)))


def next_behaviour(span: Span, types: int) -> Question:
    """Return the ways to ask what comes next, of so many types that customers initiate."""
    if span.too_short or types < 2:  # noqa: PLR2004  (two make a choice)
        return Question(NEXT, (), span.too_short or "customers initiate one type only")
    wanted = float(np.clip(4 * span.rhythm.long_gap, 7, 90))
    note = "The log has no time of day, so the next day is asked for." if span.rhythm.dated_only else ""
    return Question(NEXT, tuple(Candidate(_next(days, span), note) for days in span.near(wanted)))


def _silence(days: int, span: Span) -> Task:
    often = 5 if span.rhythm.actions >= _OFTEN else 2
    return Task(
        name=CHURN,
        kind="binary",
        label="inactive",
        horizon_days=days,
        min_history_days=history(days, span.days),
        eligible=(Condition("own_silence_h", at_most=24 * days), Condition("own_count", at_least=often)),
        bands=_RARE_BANDS,
    )


def _drop(days: int, span: Span) -> Task:
    return Task(
        name=CHURN,
        kind="binary",
        label="spend_drop",
        horizon_days=days,
        min_history_days=history(days, span.days),
        eligible=_KNOWN,
        bands=_RARE_BANDS,
        drop=0.5,
    )


def _outflow(days: int, span: Span) -> Task:
    return Task(
        name=VALUE,
        kind="value",
        label="outflow",
        horizon_days=days,
        min_history_days=history(days, span.days),
        eligible=_KNOWN,
        bands=_VALUE_BANDS,
    )


def _next(days: int, span: Span) -> Task:
    return Task(
        name=NEXT,
        kind="multiclass",
        label="next_type",
        horizon_days=days,
        min_history_days=1,
        eligible=_KNOWN,
        by_day=span.rhythm.dated_only,
    )
