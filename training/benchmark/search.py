"""Searches for parameters, never by test rows: of each task's trees, and of the network's recipe.

The validation rows stop a trial, and the calibration rows judge it.
Trials are kept in a journal, so that a search can be taken up again, and a budget ends it.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from schemas.progress import Progress
from stream_app.bundle import outputs_of
from training.prepare import Prepared
from training.recipe import TAUGHT, Recipe
from training.tasks import KINDS
from training.teachers import Taught
from training.trees import USUAL, Parameters, grow

if TYPE_CHECKING:
    import optuna

_FIRST: Final = 10
"""Trials that are drawn at random."""
_IN_LARGE_STEPS: Final[Parameters] = {"learning_rate": 0.1}
"""A trial's trees are a third as many as those of the table."""
_FEWEST: Final = 200
"""Labels that a task must have for its loss to have a say."""


@dataclass(frozen=True)
class Search:
    """One search: how often it tries, for how long, and where its journal is."""

    journal: Path
    trials: int
    seconds: float
    progress: Progress

    def best(self, name: str, objective: Callable[["optuna.Trial"], float], first: Parameters) -> Parameters:
        """Return the parameters that lost least.

        Args:
            name: of the search in the journal.
            objective: what a trial's parameters lose on validation rows.
            first: what is tried before all else.
        """
        import optuna  # noqa: PLC0415  (loads slowly)
        from optuna.storages.journal import JournalFileBackend  # noqa: PLC0415

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            study_name=name,
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(self.journal))),
            sampler=optuna.samplers.TPESampler(seed=1, n_startup_trials=_FIRST, multivariate=True),
            load_if_exists=True,
        )
        if not study.trials:
            study.enqueue_trial(first)
        done = sum(trial.state.is_finished() for trial in study.trials)

        def tell(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
            self.progress.step(name, trial.number + 1, self.trials, f"best {study.best_value:.5f}")

        study.optimize(objective, n_trials=max(self.trials - done, 0), timeout=self.seconds, callbacks=[tell])
        found: Parameters = study.best_params
        return found


def search_trees(prepared: Prepared, search: Search) -> dict[str, Parameters]:
    """Return the best parameters of each task's trees; what time a task leaves over, the larger ones after it get."""
    labels, outputs = prepared.split.train.sum(axis=0), outputs_of(prepared.spec)
    asked = [
        index
        for index in np.argsort(labels, kind="stable")
        if labels[index] and prepared.split.calibration[:, index].any()
    ]
    found, end = {}, time.monotonic() + search.seconds
    for place, index in enumerate(asked):
        share = replace(search, seconds=max(end - time.monotonic(), 1.0) / (len(asked) - place))
        lose = partial(_trees_lose, prepared, int(index))
        found[outputs[index].task] = share.best(f"lightgbm-{outputs[index].task}", lose, USUAL | {"lambda_l1": 0.001})
    return found


def _trees_lose(prepared: Prepared, index: int, trial: "optuna.Trial") -> float:
    judged, kind = prepared.split.calibration[:, index], KINDS[prepared.spec.tasks[index].learned_as]
    scores = grow(prepared, index, _of_trees(trial) | _IN_LARGE_STEPS, judged, 1)
    return kind.answer_loss(kind.answer(scores), prepared.samples.labels.value[judged, index])


def _of_trees(trial: "optuna.Trial") -> Parameters:
    return {
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 50.0, log=True),
        "path_smooth": trial.suggest_float("path_smooth", 0.0, 20.0),
    }


def search_recipe(prepared: Prepared, taught: Taught, search: Search) -> Recipe:
    """Return the recipe whose network loses least."""
    from training.trainer import fitted, scaled  # noqa: PLC0415  (loads TensorFlow)

    outputs, rows, labels = outputs_of(prepared.spec), prepared.split.calibration, prepared.samples.labels
    _, inputs = scaled(prepared)
    tasks = [index for index in range(len(outputs)) if rows[:, index].sum() >= _FEWEST]

    def lose(trial: "optuna.Trial") -> float:
        network, _ = fitted(prepared, taught, _recipe(trial), 1)
        logits, losses = network.logits(inputs[rows.any(axis=1)]), []
        for index in tasks:
            output, some = outputs[index], rows[rows.any(axis=1), index]
            kind, target = KINDS[output.learned_as], labels.value[rows[:, index], index]
            scores = np.asarray(kind.activate(logits[some, output.start : output.start + output.width]), np.float64)
            losses.append(kind.answer_loss(kind.answer(scores), target) / kind.prior_loss(target, output.width))
        return float(np.mean(losses))

    first = {name: value for name, value in asdict(TAUGHT).items() if name in _NAMES} | {
        "layers": ",".join(map(str, TAUGHT.layers))
    }
    return _as_recipe(search.best("network", lose, first))


_NAMES: Final = ("units", "dropout", "epochs", "rate", "decay", "trust", "unlabelled", "classes")


def _recipe(trial: "optuna.Trial") -> Recipe:
    return _as_recipe(
        {
            "layers": trial.suggest_categorical("layers", ["80,192", "96,256", "64,256"]),
            "units": trial.suggest_categorical("units", [64, 128]),
            "dropout": trial.suggest_float("dropout", 0.0, 0.2),
            "epochs": trial.suggest_int("epochs", 5, 40, log=True),
            "rate": trial.suggest_float("rate", 5e-4, 5e-3, log=True),
            "decay": trial.suggest_float("decay", 0.02, 2.0, log=True),
            "trust": trial.suggest_float("trust", 0.5, 1.0),
            "unlabelled": trial.suggest_float("unlabelled", 0.05, 1.0, log=True),
            "classes": trial.suggest_float("classes", 1.0, 8.0, log=True),
        }
    )


def _as_recipe(found: dict[str, Any]) -> Recipe:
    layers = tuple(int(width) for width in str(found["layers"]).split(","))
    return replace(TAUGHT, layers=layers, **{name: found[name] for name in _NAMES if name in found})
