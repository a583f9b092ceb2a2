"""Names of array types, and search in arrays that are sorted by customer and time."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Texts = NDArray[np.object_]

DAY_MS: Final = 86_400_000


@dataclass(frozen=True)
class Timeline:
    """When something happened to whom, int64 [n] each, sorted by customer and then by time."""

    customer: Ints
    time_ms: Ints

    @cached_property
    def _start_ms(self) -> int:
        return int(self.time_ms.min(initial=0)) - 1

    @cached_property
    def _span_ms(self) -> int:
        return int(self.time_ms.max(initial=0)) - self._start_ms + 2

    @cached_property
    def _key(self) -> Ints:
        return self._keys(self.customer, self.time_ms)

    def place(self, customer: Ints, time_ms: Ints, side: Literal["left", "right"] = "left") -> Ints:
        """Return the index of each customer's first entry at or after a time (``side="right"``: after it)."""
        return np.searchsorted(self._key, self._keys(customer, time_ms), side).astype(np.int64)

    def _keys(self, customer: Ints, time_ms: Ints) -> Ints:
        """Return one number that orders by customer and time; times beyond the entries' become their edge."""
        return customer * self._span_ms + np.clip(time_ms - self._start_ms, 0, self._span_ms - 1)
