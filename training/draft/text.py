"""The text of a draft: a scorer.toml whose comments say what was found, what was guessed and what to review."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Final

from schemas.spec import OTHER, TransactionType
from training.draft import toml
from training.draft.choice import Chosen
from training.draft.draft import Drafted
from training.draft.kinds import TypeDraft
from training.draft.survey import TypeFound
from training.draft.trial import Tally
from training.draft.words import rule_words
from training.report.meaning import meaning

GUESSED: Final = "guessed: review"
GUESSED_CURRENCY: Final = f"# {GUESSED}, for the log names no currency"
_MARK: Final = "# Draft "
_NAMED: Final = 6
"""Types that a comment lists before it stops."""


def written(drafted: Drafted) -> str:
    """Return a draft as TOML; a line of its head proves later that nobody has changed it."""
    body = "\n".join(part.rstrip("\n") for part in _parts(drafted)) + "\n"
    mark = f"{_MARK}{_digest(body)}: as long as nothing is changed, `foretell spec init` replaces it.\n"
    return _head(drafted) + mark + body


def is_untouched(text: str) -> bool:
    """Return whether a spec is a draft that nobody has changed."""
    before, mark, after = text.partition(_MARK)
    line, _, body = after.partition("\n")
    return bool(mark) and not any(not row.startswith("#") for row in before.splitlines()) and line[:8] == _digest(body)


def _digest(body: str) -> str:
    return hashlib.blake2s(body.encode(), digest_size=4).hexdigest()


def _head(drafted: Drafted) -> str:
    survey = drafted.survey
    zone = timezone(timedelta(minutes=drafted.spec.utc_offset_minutes))
    first, last = (f"{datetime.fromtimestamp(time / 1000, zone):%Y-%m-%d}" for time in (survey.start_ms, survey.end_ms))
    told = (
        f"Made from {len(survey.kind):,} transactions of {survey.customers:,} customers, {first} to {last} "
        f"({survey.days:.0f} days). Look for 'review', change what you know better, and run `foretell spec check`."
    )
    return "".join(f"{line}\n" for line in toml.comments([told]))


def _parts(drafted: Drafted) -> Iterator[str]:
    yield from _general(drafted)
    yield ""
    yield from _types(drafted)
    yield ""
    yield from _attributes(drafted)
    yield ""
    yield from toml.comments([drafted.span.told])
    for item in drafted.chosen:
        yield ""
        yield toml.table("tasks", item.task, _why(item, drafted))
    if drafted.left:
        yield ""
        yield from toml.comments(f"Not asked: {name} ({why})." for name, why in drafted.left.items())
    for rule in drafted.spec.rules:
        yield ""
        yield toml.table("rules", rule, [rule_words(rule)])
    yield ""
    yield from _training(drafted)


def _general(drafted: Drafted) -> Iterator[str]:
    spec, known = drafted.spec, drafted.known
    yield f"name = {toml.value(spec.name)}"
    source = "" if known.currency else "  # that of most" if drafted.survey.currencies else f"  {GUESSED_CURRENCY}"
    yield f"currency = {toml.value(spec.currency)}{source}"
    if spec.rates:
        unknown = f"  # review: 1 stands for {', '.join(drafted.guessed_rates)}" if drafted.guessed_rates else ""
        yield f"rates = {toml.value(spec.rates)}{unknown}"
    if spec.utc_offset_minutes:
        yield f"utc_offset_minutes = {spec.utc_offset_minutes}"
    if drafted.span.rhythm.dated_only:
        yield f"window_hours = {toml.value(spec.window_hours)}  # times are dates: hours would say the same as days"
    yield f"decay_days = {toml.value(spec.decay_days)}  # how long sums remember"
    if spec.exclude_inputs:
        yield ""
        told = ", ".join(f"{name} tells {task}" for name, task in drafted.hints.items())
        yield from toml.comments(
            [f"Review: hidden, since each alone tells a label, and so may be made from it ({told})."]
        )
        yield f"exclude_inputs = {toml.value(spec.exclude_inputs)}"


def _types(drafted: Drafted) -> Iterator[str]:
    initiators = "interest, fees and sanctions are the bank's: they are no sign of life"
    yield from toml.comments([f"initiator: who makes it happen, the customer unless said otherwise ({initiators})."])
    kept = [(_type(item), _seen(item)) for item in drafted.types.kept]
    yield toml.rows("types", [*kept, (TransactionType(OTHER), _joined(drafted.types.joined))])


def _type(item: TypeDraft) -> TransactionType:
    return TransactionType(item.found.name, "bank" if item.bank else "customer")


def _seen(item: TypeDraft) -> str:
    found = item.found
    called = f"{item.called}: " if item.called != found.name else ""
    guess = f"{GUESSED} ({item.bank}); " if item.bank else ""
    return f"{guess}{called}{found.count:,}, {_direction(found)}, median {found.median:.2f}"


def _direction(found: TypeFound) -> str:
    if found.leaves in (0.0, 1.0):
        return "out" if found.leaves else "in"
    return f"{found.leaves:.0%} out"


def _joined(joined: tuple[TypeFound, ...]) -> str:
    if not joined:
        return "whatever else comes"
    more = f" and {len(joined) - _NAMED:,} more" if len(joined) > _NAMED else ""
    names = ", ".join(f"{item.name} {item.count:,}" for item in joined[:_NAMED])
    return f"also {names}{more}"


def _attributes(drafted: Drafted) -> Iterator[str]:
    attributes = drafted.attributes
    if attributes.kept:
        yield "# A record with a number beyond at_most is refused."
        yield toml.rows("attributes", [(item.attribute, item.note) for item in attributes.kept])
    else:
        yield "# No attributes: customers.parquet has no columns for them."
    yield from toml.comments(f"Not used: {name} ({why})." for name, why in attributes.left.items())


def _why(item: Chosen, drafted: Drafted) -> Iterator[str]:
    yield meaning(item.task, drafted.spec).question
    if item.tally is not None:
        yield _labels(item.task.kind, item.tally, " of a sample of customers" if drafted.scale > 1.0 else "")
    if item.note:
        yield item.note


def _labels(kind: str, tally: Tally, some: str) -> str:
    if kind == "binary":
        return f"{tally.share:.1%} yes; {tally.rows:,} labelled rows{some}."
    answers = ", ".join(f"{answer} {count / max(tally.rows, 1):.1%}" for answer, count in tally.answers.items())
    return f"{answers}; {tally.rows:,} labelled rows{some}."


def _training(drafted: Drafted) -> Iterator[str]:
    training = drafted.spec.training
    yield "[training]"
    yield f"cut_every = {toml.value(training.cut_every)}  # how often every customer is looked at, besides after events"
    yield f"max_event_rows = {training.max_event_rows}"
