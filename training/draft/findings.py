"""Holds a spec against a log: what the one has and the other has not, and whether something can be learned."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.spec import OTHER, Attribute, Spec, Task
from stream_app.offline.folder import COLUMNS, CUSTOMERS, NUMBER, Folder
from training.draft.fates import fates
from training.draft.lexicon import bank_word
from training.draft.survey import Survey, sampled
from training.draft.trial import Ground, Tally, attempt, tallies, telling

_NAMED: Final = 6


@dataclass(frozen=True)
class Finding:
    """What does not fit, in a sentence; ``wrong`` is what training refuses."""

    sentence: str
    wrong: bool = False


def findings(folder: Folder, spec: Spec) -> Iterator[Finding]:
    """Yield what does not fit between a log and a spec.

    Raises:
        SpecError: the spec names an unknown feature or its row is too large.
        InputError: the log holds no transaction that the stream would accept.
    """
    survey = Survey.of(folder)
    yield from _types(survey, spec)
    yield from _money(survey, spec)
    static = [*_attributes(folder.customers, spec), *_outcomes(folder, spec)]
    yield from static
    if not any(item.wrong for item in static):
        yield from _labels(folder, spec, survey.days)


def _types(survey: Survey, spec: Spec) -> Iterator[Finding]:
    unknown = [f"{item.name} {item.count:,}" for item in survey.types if item.name not in spec.type_code]
    if unknown:
        yield Finding(
            f"The log has types that the spec does not list ({_listed(unknown)}): they count as {OTHER}; "
            "add those that matter to types."
        )
    absent = [item.name for item in spec.types if item.name not in survey.kinds and item.name != OTHER]
    if absent:
        yield Finding(f"The log has no transaction of the types {_listed(absent)}: remove those that will never come.")
    doubtful = [name for name in spec.own_types if bank_word(name) and name in survey.kinds]
    if doubtful:
        yield Finding(
            f"The types {_listed(doubtful)} are the customer's and sound like the bank's: "
            'if so, say initiator = "bank", or they hide that a customer fell silent.'
        )


def _money(survey: Survey, spec: Spec) -> Iterator[Finding]:
    strange = [f"{code} {count:,}" for code, count in survey.currencies.items() if code not in spec.rate]
    if strange:
        yield Finding(f"The spec has no rate for {_listed(strange)}: these transactions are refused; add it to rates.")
    if not (survey.amount < 0).any():
        yield Finding("No amount is negative, so nothing leaves the customers: turn the sign of what they spend.")


def _attributes(customers: pa.Table, spec: Spec) -> Iterator[Finding]:
    known = {item.name for item in spec.attributes} | set(COLUMNS[CUSTOMERS].known)
    if unused := [name for name in customers.column_names if name not in known]:
        yield Finding(
            f"customers.parquet has columns that the spec does not use ({_listed(unused)}): add or drop them."
        )
    if absent := [item.name for item in spec.attributes if item.name not in customers.column_names]:
        yield Finding(
            f"customers.parquet has no column for the attributes {_listed(absent)}: nothing is learned of them."
        )
    for item in spec.attributes:
        if item.name in customers.column_names:
            yield from _values(customers[item.name], item)


def _values(column: pa.ChunkedArray, item: Attribute) -> Iterator[Finding]:
    if (column.type == NUMBER) != (item.kind == "number"):
        found = "numbers" if column.type == NUMBER else "texts"
        yield Finding(
            f"Attribute {item.name} is a {item.kind}, but its column holds {found}: change kind or data.", wrong=True
        )
    elif item.kind == "number":
        beyond = pc.or_(pc.less(column, item.at_least), pc.greater(column, item.at_most))
        if count := pc.sum(beyond).as_py():
            yield Finding(
                f"Attribute {item.name} is beyond {item.at_least:g} to {item.at_most:g} in {count:,} customer records, "
                "which are refused: widen its bounds or correct the data."
            )
    else:
        strange = column.filter(pc.invert(pc.is_in(column, pa.array(item.values)))).drop_null().unique().to_pylist()
        if strange:
            yield Finding(
                f"Attribute {item.name} has values that the spec does not list ({_listed(strange)}): add them."
            )


def _outcomes(folder: Folder, spec: Spec) -> Iterator[Finding]:
    told = {fate.name: fate for fate in fates(folder.outcomes)}
    asked = {task.outcome_name: task for task in spec.tasks if task.label.startswith("outcome")}
    if open_ := sorted(set(told) - set(asked)):
        yield Finding(f"outcomes.parquet tells {_listed(open_)}, which no task asks for: add a task, or leave it.")
    for name, task in asked.items():
        if name not in told:
            yield Finding(
                f"Task {task.name} needs outcomes named {name!r}, and outcomes.parquet has none: "
                "remove the task or bring the outcomes.",
                wrong=True,
            )
        elif strange := _no_classes(task, spec, told[name].values):
            yield Finding(
                f"Outcomes {name!r} have values that are no class of task {task.name} ({_listed(strange)}).", wrong=True
            )


def _no_classes(task: Task, spec: Spec, values: Iterable[str]) -> list[str]:
    return [value for value in values if value not in spec.classes(task)] if task.kind == "multiclass" else []


def _labels(folder: Folder, spec: Spec, days: float) -> Iterator[Finding]:
    ground = Ground.of(sampled(folder), spec)
    if ground.log.refused:
        told = ", ".join(f"{count:,} for {reason}" for reason, count in ground.log.refused.items())
        yield Finding(f"Records are refused, in training as in the stream: {told}.")
    samples = attempt(ground, spec)
    for tally in tallies(ground, spec, samples).values():
        if tally.shortage:
            # Of a sample of customers, only a horizon beyond the log is sure to leave all of them without labels.
            sure = tally.scale == 1.0 or (not tally.rows and tally.task.horizon_days > days)
            yield Finding(_short(tally), wrong=sure and not tally.varied)
    for leak in telling(ground, spec, samples):
        yield Finding(
            f"Input {leak.feature} alone tells the label of task {leak.task} (association {leak.strength:.3f}): "
            "remove it from the data, or name it in exclude_inputs.",
            wrong=True,
        )


def _short(tally: Tally) -> str:
    return f"Task {tally.task.name} has too little to learn from ({tally.shortage}): ask it otherwise, or remove it."


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
