"""The portrait of a customer: what a row and a bundle say as of a time, as data.

Money is in the base currency of the spec, times are epoch ms, ages are days. A field that is null is unknown.
"""

from typing import Annotated, Literal

import msgspec

from schemas.messages import AlertReason, TaskScore

StageName = Literal["new", "growing", "steady", "at_risk", "lapsed", "won_back"]
StageRule = Literal[
    "not_active_yet",
    "never_active",
    "silent_for_long",
    "silent_beyond_habit",
    "back_after_pause",
    "active_again",
    "first_months",
    "churn_score",
    "pace_falls",
    "pace_rises",
    "usual_pace",
]
PauseBy = Literal["rhythm", "limit", "default"]
Fifth = Annotated[int, msgspec.Meta(ge=1, le=5)]


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a portrait: immutable."""


class Stage(_Part, frozen=True):
    """Where the customer stands in the life cycle, and what the rule that decided has looked at.

    Attributes:
        name: the stage.
        rule: which decided; the table is in ``stream_app.portrait.stage``.
        known_days: since the first that is known of the customer.
        active_days: since the first own-initiated transaction; null where there is none.
        silence_days: since the last own-initiated transaction; null where there is none.
        pause_days: pauses up to so long are nothing unusual.
        pause_by: what ``pause_days`` comes from: the customer's own ``rhythm``; the ``limit`` for everybody, where that
            is shorter; a ``default`` where there are too few pauses for a rhythm.
        lapse_days: who is silent for so long counts as lapsed.
        pace: own-initiated transactions in 30 days, of late; null where the row cannot tell.
        usual_pace: the same over the longest memory of the row.
        away_days: length of the pause that the customer has come back from, of the rule ``back_after_pause``.
        back_days: for how long the customer has been back, of the same rule.
        task: whose score decided, of the rule ``churn_score``.
    """

    name: StageName
    rule: StageRule
    known_days: float
    active_days: float | None
    silence_days: float | None
    pause_days: float
    pause_by: PauseBy
    lapse_days: float
    pace: float | None
    usual_pace: float | None
    away_days: float | None = None
    back_days: float | None = None
    task: str | None = None


class Standing(_Part, frozen=True):
    """One figure of a customer beside the population that the bundle was trained on.

    Attributes:
        feature: whose figure it is.
        span_days: the window that it covers, where it covers one.
        value: days since the last own-initiated transaction, a number of transactions, or money; null for never.
        percent: at least so many in a hundred of the population are less recent, less frequent, or spend less; null
            where the bundle does not say how its population is.
        fifth: 5 for the best fifth of the population, 1 for the last; null likewise.
    """

    feature: str
    value: float | None
    span_days: int | None = None
    percent: Annotated[int, msgspec.Meta(ge=0, le=99)] | None = None
    fifth: Fifth | None = None


class Window(_Part, frozen=True):
    """What moved in the hours or days that end with the present one; days are the spec's local days.

    Attributes:
        unit: of ``size``: hours or days.
        size: how many.
        count: transactions, the bank's own too.
        inflow: money that came in.
        outflow: money that went out.
        largest: largest amount of a day's window.
    """

    unit: Literal["h", "d"]
    size: int
    count: int
    inflow: float
    outflow: float
    largest: float | None = None


class Recent(_Part, frozen=True):
    """A sum whose parts fade as exp(-age / days): for something steady, what falls into so many days.

    Attributes:
        days: decay constant.
        count: of transactions.
        amount: absolute, in or out.
    """

    days: float
    count: float
    amount: float


class Turnover(_Part, frozen=True):
    """What a customer moves by one type of transaction.

    Attributes:
        type: name of the type.
        initiator: who initiates it.
        last_days: since the last one, in whole hours.
        last_amount: of that one, absolute.
        recent: the sums of the spec's decay constants, ascending.
    """

    type: str
    initiator: Literal["customer", "bank"]
    last_days: float
    last_amount: float
    recent: tuple[Recent, ...]


class Answer(_Part, frozen=True):
    """A task's question, and its answer exactly as a tick as of this time would give it.

    Attributes:
        kind: of the task.
        label: its label rule.
        horizon_days: how far it looks ahead.
        outcome: what it predicts, of a rule on outcomes.
        drop: to less than which part of before spending must fall, of the rule ``spend_drop``.
        score: the answer.
        reasons: what moved it most away from that for an average customer, the largest contribution first, whatever
            its sign, as many as the spec's ``[reasons] top``; of several classes, towards the most probable one.
    """

    kind: Literal["binary", "multiclass", "value"]
    label: str
    horizon_days: float
    score: TaskScore
    outcome: str | None = None
    drop: float | None = None
    reasons: tuple[AlertReason, ...] = ()


class Product(_Part, frozen=True):
    """One line of the catalogue; ``price`` in its own unit, null where there is none."""

    product_id: str
    name: str
    type: str
    price: float | None = None


class Preference(_Part, frozen=True):
    """A type of products that the customer prefers, the most preferred first.

    Attributes:
        type: of the products.
        because: ``score``: a task predicts it; ``use``: the customer uses it most.
        products: some of the catalogue.
        probability: of the task's class.
        amount: moved by this type of late.
    """

    type: str
    because: Literal["score", "use"]
    products: tuple[Product, ...]
    probability: float | None = None
    amount: float | None = None


class Preferences(_Part, frozen=True):
    """What the customer may want of the catalogue.

    Attributes:
        ranking: types, the most preferred first.
        task: which predicts them; null where the ranking is by use.
        horizon_days: how far that task looks ahead.
        nothing: the probability that the customer takes none of them.
    """

    ranking: tuple[Preference, ...]
    task: str | None = None
    horizon_days: float | None = None
    nothing: float | None = None


class Fact(_Part, frozen=True):
    """Something that a ``customer`` record said. ``used`` tells whether the scores know it."""

    name: str
    value: float | str
    used: bool


class OpenAlert(_Part, frozen=True):
    """A rule that has fired and is not armed again.

    Attributes:
        rule: its name.
        severity: how much it matters.
        time: of the alert.
        suppressed: how often the rule has held since.
        task: whose score it looks at, or
        feature: the feature that it does.
    """

    rule: str
    severity: Literal["info", "warning", "high"]
    time: int
    suppressed: int
    task: str | None = None
    feature: str | None = None


class Portrait(_Part, frozen=True):
    """What is known and expected of a customer as of a time.

    Attributes:
        customer_id: whose portrait it is.
        time: as of when: as asked, or of the customer's newest transaction where that is later.
        utc_offset_minutes: of the spec's local time.
        currency: the base currency, of all money.
        bundle: first 16 digits of the bundle's sha256.
        layout: hash of the state layout.
        stage: in the life cycle.
        recency: how recently the customer was active.
        frequency: how often there was a transaction.
        monetary: how much the customer has spent.
        windows: what moved lately, hours before days, ascending.
        turnover: by type, the largest amount of late first; types never used are left out.
        balance: after the newest transaction that told one.
        tasks: the answers by task.
        preferences: null without a catalogue, or where nothing leads to it.
        facts: the attributes that are known.
        alerts: the rules that have fired and are not armed again.
    """

    customer_id: str
    time: int
    utc_offset_minutes: int
    currency: str
    bundle: str
    layout: str
    stage: Stage
    recency: Standing
    frequency: Standing
    monetary: Standing
    windows: tuple[Window, ...]
    turnover: tuple[Turnover, ...]
    balance: float | None
    tasks: dict[str, Answer]
    preferences: Preferences | None
    facts: tuple[Fact, ...]
    alerts: tuple[OpenAlert, ...]
