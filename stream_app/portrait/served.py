"""A bundle with its network, as a portrait asks it: what it answers, and why."""

from dataclasses import dataclass

import numpy as np

from schemas.messages import AlertReason
from stream_app.bundle import Bundle
from stream_app.portrait.reading import Predict, Reading
from stream_app.shelf import Shelf
from stream_app.steps.explained import explained
from stream_app.steps.predict import Explainer
from stream_app.steps.reasons import Reasoner

Why = dict[str, tuple[AlertReason, ...]]
"""The reasons of answers, by task; those that were not asked are left out."""


@dataclass(frozen=True)
class Served:
    """A bundle that answers.

    Attributes:
        bundle: in force.
        predict: its network, ``stream_app.steps.predict.Predictor.of(bundle)``.
        explainer: what explains it; without one no answer has reasons.
        language: of the reasons; default: the spec's.
    """

    bundle: Bundle
    predict: Predict
    explainer: Explainer | None = None
    language: str | None = None

    @classmethod
    def of(cls, shelf: Shelf, bundle: Bundle, language: str | None = None) -> "Served":
        """Return a bundle of a shelf, with its network loaded."""
        return cls(bundle, shelf.predictor(bundle), shelf.explainer(bundle), language)

    def why(self, reading: Reading) -> Why:
        """Return what moved each answer most."""
        reasoner = Reasoner(self.bundle, self.explainer)
        if self.explainer is None or not reasoner.top:
            return {}
        reasoner = reasoner if self.language is None else reasoner.speaking(self.language)
        row = np.ascontiguousarray(reading.features[None])
        return {
            output.task: explained(output, row, reading.values, self.explainer, reasoner).reasons[: reasoner.top]
            for output in self.bundle.manifest.outputs
            if reading.score.tasks[output.task].eligible
        }
