"""Who takes part: the network of all tasks, networks of one, tuned trees and linear models, on the same samples."""

import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.atomic import atomic_file
from schemas.progress import Progress
from stream_app.bundle import Output, outputs_of
from stream_app.steps.predict import Predictor
from training.arrays import Flags, Floats, Singles
from training.benchmark.cells import Answers, Cell, mark
from training.benchmark.contest import Part
from training.benchmark.parts import alone
from training.benchmark.tuned import Tuned
from training.prepare import Options, Prepared
from training.recipe import QUICK, Recipe
from training.scaling import Scaling
from training.tasks import KINDS
from training.teachers import Taught, teach
from training.trees import grow

NETWORK: Final = "network"
SINGLE: Final = "single"
TREES: Final = "lightgbm"
LINEAR: Final = "linear"
UNTAUGHT: Final = "untaught"
MODELS: Final = (NETWORK, TREES, LINEAR, UNTAUGHT, SINGLE)
"""In the order of the table; ``untaught`` is the network of `foretell train --quick`."""


@dataclass(frozen=True)
class Field:
    """The samples of a part, and what the models on it share.

    Attributes:
        draw: makes the samples, when they are needed.
        part: which.
        tuned: the parameters of trees and network.
        teachers: where the teachers' answers are kept.
        progress: told of each phase.
    """

    draw: Callable[[], Prepared]
    part: Part
    tuned: Tuned
    teachers: Path
    progress: Progress

    @cached_property
    def prepared(self) -> Prepared:
        """Return the samples."""
        return self.draw()

    def how(self, model: str) -> Any:  # noqa: ANN401  (JSON)
        """Return what a model's answers depend on besides the samples, as JSON can say it."""
        ways: dict[str, Any] = {
            NETWORK: asdict(self.tuned),
            SINGLE: asdict(self.tuned),
            UNTAUGHT: asdict(QUICK),
            TREES: self.tuned.trees,
            LINEAR: None,
        }
        return ways[model]

    def answers(self, model: str) -> Cell:
        """Let a model learn and answer the test rows."""
        ways: dict[str, Callable[[], Cell]] = {
            NETWORK: lambda: self._network(self.prepared, self.taught, self.tuned.recipe),
            SINGLE: self._singles,
            UNTAUGHT: lambda: self._network(self.prepared, None, QUICK),
            TREES: lambda: self._each(self._grown),
            LINEAR: lambda: self._each(self._line),
        }
        return ways[model]()

    @property
    def taught(self) -> Taught:
        """Return the teachers' answers: the kept ones, or else new ones, which are kept."""
        path = self.teachers / f"{self.part.name}-{mark(self.tuned.trees)}.pickle"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            found = teach(self.prepared, self._inputs, self.part.seed, self.progress, self.tuned.trees)
            with atomic_file(path) as file:
                file.write_bytes(pickle.dumps(found))
        kept: Taught = pickle.loads(path.read_bytes())  # noqa: S301  (this command's own file)
        return kept

    @property
    def _inputs(self) -> Singles:
        features = self.prepared.samples.features
        learned = np.flatnonzero(self.prepared.split.train.any(axis=1))
        scaling = Scaling.of(features, self.prepared.layout, learned)
        return scaling.rows(features)

    def _network(self, prepared: Prepared, taught: Taught | None, recipe: Recipe) -> Cell:
        from training.trainer import train  # noqa: PLC0415  (loads TensorFlow)

        trained = train(prepared, Options(self.part.seed, recipe=recipe), self.progress, taught)
        outputs, features = outputs_of(prepared.spec), prepared.samples.features
        predict = Predictor(trained.model, prepared.layout.feature_width, outputs[-1].start + outputs[-1].width)
        tested = prepared.split.test
        some = np.flatnonzero(tested.any(axis=1))
        scores = np.zeros((len(features), outputs[-1].start + outputs[-1].width))
        scores[some] = predict(features[some])
        return {
            output.task: _at(prepared, tested[:, index], index, scores[:, output.start : output.start + output.width])
            for index, output in enumerate(outputs)
            if tested[:, index].any()
        }

    def _singles(self) -> Cell:
        cell: Cell = {}
        for index, output in enumerate(outputs_of(self.prepared.spec)):
            if self.prepared.split.test[:, index].any():
                cell |= self._network(alone(self.prepared, index), self.taught.alone(index, output), self.tuned.recipe)
        return cell

    def _each(self, answer: Callable[[int, Output, Flags], Floats]) -> Cell:
        """Return what is answered task by task; ``answer`` takes the rows to answer, and answers only these."""
        cell = {}
        for index, output in enumerate(outputs_of(self.prepared.spec)):
            tested = self.prepared.split.test[:, index]
            if tested.any():
                scores = np.zeros((len(tested), output.width))
                scores[tested] = answer(index, output, tested)
                cell[output.task] = _at(self.prepared, tested, index, scores)
        return cell

    def _grown(self, index: int, output: Output, tested: Flags) -> Floats:
        self.progress.step("lightgbm", index, len(self.prepared.spec.tasks), output.task)
        return grow(self.prepared, index, self.tuned.trees.get(output.task, {}), tested, self.part.seed)

    def _line(self, index: int, output: Output, tested: Flags) -> Floats:
        train, inputs = self.prepared.split.train[:, index], self._inputs
        label = self.prepared.samples.labels.value[train, index]
        return KINDS[output.learned_as].baseline(inputs[train], label, inputs[tested], output.width)


def _at(prepared: Prepared, tested: Flags, index: int, scores: Floats) -> Answers:
    rows = np.flatnonzero(tested)
    _, group = np.unique(prepared.log.groups, return_inverse=True)
    return Answers(
        group[prepared.samples.rows.customer[rows]].astype(np.int64),
        prepared.samples.labels.value[rows, index],
        np.asarray(scores[rows], np.float64),
    )
