"""The kernel bound to one layout: rows and items in, feature rows out."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from schemas.spec import Spec
from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout
from stream_app.kernel.plan import plan


@dataclass(frozen=True)
class Rolling:
    """Rolling features of one layout. Holds no state: rows are the caller's."""

    layout: Layout

    @classmethod
    def of(cls, spec: Spec) -> "Rolling":
        """Return the rolling features of a spec.

        Raises:
            SpecError: the row is too large or the spec names an unknown feature.
        """
        return cls(Layout(spec).check())

    @cached_property
    def plan(self) -> kernel.Plan:
        """Return what the spec decides, as the kernel's arrays."""
        return plan(self.layout)

    def empty(self, rows: int) -> NDArray[np.float32]:
        """Return ``rows`` empty rows, float32 [rows, row width]."""
        return np.zeros((rows, self.layout.row_width), np.float32)

    def step(self, state: NDArray[np.float32], items: kernel.Items) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Apply items to ``state`` in place.

        Returns:
            Features float32 [n, feature width] (undefined where not scored) and verdicts int64 [n].
        """
        n = len(items.op)
        features = np.empty((n, self.layout.feature_width), np.float32)
        verdict = np.empty(n, np.int64)
        kernel.step(state, items, self.plan, features, verdict)
        return features, verdict
