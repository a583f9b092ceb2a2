"""The spec: what a scorer knows of its world, as frozen values (``schemas.spec_file`` reads them from TOML).

It travels inside the bundle, so that stream, replay and training read the same one.
"""

from datetime import date
from functools import cached_property
from typing import Annotated, Literal

import msgspec

from schemas.errors import SpecError

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Bound = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Days = Annotated[float, msgspec.Meta(gt=0, le=3650)]
Period = Annotated[str, msgspec.Meta(pattern=r"^(month|[2-9]d|[12][0-9]d|3[01]d)$")]

OTHER = "other"
"""The type that unknown types become; always the last one."""
PROTECTED = ("gender", "age", "risk_level")
"""Attributes that the network sees only where the spec says ``input = true``."""
MONTH = "month"
"""The period of what recurs on a day of month."""
HOUR_TILES, DAY_TILES = 24, 30
"""Most hours and days that a window may span."""
OF_TYPES = ("inactive", "activated", "spend_drop", "outflow", "next_type", "top_type")
"""Label rules that look at transactions, of some types or of all that customers initiate."""
TYPE_CLASSES = ("next_type", "top_type")
"""Label rules whose classes are those types."""
TOLD_BY_ONE = ("next_type", "outcome_next")
"""Label rules that one event answers, maybe long before the horizon ends."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of the spec: immutable, and an unknown key is an error."""


class TransactionType(_Part, frozen=True):
    """A kind of transaction; what the bank initiates (interest, fees) is no activity of the customer."""

    name: Name
    initiator: Literal["customer", "bank"] = "customer"


class Attribute(_Part, frozen=True):
    """A fact of the ``customer`` record that enters the row."""

    name: Name
    kind: Literal["number", "category"]
    values: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()
    at_least: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 0.0
    at_most: Annotated[float, msgspec.Meta(ge=0, le=1e12)] = 1e12
    input: bool | None = None

    @property
    def is_input(self) -> bool:
        """Whether the network may see it; protected attributes only where asked."""
        return self.name not in PROTECTED if self.input is None else self.input


class Condition(_Part, frozen=True):
    """Bounds (inclusive) on one feature."""

    feature: str
    at_least: Bound | None = None
    at_most: Bound | None = None


class Band(_Part, frozen=True):
    """A named range of scores, from an absolute bound or from a share of the training population."""

    name: Name
    at_least: Bound | None = None
    top_share: Share | None = None


class Task(_Part, frozen=True):
    """One question about a customer: its kind, its label rule and who it is asked for.

    What each label rule tells of the window of ``horizon_days`` after a row, and the kinds of tasks that take it:

        inactive        binary: whether the customer does nothing
        activated       binary: whether a new customer does something at least ``events`` times; the row is the
                        customer's first ``customer`` record
        spend_drop      binary: whether less than the share ``drop`` of the outflow of the same time before leaves
        outflow         value: what leaves the customer
        next_type       multiclass: the type of the next transaction
        top_type        multiclass: the type with the largest outflow; no label where nothing leaves
        outcome_within  binary: whether an outcome other than "0" comes; multiclass: the first one, or "none"; value:
                        the sum of the outcomes
        outcome_next    any: the first outcome; no label where none comes
        outcome_at      any: the outcome at the time of the row

    Outcomes of a value are amounts, of which those below 0 count as 0.

    Attributes:
        name: of the task.
        kind: yes or no, one of several classes, or an amount.
        label: the rule.
        horizon_days: how far the label looks ahead.
        weight: λ in the loss.
        estimate: of a value: ``typical`` is learned on the scale of log(1 + x), where it ranks customers best, and few
            large amounts do not move it; ``expected`` is a mean, so that the scores of many customers sum to what they
            will spend.
        eligible: conditions that all must hold, in the stream as in training.
        bands: ranges of scores, lowest first.
        rows: the kinds of rows that are labelled.
        min_history_days: rows nearer to the customer's first transaction have no label.
        drop: see ``spend_drop``.
        events: see ``activated``.
        by_day: the row is the end of a customer's day, and ``next_type`` the largest transaction of the next one.
        outcome: the outcomes' name in the outcomes table, where it is not the task's.
        classes: of outcomes.
        types: what counts for the rules that look at transactions, and the classes of those that tell a type;
            default: all types that customers initiate.
        settled: when a label counts as known: once its whole horizon was observed, or (``next_type`` and
            ``outcome_next``) as soon as it is told, so that near the end of the log only what came soon has a label.
    """

    name: Name
    kind: Literal["binary", "multiclass", "value"]
    label: Literal[
        "inactive",
        "activated",
        "spend_drop",
        "outcome_within",
        "outcome_next",
        "outcome_at",
        "next_type",
        "top_type",
        "outflow",
    ]
    horizon_days: Days
    weight: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    estimate: Literal["typical", "expected"] = "typical"
    eligible: tuple[Condition, ...] = ()
    bands: tuple[Band, ...] = ()
    rows: tuple[Literal["event", "tick", "record"], ...] = ("event", "tick")
    min_history_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 0.0
    drop: Share = 0.5
    events: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 3
    by_day: bool = False
    outcome: str | None = None
    classes: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()
    types: tuple[Name, ...] = ()
    settled: Literal["by_horizon", "when_told"] = "by_horizon"

    @property
    def learned_as(self) -> str:
        """Return the kind, or ``expected`` for an expected amount."""
        return self.estimate if self.kind == "value" and self.estimate != "typical" else self.kind

    @property
    def outcome_name(self) -> str:
        """The name under which the outcomes table holds this task's outcomes."""
        return self.outcome or self.name


class Rule(_Part, frozen=True):
    """An alert rule: a threshold on a task's score or on a feature, with hysteresis and cooldown."""

    name: Name
    threshold: Bound
    task: str | None = None
    feature: str | None = None
    class_: str | None = msgspec.field(default=None, name="class")
    direction: Literal["above", "below"] = "above"
    rearm: Bound | None = None
    cooldown_hours: Annotated[float, msgspec.Meta(ge=0, le=87_600)] = 0.0
    severity: Literal["info", "warning", "high"] = "info"


class ReasonTemplate(_Part, frozen=True):
    """What is said of the features that a pattern fits, by language; {name} and {value} may stand in it."""

    feature: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    en: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    zh: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None


class Reasons(_Part, frozen=True):
    """What alerts say of their reasons.

    Attributes:
        top: how many of them; 0 leaves them out.
        scores: whether scores say them too, of every task; that takes a worker about a millisecond for each score.
        language: of their texts.
        templates: texts for some features; others have built-in ones.
    """

    top: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    scores: bool = False
    language: Literal["en", "zh"] = "en"
    templates: tuple[ReasonTemplate, ...] = ()


class TrainingOptions(_Part, frozen=True):
    """How samples are drawn from a log.

    Attributes:
        cut_every: ticks lie on the first of each month or every so many days.
        cut_from: the local day before which there are no ticks, and from which days are counted; default: ticks over
            the whole log, days counted from 1970.
        learn_every: more ticks, every so many days between the cuts, to learn from and never to test on; default: none.
        calibration: of probabilities of yes: a straight line of their log-odds (Platt's), beta, an isotonic table, or
            whichever is best out of fold. Where a bent one would magnify rounding, it is Platt's all the same.
        max_event_rows: at most so many rows right after a transaction.
        test_from: the local day from which on rows are test rows of a split by time, which is then the default one;
            without it, test rows of such a split begin where the last quarter of the labels does.
    """

    cut_every: Annotated[str, msgspec.Meta(pattern=r"^(month|[1-9][0-9]{0,2}d)$")] = "month"
    cut_from: date | None = None
    learn_every: Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,2}d$")] | None = None
    calibration: Literal["platt", "beta", "isotonic", "best"] = "platt"
    max_event_rows: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 60_000
    test_from: date | None = None


class Spec(_Part, frozen=True, dict=True):
    """A whole spec; ``parse`` checks what single fields cannot say.

    Attributes:
        name: of the scorer.
        currency: of all amounts in features and scores.
        types: of transactions; ``other``, which unknown ones become, is the last.
        tasks: what is asked.
        rates: what one unit of another currency is worth.
        utc_offset_minutes: where local days begin.
        window_hours: lengths of sums over hours.
        window_days: lengths of sums over days.
        decay_days: constants of exponentially decayed sums.
        due_every: periods after which customers do the same again, ``month`` (the same day of month) or ``2d`` to
            ``31d``: a row then remembers, in 16 bytes for each type that customers initiate, on which of the last 96
            days it occurred, and features tell when each type is due by what it did one, two and three periods ago.
            Default: none.
        score_on_customer: whether a ``customer`` record is answered with a score.
        exclude_inputs: patterns of features that the network does not see.
        attributes: facts of customers.
        rules: of alerts.
        reasons: what alerts, and scores where that is wanted, say of their reasons.
        training: how samples are drawn.
    """

    name: Name
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    types: tuple[TransactionType, ...]
    tasks: tuple[Task, ...]
    rates: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1e9)]] = {}
    utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 0
    window_hours: tuple[Annotated[int, msgspec.Meta(ge=1, le=HOUR_TILES)], ...] = (1, 6, 24)
    window_days: tuple[Annotated[int, msgspec.Meta(ge=1, le=DAY_TILES)], ...] = (1, 7, 30)
    decay_days: tuple[Annotated[float, msgspec.Meta(ge=0.05, le=3650)], ...] = (7, 30, 90, 365)
    due_every: tuple[Period, ...] = ()
    score_on_customer: bool = False
    exclude_inputs: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    rules: tuple[Rule, ...] = ()
    reasons: Reasons = Reasons()
    training: TrainingOptions = TrainingOptions()

    @cached_property
    def type_code(self) -> dict[str, int]:
        """Map each type's name to its index."""
        return {item.name: index for index, item in enumerate(self.types)}

    @cached_property
    def own_types(self) -> tuple[str, ...]:
        """Return the names of the types that the customer initiates."""
        return tuple(item.name for item in self.types if item.initiator == "customer")

    @cached_property
    def rate(self) -> dict[str, float]:
        """Map each accepted currency to its rate in the base currency."""
        return {**self.rates, self.currency: 1.0}

    def task(self, name: str) -> Task:
        """Return the task of that name.

        Raises:
            SpecError: there is none.
        """
        for item in self.tasks:
            if item.name == name:
                return item
        found = ", ".join(item.name for item in self.tasks)
        message = f"Expected a task named {name!r}, found {found} in spec {self.name!r}; use one of these."
        raise SpecError(message)

    def classes(self, task: Task) -> tuple[str, ...]:
        """Return a task's class names in the order of its outputs; empty for binary and value tasks."""
        if task.kind != "multiclass":
            return ()
        return self.types_of(task) if task.label in TYPE_CLASSES else task.classes

    def types_of(self, task: Task) -> tuple[str, ...]:
        """Return the types of transactions that a task's label looks at."""
        return task.types or self.own_types
