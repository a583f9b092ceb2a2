"""Says in plain words what a task asks, how its label is made, who is asked, and which rows have no label."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from schemas.spec import OF_TYPES, TOLD_BY_ONE, Condition, Spec, Task

_MOST_NAMED: Final = 6
_FEATURES: Final = {
    "own_silence_h": "hours since the customer last did something",
    "silence_h": "hours since the last transaction",
    "own_count": "transactions that the customer initiated so far",
    "count": "transactions so far",
    "own_tenure_h": "hours since the customer first did something",
    "tenure_h": "hours since the first transaction",
    "registered_h": "hours since the first customer record",
}


Told = tuple[str, str]
"""The question, and the rule of the label."""


@dataclass(frozen=True)
class Meaning:
    """What a task means: the question, the label's rule, who is asked, and when there is no label."""

    question: str
    rule: str
    asked: str
    masked: str


def meaning(task: Task, spec: Spec) -> Meaning:
    """Return what a task means."""
    question, rule = _RULES.get(task.label, _unknown)(task, spec)
    return Meaning(question, rule, _asked(task), _masked(task))


def days(count: float) -> str:
    """Write a number of days."""
    return "1 day" if count == 1 else f"{count:g} days"


def _inactive(task: Task, spec: Spec) -> Told:
    ahead = days(task.horizon_days)
    question = f"Will the customer do nothing for the next {ahead}?"
    rule = f"Yes where not one {_transaction(task, spec)} follows within {ahead}. {_not_counted(spec)}"
    return question, rule.strip()


def _spend_drop(task: Task, spec: Spec) -> Told:
    ahead = days(task.horizon_days)
    question = f"Will the customer spend less than {task.drop:.0%} of what was usual, for {ahead}?"
    rule = (
        f"Yes where less leaves the customer in the next {ahead} than {task.drop:.0%} of what left in the {ahead} "
        f"before. What counts is every {_transaction(task, spec)}."
    )
    return question, rule


def _activated(task: Task, spec: Spec) -> Told:
    ahead = days(task.horizon_days)
    question = f"Will the new customer become active within {ahead}?"
    times = "once" if task.events == 1 else f"{task.events} times"
    rule = f"Yes where at least {times} a {_transaction(task, spec)} follows within {ahead} of the first record."
    return question, f"{rule} {_not_counted(spec)}".strip()


def _outflow(task: Task, spec: Spec) -> Told:
    ahead = days(task.horizon_days)
    question = f"How much money will leave the customer within {ahead}?"
    rule = (
        f"The sum in {spec.currency} of what leaves the customer in the next {ahead} by every "
        f"{_transaction(task, spec)}. It is learned as log(1 + x) and given as money."
    )
    return question, rule


def _next_type(task: Task, spec: Spec) -> Told:
    within, counted = f"within {days(task.horizon_days)}", _transaction(task, spec)
    if not task.by_day:
        return "What will the customer do next?", f"The type of the next {counted}, {within}."
    question = "What will the customer's largest transaction be on the next day with any?"
    rule = (
        f"The type of the largest {counted} on the next day that has one, {within}. "
        "Event rows stand at the end of a customer's day."
    )
    return question, rule


def _top_type(task: Task, spec: Spec) -> Told:
    ahead = days(task.horizon_days)
    question = f"On what will the customer spend most within {ahead}?"
    rule = f"The type by which most leaves the customer in the next {ahead}, of every {_transaction(task, spec)}."
    return question, rule


def _outcome_within(task: Task, spec: Spec) -> Told:
    del spec
    ahead, name = days(task.horizon_days), task.outcome_name
    if task.kind == "multiclass":
        return (
            f"Which “{name}” comes first within {ahead}, if any?",
            f"The first “{name}” in the next {ahead}, or none.",
        )
    if task.kind == "value":
        question = f"How much “{name}” will there be within {ahead}?"
        return question, f"The sum of “{name}” in the next {ahead}.{_amount(task)}"
    question = f"Will “{name}” happen to the customer within {ahead}?"
    return question, f"Yes where an outcome “{name}” other than 0 comes in the next {ahead}."


def _outcome_next(task: Task, spec: Spec) -> Told:
    del spec
    ahead, name = days(task.horizon_days), task.outcome_name
    if task.kind == "binary":
        question = f"Will the customer's next “{name}” be a yes?"
        return question, f"Yes where the first “{name}” in the next {ahead} is other than 0."
    return f"What will the customer's next “{name}” be?", f"The first “{name}” in the next {ahead}.{_amount(task)}"


def _outcome_at(task: Task, spec: Spec) -> Told:
    del spec
    name = task.outcome_name
    of_row = f"the “{name}” that the data holds for the very time of the row, whenever it came true"
    rule = f"Yes where {of_row}, is other than 0." if task.kind == "binary" else f"T{of_row[1:]}.{_amount(task)}"
    known = "Known are the transactions before that time and the customer records up to it."
    return f"What will become of the customer's “{name}” that begins now?", f"{rule} {known}"


def _unknown(task: Task, spec: Spec) -> Told:
    del spec
    ahead = days(task.horizon_days)
    return f"What does “{task.name}” tell of the next {ahead}?", f"As the rule {task.label} says, within {ahead}."


_RULES: Final[dict[str, Callable[[Task, Spec], Told]]] = {
    "inactive": _inactive,
    "activated": _activated,
    "spend_drop": _spend_drop,
    "outflow": _outflow,
    "next_type": _next_type,
    "top_type": _top_type,
    "outcome_within": _outcome_within,
    "outcome_next": _outcome_next,
    "outcome_at": _outcome_at,
}
_NOTHING: Final = {
    "spend_drop": "customers from whom nothing left in the time before",
    "next_type": "customers of whom no such transaction follows in that time",
    "top_type": "customers from whom nothing leaves in that time",
    "outcome_next": "customers who have no such outcome in that time",
    "outcome_at": "times at which the data holds no such outcome",
}


def _asked(task: Task) -> str:
    if not task.eligible:
        return "Every customer."
    return f"Customers with {'; '.join(_condition(item) for item in task.eligible)}."


def _condition(condition: Condition) -> str:
    name, low, high = condition.feature, condition.at_least, condition.at_most
    if "=" in name and (low, high) == (1.0, None):
        return name
    bounds = [f"at least {low:,.15g}"] if low is not None else []
    bounds += [f"at most {high:,.15g}"] if high is not None else []
    said = f"{name} {' and '.join(bounds)}"
    return f"{said} ({_FEATURES[name]})" if name in _FEATURES else said


def _masked(task: Task) -> str:
    masked = ["customers who are not asked"] if task.eligible else []
    if task.min_history_days:
        masked.append(f"rows less than {days(task.min_history_days)} after the customer's first transaction")
    if task.label != "outcome_at":
        ahead = days(task.horizon_days)
        beyond = f"rows whose {ahead} reach beyond what is known of the customer"
        told = task.settled == "when_told" and task.label in TOLD_BY_ONE
        masked.append(f"{beyond}, unless the answer came before" if told else beyond)
    if task.label in _NOTHING:
        masked.append(_NOTHING[task.label])
    if len(set(task.rows)) == 1:
        masked.append(f"rows other than {task.rows[0]} rows")
    sentence = "; ".join(masked)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def _transaction(task: Task, spec: Spec) -> str:
    """Return what counts, in words; the rules that look at transactions count some types or all own ones."""
    if task.label not in OF_TYPES or spec.types_of(task) == spec.own_types:
        return "transaction that the customer initiates"
    names = spec.types_of(task)
    told = ", ".join(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        told += f" and {len(names) - _MOST_NAMED} more"
    return f"transaction of the type {told}" if len(names) == 1 else f"transaction of the types {told}"


def _amount(task: Task) -> str:
    return " It is learned as log(1 + x) and given as it is." if task.kind == "value" else ""


def _not_counted(spec: Spec) -> str:
    others = [item.name for item in spec.types if item.initiator == "bank"]
    return f"What the bank makes ({', '.join(others)}) does not count." if others else ""
