"""Compares a feature row with the reference, each feature as exactly as float32 rows allow.

A sum in a row is rounded at most twice an event (2^-24 each: once when it ages, once when something is added), and all
its parts are positive, so after n events it is at most 2n roundings off, relatively; so are mean and variance, whose
update adds positive parts too. A deviation carries the mean's error as well as its own, and a z-score is a quotient of
these by at least a tenth of the mean. Everything else is stored as it comes, or counted: exact.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout
from tests.properties.reference import Customer

ROUNDING: Final = 2.0**-24
"""Largest relative error of one rounding to float32."""
GONE: Final = 2.0**-63
"""The weight below which the kernel's own exp is 0."""
UNSEEN: Final = 1e-19
"""Above what is dropped as nothing: 1e-20 for each sum."""
UNSEEN_DEVIATION: Final = 1e-9
"""Above the root of that: a variance is dropped too."""
VERDICTS: Final = {"nothing": kernel.NOTHING, "scored": kernel.SCORED, "duplicate": kernel.DUPLICATE}
GROUPS: Final = {
    "decayed sums": r"(?!due_).*~.*",
    "window sums": r"(in|out)_\d+[hd]",
    "means": r"(gap_mean_h|amount_mean)",
    "deviations": r"(gap_sd_h|amount_sd)",
    "z-scores": r"(gap|amount|silence)_z",
    "exact": r".*",
}


@dataclass(frozen=True)
class Comparison:
    """The features of one layout, with how exact each has to be."""

    layout: Layout

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the features in the order of their columns."""
        return tuple(self.layout.column)

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """Return the column of each feature."""
        return np.array(list(self.layout.column.values()), np.int64)

    @cached_property
    def group(self) -> NDArray[np.str_]:
        """Return the group of each feature: the first whose pattern fits its name."""
        return np.array(
            [next(group for group, pattern in GROUPS.items() if re.fullmatch(pattern, name)) for name in self.names]
        )

    def allowed(self, want: NDArray[np.float64], customer: Customer) -> NDArray[np.float64]:
        """Return by how much each feature may differ."""
        n = len(customer.events)
        total = n + sum(abs(event.amount) for event in customer.events)
        relative = (2 * n + 2) * ROUNDING
        place = {name: index for index, name in enumerate(self.names)}
        result = np.zeros(len(want))
        for group, floor in (("decayed sums", GONE * total + UNSEEN), ("window sums", 0.0), ("means", UNSEEN)):
            mask = self.group == group
            result[mask] = relative * np.abs(want[mask]) + floor
        for deviation, mean in (("gap_sd_h", "gap_mean_h"), ("amount_sd", "amount_mean")):
            result[place[deviation]] = relative * (want[place[deviation]] + want[place[mean]]) + UNSEEN_DEVIATION
        mask = self.group == "z-scores"
        result[mask] = relative * (2 + 2 * np.abs(want[mask])) + 100 * UNSEEN_DEVIATION
        return result

    def wanted(self, features: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the reference's features in the order of the names, exact ones rounded as a row rounds them."""
        assert set(features) == set(self.names)
        values = np.array([features[name] for name in self.names], np.float64)
        exact = self.group == "exact"
        values[exact] = values[exact].astype(np.float32)
        return values

    def differences(
        self, features: Mapping[str, float], row: NDArray[np.float32], customer: Customer
    ) -> list[tuple[str, float, float]]:
        """Return name, expected and found of each feature too far off, and of padding that is not 0."""
        want, got = self.wanted(features), row[self.columns].astype(np.float64)
        off = ~(np.abs(got - want) <= self.allowed(want, customer))
        padding = np.setdiff1d(np.arange(self.layout.feature_width), self.columns)
        wrong = [(self.names[i], float(want[i]), float(got[i])) for i in np.flatnonzero(off)]
        return wrong + [(f"padding {i}", 0.0, float(row[i])) for i in padding if row[i].tobytes() != bytes(4)]
