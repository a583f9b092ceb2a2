"""Fairness: how decisions differ between groups of customers, as Fairlearn measures it (Weerts et al. 2023)."""

from typing import Any, Final

import numpy as np

from training.arrays import Flags
from training.segments import UNKNOWN, Segment

FEWEST: Final = 30
"""Rows of a group without which nothing is said of it."""
RATES: Final = ("selection_rate", "true_positive_rate", "false_positive_rate")


def fairness(decided: Flags, positive: Flags, segment: Segment) -> dict[str, Any]:
    """Return what share of each group is told yes, and the largest differences between groups.

    Args:
        decided: whether each of the n rows is told yes.
        positive: whether it was one.
        segment: the rows' groups.

    Returns:
        ``groups``: by name, rows and the three rates, of which a group without a row of that kind lacks one;
        ``demographic_parity_difference`` of the shares, and ``equalized_odds_difference`` of the rates, where two
        groups have them. Nothing at all where fewer than two groups are large enough.
    """
    from fairlearn import metrics  # noqa: PLC0415  (loads slowly)

    counts = np.bincount(segment.code[segment.code != UNKNOWN], minlength=len(segment.groups))
    large = np.flatnonzero(counts >= FEWEST)
    if len(large) < 2:  # noqa: PLR2004  (a difference needs two)
        return {}
    some = np.isin(segment.code, large)
    said, truth, code = decided[some].astype(np.int64), positive[some].astype(np.int64), segment.code[some]
    frame = metrics.MetricFrame(
        metrics={name: getattr(metrics, name) for name in RATES},
        y_true=truth,
        y_pred=said,
        sensitive_features=code,
    ).by_group
    groups: dict[str, dict[str, float]] = {}
    for group in large.tolist():
        mine = truth[code == group]
        told = {"selection_rate"}
        told |= {"true_positive_rate"} if mine.any() else set()
        told |= {"false_positive_rate"} if not mine.all() else set()
        rates: dict[str, float] = {name: float(frame.loc[group, name]) for name in RATES if name in told}
        groups[segment.groups[group]] = {"rows": int(counts[group]), **rates}
    found: dict[str, Any] = {"groups": groups}
    found["demographic_parity_difference"] = _reach(groups, "selection_rate")
    odds = [_reach(groups, name) for name in RATES[1:]]
    found["equalized_odds_difference"] = max(odds)
    return found


def _reach(groups: dict[str, dict[str, float]], rate: str) -> float:
    values = [group[rate] for group in groups.values() if rate in group]
    return max(values) - min(values) if values else 0.0
