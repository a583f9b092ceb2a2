"""Teachers: gradient-boosted trees for each task, whose out-of-fold answers the network learns beside the labels.

A customer's rows are answered by trees that have seen none of that customer's group, so that an answer tells what can
be known and not what was learned by heart. Teachers answer every training row, labelled for their task or not: so each
row trains each task. Where labels are few the trees are blended with a linear model, by what loses least out of fold.
Teachers exist while the network learns, and no longer.
"""

import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.errors import TrainingError
from schemas.progress import SILENT, Progress
from stream_app.bundle import Output, outputs_of
from training.arrays import Flags, Floats, Ints, Singles
from training.boosting import dataset, predicted
from training.matrix import is_paged
from training.prepare import Prepared
from training.split import places
from training.tasks import KINDS
from training.units import Splits

FOLDS: Final = 4
FEW: Final = 12_000
"""With fewer labels a linear model may know better than trees."""
FEWEST: Final = 200
"""With fewer labels nothing is taught: an answer would be noise."""
_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the linear model in a blend."""
MOST_TREES: Final = 600
_PATIENCE: Final = 40
_LINES: Final = {
    name: re.compile(rf"^{name}=(.+)$", re.MULTILINE) for name in ("split_feature", "threshold", "split_gain")
}
"""Of a model as text, one of each for a tree."""
_PARAMETERS: Final = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 127,
    "feature_pre_filter": False,  # which looks at other rows where these are read from a file
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}
Tuned = Mapping[str, Mapping[str, Any]]
"""Parameters of LightGBM by task."""


@dataclass(frozen=True)
class Taught:
    """What the teachers answer at n training rows.

    Attributes:
        rows: int64 [n], which samples these are.
        answers: float32 [n, score width]: a chance, the chances of classes, or log(1 + x) of an amount.
        tasks: bool [tasks], which tasks have a teacher.
        linear: the share of the linear model in each task's answers.
        splits: where each task's trees split.
    """

    rows: Ints
    answers: Singles
    tasks: Flags
    linear: dict[str, float]
    splits: dict[str, Splits]

    def alone(self, index: int, output: Output) -> "Taught":
        """Return what they answer of one task."""
        kept = {name: splits for name, splits in self.splits.items() if name == output.task}
        linear = {name: share for name, share in self.linear.items() if name == output.task}
        answers = self.answers[:, output.start : output.start + output.width]
        return Taught(self.rows, answers, self.tasks[[index]], linear, kept)


def teach(
    prepared: Prepared, inputs: Singles, seed: int, progress: Progress = SILENT, tuned: Tuned | None = None
) -> Taught:
    """Return the teachers' answers at all rows with a training label.

    Args:
        prepared: the samples.
        inputs: scaled inputs of all samples, for the linear model, float32 [n, feature width].
        seed: of the folds and the trees.
        progress: told of each set of trees.
        tuned: parameters of LightGBM that were found for a task's trees, by task; others have the usual ones.

    Raises:
        TrainingError: no trees can be grown on this machine.
    """
    outputs, split = outputs_of(prepared.spec), prepared.split
    rows = np.flatnonzero(split.train.any(axis=1))
    fold = _folds(prepared, seed)[prepared.samples.rows.customer]
    answers = np.zeros((len(rows), outputs[-1].start + outputs[-1].width), np.float32)
    counts = split.train.sum(axis=0)
    taught, linear = counts >= FEWEST, dict[str, float]()
    splits = {}
    for index, output in enumerate(outputs):
        progress.step("teachers", index, len(outputs), output.task)
        if taught[index]:
            teacher = TaskTeacher(prepared, index, output, rows, fold, seed, (tuned or {}).get(output.task, {}))
            found, where = teacher.trees()
            linear[output.task] = 0.0
            if counts[index] < FEW:
                found, linear[output.task] = teacher.blended(found, inputs)
            answers[:, output.start : output.start + output.width] = found
            splits[output.task] = where
    progress.step("teachers", len(outputs), len(outputs))
    return Taught(rows, answers, taught, linear, splits)


def _folds(prepared: Prepared, seed: int) -> Ints:
    """Return the fold of each customer: those of one group are in the same."""
    folds: Ints = (FOLDS * places(prepared.log, seed + 1)).astype(np.int64)
    return folds


def _lightgbm() -> Any:  # noqa: ANN401  (a module)
    try:
        import lightgbm  # noqa: PLC0415  (loads slowly)
    except OSError as error:
        message = (
            f"Expected the library that grows trees to load, found: {error}; install what it names (Debian: apt-get "
            "install libgomp1), or train with --quick."
        )
        raise TrainingError(message) from error
    return lightgbm


@dataclass(frozen=True)
class TaskTeacher:
    """One task at the rows that are answered; ``fold`` is that of each sample, ``tuned`` what is not as usual."""

    prepared: Prepared
    index: int
    output: Output
    rows: Ints
    fold: Ints
    seed: int
    tuned: Mapping[str, Any]

    def trees(self) -> tuple[Floats, Splits]:
        """Return the trees' answers, float64 [n, width], and where the trees of all folds split."""
        # Trees of several threads wait for each other at every leaf, so each fold has a thread. None answers before
        # all are grown: LightGBM's threads are counted once for the process, and who counts anew breaks who works.
        # Rows of a file are pushed by threads that are counted too: there one fold comes after the other.
        with ThreadPoolExecutor(1 if is_paged(self.prepared.samples.features) else os.cpu_count()) as threads:
            models = list(threads.map(self._grow, (self._learned(fold) for fold in range(FOLDS))))
        answers = self._out_of_fold(lambda fold, answered: self._answers(models[fold], answered))
        return answers, self._splits(models)

    def blended(self, trees: Floats, inputs: Singles) -> tuple[Floats, float]:
        """Return the answers of trees and a linear model, and the share of the latter, which loses least."""
        line = self._out_of_fold(lambda fold, answered: self._fit_line(inputs, self._learned(fold), answered))
        known = self.prepared.split.train[self.rows, self.index]
        target = self.prepared.samples.labels.value[self.rows[known], self.index]
        kind = KINDS[self.output.learned_as]
        losses = [kind.answer_loss((share * line + (1 - share) * trees)[known], target) for share in _SHARES]
        share = _SHARES[int(np.argmin(losses))]
        return share * line + (1 - share) * trees, share

    def _out_of_fold(self, answer: Callable[[int, Ints], Floats]) -> Floats:
        """Return what is answered of each fold's rows; ``answer`` takes the fold and its rows."""
        mine = self.fold[self.rows]
        answers = np.empty((len(self.rows), self.output.width))
        for fold in range(FOLDS):
            answers[mine == fold] = answer(fold, self.rows[mine == fold])
        return answers

    def _learned(self, fold: int) -> Ints:
        """Return the training rows of the other folds."""
        return np.flatnonzero(self.prepared.split.train[:, self.index] & (self.fold != fold))

    def fit_trees(self, learned: Ints, answered: Ints) -> Floats:
        """Grow trees on some samples; return their answers to others, float64 [n, width]."""
        return self._answers(self._grow(learned), answered)

    def _grow(self, learned: Ints) -> Any:  # noqa: ANN401  (a model)
        lightgbm = _lightgbm()
        samples, split = self.prepared.samples, self.prepared.split
        columns = np.array(self.prepared.layout.inputs)
        kind = KINDS[self.output.learned_as]
        label = kind.tree_label(samples.labels.value[:, self.index]) / self._unit
        checked = np.flatnonzero(split.validation[:, self.index])
        data = dataset(samples.features, learned, columns, label[learned])
        parameters = (
            {**_PARAMETERS, **self.tuned} | kind.trees(self.output.width) | {"seed": self.seed, "num_threads": 1}
        )
        stops: list[Any] = [lightgbm.early_stopping(_PATIENCE, verbose=False)] if len(checked) else []
        valid = [dataset(samples.features, checked, columns, label[checked], data)] if len(checked) else []
        return lightgbm.train(parameters, data, MOST_TREES if valid else 100, valid, callbacks=stops)

    def _answers(self, model: Any, rows: Ints) -> Floats:  # noqa: ANN401  (a model)
        if not len(rows):
            return np.empty((0, self.output.width))
        columns = np.array(self.prepared.layout.inputs)
        found = predicted(model, self.prepared.samples.features, rows, columns, num_threads=1)
        return found.reshape(len(rows), -1) * self._unit

    @property
    def _unit(self) -> float:
        """Return what the trees count in."""
        label = self.prepared.samples.labels.value[self.prepared.split.train[:, self.index], self.index]
        return KINDS[self.output.learned_as].tree_unit(label)

    def _splits(self, models: list[Any]) -> Splits:
        """Return the splits of models, in an order that does not tell which of them was grown first."""
        columns = np.array(self.prepared.layout.inputs)
        texts = sorted(model.model_to_string() for model in models)
        feature, threshold, gain = (
            np.array([float(word) for text in texts for line in _LINES[name].findall(text) for word in line.split()])
            for name in ("split_feature", "threshold", "split_gain")
        )
        if not gain.sum() > 0:
            return Splits.joined([])
        return Splits(columns[feature.astype(np.int64)], threshold, gain / gain.sum())

    def _fit_line(self, inputs: Singles, learned: Ints, answered: Ints) -> Floats:
        label = self.prepared.samples.labels.value[learned, self.index]
        kind, width = KINDS[self.output.learned_as], self.output.width
        if not len(answered):
            return np.empty((0, width))
        return kind.answer(kind.baseline(inputs[learned], label, inputs[answered], width))
