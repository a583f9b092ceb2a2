"""Measures a network on the test rows, per task and row kind, beside the prior, a linear model and the oracle."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.spec import Spec
from stream_app.bundle import Output, outputs_of
from training.arrays import Flags, Floats, Ints, Singles
from training.log import Log
from training.measures import reliability
from training.oracle import Oracle
from training.rows import ROW_KINDS
from training.samples import Samples
from training.split import Split
from training.tasks import KINDS, Kind, Measures

Metrics = dict[str, dict[str, dict[str, Any]]]
"""Task → row kind → what was measured: ``rows``, what the labels are like, and measures by model."""
MODELS: Final = ("network", "linear", "prior", "oracle")


@dataclass(frozen=True)
class Exam:
    """What is measured.

    Attributes:
        spec: the tasks.
        log: whose customers the oracle names.
        samples: rows with labels.
        split: which labels are training, validation and test.
        scores: the network's, of all rows, float32 [n, score width].
        inputs: scaled inputs of all rows, for the linear model.
        oracle: the best possible predictions, if known.
    """

    spec: Spec
    log: Log
    samples: Samples
    split: Split
    scores: Singles
    inputs: Singles
    oracle: Oracle | None = None

    def target(self, index: int, rows: Flags | Ints) -> Floats:
        """Return the labels of a task at some rows."""
        labels: Floats = self.samples.labels.value[rows, index]
        return labels


def evaluate(exam: Exam) -> Metrics:
    """Return all measures of all tasks on the test rows; a task without test rows has none."""
    return {output.task: _task(exam, index, output) for index, output in enumerate(outputs_of(exam.spec))}


def headline(kind: str) -> tuple[str, int]:
    """Return the measure that stands for a kind of task, and 1 where more of it is better, -1 where less is."""
    return KINDS[kind].headline, KINDS[kind].sign


def reliability_curves(exam: Exam) -> dict[str, Floats]:
    """Return ten bins of confidence on the test rows for each task with probabilities (``measures.reliability``)."""
    curves = {}
    for index, output in enumerate(outputs_of(exam.spec)):
        rows = np.flatnonzero(exam.split.test[:, index])
        if output.kind == "value" or not len(rows):
            continue
        scores, target = _of(exam.scores[rows], output), exam.target(index, rows)
        confidence = scores.max(axis=1)
        hit = target > 0 if output.kind == "binary" else scores.argmax(axis=1) == target
        curves[output.task] = reliability(confidence, hit)
    return curves


def _task(exam: Exam, index: int, output: Output) -> dict[str, dict[str, Any]]:
    kind = KINDS[output.kind]
    train, validation = exam.split.train[:, index], exam.split.validation[:, index]
    scores = _of(exam.scores, output)
    threshold = kind.threshold(scores[validation], exam.target(index, validation))
    rows = np.flatnonzero(exam.split.test[:, index])
    linear = np.zeros((len(train), output.width))
    if len(rows):
        linear[rows] = kind.baseline(exam.inputs[train], exam.target(index, train), exam.inputs[rows], output.width)
    measured = {}
    for name, kinds in ROW_KINDS.items():
        of_kind = rows[np.isin(exam.samples.rows.kind[rows], kinds)]
        if not len(of_kind):
            continue
        target = exam.target(index, of_kind)
        models = {"network": scores[of_kind], "linear": linear[of_kind]}
        models["prior"] = _prior(exam, index, output, name)[None].repeat(len(of_kind), axis=0)
        entry = {"rows": len(of_kind), **_labels(output, target)}
        entry |= {model: _finite(kind.measure(found, target, threshold)) for model, found in models.items()}
        measured[name] = entry | _against_oracle(exam, index, output, of_kind, models["prior"][0])
    return measured


def _against_oracle(exam: Exam, index: int, output: Output, rows: Ints, prior: Floats) -> dict[str, Any]:
    """Measure network and oracle on the rows that the oracle answers, and the network's share of the oracle's gain."""
    if exam.oracle is None:
        return {}
    answered, best = exam.oracle.predictions(output, exam.log, exam.samples.rows.take(rows))
    if not len(answered):
        return {}
    kind, target = KINDS[output.kind], exam.target(index, rows[answered])
    scores = {"network": _of(exam.scores, output)[rows[answered]], "oracle": best}
    scores["prior"] = prior[None].repeat(len(answered), axis=0)
    found = {name: kind.measure(values, target, None).get(kind.headline, 0.0) for name, values in scores.items()}
    share = _gain(kind, found["network"], found["prior"]) / _gain(kind, found["oracle"], found["prior"])
    return {"oracle": {"rows": len(answered), kind.headline: found["oracle"], "share_of_gain": share}}


def _gain(kind: Kind, found: float, prior: float) -> float:
    return kind.sign * (found - float(np.nan_to_num(prior)))


def _prior(exam: Exam, index: int, output: Output, row_kind: str) -> Floats:
    """Return the scores of who knows nothing but the training labels of that row kind, float64 [width]."""
    rows = exam.split.train[:, index] & np.isin(exam.samples.rows.kind, ROW_KINDS[row_kind])
    rows = rows if rows.any() else exam.split.train[:, index]
    kind = KINDS[output.kind]
    logits = kind.prior(exam.target(index, rows), output.width)
    scores: Floats = np.asarray(kind.activate(logits[None]), np.float64)[0]
    return scores


def _labels(output: Output, target: Floats) -> dict[str, Any]:
    if output.kind == "value":
        return {"mean": float(np.expm1(target).mean()), "median": float(np.expm1(np.median(target)))}
    if output.kind == "binary":
        return {"positives": int(target.sum()), "share": float(target.mean())}
    shares = np.bincount(target.astype(np.int64), minlength=output.width) / len(target)
    return {"shares": dict(zip(output.classes, shares.tolist(), strict=True))}


def _of(scores: Singles, output: Output) -> Floats:
    return scores[:, output.start : output.start + output.width].astype(np.float64)


def _finite(measures: Measures) -> Measures:
    return {name: value for name, value in measures.items() if np.isfinite(value)}
