"""What the terminal says of a draft: what was found, and what a person has to look at."""

from collections.abc import Iterator

from stream_app.kernel.layout import Layout
from training.draft.draft import Drafted
from training.report.meaning import days


def found(drafted: Drafted) -> Iterator[str]:
    """Yield what the data hold, a line each."""
    survey, span, spec = drafted.survey, drafted.span, drafted.spec
    yield (
        f"Found {len(survey.kind):,} transactions of {survey.customers:,} customers over {survey.days:.0f} days, "
        f"{len(survey.kinds):,} types, {len(spec.attributes)} attributes. {span.told}"
    )
    tasks = ", ".join(f"{item.name} ({item.label}, {days(item.horizon_days)})" for item in spec.tasks)
    row = Layout(spec).row_width * 4
    yield f"Drafted {len(spec.types)} types, {len(spec.rules)} rules, a row of {row:,} bytes, and the tasks {tasks}."


def reviews(drafted: Drafted) -> Iterator[str]:
    """Yield what to look at, a sentence each."""
    of_bank = ", ".join(f"{item.found.name} ({item.bank})" for item in drafted.types.of_bank)
    yield f"initiator: {of_bank} guessed to be the bank's" if of_bank else "initiator: no type looks like the bank's"
    if not drafted.known.currency and not drafted.survey.currencies:
        yield f"currency: the log names none, {drafted.spec.currency} is a guess"
    if drafted.guessed_rates:
        yield f"rates: 1 stands for {', '.join(drafted.guessed_rates)}"
    if not (drafted.survey.amount < 0).any():
        yield "amounts: none is negative, so nothing leaves the customers (`foretell data csv --negate` turns the sign)"
    if hidden := [item.attribute.name for item in drafted.attributes.kept if not item.attribute.is_input]:
        yield f"attributes: the network does not see {', '.join(hidden)}"
    for name, why in drafted.attributes.left.items():
        yield f"attributes: {name} is not used ({why})"
    for name, why in drafted.left.items():
        yield f"tasks: {name} is left out ({why})"
    for feature, task in drafted.hints.items():
        yield f"exclude_inputs: {feature} alone tells {task}"
    yield "thresholds of rules: three times the average odds; set them when you have seen the report"
