"""Tries a spec on a log: draws and labels rows as training does, and counts what there is to learn from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import numpy as np

from schemas.progress import SILENT, Progress
from schemas.spec import Spec, Task
from stream_app.kernel.layout import Layout
from stream_app.kernel.rolling import Rolling
from training.arrays import Flags, Ints
from training.draft.survey import Sample
from training.events import read_log
from training.guard import Leak, leaks
from training.log import Log
from training.rows import EVENT
from training.samples import Samples, draw, without_repeats
from training.split import SHARES, Split, split

FEWEST_ROWS: Final = 50
FEWEST_CUSTOMERS: Final = 10
"""Of each answer; fewer teach a network nothing that would be seen again."""
YES, NO, MORE, ZERO = "yes", "no", "above 0", "0"
_ANSWERS: Final = {"binary": (NO, YES), "value": (ZERO, MORE)}
_RARE: Final = 0.999
_MOST_EVENT_ROWS: Final = 20_000
_LEAST_POSITIVE: Final = 0.02
_SEED: Final = 1
_NAMED: Final = 4


@dataclass(frozen=True)
class Tally:
    """The labels of one task.

    Attributes:
        task: which.
        rows: how many there are.
        answers: rows by answer; of a value, those above 0 and the others.
        customers: customers by answer.
        share: of a binary task, the share of yes among ticks (among all rows where there is no tick).
        sides: labels in training, validation, calibration and test.
        varied: whether training sees more than one answer.
        scale: how many customers there are for each that was looked at.
    """

    task: Task
    rows: int
    answers: Mapping[str, int]
    customers: Mapping[str, int]
    share: float
    sides: tuple[int, ...]
    varied: bool
    scale: float = 1.0

    @property
    def shortage(self) -> str:
        """Return why a network would learn too little from these labels; "" where there are enough."""
        if self.rows * self.scale < FEWEST_ROWS:
            return f"labelled rows: {self.rows:,}; at least {FEWEST_ROWS} are needed"
        if self.task.kind == "value" and self.answers[MORE] < _LEAST_POSITIVE * self.rows:
            return f"only {self.answers[MORE]:,} of {self.rows:,} rows are above 0"
        enough = [answer for answer, count in self.customers.items() if count * self.scale >= FEWEST_CUSTOMERS]
        if MORE not in enough and len(enough) < 2:  # noqa: PLR2004  (two make a choice)
            return (
                f"customers by answer: {_most(self.customers)}; at least {FEWEST_CUSTOMERS} of two answers are needed"
            )
        if self.scale > 1.0:  # training will see more
            return ""
        empty = [name for name, count in zip(SHARES, self.sides, strict=True) if not count]
        return f"no label for {empty[0]}" if empty else "" if self.varied else "one answer in all training rows"


@dataclass(frozen=True)
class Ground:
    """A log to try specs on; there are ``scale`` times as many customers."""

    log: Log
    scale: float

    @classmethod
    def of(cls, sample: Sample, spec: Spec) -> "Ground":
        """Read a log; of the spec count types, attributes and rates, but no tasks.

        Raises:
            SpecError: the row of the spec is too large.
            InputError: no transaction is accepted, or an attribute is of another type than the spec says.
        """
        return cls(without_repeats(read_log(sample.folder, spec), Rolling.of(spec)), sample.scale)


def attempt(ground: Ground, spec: Spec, progress: Progress = SILENT) -> Samples:
    """Draw and label the rows of a spec, at most as many event rows as tell what there is.

    Raises:
        SpecError: the spec names an unknown feature.
        InputError: an outcome's value is no class of its task.
    """
    most = min(_MOST_EVENT_ROWS, spec.training.max_event_rows)
    drawn = msgspec.structs.replace(spec, training=msgspec.structs.replace(spec.training, max_event_rows=most))
    return draw(ground.log, drawn, _SEED, progress)


def tallies(ground: Ground, spec: Spec, samples: Samples) -> dict[str, Tally]:
    """Return what the labels of each task are like, by its name."""
    parts = split(samples, ground.log, spec, "customer", _SEED)
    found = (replace(_tally(samples, parts, spec, index), scale=ground.scale) for index in range(len(spec.tasks)))
    return {tally.task.name: tally for tally in found}


def telling(ground: Ground, spec: Spec, samples: Samples) -> tuple[Leak, ...]:
    """Return the inputs that alone tell a label, for which training would refuse; none where a task has no labels."""
    parts = split(samples, ground.log, spec, "customer", _SEED)
    return tuple(leaks(samples, parts, Layout(spec))) if parts.train.any(axis=0).all() else ()


def unusual(spec: Spec, samples: Samples) -> float:
    """Return the z-score that one in a thousand transactions exceeds; NaN without event rows."""
    events = samples.features[samples.rows.kind == EVENT, Layout(spec).column["amount_z"]]
    return float(np.quantile(events, _RARE)) if len(events) else float("nan")


def _most(customers: Mapping[str, int]) -> str:
    """Return how many customers gave which answer, the most frequent first, as far as a person reads."""
    ranked = sorted(customers.items(), key=lambda item: -item[1])
    told = ", ".join(f"{count:,} {answer}" for answer, count in ranked[:_NAMED])
    return told + (f" and {len(ranked) - _NAMED} more" if len(ranked) > _NAMED else "")


def _tally(samples: Samples, parts: Split, spec: Spec, index: int) -> Tally:
    task = spec.tasks[index]
    known = samples.labels.known[:, index]
    value, customer = samples.labels.value[known, index], samples.rows.customer[known]
    code = (value > 0 if task.kind == "value" else value).astype(np.int64)
    names = _ANSWERS.get(task.kind) or spec.classes(task)
    rows = np.bincount(code, minlength=len(names))
    everyone = int(customer.max(initial=0)) + 1
    customers = np.bincount(np.unique(code * everyone + customer) // everyone, minlength=len(names))
    return Tally(
        task=task,
        rows=len(value),
        answers=dict(zip(names, rows.tolist(), strict=True)),
        customers=dict(zip(names, customers.tolist(), strict=True)),
        share=_share(code, samples.rows.kind[known] != EVENT),
        sides=tuple(int(getattr(parts, name)[:, index].sum()) for name in SHARES),
        varied=len(np.unique(samples.labels.value[parts.train[:, index], index])) > 1,
    )


def _share(code: Ints, tick: Flags) -> float:
    looked_at = code[tick] if tick.any() else code
    return float((looked_at > 0).mean()) if len(looked_at) else 0.0
