"""The spec: what a scorer knows of its world, as frozen values (``schemas.spec_file`` reads them from TOML).

It travels inside the bundle, so that stream, replay and training read the same one.
"""

from functools import cached_property
from typing import Annotated, Literal

import msgspec

from schemas.errors import SpecError

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]
Bound = Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
Days = Annotated[float, msgspec.Meta(gt=0, le=3650)]

OTHER = "other"
"""The type that unknown types become; always the last one."""
PROTECTED = ("gender", "age", "risk_level")
"""Attributes that the network sees only where the spec says ``input = true``."""
HOUR_TILES, DAY_TILES = 24, 30
"""Most hours and days that a window may span."""


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
    """One question about a customer: its kind, its label rule and who it is asked for."""

    name: Name
    kind: Literal["binary", "multiclass", "value"]
    label: Literal["inactive", "spend_drop", "outcome_within", "outcome_next", "outcome_at", "next_type", "outflow"]
    horizon_days: Days
    weight: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 1.0
    eligible: tuple[Condition, ...] = ()
    bands: tuple[Band, ...] = ()
    rows: tuple[Literal["event", "tick"], ...] = ("event", "tick")
    min_history_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] = 0.0
    drop: Share = 0.5
    by_day: bool = False
    outcome: str | None = None
    classes: tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=64)], ...] = ()

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


class TrainingOptions(_Part, frozen=True):
    """How samples are drawn from a log."""

    cut_every: Annotated[str, msgspec.Meta(pattern=r"^(month|[1-9][0-9]{0,2}d)$")] = "month"
    max_event_rows: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 60_000


class Spec(_Part, frozen=True, dict=True):
    """A whole spec; ``parse`` checks what single fields cannot say."""

    name: Name
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    types: tuple[TransactionType, ...]
    tasks: tuple[Task, ...]
    rates: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1e9)]] = {}
    utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 0
    window_hours: tuple[Annotated[int, msgspec.Meta(ge=1, le=HOUR_TILES)], ...] = (1, 6, 24)
    window_days: tuple[Annotated[int, msgspec.Meta(ge=1, le=DAY_TILES)], ...] = (1, 7, 30)
    decay_days: tuple[Annotated[float, msgspec.Meta(ge=0.05, le=3650)], ...] = (7, 30, 90, 365)
    score_on_customer: bool = False
    exclude_inputs: tuple[str, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    rules: tuple[Rule, ...] = ()
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
        return self.own_types if task.label == "next_type" else task.classes
