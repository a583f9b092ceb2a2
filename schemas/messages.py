"""The messages on the wire: five kinds in, scores and alerts out. JSON, in UTF-8.

Every record of the input topic has the customer's id as its key, except ``tick`` and ``activate``, which are written
once per partition. New fields are optional; a change that would break a reader is a new topic.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Id = Annotated[
    str, msgspec.Meta(min_length=1, max_length=256, description="1 to 256 bytes of UTF-8 without NUL", examples=["c-1"])
]
Time = Annotated[
    int | datetime,
    msgspec.Meta(
        description="event time: RFC 3339 with an offset, or whole milliseconds since 1970", examples=[1700000000000]
    ),
]
SLICES = 1024
"""A partition's customers are divided into slices by crc32 of the id; a tick names one."""


class Transaction(msgspec.Struct, frozen=True, tag_field="kind", tag="transaction", kw_only=True, omit_defaults=True):
    """Something that moved a customer's money. ``kind`` may be absent."""

    transaction_id: Id
    customer_id: Id
    time: Time
    amount: Annotated[
        float, msgspec.Meta(description="signed: negative leaves the customer; at most 1e12 in the base currency")
    ]
    type: str
    currency: str | None = None
    product_id: str | None = None
    counterparty: str | None = None
    balance: Annotated[float, msgspec.Meta(description="of the account after the transaction")] | None = None


class Customer(msgspec.Struct, frozen=True, tag_field="kind", tag="customer", kw_only=True, omit_defaults=True):
    """Facts about a customer, as known from ``time`` on. Which of them enter the row is the spec's ``attributes``.

    A field that is absent stays as it was, null makes it unknown. The spec may name further attributes.
    """

    customer_id: Id
    time: Time
    name: str | None = None
    age: float | None = None
    gender: str | None = None
    income: float | None = None
    credit_score: float | None = None
    risk_level: str | None = None


class Tick(msgspec.Struct, frozen=True, tag_field="kind", tag="tick", kw_only=True):
    """Asks for a score of every known customer of one slice of this partition, as of ``time``."""

    slice: Annotated[int, msgspec.Meta(ge=0, lt=SLICES)]
    time: Time


class Activate(msgspec.Struct, frozen=True, tag_field="kind", tag="activate", kw_only=True, omit_defaults=True):
    """Puts a bundle, and with it its alert rules, in force from this offset of this partition on."""

    bundle: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="sha256 of the bundle's manifest")]


class Forget(msgspec.Struct, frozen=True, tag_field="kind", tag="forget", kw_only=True):
    """Empties a customer's row. A tombstone (key, no value) does the same."""

    customer_id: Id


Record = Transaction | Customer | Tick | Activate | Forget


class TaskScore(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer to one task. Where the customer is not eligible, nothing but that is said.

    Attributes:
        eligible: whether the task is asked for this customer at this moment.
        score: calibrated: a probability (of ``choice`` for multiclass), or money in the base currency (value).
        band: the band of the score, where the spec has bands.
        choice: the most probable class.
        probabilities: of every class.
    """

    eligible: bool
    score: float | None = None
    band: str | None = None
    choice: str | None = None
    probabilities: dict[str, float] | None = None


class AlertReason(msgspec.Struct, frozen=True, kw_only=True):
    """What contributed to a score: to that which an alert's rule looked at, or to any.

    Attributes:
        feature: its name; of a category without the class.
        value: what it was: a number, a class, or null where neither says it.
        contribution: what it added to the log-odds of a probability or to the log of an amount, beside a customer who
            is average in all; four decimals.
        text: the same in words.
    """

    feature: str
    value: float | str | None
    contribution: float
    text: str


class Score(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answers about one customer after one record.

    Attributes:
        score_id: topic-partition-offset of the record; of a tick, also the customer. The same in every repeat.
        kind: the kind of the record that was scored.
        transaction_id: of a transaction.
        customer_id: whom it is about.
        time: event time in ms since 1970.
        bundle: first 16 digits of the bundle's sha256.
        layout: hash of the state layout.
        late: whether a newer event of the customer had come before.
        tasks: the answers by task.
        reasons: where the spec wants them, what moved each answer most away from that for an average customer, the
            largest contribution first, whatever its sign; of several classes, towards the chosen one.
    """

    score_id: str
    kind: Literal["transaction", "customer", "tick"]
    customer_id: str
    time: int
    bundle: str
    layout: str
    late: bool
    tasks: dict[str, TaskScore]
    transaction_id: str | None = None
    reasons: dict[str, tuple[AlertReason, ...]] = {}


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A rule that fired.

    Attributes:
        alert_id: score_id and the rule. The same in every repeat.
        score_id: of the score that it belongs to.
        customer_id: whom it is about.
        time: event time in ms since 1970.
        rule: name of the rule.
        task: the task whose score was looked at, or
        feature: the feature that was.
        class_: the class whose probability it was, of a multiclass task.
        score: the value that was looked at, six decimals.
        threshold: the rule's.
        severity: the rule's.
        suppressed: how often the rule held since its last alert without firing.
        bundle: first 16 digits of the bundle's sha256.
        reasons: what contributed most to the score, the largest contribution first; none for a rule on a feature.
    """

    alert_id: str
    score_id: str
    customer_id: str
    time: int
    rule: str
    score: float
    threshold: float
    severity: Literal["info", "warning", "high"]
    suppressed: int
    bundle: str
    task: str | None = None
    feature: str | None = None
    class_: str | None = msgspec.field(default=None, name="class")
    reasons: tuple[AlertReason, ...] = ()
