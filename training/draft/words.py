"""A spec in words: who acts, what is known of a customer, what is asked, and when it alerts."""

from collections.abc import Iterator

from schemas.spec import Rule, Spec
from training.report.meaning import days, meaning

_DAY_H = 24


def spec_words(spec: Spec) -> Iterator[tuple[str, str]]:
    """Yield what a spec says, as pairs of a part and what it says."""
    yield "the customer's", ", ".join(spec.own_types)
    yield "the bank's", ", ".join(item.name for item in spec.types if item.initiator == "bank") or "nothing"
    for label, seen in (("the network sees", True), ("it does not see", False)):
        names = [item.name for item in spec.attributes if item.is_input == seen]
        if names:
            yield label, ", ".join(names)
    for task in spec.tasks:
        told = meaning(task, spec)
        yield f"task {task.name}", f"{told.question} {told.rule} Asked: {told.asked[:1].lower()}{told.asked[1:]}"
    for rule in spec.rules:
        yield f"rule {rule.name}", rule_words(rule)


def rule_words(rule: Rule) -> str:
    """Return what an alert rule does."""
    watched = f"the chance of {rule.class_} in {rule.task}" if rule.class_ else rule.task or rule.feature
    way, back = ("rises to", "below") if rule.direction == "above" else ("falls to", "above")
    again = []
    if rule.rearm is not None:
        again.append(f"it was {back} {rule.rearm:g}")
    if rule.cooldown_hours:
        pause = rule.cooldown_hours / _DAY_H
        again.append(f"{days(pause)} have passed" if pause != 1 else "a day has passed")
    told = f", again once {' and '.join(again)}" if again else ""
    return f"{rule.severity.capitalize()} when {watched} {way} {rule.threshold:g}{told}."
