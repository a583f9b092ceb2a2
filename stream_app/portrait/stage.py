"""The stage of a customer's life cycle: a short table of rules, of which the first that holds decides.

They look at the customer's own rhythm, not at other customers, and hold for any spec: where it has no task about
churn, or too few decay constants, the rules that would need them never hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from schemas.portrait import Answer, Stage, StageName, StageRule
from stream_app.bundle import Bundle
from stream_app.kernel.kernel import NEVER_H
from stream_app.portrait.reading import Reading
from stream_app.portrait.rhythm import Habit, Pace, Return, habit, lapse_days, last_return, pace

NEW_DAYS: Final = 60.0
"""For so long after the first own-initiated transaction a customer is new."""
RISK_DAYS: Final = 7.0
"""Nobody is at risk for a shorter silence."""
BACK_DAYS: Final = 30.0
"""For so long after the end of a pause a customer is won back."""
QUIET: Final = 0.3
"""A stretch with less than this part of the pace before and after it was a pause."""
PACE_FALLS: Final = 0.5
"""Activity that falls to this part of the usual one is a risk."""
PACE_RISES: Final = 1.5
"""Activity that rises to so much of the usual one is growth."""
SURE: Final = 2.0
"""A change counts if it is so many standard deviations of chance: of random arrivals, the variance of a decayed count
is half its mean (Campbell's theorem)."""
LIKELY_CHURN: Final = 0.5
"""A churn score from which a customer is at risk, where the task has no bands."""


@dataclass(frozen=True)
class Signs:
    """What the rules look at.

    Attributes:
        known_days: since the first that is known of the customer.
        active_days: since the first own-initiated transaction; None where there is none.
        silence_days: since the last one; None likewise.
        habit: which pauses are usual.
        returned: from a long pause, lately.
        pace: at several ranges of age; None on the first day.
        least_lapse_days: the least silence of any lapsed customer.
        churning: the task by whose score the customer is likely to leave, None if there is none.
    """

    known_days: float
    active_days: float | None
    silence_days: float | None
    habit: Habit
    returned: Return | None
    pace: Pace | None
    least_lapse_days: float
    churning: str | None


class Rule(NamedTuple):
    """A row of the table: a stage, the name of the rule, and whether it holds."""

    stage: StageName
    name: StageRule
    holds: Callable[[Signs], bool]


def stage(reading: Reading, tasks: dict[str, Answer], bundle: Bundle) -> Stage:
    """Return the stage of a customer, with the rule that decided and what it has looked at."""
    return decided(_signs(reading, tasks, bundle))


def decided(signs: Signs) -> Stage:
    """Return the stage that follows from the signs."""
    rule = next(rule for rule in RULES if rule.holds(signs))
    back = signs.returned if rule.name == "back_after_pause" else None
    found = signs.pace
    return Stage(
        name=rule.stage,
        rule=rule.name,
        known_days=_rounded(signs.known_days),
        active_days=None if signs.active_days is None else _rounded(signs.active_days),
        silence_days=None if signs.silence_days is None else _rounded(signs.silence_days),
        pause_days=_rounded(signs.habit.pause_days),
        pause_by=signs.habit.by,
        lapse_days=_rounded(signs.habit.lapse_days),
        pace=_rounded(30 * found.upto(found.recent)) if found else None,
        usual_pace=_rounded(30 * found.upto(-1)) if found else None,
        away_days=_rounded(back.away_days) if back else None,
        back_days=_rounded(back.back_days) if back else None,
        task=signs.churning if rule.name == "churn_score" else None,
    )


def _never_active(signs: Signs) -> bool:
    return signs.silence_days is None


def _silent(signs: Signs, days: float) -> bool:
    return signs.silence_days is not None and signs.silence_days >= days


def _active_again(signs: Signs) -> bool:
    """Return whether activity shows a gap: little at some ages, much before and after them."""
    found = signs.pace
    if found is None:
        return False
    last = len(found.days) - 1
    return any(
        _quiet_between(found, at, last) for at in range(last - 1) if 2 * found.days[at + 1] >= signs.least_lapse_days
    )


def _quiet_between(found: Pace, at: int, last: int) -> bool:
    usual = min(found.upto(at), found.between(at + 1, last))
    length = found.lengths[at + 1] - found.lengths[at]
    return usual * length >= SURE and found.between(at, at + 1) < QUIET * usual


def _changed(signs: Signs, part: float) -> bool:
    """Return whether the pace of late is the usual one times ``part``, or beyond, and that is no chance."""
    found = signs.pace
    if found is None or len(found.days) == 1:
        return False
    count, expected = found.counts[found.recent], found.upto(-1) * found.lengths[found.recent]
    sign = 1 if part > 1 else -1
    enough: bool = sign * count >= sign * part * expected
    return enough and sign * (count - expected) >= SURE * (expected / 2) ** 0.5 > 0


RULES: Final = (
    Rule("new", "not_active_yet", lambda signs: _never_active(signs) and signs.known_days <= NEW_DAYS),
    Rule("lapsed", "never_active", _never_active),
    Rule("lapsed", "silent_for_long", lambda signs: _silent(signs, signs.habit.lapse_days)),
    Rule("at_risk", "silent_beyond_habit", lambda signs: _silent(signs, max(signs.habit.pause_days, RISK_DAYS))),
    Rule("won_back", "back_after_pause", lambda signs: signs.returned is not None),
    Rule("won_back", "active_again", _active_again),
    Rule("new", "first_months", lambda signs: signs.active_days is not None and signs.active_days <= NEW_DAYS),
    Rule("at_risk", "churn_score", lambda signs: signs.churning is not None),
    Rule("at_risk", "pace_falls", lambda signs: _changed(signs, PACE_FALLS)),
    Rule("growing", "pace_rises", lambda signs: _changed(signs, PACE_RISES)),
    Rule("steady", "usual_pace", lambda _signs: True),
)
"""The first that holds decides; the last one always holds, so that every row has exactly one stage."""


def _signs(reading: Reading, tasks: dict[str, Answer], bundle: Bundle) -> Signs:
    ages = [reading["tenure_h"]] if reading["count"] else [reading["registered_h"]]
    if reading["registered_h"] < NEVER_H:
        ages.append(reading["registered_h"])
    active = reading["own_count"] > 0
    return Signs(
        known_days=max(ages) / 24,
        active_days=reading["own_tenure_h"] / 24 if active else None,
        silence_days=reading["own_silence_h"] / 24 if active else None,
        habit=habit(reading),
        returned=last_return(reading, BACK_DAYS),
        pace=pace(reading),
        least_lapse_days=lapse_days(reading.layout.spec),
        churning=next((name for name, task in tasks.items() if _likely(name, task, bundle)), None),
    )


def _likely(name: str, task: Answer, bundle: Bundle) -> bool:
    """Return whether a task is about losing the customer, and says that this is likely."""
    about_churn = task.label in {"inactive", "spend_drop"} or name == "churn"
    if not about_churn or task.kind != "binary" or task.score.score is None:
        return False
    bands = bundle.manifest.bands.get(name, ())
    return task.score.band == bands[-1].name if len(bands) > 1 else task.score.score >= LIKELY_CHURN


def _rounded(days: float) -> float:
    return round(days, 3)
