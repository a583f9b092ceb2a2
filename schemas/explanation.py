"""Why a score is what it is: what each feature contributed to the answer to each task."""

import msgspec

from schemas.messages import AlertReason


class TaskExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why one task was answered so.

    Attributes:
        score: what was answered: a probability, or an amount.
        class_: whose probability it is, of several classes: the most probable one.
        answer: the score on the scale on which contributions add up: log-odds of a probability, log of an amount.
        reference: the answer for a customer who is average in all that the network sees.
        reference_score: the same as a probability or an amount.
        reasons: what each feature added to the reference, the largest contribution first, whatever its sign; features
            that added nothing (to four decimals) are left out.
    """

    score: float
    class_: str | None = msgspec.field(default=None, name="class")
    answer: float
    reference: float
    reference_score: float
    reasons: tuple[AlertReason, ...]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a score is what it is.

    Attributes:
        score_id: of the score.
        customer_id: whom it is about.
        time: event time in ms since 1970.
        bundle: first 16 digits of the sha256 of the bundle that was in force.
        tasks: by task; those that were not asked are left out.
    """

    score_id: str
    customer_id: str
    time: int
    bundle: str
    tasks: dict[str, TaskExplanation]
