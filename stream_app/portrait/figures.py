"""What every language needs to tell a portrait: which figures are told, and how numbers and times look."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from schemas.messages import TaskScore
from schemas.portrait import Answer, Portrait, Preferences, Window
from stream_app.portrait.money import of_late, recent_days

MOST_TYPES: Final = 3
"""Types of transactions that are told."""
MOST_CLASSES: Final = 3
"""Classes of a task that are told, and how likely the last of them must be."""
LEAST_LIKELY: Final = 0.05
SURE_PERCENT: Final = 10
"""Shares below it are told with one decimal."""
LEAST_SHARE: Final = 0.01
"""Of what was moved: smaller shares are not told."""
SMALL_PACE: Final = 10
HOURS_UNTIL: Final = 2.0
"""Ages of fewer days are told in hours."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def number(value: float) -> str:
    """Return a number with at most two decimals: 1,234 or 51.4."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def share(part: float) -> str:
    """Return a probability in per cent, without the sign: 12, 3.4, or 0.1 for all that is less."""
    percent = 100 * part
    rounded = round(percent) if percent >= SURE_PERCENT else max(round(percent, 1), 0.1 if percent else 0.0)
    return f"{min(rounded, 99.9 if part < 1 else 100):g}"


def count(value: float) -> str:
    """Return a pace: whole, or with one decimal where it is small."""
    return f"{value:,.0f}" if value >= SMALL_PACE else f"{round(value, 1):g}"


def age(days: float) -> tuple[int, str]:
    """Return an age as a number and its unit, ``h`` or ``d``."""
    return (round(24 * days), "h") if days < HOURS_UNTIL else (round(days), "d")


def local(time_ms: int, utc_offset_minutes: int) -> datetime:
    """Return epoch ms as local time."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(timezone(timedelta(minutes=utc_offset_minutes)))


def longest_window(portrait: Portrait) -> Window:
    """Return the longest window of days."""
    return max((window for window in portrait.windows if window.unit == "d"), key=lambda window: window.size)


def leading_types(portrait: Portrait) -> list[tuple[str, float]]:
    """Return the own-initiated types that moved most of late, and their shares of what all of these moved."""
    own = [item for item in portrait.turnover if item.initiator == "customer"]
    if not own:
        return []
    days = recent_days(tuple(part.days for part in own[0].recent))
    amounts = [(item.type, of_late(item, days).amount) for item in own]
    total = sum(amount for _, amount in amounts)
    return [(kind, amount / total) for kind, amount in amounts[:MOST_TYPES] if amount >= LEAST_SHARE * total > 0]


def told_tasks(portrait: Portrait) -> list[tuple[str, Answer]]:
    """Return the tasks that were asked, but for the one that the preferred products tell of."""
    told_already = portrait.preferences.task if portrait.preferences and portrait.preferences.ranking else None
    return [(name, task) for name, task in portrait.tasks.items() if task.score.eligible and name != told_already]


def for_and_against(task: Answer) -> tuple[list[str], list[str]]:
    """Return what made an answer higher and what made it lower, in words."""
    up, down = ([item.text for item in task.reasons if sign * item.contribution > 0] for sign in (1, -1))
    return up, down


def takes_nothing(found: Preferences) -> bool:
    """Return whether it is likelier that the customer takes no product than the one preferred most."""
    return found.nothing is not None and found.nothing > (found.ranking[0].probability or 0.0)


def likely_classes(score: TaskScore) -> list[tuple[str, float]]:
    """Return a multiclass task's classes from the most likely on, as far as they are worth telling."""
    ranked = sorted((score.probabilities or {}).items(), key=lambda pair: -pair[1])
    return [pair for place, pair in enumerate(ranked[:MOST_CLASSES]) if place == 0 or pair[1] >= LEAST_LIKELY]
