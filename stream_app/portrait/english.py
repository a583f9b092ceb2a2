"""A portrait in English."""

from collections.abc import Callable
from typing import Final

from schemas.portrait import Answer, OpenAlert, Portrait, Preference, Stage, StageName, StageRule, Standing
from stream_app.portrait.figures import (
    age,
    count,
    for_and_against,
    leading_types,
    likely_classes,
    local,
    longest_window,
    number,
    share,
    takes_nothing,
    told_tasks,
)

_STAGES: Final[dict[StageName, str]] = {
    "new": "New",
    "growing": "Growing",
    "steady": "Steady",
    "at_risk": "At risk",
    "lapsed": "Lapsed",
    "won_back": "Won back",
}


def sentences(portrait: Portrait) -> list[str]:
    """Return a portrait as sentences in English."""
    return [
        f"Customer {portrait.customer_id}, as of {_moment(portrait.time, portrait)}.",
        f"{_STAGES[portrait.stage.name]}: {_RULES[portrait.stage.rule](portrait.stage)}.",
        *_standings(portrait),
        *_money(portrait),
        *(_answer(name, task, portrait) + _why(task) for name, task in told_tasks(portrait)),
        *_not_asked(portrait),
        *_preferences(portrait),
        *_facts(portrait),
        *_alerts(portrait),
    ]


def _habit(stage: Stage) -> str:
    pause = _age(stage.pause_days)
    return {
        "rhythm": f"pauses of up to {pause} are usual for this customer",
        "limit": f"{pause} counts as long for any customer",
        "default": f"with no rhythm known yet, {pause} counts as long",
    }[stage.pause_by]


def _pace(stage: Stage) -> str:
    return f"about {_count(stage.pace)} of late, where {_count(stage.usual_pace, bare=True)} in 30 days would be usual"


_RULES: Final[dict[StageRule, Callable[[Stage], str]]] = {
    "not_active_yet": lambda s: f"known for {_age(s.known_days)} and not active yet",
    "never_active": lambda s: f"known for {_age(s.known_days)} and never active",
    "silent_for_long": lambda s: (
        f"silent for {_age(s.silence_days)}; after {_age(s.lapse_days)} this customer counts as lapsed"
    ),
    "silent_beyond_habit": lambda s: f"silent for {_age(s.silence_days)}; {_habit(s)}",
    "back_after_pause": lambda s: f"came back {_age(s.back_days)} ago, after a pause of {_age(s.away_days)}",
    "active_again": lambda _: "active again after a long quiet time",
    "first_months": lambda s: f"active for {_age(s.active_days)}, since the first own transaction",
    "churn_score": lambda s: f"the score for {_name(s.task or '')} is high",
    "pace_falls": lambda s: f"activity falls, {_pace(s)}",
    "pace_rises": lambda s: f"activity rises, {_pace(s)}",
    "usual_pace": lambda s: (
        "active as usual" if s.pace is None else f"active as usual, about {_count(s.pace)} in 30 days"
    ),
}


def _standings(portrait: Portrait) -> list[str]:
    days, recency = portrait.recency.value, portrait.recency
    last = "No own activity so far" if days is None else f"Last active {_age(days)} ago"
    window = longest_window(portrait)
    span, spent = _span(window.size), _money_of(window.outflow, portrait)
    more = "more than {} % of customers"
    return [
        f"{last}{_beside(recency, 'more recently than {} % of customers', 'among the least recent')}.",
        f"{_plural(window.count, 'transaction')} in {span}{_beside(portrait.frequency, more, 'among the fewest')}.",
        f"{spent} went out in {span}{_beside(portrait.monetary, more, 'among the least')}.",
    ]


def _beside(standing: Standing, text: str, least: str) -> str:
    if standing.fifth is None:
        return ""
    return f": {text.format(standing.percent) if standing.percent else least} (band {standing.fifth} of 5)"


def _money(portrait: Portrait) -> list[str]:
    window = longest_window(portrait)
    found = [f"{_money_of(window.inflow, portrait)} came in over the same days."] if window.inflow else []
    types = leading_types(portrait)
    if types:
        found.append(
            f"Of late most was moved by {_listed([f'{_name(kind)} ({share(part)} %)' for kind, part in types])}."
        )
    if portrait.balance is not None:
        found.append(f"The balance told last was {_money_of(portrait.balance, portrait)}.")
    if portrait.recency.fifth is None:
        found.append("This bundle does not know how other customers are, so there are no bands.")
    return found


def _answer(name: str, task: Answer, portrait: Portrait) -> str:
    score, within = task.score, _age(task.horizon_days)
    band = f" ({_name(score.band)})" if score.band else ""
    if task.kind == "value":
        end = f"to be spent in the next {within}" if task.label == "outflow" else f"expected within {within}"
        return f"{_title(name)}: about {_money_of(score.score or 0.0, portrait)} {end}{band}."
    if task.kind == "binary":
        return f"{_title(name)}: {share(score.score or 0.0)} % likely to {_event(name, task)}{band}."
    likely = [f"{_name(label)} ({share(part)} %)" for label, part in likely_classes(score)]
    after = {"next_type": "the next transaction is ", "outcome_at": ""}.get(task.label, f"within {within} ")
    return f"{_title(name)}: {after}most likely {', then '.join(likely)}."


def _why(task: Answer) -> str:
    up, down = ("; ".join(texts) for texts in for_and_against(task))
    return (f" What raises it: {up}." if up else "") + (f" What lowers it: {down}." if down else "")


def _event(name: str, task: Answer) -> str:
    within = _age(task.horizon_days)
    if task.label == "inactive":
        return f"stay silent for the next {within}"
    if task.label == "activated":
        return f"become active within {within} of the first record"
    if task.label == "spend_drop":
        return f"spend in the next {within} less than {share(task.drop or 0.0)} % of what it was before"
    outcome = "happen" if task.outcome in {None, name} else f"end in {_name(task.outcome or '')}"
    return outcome if task.label == "outcome_at" else f"{outcome} within {within}"


def _not_asked(portrait: Portrait) -> list[str]:
    names = [_name(name) for name, task in portrait.tasks.items() if not task.score.eligible]
    return [f"Not asked for this customer now: {_listed(names)}."] if names else []


def _preferences(portrait: Portrait) -> list[str]:
    found = portrait.preferences
    if found is None or not found.ranking:
        return []
    told = [_preference(item) for item in found.ranking]
    if found.task is None:
        return [f"Products like what is used most: {_listed(told)}."]
    within = _age(found.horizon_days)
    start = f"{_title(found.task)}: within {within}"
    if takes_nothing(found):
        return [f"{start} most likely no product ({share(found.nothing or 0.0)} %), then {told[0]}."]
    return [f"{start} likely products are {_listed(told)}."]


def _preference(item: Preference) -> str:
    likely = f", {share(item.probability)} %" if item.probability is not None else ""
    return f"{_name(item.type)} ({' or '.join(product.name for product in item.products)}{likely})"


def _facts(portrait: Portrait) -> list[str]:
    found = []
    for used, text in ((True, "On file"), (False, "On file, but unknown to the scores")):
        told = [f"{_name(fact.name)} ({_value(fact.value)})" for fact in portrait.facts if fact.used is used]
        if told:
            found.append(f"{text}: {', '.join(told)}.")
    return found


def _alerts(portrait: Portrait) -> list[str]:
    return [_alert(alert, portrait) for alert in portrait.alerts] or ["No alert is open."]


def _alert(alert: OpenAlert, portrait: Portrait) -> str:
    again = f", held {_plural(alert.suppressed, 'more time')} since" if alert.suppressed else ""
    return f"Open alert {_name(alert.rule)} ({alert.severity}) of {_moment(alert.time, portrait)}{again}."


def _age(days: float | None) -> str:
    number_of, unit = age(days or 0.0)
    if not number_of:
        return "less than an hour"
    return _plural(number_of, "hour" if unit == "h" else "day")


def _span(days: int) -> str:
    return "the present day" if days == 1 else f"the last {days} days"


def _count(pace: float | None, *, bare: bool = False) -> str:
    text = count(pace or 0.0)
    return text if bare else f"{text} own transaction{'' if text == '1' else 's'}"


def _plural(number_of: int, noun: str) -> str:
    return f"{number_of:,} {noun}{'' if number_of == 1 else 's'}"


def _money_of(amount: float, portrait: Portrait) -> str:
    return f"{portrait.currency} {amount:,.2f}"


def _moment(time_ms: int, portrait: Portrait) -> str:
    moment = local(time_ms, portrait.utc_offset_minutes)
    zone = moment.strftime("%z")
    return f"{moment.day} {moment:%B %Y %H:%M} UTC{'' if zone == '+0000' else f'{zone[:3]}:{zone[3:]}'}"


def _name(name: str) -> str:
    return name.replace("_", " ")


def _title(name: str) -> str:
    return _name(name)[:1].upper() + _name(name)[1:]


def _value(value: float | str) -> str:
    return _name(value) if isinstance(value, str) else number(value)


def _listed(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)
