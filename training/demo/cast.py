"""Chooses the customers to watch: those of whom a replay shows that their scores will move, and rightly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from schemas.spec import Task
from training.arrays import Flags, Floats, Ints, Texts
from training.labels import NONE

MOST: Final = 3
LEAST_RISE: Final = 0.02
"""A score that rises less is not seen to move."""
_TITLES: Final = {"churn": "drifting into churn", "credit_risk": "into financial stress", "preference": "about to buy"}


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A customer to watch, and why.

    Attributes:
        customer: the id.
        task: whose score is watched, or
        class_: of a multiclass task the class whose probability is.
        kind: of the task.
        title: what the customer is doing, in a few words.
        low: the score before it rose.
        high: the score after it.
        came_ms: when it came true, in event time; None where nobody knows.
        came: what came true, in words.
    """

    customer: str
    task: str
    kind: str
    title: str
    low: float
    high: float
    class_: str = ""
    came_ms: int | None = None
    came: str = ""


class Cast(msgspec.Struct, frozen=True):
    """The customers to watch, at most one role each, and how they were chosen."""

    roles: tuple[Role, ...]
    chosen: str


@dataclass(frozen=True)
class Course:
    """The scores of one task, or of one class of a multiclass task, through the log; n rows by customer, then time.

    Attributes:
        task: whose scores they are.
        class_: the class, of a multiclass task.
        customer: int64 [n], index into the ids.
        time_ms: int64 [n], event time.
        score: float64 [n], NaN where the task was not asked.
        came_ms: int64 [n], when what the task asks came true; -1 where it did not, or not in the part that is watched.
    """

    task: Task
    class_: str
    customer: Ints
    time_ms: Ints
    score: Floats
    came_ms: Ints

    @property
    def name(self) -> str:
        """Return the name of its column in a table of scores."""
        return f"{self.task.name}.{self.class_}" if self.class_ else self.task.name


@dataclass(frozen=True)
class Candidate:
    """A customer whose score rose: from ``low`` to ``high`` at row ``row`` of the course."""

    course: Course
    customer: int
    row: int
    low: float
    high: float

    @property
    def rise(self) -> float:
        """Return how much it rose."""
        return self.high - self.low

    @property
    def came_ms(self) -> int | None:
        """Return when it came true; None where nobody knows."""
        came = int(self.course.came_ms[self.row])
        return came if came >= 0 else None


def cast(courses: Sequence[Course], ids: Texts, allowed: Flags, *, unseen: bool) -> Cast:
    """Return the customers to watch, the best one of each task in turn.

    Args:
        courses: of the part of the log that is watched.
        ids: of the customers.
        allowed: bool [customers], who may be chosen.
        unseen: whether training has not seen those who may.
    """
    tasks = _in_order({course.task.name: course.task for course in courses}.values())
    ranked = [_ranked([course for course in courses if course.task.name == task.name], allowed) for task in tasks]
    roles = [_role(candidate, ids) for candidate in _in_turn(ranked)]
    return Cast(tuple(roles), _told(roles, int(allowed.sum()), unseen=unseen))


def candidates(course: Course, allowed: Flags, *, true_only: bool) -> list[Candidate]:
    """Return the largest rise of each customer's score, the largest first.

    Args:
        course: where to look.
        allowed: bool [customers], whom to look at.
        true_only: look only at rows of which what the task asks came true.
    """
    rows = np.flatnonzero(allowed[course.customer] & ~np.isnan(course.score))
    if not len(rows):
        return []
    customer, score = course.customer[rows], course.score[rows]
    begins = np.r_[True, np.diff(customer) != 0]
    number, low = np.cumsum(begins) - 1, _lowest_so_far(score, begins)
    rise = np.where((course.came_ms[rows] >= 0) | (not true_only), score - low, -np.inf)
    highest = np.maximum.reduceat(rise, np.flatnonzero(begins))
    at = np.flatnonzero((rise == highest[number]) & np.isfinite(rise))
    _, first = np.unique(customer[at], return_index=True)
    found = [
        Candidate(course, int(customer[k]), int(rows[k]), float(low[k]), float(score[k])) for k in at[first].tolist()
    ]
    return sorted(found, key=lambda candidate: -candidate.rise)


def _lowest_so_far(score: Floats, begins: Flags) -> Floats:
    """Return the least score up to each row since its customer began, float64 [n]."""
    step = float(np.ptp(score)) + 1.0  # lowers each customer below all before, so that one pass does for all
    lowered = step * (np.cumsum(begins) - 1)
    lowest: Floats = np.minimum.accumulate(score - lowered) + lowered
    return np.minimum(np.round(lowest, 6), score)


def _ranked(courses: Sequence[Course], allowed: Flags) -> list[Candidate]:
    """Return a task's candidates: those for whom it came true before all others, the largest rise first."""
    known = [found for course in courses for found in candidates(course, allowed, true_only=True)]
    others = [found for course in courses for found in candidates(course, allowed, true_only=False)]
    seen = [found for found in known if found.rise >= LEAST_RISE]
    return [found for part in (seen, others) for found in sorted(part, key=lambda found: -found.rise)]


def _in_order(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks with a story first: those that the bank has, then yes or no, then a class, then money."""
    built_in = list(_TITLES)

    def place(task: Task) -> tuple[int, int]:
        named = built_in.index(task.name) if task.name in built_in else len(built_in)
        kinds = {"binary": 0, "multiclass": 1 if NONE in task.classes else 2, "value": 3}
        return named, kinds[task.kind]

    return sorted(tasks, key=place)


def _in_turn(ranked: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Return as many candidates as can be watched, each task's best in turn, no customer twice."""
    chosen, queues = dict[int, Candidate](), [iter(found) for found in ranked]
    while queues and len(chosen) < MOST:
        queue = queues.pop(0)
        best = next((candidate for candidate in queue if candidate.customer not in chosen), None)
        if best is not None:
            chosen[best.customer] = best
            queues.append(queue)
    return list(chosen.values())


def _role(candidate: Candidate, ids: Texts) -> Role:
    task, class_ = candidate.course.task, candidate.course.class_
    title = _TITLES.get(task.name) or ("falling silent" if task.label == "inactive" else f"{task.name} rising")
    return Role(
        customer=str(ids[candidate.customer]),
        task=task.name,
        kind=task.kind,
        class_=class_,
        title=f"{title}: {class_}" if class_ else title,
        low=candidate.low,
        high=candidate.high,
        came_ms=candidate.came_ms,
        came=_came(candidate) if candidate.came_ms is not None else "",
    )


def _came(candidate: Candidate) -> str:
    task, class_ = candidate.course.task, candidate.course.class_
    match task.label:
        case "inactive":
            return f"did nothing for {task.horizon_days:g} days"
        case "spend_drop":
            return f"spent less than {task.drop:.0%} of before for {task.horizon_days:g} days"
        case _ if class_:
            return f"next was {class_}" if task.label == "next_type" else f"took: {class_}"
        case _:
            return task.outcome_name


def _told(roles: Sequence[Role], people: int, *, unseen: bool) -> str:
    if not roles:
        return "Nobody to watch: no score of this log can be followed."
    whom = f"the {people:,} customers of the test split, which training has not seen" if unseen else "all customers"
    true = sum(role.came_ms is not None for role in roles)
    how = "the one whose score rose most"
    if true:
        how += " of those for whom it came true"
    if 0 < true < len(roles):
        how += " (of all, where it is not known to have come true for any)"
    return f"Chosen by a replay before the stream, from {whom}: for each task {how}, in the part that was paced."
