"""Why one task was answered so: contributions of features that add up to the answer."""

import numpy as np
from numpy.typing import NDArray

from schemas.explanation import TaskExplanation
from stream_app.bundle import Output
from stream_app.steps.predict import Explainer
from stream_app.steps.reasons import DECIMALS, Reasoner, chosen


def explained(
    output: Output,
    row: NDArray[np.float32],
    values: NDArray[np.float64],
    explainer: Explainer,
    reasoner: Reasoner,
) -> TaskExplanation:
    """Return why a task was answered so; of several classes the most probable one is explained.

    Args:
        output: the task, and where its scores are.
        row: features, float32 [1, feature width].
        values: all scores of that row, float64 [score width].
        explainer: of the bundle's network.
        reasoner: who says it, in the language that is wanted.
    """
    choice = int(chosen(output, values[None])[0])
    column = output.start + choice
    found = explainer(row, np.array([column]))
    contributions, reference = reasoner.grouping.summed(found.contributions)[0], float(found.reference[0])
    return TaskExplanation(
        score=float(values[column]),
        class_=output.classes[choice] if output.classes else None,
        answer=round(reference + float(contributions.sum()), DECIMALS),
        reference=round(reference, DECIMALS),
        reference_score=round(_score(output, reference), 6),
        reasons=reasoner.largest(row[0], contributions),
    )


def _score(output: Output, answer: float) -> float:
    """Return an answer as a score."""
    if output.kind != "value":
        return 1.0 / (1.0 + float(np.exp(-answer)))
    return float(np.exp(answer) if output.learned_as == "expected" else np.expm1(max(answer, 0.0)))
