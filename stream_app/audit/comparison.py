"""Two rows, two messages: the same to the last byte, or as near as another machine gives them.

For one version of ONNX Runtime and one type of CPU all bytes are the same. With another, scores may differ by 1e-6;
which rules fire may hang on that, and with it what a row remembers of alerts. All else of a row hangs on no score.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas import codec
from stream_app.kernel.layout import Layout

NEAR: Final = 1.5e-6
"""Scores within 1e-6 of each other, each then rounded to six decimals; of amounts of money, relative."""


def same_row(expected: NDArray[np.float32], found: NDArray[np.float32], layout: Layout, *, exact: bool) -> bool:
    """Return whether two rows, float32 [row width], are the same; but for the memory of alerts if not ``exact``."""
    upto = None if exact else layout.sections["alerts"].start
    return expected[:upto].tobytes() == found[:upto].tobytes()


def where(expected: NDArray[np.float32], found: NDArray[np.float32], layout: Layout) -> str:
    """Return which sections of two rows differ."""
    columns = np.flatnonzero(expected.view(np.uint32) != found.view(np.uint32))
    names = [
        name
        for name, section in layout.sections.items()
        if np.any((columns >= section.start) & (columns < section.start + section.width))
    ]
    return ", ".join(names) or "unused columns"


def same_score(expected: bytes, found: bytes, *, exact: bool) -> bool:
    """Return whether two scores are the same; each number of a task only nearly if not ``exact``."""
    if exact or expected == found:
        return expected == found
    ours, theirs = codec.facts(expected), codec.facts(found)
    tasks, others = ours.pop("tasks", {}), theirs.pop("tasks", {})
    if ours != theirs or list(tasks) != list(others):
        return False
    return all(_near_task(tasks[name], others[name]) for name in tasks)


def _near_task(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if list(ours) != list(theirs) or ours["eligible"] != theirs["eligible"]:
        return False
    if "probabilities" in ours:
        mine, other = ours["probabilities"], theirs["probabilities"]
        return list(mine) == list(other) and all(_near(mine[name], other[name]) for name in mine)
    same = ours.get("score") == theirs.get("score")
    return ours == theirs or (not same and _near(ours.get("score"), theirs.get("score")))


def _near(ours: Any, theirs: Any) -> bool:  # noqa: ANN401  (what JSON holds)
    if not isinstance(ours, int | float) or not isinstance(theirs, int | float):
        return False
    return abs(ours - theirs) <= NEAR * max(1.0, abs(ours))
