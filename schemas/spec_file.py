"""Reads a spec from TOML and refuses what contradicts itself."""

import tomllib
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Final

import msgspec

from schemas.errors import SpecError
from schemas.spec import OF_TYPES, OTHER, TOLD_BY_ONE, TYPE_CLASSES, Attribute, ReasonTemplate, Rule, Spec, Task

MOST_TYPES = 64
RESERVED = ("kind", "customer_id", "time", "name", "observed_until", "outcomes_until", "split_group")
"""Fields of ``customer`` records and columns of ``customers.parquet`` that are no attributes."""


def parse(text: str, where: str) -> Spec:
    """Parse a spec from TOML.

    Args:
        text: the TOML text.
        where: the place to name in errors, a path as a rule.

    Raises:
        SpecError: it is no TOML, has an unknown key or a wrong value, or contradicts itself.
    """
    try:
        spec = msgspec.convert(tomllib.loads(text), Spec)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"Expected a spec in TOML at {where}, found {error}; correct that line."
        raise SpecError(message) from error
    except msgspec.ValidationError as error:
        message = f"Expected a valid spec at {where}, found: {error}; correct or remove that key."
        raise SpecError(message) from error
    problem = next(problems(spec), None)
    if problem:
        message = f"Expected a consistent spec at {where}, found: {problem}."
        raise SpecError(message)
    return spec


def load(path: Path) -> Spec:
    """Read a spec from a file.

    Raises:
        SpecError: the file is missing, unreadable or refused by ``parse``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "text that is not UTF-8"
        message = f"Expected a spec at {path}, found: {reason}; name a readable TOML file."
        raise SpecError(message) from error
    return parse(text, str(path))


def bank_text(*, activation: bool = False) -> str:
    """Return the text of the built-in spec of a bank.

    Args:
        activation: whether ``customer`` records are scored, and asked if a new customer will become active.
    """
    folder = resources.files("schemas")
    text = folder.joinpath("bank.toml").read_text(encoding="utf-8")
    if not activation:
        return text
    task = folder.joinpath("activation.toml").read_text(encoding="utf-8")
    of_loans = '{ feature = "has_loan=yes", at_least = 1 }'  # of who has just come, nothing tells yet
    text = text.replace(of_loans, f'{of_loans}, {{ feature = "own_count", at_least = 1 }}', 1)
    text = text.replace("[[tasks]]", "score_on_customer = true\n\n[[tasks]]", 1)
    return text.replace("[[rules]]", f"{task}\n[[rules]]", 1)


def bank() -> Spec:
    """Return the built-in spec of a bank."""
    return parse(bank_text(), "the built-in bank.toml")


def problems(spec: Spec) -> Iterator[str]:
    """Yield what a spec gets wrong beyond single fields, each with what to do."""
    yield from _type_problems(spec)
    for kind, names in (
        ("type", [item.name for item in spec.types]),
        ("attribute", [item.name for item in spec.attributes]),
        ("task", [item.name for item in spec.tasks]),
        ("rule", [item.name for item in spec.rules]),
    ):
        for name in _repeated(names):
            yield f"{kind} {name!r} twice; give each {kind} a name of its own"
    for window in ("window_hours", "window_days", "decay_days"):
        values = getattr(spec, window)
        if not values or list(values) != sorted(set(values)):
            yield f"{window} = {list(values)}; list at least one, ascending, each once"
    if _repeated(spec.due_every):
        yield f"due_every = {list(spec.due_every)}; list each period once"
    for attribute in spec.attributes:
        yield from _attribute_problems(attribute)
    if not spec.tasks:
        yield "no task; add at least one [[tasks]]"
    for task in spec.tasks:
        yield from _task_problems(task)
        yield from _counted_problems(spec, task)
        yield from _record_problems(spec, task)
    yield from _told_problems(spec)


def _repeated(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _type_problems(spec: Spec) -> Iterator[str]:
    if not spec.types or spec.types[-1].name != OTHER or spec.types[-1].initiator != "customer":
        yield f"types that do not end with {{ name = {OTHER!r} }} of the customer; add it as the last type"
    if len(spec.types) > MOST_TYPES:
        yield f"{len(spec.types)} types; at most {MOST_TYPES} are kept apart, so join rare ones into {OTHER!r}"
    if spec.rates.get(spec.currency, 1.0) != 1.0:
        yield f"rate {spec.rates[spec.currency]} for the base currency {spec.currency}; remove it from rates"


KINDS: Final = {
    "age": "number",
    "income": "number",
    "credit_score": "number",
    "gender": "category",
    "risk_level": "category",
}
"""The attributes that the message ``customer`` names itself."""


def _attribute_problems(attribute: Attribute) -> Iterator[str]:
    where = f"attribute {attribute.name!r}"
    if attribute.name in RESERVED:
        yield f"{where}, a name that customer records use themselves; give it another name"
    if KINDS.get(attribute.name, attribute.kind) != attribute.kind:
        yield f"{where} of kind {attribute.kind!r}; in customer records it is a {KINDS[attribute.name]}"
    if attribute.kind == "category" and not 1 <= len(attribute.values) <= MOST_TYPES:
        yield f"{where} with {len(attribute.values)} values; list 1 to {MOST_TYPES} values"
    if attribute.kind == "number" and attribute.values:
        yield f'{where} of kind "number" with values; remove them or make it a category'
    if attribute.at_least > attribute.at_most:
        yield f"{where} with at_least above at_most; swap them"
    for value in _repeated(attribute.values):
        yield f"{where} with value {value!r} twice; list each once"


def _told_problems(spec: Spec) -> Iterator[str]:
    for rule in spec.rules:
        yield from _rule_problems(spec, rule)
    for template in spec.reasons.templates:
        yield from _template_problems(template)


def _template_problems(template: ReasonTemplate) -> Iterator[str]:
    for language in ("en", "zh"):
        text = getattr(template, language) or ""
        try:
            found = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
        except ValueError as error:
            yield f"a template of {template.feature!r} in {language!r} that cannot be read ({error}); correct it"
            continue
        if found - {"name", "value"}:
            unknown = min(found - {"name", "value"})
            yield f"{{{unknown}}} in a template of {template.feature!r}; {{name}} and {{value}} may stand there"


_LABELS = {
    "binary": {"inactive", "activated", "spend_drop", "outcome_within", "outcome_next", "outcome_at"},
    "multiclass": {"outcome_within", "outcome_next", "outcome_at", "next_type", "top_type"},
    "value": {"outcome_within", "outcome_next", "outcome_at", "outflow"},
}


def _task_problems(task: Task) -> Iterator[str]:
    where = f"task {task.name!r}"
    yield from _class_problems(task, where)
    yield from _band_problems(task, where)
    if not task.rows:
        yield f'{where} without rows; list "event", "tick" or both, or "record" for the label "activated"'
    for condition in task.eligible:
        if condition.at_least is None and condition.at_most is None:
            yield f"{where} with a condition on {condition.feature!r} without a bound; add at_least or at_most"


def _class_problems(task: Task, where: str) -> Iterator[str]:
    if task.label not in _LABELS[task.kind]:
        yield f"{where} of kind {task.kind!r} with label {task.label!r}; use one of {sorted(_LABELS[task.kind])}"
    wants_classes = task.kind == "multiclass" and task.label not in TYPE_CLASSES
    if wants_classes and not 2 <= len(task.classes) <= MOST_TYPES:  # noqa: PLR2004  (two make a choice)
        yield f"{where} with {len(task.classes)} classes; list 2 to {MOST_TYPES}"
    if not wants_classes and task.classes:
        yield f"{where} with classes, which its kind and label do not take; remove them"
    if wants_classes and task.label == "outcome_within" and "none" not in task.classes:
        yield f'{where} without the class "none"; add it: most windows hold no outcome'
    if "eligible" in task.classes:
        yield f'{where} with the class "eligible", a column of the results; give it another name'
    for name in _repeated(task.classes):
        yield f"{where} with class {name!r} twice; list each once"


def _counted_problems(spec: Spec, task: Task) -> Iterator[str]:
    where = f"task {task.name!r}"
    if task.settled == "when_told" and task.label not in TOLD_BY_ONE:
        yield f"{where} settled when told with label {task.label!r}, which needs the whole horizon; remove settled"
    if task.types and task.label not in OF_TYPES:
        yield f"{where} with types, which its label does not look at; remove them"
        return
    for name in task.types:
        if name not in spec.own_types:
            yield f"{where} with type {name!r}, which customers do not initiate; name some of {list(spec.own_types)}"
    for name in _repeated(task.types):
        yield f"{where} with type {name!r} twice; list each once"
    if task.label in TYPE_CLASSES and len(task.types) == 1:
        yield f"{where} with one type, which leaves no choice; list more, or none to take all"


def _record_problems(spec: Spec, task: Task) -> Iterator[str]:
    where, activated = f"task {task.name!r}", task.label == "activated"
    if ("record" in task.rows) != activated or (activated and set(task.rows) != {"record"}):
        yield f'{where} with label {task.label!r} and rows {list(task.rows)}; "activated" takes rows = ["record"] only'
    if activated and not spec.score_on_customer:
        yield f"{where}, which customer records ask, while they are not scored; add score_on_customer = true"
    if activated and task.min_history_days:
        yield f"{where} with min_history_days, which a first record never has; remove it"


def _band_problems(task: Task, where: str) -> Iterator[str]:
    if task.kind == "multiclass" and task.bands:
        yield f"{where} with bands, which only binary and value tasks take; remove them"
    for position, band in enumerate(task.bands):
        bounds = (band.at_least is not None) + (band.top_share is not None)
        if bounds != (position > 0):
            yield f"{where}, band {band.name!r} with {bounds} bounds; the first band has none, each other exactly one"
    for bound, sign in (("at_least", 1), ("top_share", -1)):
        values = [sign * value for band in task.bands if (value := getattr(band, bound)) is not None]
        if values != sorted(set(values)):
            yield f"{where} with bands whose {bound} does not {'rise' if sign > 0 else 'fall'}; order them by it"
    for name in _repeated(band.name for band in task.bands):
        yield f"{where} with band {name!r} twice; give each a name of its own"


def _rule_problems(spec: Spec, rule: Rule) -> Iterator[str]:
    where = f"rule {rule.name!r}"
    if (rule.task is None) == (rule.feature is None):
        yield f"{where} with {'both' if rule.task else 'neither'} of task and feature; give exactly one"
        return
    sign = 1 if rule.direction == "above" else -1
    if rule.rearm is not None and sign * (rule.rearm - rule.threshold) > 0:
        yield f"{where} armed again at {rule.rearm} while it fires at {rule.threshold}; move rearm to the other side"
    if rule.task is None:
        if rule.class_ is not None:
            yield f"{where} on a feature with a class; remove the class"
        return
    task = next((item for item in spec.tasks if item.name == rule.task), None)
    if task is None:
        yield f"{where} on task {rule.task!r}, which is not among the tasks; correct its name"
    elif task.kind == "multiclass" and rule.class_ not in spec.classes(task):
        yield f"{where} with class {rule.class_!r}; name one of {list(spec.classes(task))}"
    elif task.kind != "multiclass" and rule.class_ is not None:
        yield f"{where} with a class on a task that has none; remove it"
