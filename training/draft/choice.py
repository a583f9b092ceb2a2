"""Chooses the way to ask each question: the first one that the data can answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from schemas.spec import Rule, Task
from training.draft.candidates import Candidate, Question
from training.draft.trial import Tally
from training.labels import NONE
from training.report.meaning import days

_TIMES: Final = 3.0
"""An alert is for a customer whose odds are so many times those of the average one."""
_THRESHOLDS: Final = (0.01, 0.9)
_ROUGHLY: Final = 0.1
"""From here on a threshold is a multiple of 0.05, below it one of 0.01."""
_LONGEST_PAUSE_H: Final = 720.0
_UNUSUAL: Final = (4.0, 12.0)


@dataclass(frozen=True)
class Chosen:
    """A question that is asked: as which task, what to say of it, and what its labels are like (None: unknown)."""

    task: Task
    note: str
    tally: Tally | None


def choose(question: Question, tried: Iterable[tuple[Candidate, Tally]]) -> Chosen | str:
    """Return the first candidate with enough labels and a share of yes within its bounds, or why there is none."""
    refused = dict[str, None]()
    for candidate, tally in tried:
        low, high = candidate.shares
        if tally.shortage:
            refused[f"with {days(candidate.task.horizon_days)}, {tally.shortage}"] = None
        elif not low <= tally.share <= high:
            refused[f"with {days(candidate.task.horizon_days)}, {tally.share:.1%} yes"] = None
        else:
            before = f" Tried before: {'; '.join(refused)}." if refused else ""
            return Chosen(candidate.task, (candidate.note + before).strip(), tally)
    return question.missing or "; ".join(refused)


def rules(chosen: Iterable[Chosen], unusual: float) -> tuple[Rule, ...]:
    """Return alert rules for yes-or-no tasks, for the likeliest class that is not "none", and for unusual amounts.

    Args:
        chosen: the tasks.
        unusual: z-score that one in a thousand transactions exceeds; NaN where that is unknown.
    """
    found = [rule for item in chosen if item.tally for rule in _rules_of(item.task, item.tally)]
    level = 6.0 if np.isnan(unusual) else float(np.clip(round(2 * unusual) / 2, *_UNUSUAL))
    amount = Rule("unusual_amount", level, feature="amount_z", rearm=level / 2, cooldown_hours=24)
    return (*found, amount)


def _rules_of(task: Task, tally: Tally) -> list[Rule]:
    pause = min(_LONGEST_PAUSE_H, 12.0 * task.horizon_days)
    if task.kind == "binary":
        level = _level(tally.share)
        name = f"{task.name[:50]}_high"
        return [Rule(name, level, task=task.name, rearm=_back(level), cooldown_hours=pause, severity="warning")]
    if NONE not in task.classes:
        return []
    likeliest = max((item for item in task.classes if item != NONE), key=lambda item: tally.answers[item])
    level = _level(tally.answers[likeliest] / tally.rows)
    return [
        Rule(
            f"{task.name[:50]}_soon", level, task=task.name, class_=likeliest, rearm=_back(level), cooldown_hours=pause
        )
    ]


def _level(share: float) -> float:
    """Return the chance of a customer whose odds are some times the average ones, on a round figure."""
    odds = _TIMES * share / max(1.0 - share, 1e-9)
    level = odds / (1.0 + odds)
    steps = 20.0 if level >= _ROUGHLY else 100.0
    return float(np.clip(round(steps * level) / steps, *_THRESHOLDS))


def _back(level: float) -> float:
    return round(0.7 * level, 3)
