"""Measures a network on the test rows, per task and row kind, beside trees, a linear model, prior and oracle."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from schemas.spec import Spec
from stream_app.bundle import Output, outputs_of
from training.arrays import Flags, Floats, Ints, Singles
from training.baseline import sampled
from training.bootstrap import calibration, decisions, intervals, spread
from training.fairness import FEWEST, fairness
from training.log import Log
from training.matrix import parts
from training.oracle import Oracle
from training.rows import ROW_KINDS
from training.samples import Samples
from training.segments import Segment
from training.split import Split
from training.tasks import KINDS, Kind, Measures

Metrics = dict[str, dict[str, dict[str, Any]]]
"""Task → row kind → what was measured: ``rows``, what the labels are like, and measures by model."""
MODELS: Final = ("network", "lightgbm", "linear", "prior", "oracle")
DRAWS: Final = 300
"""Of customers, for the intervals."""
_HALF: Final = 0.5
_MOST_AT_ONCE: Final = 200_000
"""Rows that the linear model answers at once; it is fitted anew for more, so that they need not be in memory."""
Trees = Callable[[int, Flags], Floats]
"""LightGBM's scores of a task at the rows of a mask."""


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
        trees: LightGBM, where it is measured too.
        seed: of the draws of customers.
        segments: groups of all rows that are measured apart.
        protected: groups of all rows whose decisions are compared.
    """

    spec: Spec
    log: Log
    samples: Samples
    split: Split
    scores: Singles
    inputs: Singles
    oracle: Oracle | None = None
    trees: Trees | None = None
    seed: int = 1
    segments: tuple[Segment, ...] = ()
    protected: tuple[Segment, ...] = ()

    def target(self, index: int, rows: Flags | Ints) -> Floats:
        """Return the labels of a task at some rows."""
        labels: Floats = self.samples.labels.value[rows, index]
        return labels


@dataclass(frozen=True)
class Sheet:
    """What one task was answered at its n test rows of one kind.

    Attributes:
        output: the task, and what its scores are.
        rows: int64 [n], which samples these are.
        target: the labels, float64 [n].
        customer: int64 [n], codes of the groups of customers.
        scores: float64 [n, width] of the network, LightGBM where it is measured, the linear model and the prior.
        thresholds: from which on each of them says yes: where its F1 is largest on the validation rows; None where
            nothing is decided by one.
        answered: int64 [m], the rows of the sheet that the oracle answers.
        best: its answers, float64 [m, width].
        seed: of the draws of customers.
        segments: groups of the rows that are measured apart.
        protected: groups of the rows whose decisions are compared.
    """

    output: Output
    rows: Ints
    target: Floats
    customer: Ints
    scores: dict[str, Floats]
    thresholds: dict[str, float | None]
    answered: Ints
    best: Floats
    seed: int = 1
    segments: tuple[Segment, ...] = ()
    protected: tuple[Segment, ...] = ()

    @property
    def said(self) -> Ints:
        """Return what the network decides, int64 [n]: yes from its threshold on, or the most probable class."""
        scores, threshold = self.scores["network"], self.thresholds["network"]
        if self.output.classes:
            return np.asarray(scores.argmax(axis=1), np.int64)
        return (scores[:, 0] >= (_HALF if threshold is None else threshold)).astype(np.int64)

    @property
    def comparable(self) -> dict[str, Floats]:
        """Return the scores of all that answered every row: the oracle too, if it did."""
        return self.scores | ({"oracle": self.best} if len(self.answered) == len(self.rows) else {})


Sheets = dict[str, dict[str, Sheet]]
"""Task → row kind → what was answered; row kinds without test rows are left out."""


def evaluate(sheets: Sheets) -> Metrics:
    """Return all measures of all tasks on the test rows; a task without test rows has none."""
    return {task: {kind: _measured(sheet) for kind, sheet in kinds.items()} for task, kinds in sheets.items()}


def answer(exam: Exam) -> Sheets:
    """Return what network, linear model, prior and oracle answer at the test rows."""
    return {output.task: _sheets(exam, index, output) for index, output in enumerate(outputs_of(exam.spec))}


def headline(kind: str) -> tuple[str, int]:
    """Return the measure that stands for a kind of task, and 1 where more of it is better, -1 where less is."""
    return KINDS[kind].headline, KINDS[kind].sign


def _sheets(exam: Exam, index: int, output: Output) -> dict[str, Sheet]:
    validation, test = exam.split.validation[:, index], exam.split.test[:, index]
    found = {"network": _of(exam.scores, output)}
    asked = test | validation
    if exam.trees is not None and test.any():
        found["lightgbm"] = np.zeros((len(test), output.width))
        found["lightgbm"][asked] = exam.trees(index, asked)
    found["linear"] = _linear(exam, index, output)
    _, group = np.unique(exam.log.groups, return_inverse=True)
    sheets = {}
    for name, kinds in ROW_KINDS.items():
        rows = np.flatnonzero(test & np.isin(exam.samples.rows.kind, kinds))
        if not len(rows):
            continue
        everywhere = np.broadcast_to(_prior(exam, index, output, name), (len(test), output.width))
        of_all = found | {"prior": everywhere}
        sheets[name] = Sheet(
            output,
            rows,
            exam.target(index, rows),
            group[exam.samples.rows.customer[rows]].astype(np.int64),
            {model: scores[rows] for model, scores in of_all.items()},
            {
                model: KINDS[output.learned_as].threshold(scores[validation], exam.target(index, validation))
                for model, scores in of_all.items()
            },
            *_best(exam, output, rows),
            exam.seed,
            tuple(segment.at(rows) for segment in exam.segments),
            tuple(segment.at(rows) for segment in exam.protected),
        )
    return sheets


def _linear(exam: Exam, index: int, output: Output) -> Floats:
    """Return the scores of a linear model that is fitted to the training rows; 0 at other than test and validation."""
    train = sampled(np.flatnonzero(exam.split.train[:, index]))
    rows = np.flatnonzero(exam.split.test[:, index] | exam.split.validation[:, index])
    scores, fit = np.zeros((len(exam.split.train), output.width)), KINDS[output.learned_as].baseline
    for part in parts(len(rows), _MOST_AT_ONCE):
        some = rows[part]
        scores[some] = fit(exam.inputs[train], exam.target(index, train), exam.inputs[some], output.width)
    return scores


def _best(exam: Exam, output: Output, rows: Ints) -> tuple[Ints, Floats]:
    """Return which of the rows the oracle answers, and its answers."""
    if exam.oracle is None:
        return np.empty(0, np.int64), np.empty((0, output.width))
    return exam.oracle.predictions(output, exam.log, exam.samples.rows.take(rows))


def _measured(sheet: Sheet) -> dict[str, Any]:
    kind = KINDS[sheet.output.learned_as]
    found = {name: kind.measure(scores, sheet.target, sheet.thresholds[name]) for name, scores in sheet.scores.items()}
    entry = {"rows": len(sheet.rows), **_labels(sheet.output, sheet.target)}
    entry |= {name: _finite(measures) for name, measures in found.items()}
    entry |= {"intervals": _intervals(sheet, kind), "others": _others(sheet)}
    entry |= {"segments": _by_segment(sheet, kind), "fairness": _by_protected(sheet)}
    return {name: part for name, part in entry.items() if part != {}} | _against_oracle(sheet, kind)


def _intervals(sheet: Sheet, kind: Kind) -> dict[str, dict[str, float]]:
    """Return by model the 95 % interval of the headline measure, and of the network's difference from the model's."""
    told = {model: scores for model, scores in sheet.scores.items() if model != "prior"}
    found = intervals(sheet.customer, kind.headline, sheet.target, told, sheet.seed, DRAWS)
    return {model: _finite(asdict(interval)) for model, interval in found.items()}


def _others(sheet: Sheet) -> dict[str, list[float]]:
    """Return the 95 % intervals of the network's calibration error and of its decisions, [low, high] by measure."""
    if sheet.output.kind == "value":
        return {}
    code, classes = sheet.target.astype(np.int64), max(sheet.output.width, 2)
    scores, suffix = sheet.scores["network"], "" if sheet.output.classes else "_best"
    sure = scores.max(axis=1) if sheet.output.classes else scores[:, 0]
    hit = scores.argmax(axis=1) == code if sheet.output.classes else code == 1
    error, decided = calibration(sure, hit), decisions(sheet.said, code, classes)
    found = spread(
        sheet.customer,
        lambda times: {**error(times), **{name + suffix: value for name, value in decided(times).items()}},
        sheet.seed,
        DRAWS,
    )
    return {name: [low, high] for name, (low, high) in found.items() if np.isfinite(low)}


def _by_segment(sheet: Sheet, kind: Kind) -> dict[str, dict[str, dict[str, float]]]:
    """Return the headline measure and the calibration error of each group that is large enough."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for segment in sheet.segments:
        for place, group in enumerate(segment.groups):
            mine = segment.code == place
            if mine.sum() >= FEWEST:
                measures = _finite(kind.measure(sheet.scores["network"][mine], sheet.target[mine], None))
                kept = {name: measures[name] for name in (kind.headline, "ece") if name in measures}
                found.setdefault(segment.name, {})[group] = {"rows": int(mine.sum()), **kept}
    return found


def _by_protected(sheet: Sheet) -> dict[str, Any]:
    """Return how decisions of yes or no differ between protected groups."""
    if sheet.output.kind != "binary":
        return {}
    each = {segment.name: fairness(sheet.said == 1, sheet.target > _HALF, segment) for segment in sheet.protected}
    return {name: found for name, found in each.items() if found}


def _against_oracle(sheet: Sheet, kind: Kind) -> dict[str, Any]:
    """Measure network and oracle on the rows that the oracle answers, and the network's share of the oracle's gain."""
    if not len(sheet.answered):
        return {}
    scores = {name: sheet.scores[name][sheet.answered] for name in ("network", "prior")} | {"oracle": sheet.best}
    target = sheet.target[sheet.answered]
    found = {name: kind.measure(values, target, None).get(kind.headline, 0.0) for name, values in scores.items()}
    entry = {"rows": len(sheet.answered), **_finite({kind.headline: found["oracle"]})}
    possible = _gain(kind, found["oracle"], found["prior"])
    if possible > 0.0:
        entry["share_of_gain"] = _gain(kind, found["network"], found["prior"]) / possible
    return {"oracle": entry}


def _gain(kind: Kind, found: float, prior: float) -> float:
    return kind.sign * (found - float(np.nan_to_num(prior)))


def _prior(exam: Exam, index: int, output: Output, row_kind: str) -> Floats:
    """Return the scores of who knows nothing but the training labels of that row kind, float64 [width]."""
    rows = exam.split.train[:, index] & np.isin(exam.samples.rows.kind, ROW_KINDS[row_kind])
    rows = rows if rows.any() else exam.split.train[:, index]
    kind = KINDS[output.learned_as]
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
