"""Scores and features to alerts: thresholds with hysteresis and cooldown, remembered in the customer's row.

A rule fires when its value reaches the threshold while it is armed and its cooldown (event time) is over. It is armed
again once the value has come back to ``rearm``. Each time it holds without firing is counted, and told with the next
alert.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from stream_app.bundle import Bundle
from stream_app.kernel.kernel import FORGET, HOUR_MS, SCORED
from stream_app.kernel.layout import ALERT_SLOTS
from stream_app.kernel.plan import split_time
from stream_app.steps.stages import Batch, Fired, Read, Whole


@dataclass(frozen=True)
class Rules:
    """The alert rules of a bundle as arrays.

    Attributes:
        names: of the rules.
        score_column: int64 [r], column of the scores, -1 for a rule on a feature.
        task: int64 [r], index of the task, -1 for a rule on a feature.
        feature_column: int64 [r], column of the features, -1 for a rule on a task.
        bounds: float64 [r, 4]: sign (1 above, -1 below), threshold, rearm, cooldown in ms.
        memory: where the rules' memory starts in a row.
    """

    names: tuple[str, ...]
    score_column: Whole
    task: Whole
    feature_column: Whole
    bounds: NDArray[np.float64]
    memory: int

    @classmethod
    def of(cls, bundle: Bundle) -> "Rules":
        """Return the rules of a bundle's spec."""
        spec, layout = bundle.spec, bundle.rolling.layout
        outputs = {output.task: (index, output) for index, output in enumerate(bundle.manifest.outputs)}
        columns, bounds = [], []
        for rule in spec.rules:
            score, task, feature = -1, -1, -1
            if rule.task is not None:
                task, output = outputs[rule.task]
                score = output.start + (output.classes.index(rule.class_) if rule.class_ is not None else 0)
            else:
                feature = layout.require(str(rule.feature), f"rule {rule.name!r}")
            rearm = rule.threshold if rule.rearm is None else rule.rearm
            sign = 1.0 if rule.direction == "above" else -1.0
            columns.append((score, task, feature))
            bounds.append((sign, round(rule.threshold, 6), round(rearm, 6), rule.cooldown_hours * HOUR_MS))
        table = np.array(columns, np.int64).reshape(-1, 3)
        return cls(
            tuple(rule.name for rule in spec.rules),
            table[:, 0].copy(),
            table[:, 1].copy(),
            table[:, 2].copy(),
            np.array(bounds, np.float64).reshape(-1, 4),
            layout.sections["alerts"].start,
        )


def fire(batch: Batch, read: Read, matrix: NDArray[np.float32], scores: NDArray[np.float64], rules: Rules) -> Fired:
    """Decide on alerts in log order, keeping the rules' memory in the rows.

    Args:
        batch: the items.
        read: what was read of their rows.
        matrix: the rows, changed in place.
        scores: float64 [m, score width], six decimals.
        rules: of the bundle in force.
    """
    room = len(scores) * len(rules.names)
    item, rule, suppressed = (np.empty(room, np.int64) for _ in range(3))
    value = np.empty(room)
    hour, ms = split_time(batch.time_ms, 0)
    codes = (FORGET, SCORED, rules.memory, ALERT_SLOTS)
    columns = (rules.task, rules.score_column, rules.feature_column)
    items, found = (batch.op, read.rows, read.verdict, hour, ms), (scores, read.eligible, read.features)
    n = _fire(matrix, items, found, (rules.bounds, codes, columns), (item, rule, value, suppressed))
    return Fired(item[:n].copy(), rule[:n].copy(), value[:n].copy(), suppressed[:n].copy())


@njit(cache=True, nogil=True, error_model="numpy")
def _fire(matrix, items, found, rules, told):  # type: ignore[no-untyped-def]
    # The codes are arguments because numba's cache does not see constants of other modules.
    op, rows, verdict, hour, ms = items
    scores, eligible, features = found
    bounds, (forget, scored, start, slots), (task, score_column, feature_column) = rules
    m = 0
    count = 0
    for i in range(len(op)):
        memory = matrix[rows[i]][start:]
        if op[i] == forget:
            for k in range(len(memory)):
                memory[k] = 0.0
        if verdict[i] != scored:
            continue
        for r in range(len(bounds)):
            if task[r] < 0:
                value = np.rint(float(features[m, feature_column[r]]) * 1e6) / 1e6
            elif eligible[m, task[r]]:
                value = scores[m, score_column[r]]
            else:
                continue
            if value != value:  # NaN: a feature that is not known
                continue
            sign, threshold, rearm, cooldown = bounds[r, 0], bounds[r, 1], bounds[r, 2], bounds[r, 3]
            slot = memory[r * slots : (r + 1) * slots]
            if sign * value >= sign * threshold:
                since = (float(hour[i]) - float(slot[1])) * 3_600_000.0 + float(ms[i]) - float(slot[2])
                cooling = slot[1] > 0.0 and since < cooldown
                if slot[0] == 0.0 and not cooling:
                    told[0][count] = m
                    told[1][count] = r
                    told[2][count] = value
                    told[3][count] = int(slot[3])
                    count += 1
                    slot[0], slot[1], slot[2], slot[3] = 1.0, hour[i], ms[i], 0.0
                else:
                    slot[3] = min(float(slot[3]) + 1.0, 16_777_216.0)  # where float32 stops counting
            elif slot[0] == 1.0 and sign * value <= sign * rearm:
                slot[0] = 0.0
        m += 1
    return count
