"""Teachers: gradient-boosted trees for each task, whose out-of-fold answers the network learns beside the labels.

A customer's rows are answered by trees that have seen none of that customer's group, so that an answer tells what can
be known and not what was learned by heart. Teachers answer every training row, labelled for their task or not: so each
row trains each task. Where labels are few the trees are blended with a linear model, by what loses least out of fold.
Teachers exist while the network learns, and no longer.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from schemas.errors import TrainingError
from schemas.progress import SILENT, Progress
from stream_app.bundle import Output, outputs_of
from training.arrays import Flags, Floats, Ints, Singles
from training.prepare import Prepared
from training.split import places
from training.tasks import KINDS

FOLDS: Final = 4
FEW: Final = 12_000
"""With fewer labels a linear model may know better than trees."""
FEWEST: Final = 200
"""With fewer labels nothing is taught: an answer would be noise."""
_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the linear model in a blend."""
MOST_TREES: Final = 600
_PATIENCE: Final = 40
_PARAMETERS: Final = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "max_bin": 127,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


@dataclass(frozen=True)
class Taught:
    """What the teachers answer at n training rows.

    Attributes:
        rows: int64 [n], which samples these are.
        answers: float32 [n, score width]: a chance, the chances of classes, or log(1 + x) of an amount.
        tasks: bool [tasks], which tasks have a teacher.
        linear: the share of the linear model in each task's answers.
    """

    rows: Ints
    answers: Singles
    tasks: Flags
    linear: dict[str, float]


def teach(prepared: Prepared, inputs: Singles, seed: int, progress: Progress = SILENT) -> Taught:
    """Return the teachers' answers at all rows with a training label.

    Args:
        prepared: the samples.
        inputs: scaled inputs of all samples, for the linear model, float32 [n, feature width].
        seed: of the folds and the trees.
        progress: told of each set of trees.

    Raises:
        TrainingError: no trees can be grown on this machine.
    """
    outputs, split = outputs_of(prepared.spec), prepared.split
    rows = np.flatnonzero(split.train.any(axis=1))
    fold = _folds(prepared, seed)[prepared.samples.rows.customer]
    answers = np.zeros((len(rows), outputs[-1].start + outputs[-1].width), np.float32)
    counts = split.train.sum(axis=0)
    taught, linear = counts >= FEWEST, dict[str, float]()
    for index, output in enumerate(outputs):
        progress.step("teachers", index, len(outputs), output.task)
        if taught[index]:
            pupil = TaskTeacher(prepared, index, output, rows, fold, seed)
            found, linear[output.task] = pupil.blended(inputs) if counts[index] < FEW else (pupil.trees(), 0.0)
            answers[:, output.start : output.start + output.width] = found
    progress.step("teachers", len(outputs), len(outputs))
    return Taught(rows, answers, taught, linear)


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
    """One task at the rows that are answered; ``fold`` is that of each sample."""

    prepared: Prepared
    index: int
    output: Output
    rows: Ints
    fold: Ints
    seed: int

    def trees(self) -> Floats:
        """Return the trees' answers, float64 [n, width]."""
        return self._out_of_fold(self.fit_trees)

    def blended(self, inputs: Singles) -> tuple[Floats, float]:
        """Return the answers of trees and a linear model, and the share of the latter, which loses least."""
        trees, line = (
            self.trees(),
            self._out_of_fold(lambda learned, answered: self._fit_line(inputs, learned, answered)),
        )
        known = self.prepared.split.train[self.rows, self.index]
        target = self.prepared.samples.labels.value[self.rows[known], self.index]
        kind = KINDS[self.output.kind]
        losses = [kind.answer_loss((share * line + (1 - share) * trees)[known], target) for share in _SHARES]
        share = _SHARES[int(np.argmin(losses))]
        return share * line + (1 - share) * trees, share

    def _out_of_fold(self, fit: Any) -> Floats:  # noqa: ANN401  (rows to learn, rows to answer → answers)
        learned, mine = self.prepared.split.train[:, self.index], self.fold[self.rows]
        answers = np.empty((len(self.rows), self.output.width))

        def answer(fold: int) -> None:
            answers[mine == fold] = fit(np.flatnonzero(learned & (self.fold != fold)), self.rows[mine == fold])

        with ThreadPoolExecutor(
            os.cpu_count()
        ) as threads:  # trees of several threads wait for each other at every leaf
            list(threads.map(answer, range(FOLDS)))
        return answers

    def fit_trees(self, learned: Ints, answered: Ints) -> Floats:
        """Grow trees on some samples; return their answers to others, float64 [n, width]."""
        lightgbm = _lightgbm()
        samples, split = self.prepared.samples, self.prepared.split
        columns = np.array(self.prepared.layout.inputs)
        label, kind = samples.labels.value[:, self.index], KINDS[self.output.kind]
        checked = np.flatnonzero(split.validation[:, self.index])
        data = lightgbm.Dataset(samples.features[learned][:, columns], label[learned])
        parameters = _PARAMETERS | kind.trees(self.output.width) | {"seed": self.seed, "num_threads": 1}
        stops: list[Any] = [lightgbm.early_stopping(_PATIENCE, verbose=False)] if len(checked) else []
        valid = [data.create_valid(samples.features[checked][:, columns], label[checked])] if len(checked) else []
        model = lightgbm.train(parameters, data, MOST_TREES if valid else 100, valid, callbacks=stops)
        if not len(answered):
            return np.empty((0, self.output.width))
        found = np.asarray(model.predict(samples.features[answered][:, columns]), np.float64)
        return found.reshape(len(answered), -1)

    def _fit_line(self, inputs: Singles, learned: Ints, answered: Ints) -> Floats:
        label = self.prepared.samples.labels.value[learned, self.index]
        kind, width = KINDS[self.output.kind], self.output.width
        if not len(answered):
            return np.empty((0, width))
        return kind.answer(kind.baseline(inputs[learned], label, inputs[answered], width))
