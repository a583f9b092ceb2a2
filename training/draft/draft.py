"""Drafts a spec from a log: what is found, what can be asked of it, and what a person has to look at."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.errors import InputError
from schemas.progress import SILENT, Progress
from schemas.spec import OTHER, Spec, Task, TrainingOptions, TransactionType
from stream_app.offline.folder import Folder
from training.draft.candidates import Candidate, Question, Span, churn, next_behaviour, value
from training.draft.choice import Chosen, choose, rules
from training.draft.facts import AttributesDraft, draft_attributes
from training.draft.fates import asked, fates
from training.draft.horizons import cut_every, decay_days
from training.draft.kinds import TypesDraft, draft_types
from training.draft.survey import Rhythm, Survey, sampled
from training.draft.trial import Ground, Tally, attempt, tallies, telling, unusual

DEFAULT_CURRENCY: Final = "EUR"
_CODE: Final = re.compile("[A-Z]{3}")


@dataclass(frozen=True)
class Known:
    """What is known beside the data.

    Attributes:
        name: of the spec.
        currency: the base currency; None to take the log's most frequent one.
        rates: of other currencies in the base currency.
        utc_offset_minutes: where days begin.
        horizon_days: the horizon of all tasks; None to choose.
        called: what types were called where the data come from: name → text.
    """

    name: str
    currency: str | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    utc_offset_minutes: int = 0
    horizon_days: int | None = None
    called: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Drafted:
    """A spec that was drafted, and all that it was drafted from.

    Attributes:
        spec: the spec.
        known: what was known beforehand.
        survey: the log.
        span: how far it looks ahead.
        types: the types.
        attributes: the attributes.
        chosen: the tasks.
        left: questions that the log cannot answer: name → why.
        hints: inputs that are hidden because they alone tell a label: name → task.
        guessed_rates: currencies whose rate nobody has told.
        scale: customers for each that was looked at.
    """

    spec: Spec
    known: Known
    survey: Survey
    span: Span
    types: TypesDraft
    attributes: AttributesDraft
    chosen: tuple[Chosen, ...]
    left: Mapping[str, str]
    hints: Mapping[str, str]
    guessed_rates: tuple[str, ...]
    scale: float


def draft(folder: Folder, known: Known, progress: Progress = SILENT) -> Drafted:
    """Draft a spec for a log.

    Raises:
        InputError: the log holds no transaction that the stream would accept, or the currency that is known is none.
    """
    _check_currency(known)
    survey = Survey.of(folder)
    types = draft_types(survey, known.called)
    span = Span(survey.days, Rhythm.of(survey, types.own(survey)), known.horizon_days)
    bare, guessed_rates = _bare(survey, span, types, known)
    attributes = draft_attributes(folder.customers, bare)
    base = msgspec.structs.replace(bare, attributes=tuple(item.attribute for item in attributes.kept))
    ground = Ground.of(sampled(folder), base)
    questions = _questions(folder, span, len(base.own_types))
    chosen, left = _choose(questions, ground, base, progress)
    spec = msgspec.structs.replace(base, tasks=tuple(item.task for item in chosen))
    samples = attempt(ground, spec, progress)
    hints = {leak.feature: leak.task for leak in telling(ground, spec, samples)}
    return Drafted(
        spec=msgspec.structs.replace(
            spec, exclude_inputs=tuple(map(glob.escape, hints)), rules=rules(chosen, unusual(spec, samples))
        ),
        known=known,
        survey=survey,
        span=span,
        types=types,
        attributes=attributes,
        chosen=chosen,
        left=left,
        hints=hints,
        guessed_rates=guessed_rates,
        scale=ground.scale,
    )


def _check_currency(known: Known) -> None:
    if known.currency is not None and not _CODE.fullmatch(known.currency):
        message = f"Expected three capital letters such as EUR, found {known.currency!r}; correct --currency."
        raise InputError(message)


def _bare(survey: Survey, span: Span, types: TypesDraft, known: Known) -> tuple[Spec, tuple[str, ...]]:
    """Return the spec without attributes and tasks, and the currencies whose rates are not known."""
    named_in_log = (code for code in survey.currencies if _CODE.fullmatch(code))
    currency = known.currency or next(named_in_log, DEFAULT_CURRENCY)
    guessed = tuple(code for code in survey.currencies if code != currency and code not in known.rates)
    rates = {code: rate for code, rate in known.rates.items() if code in survey.currencies and code != currency}
    named = (TransactionType(item.found.name, "bank" if item.bank else "customer") for item in types.kept)
    spec = Spec(
        name=known.name,
        currency=currency,
        types=(*named, TransactionType(OTHER)),
        tasks=(),
        rates={**rates, **dict.fromkeys(guessed, 1.0)},
        utc_offset_minutes=known.utc_offset_minutes,
        window_hours=(24,) if span.rhythm.dated_only else (1, 6, 24),
        decay_days=decay_days(survey.days),
        training=TrainingOptions(cut_every=cut_every(survey.days, survey.customers)),
    )
    return spec, guessed


def _questions(folder: Folder, span: Span, own_types: int) -> list[Question]:
    derived = (churn(span), value(span), next_behaviour(span, own_types))
    told = (asked(fate, span) for fate in fates(folder.outcomes))
    return list({item.name: item for item in (*derived, *told)}.values())  # what outcomes tell is not derived


def _choose(
    questions: Sequence[Question], ground: Ground, base: Spec, progress: Progress
) -> tuple[tuple[Chosen, ...], dict[str, str]]:
    """Try all candidates at once and choose one for each question; return also why others are left out."""
    tried = list(_renamed(questions))
    told = dict[str, Tally]()
    if tried:
        spec = msgspec.structs.replace(base, tasks=tuple(task for _, _, task in tried))
        told = tallies(ground, spec, attempt(ground, spec, progress))
    chosen, left = list[Chosen](), dict[str, str]()
    for question in questions:
        found = choose(question, [(item, told[task.name]) for of, item, task in tried if of is question])
        if isinstance(found, str):
            left[question.name] = found
        else:
            chosen.append(found)
    return tuple(chosen or [_placeholder(questions)]), left


def _renamed(questions: Sequence[Question]) -> Iterator[tuple[Question, Candidate, Task]]:
    """Yield every candidate with its task under a name of its own, so that all can be tried at once."""
    numbered = [(question, candidate) for question in questions for candidate in question.candidates]
    for number, (question, candidate) in enumerate(numbered):
        task = candidate.task
        outcome = task.outcome_name if task.label.startswith("outcome") else None
        yield question, candidate, msgspec.structs.replace(task, name=f"try_{number}", outcome=outcome)


def _placeholder(questions: Sequence[Question]) -> Chosen:
    """Return a task for a log that carries none: a spec has at least one."""
    first = next((candidate for question in questions for candidate in question.candidates), None)
    task = first.task if first else Task("value", "value", "outflow", 1)
    return Chosen(task, "Review: this log carries no task yet. A spec has at least one; training will refuse.", None)
