"""Reasons of alerts and scores: what contributed most to the answer, feature by feature.

Columns that say one thing together (the classes of a category, a number and whether it is known, the two halves of a
time of day) are one feature here. The network's contributions (``training.reasons``) are summed over them.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.messages import AlertReason
from stream_app.bundle import Bundle, Output
from stream_app.kernel.layout import Layout
from stream_app.steps.alerts import Rules
from stream_app.steps.phrases import Phrases
from stream_app.steps.predict import Explainer
from stream_app.steps.stages import Fired, Read, Whole

DECIMALS: Final = 4
"""Of a contribution."""
_HALF: Final = 0.5
_VALUE_DECIMALS: Final = 6

Why = list[tuple[AlertReason, ...]]
"""The reasons of each alert of a batch, the largest contribution first."""


@dataclass(frozen=True)
class Grouping:
    """Which columns of a feature row say one thing together.

    Attributes:
        names: of the features.
        group: int64 [feature width], index of the feature; the last one is that of padding.
        classes: by feature, its columns with the class that each stands for; empty for other features.
        number: by feature, the column that holds its number, or -1.
    """

    names: tuple[str, ...]
    group: Whole
    classes: tuple[tuple[tuple[int, str], ...], ...]
    number: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout) -> "Grouping":
        """Return how the features of a layout hang together."""
        things = layout.said_by
        group = np.full(layout.feature_width, len(things), np.int64)
        names = {column: name for name, column in layout.column.items()}
        classes, number = [], []
        for index, (thing, columns) in enumerate(things.items()):
            group[list(columns)] = index
            classes.append(tuple((c, names[c].split("=", 1)[1]) for c in columns if "=" in names[c]))
            number.append(layout.column.get(thing, -1))
        return cls(tuple(things), group, tuple(classes), tuple(number))

    def summed(self, contributions: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return contributions by feature, float64 [n, features], of those by column, [n, feature width]."""
        total = np.zeros((len(contributions), len(self.names) + 1))
        for column, index in enumerate(self.group.tolist()):
            total[:, index] += contributions[:, column]
        return total[:, :-1]

    def value(self, feature: int, row: NDArray[np.float32]) -> float | str | None:
        """Return what a feature is in a row: a number, the class that holds, or None where neither says it."""
        if self.classes[feature]:
            return next((name for column, name in self.classes[feature] if row[column] > _HALF), None)
        column = self.number[feature]
        return None if column < 0 else round(float(row[column]), _VALUE_DECIMALS)


def chosen(output: Output, values: NDArray[np.float64]) -> Whole:
    """Return which of a task's classes is the most probable one, int64 [n], of scores [n, score width]; else 0."""
    if not output.classes:
        return np.zeros(len(values), np.int64)
    found: Whole = values[:, output.start : output.start + output.width].argmax(axis=1)
    return found


class Reasoner:
    """Finds the reasons of a bundle's alerts and scores."""

    def __init__(self, bundle: Bundle, explainer: Explainer | None) -> None:
        """Take a bundle and what explains its network; without that nothing has reasons."""
        self.bundle, self.explainer, self._rules = bundle, explainer, Rules.of(bundle)

    def __call__(self, read: Read, fired: Fired) -> Why:
        """Return the reasons of alerts; none of those on a feature, which is its own reason."""
        why: Why = [()] * len(fired.item)
        columns = self._rules.score_column[fired.rule]
        asked = np.flatnonzero(columns >= 0)
        if self.explainer is None or not self.top or not len(asked):
            return why
        rows = read.features[fired.item[asked]]
        found = self.grouping.summed(self.explainer(rows, columns[asked]).contributions)
        signs = self._rules.bounds[fired.rule[asked], 0]
        for place, at in enumerate(asked.tolist()):
            why[at] = self.reasons(rows[place], found[place], float(signs[place]), self.top)
        return why

    def reasons(
        self, row: NDArray[np.float32], contributions: NDArray[np.float64], sign: float, top: int | None = None
    ) -> tuple[AlertReason, ...]:
        """Return what contributed most.

        Args:
            row: float32 [feature width].
            contributions: of its features, float64 [features].
            sign: 1 for what made the answer higher, -1 for what made it lower.
            top: how many; default: all.
        """
        rounded = np.round(contributions, DECIMALS)
        order = np.argsort(-sign * rounded, kind="stable")[:top]
        return self._told(row, rounded, order[sign * rounded[order] > 0.0])

    def largest(
        self, row: NDArray[np.float32], contributions: NDArray[np.float64], top: int | None = None
    ) -> tuple[AlertReason, ...]:
        """Return what contributed most, whatever its sign; arguments as of ``reasons``.

        Of two that contributed as much the one that made the answer higher comes first.
        """
        rounded = np.round(contributions, DECIMALS)
        order = np.lexsort((rounded < 0.0, -np.abs(rounded)))[:top]
        return self._told(row, rounded, order[rounded[order] != 0.0])

    def of_scores(self, read: Read, values: NDArray[np.float64]) -> list[dict[str, tuple[AlertReason, ...]]] | None:
        """Return the reasons of all answers of n scores, by task; None where scores do not tell them.

        Args:
            read: what was read of n rows.
            values: float64 [n, score width].
        """
        if self.explainer is None or not self.top or not self.bundle.spec.reasons.scores:
            return None
        why: list[dict[str, tuple[AlertReason, ...]]] = [{} for _ in values]
        for index, output in enumerate(self.bundle.manifest.outputs):
            asked = np.flatnonzero(read.eligible[:, index])
            columns, rows = output.start + chosen(output, values[asked]), read.features[asked]
            found = self.grouping.summed(self.explainer(rows, columns).contributions)
            for place, at in enumerate(asked.tolist()):
                why[at][output.task] = self.largest(rows[place], found[place], self.top)
        return why

    def _told(
        self, row: NDArray[np.float32], contributions: NDArray[np.float64], features: Whole
    ) -> tuple[AlertReason, ...]:
        """Return some features of a row as reasons, in that order: only what is told is put into words."""
        return tuple(self._reason(at, row, float(contributions[at])) for at in features.tolist())

    def _reason(self, feature: int, row: NDArray[np.float32], contribution: float) -> AlertReason:
        name, value = self.grouping.names[feature], self.grouping.value(feature, row)
        return AlertReason(feature=name, value=value, contribution=contribution, text=self._phrases(name, value))

    @property
    def top(self) -> int:
        """Return how many reasons are told."""
        return self.bundle.spec.reasons.top

    @cached_property
    def grouping(self) -> Grouping:
        """Return how the features hang together."""
        return Grouping.of(self.bundle.rolling.layout)

    @cached_property
    def _phrases(self) -> Phrases:
        return Phrases(self.bundle.spec)

    def speaking(self, language: str) -> "Reasoner":
        """Return one that says the same in another language."""
        spec = self.bundle.spec
        reasons = msgspec.structs.replace(spec.reasons, language=language)
        spoken = msgspec.structs.replace(self.bundle.manifest, spec=msgspec.structs.replace(spec, reasons=reasons))
        return Reasoner(replace(self.bundle, manifest=spoken), self.explainer)
