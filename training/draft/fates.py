"""Questions that outcomes answer: what kind of task each name is, and how far ahead it can be asked."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.spec import Band, Condition, Task
from schemas.spec_file import MOST_TYPES
from training.arrays import DAY_MS, Ints
from training.draft.candidates import Candidate, Question, Span
from training.draft.horizons import history, nearest
from training.draft.names import named
from training.labels import NO, NONE

_USUAL: Final = 90
"""The horizon to ask for where each customer has one outcome at most."""
_REPEATED: Final = 4.0
"""Outcomes of a customer who has any, from which on they are a matter of course, and the next one is asked for."""
_TRIED: Final = 4
_LONGEST: Final = 64
_TAKEN: Final = "eligible"
"""A column of the results, and so no class."""
_AMOUNTS: Final = 10
"""Different numbers from which on outcomes are amounts, not classes."""
_BANDS: Final = (Band("low"), Band("medium", top_share=0.2), Band("high", top_share=0.05))
_KNOWN: Final = (Condition("own_count", at_least=1),)


@dataclass(frozen=True)
class Fate:
    """The outcomes of one name.

    Attributes:
        name: of the outcomes.
        values: the different ones, the most frequent first.
        count: how many outcomes.
        customers: how many customers have one.
        gap: days between a customer's outcomes, the median; NaN where nobody has two.
    """

    name: str
    values: tuple[str, ...]
    count: int
    customers: int
    gap: float

    @property
    def is_repeated(self) -> bool:
        """Return whether who has one has many."""
        return self.count >= _REPEATED * self.customers


def fates(outcomes: pa.Table | None) -> tuple[Fate, ...]:
    """Return what an outcomes table holds, by name."""
    if outcomes is None:
        return ()
    known = outcomes.filter(pc.and_(outcomes["value"].is_valid(), outcomes["time"].is_valid()))
    names = sorted(known["task"].unique().drop_null().to_pylist())
    return tuple(_fate(name, known.filter(pc.equal(known["task"], name))) for name in names)


def asked(fate: Fate, span: Span) -> Question:
    """Return the ways to ask for an outcome."""
    name = named(fate.name, "outcome_")
    if not name:
        return Question(fate.name, (), "its name has no Latin letters: rename it in outcomes.parquet")
    if span.too_short:
        return Question(name, (), span.too_short)
    kind = _kind(fate)
    if kind == "multiclass" and (refused := _no_classes(fate.values)):
        return Question(name, (), refused)
    if kind == "binary" and NO in fate.values:
        why = '"0" and "1" side by side: it is decided at the time of the outcome, and asked there.'
        return Question(name, (Candidate(_at(fate, name, span), why),))
    wanted = 2 * fate.gap if kind == "multiclass" and fate.is_repeated else _USUAL
    apart = f", {fate.gap:.0f} days apart" if fate.gap >= 1.0 else ""
    note = f"{fate.count:,} outcomes of {fate.customers:,} customers{apart}."
    horizons = nearest(span.horizons, max(1.0, wanted))[:_TRIED]
    return Question(name, tuple(Candidate(_ahead(fate, name, days, span), note) for days in horizons))


def _no_classes(values: tuple[str, ...]) -> str:
    """Return why values cannot be classes; "" where they can."""
    if len(values) >= MOST_TYPES:
        return f"{len(values):,} different values, too many for classes"
    wrong = [value for value in values if not 0 < len(value) <= _LONGEST or value == _TAKEN]
    return f"the value {wrong[0][:_LONGEST]!r} cannot be a class: write it otherwise" if wrong else ""


def _kind(fate: Fate) -> Literal["binary", "multiclass", "value"]:
    others = [value for value in fate.values if value != NO]
    if len(fate.values) > _AMOUNTS and all(_is_number(value) for value in fate.values):
        return "value"
    return "multiclass" if len(others) > 1 else "binary"


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _ahead(fate: Fate, name: str, days: int, span: Span) -> Task:
    kind = _kind(fate)
    is_next = kind == "multiclass" and fate.is_repeated
    none = () if is_next or NONE in fate.values else (NONE,)
    return Task(
        name=name,
        kind=kind,
        label="outcome_next" if is_next else "outcome_within",
        horizon_days=days,
        min_history_days=history(days, span.days),
        eligible=_KNOWN,
        bands=() if kind == "multiclass" else _BANDS,
        outcome=None if name == fate.name else fate.name,
        classes=(*none, *fate.values) if kind == "multiclass" else (),
    )


def _at(fate: Fate, name: str, span: Span) -> Task:
    return Task(
        name=name,
        kind="binary",
        label="outcome_at",
        horizon_days=nearest(span.horizons, _USUAL)[0],
        bands=_BANDS,
        outcome=None if name == fate.name else fate.name,
    )


def _fate(name: str, table: pa.Table) -> Fate:
    counts = sorted(table["value"].value_counts().to_pylist(), key=lambda item: (-item["counts"], item["values"]))
    customer = table["customer_id"].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    time_ms = table["time"].cast(pa.int64()).to_numpy()
    order = np.lexsort((time_ms, customer))
    gaps = _gaps(np.asarray(customer, np.int64)[order], np.asarray(time_ms, np.int64)[order])
    return Fate(
        name=name,
        values=tuple(item["values"] for item in counts),
        count=table.num_rows,
        customers=len(np.unique(customer)),
        gap=float(np.median(gaps)) / DAY_MS if len(gaps) else float("nan"),
    )


def _gaps(customer: Ints, time_ms: Ints) -> Ints:
    gaps: Ints = np.diff(time_ms)[np.diff(customer) == 0]
    return gaps
