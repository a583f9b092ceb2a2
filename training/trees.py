"""LightGBM as it is meant to be used: for each task, stopped early, with the same inputs as the network."""

from typing import Any, Final

import numpy as np

from training.arrays import Flags, Floats
from training.boosting import dataset, predicted
from training.prepare import Prepared
from training.tasks import KINDS

Parameters = dict[str, Any]
FIXED: Final[Parameters] = {
    "learning_rate": 0.03,
    "max_bin": 255,
    "bagging_freq": 1,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,  # which looks at other rows where these are read from a file
    "num_threads": 1,  # which wait for each other at every leaf, on small data and busy machines
}
USUAL: Final[Parameters] = {
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "lambda_l1": 0.0,
    "lambda_l2": 5.0,
    "path_smooth": 0.0,
}
"""Where nothing was tuned."""
MOST_TREES: Final = 3000
PATIENCE: Final = 80
UNCHECKED_TREES: Final = 100
"""Where no validation row says when to stop."""


def grow(prepared: Prepared, index: int, parameters: Parameters, answered: Flags, seed: int) -> Floats:
    """Grow trees for a task on its training rows, stop by its validation rows; return scores, float64 [m, width].

    They learn at the cuts alone: rows between these made them worse (Berka: value by .007, preference by .0075 nats).

    Args:
        prepared: the samples.
        index: of the task.
        parameters: that were tuned; ``USUAL`` where they are silent.
        answered: bool [n], which m samples to answer.
        seed: of the trees.
    """
    import lightgbm  # noqa: PLC0415  (loads slowly)

    samples, split, task = prepared.samples, prepared.split, prepared.spec.tasks[index]
    kind, columns = KINDS[task.learned_as], np.array(prepared.layout.inputs)
    train = np.flatnonzero(split.train[:, index] & samples.rows.asked)
    checked = np.flatnonzero(split.validation[:, index])
    label = kind.tree_label(samples.labels.value[:, index])
    unit = kind.tree_unit(samples.labels.value[train, index])
    width = len(prepared.spec.classes(task)) or 1
    data = dataset(samples.features, train, columns, label[train] / unit)
    asked = FIXED | USUAL | parameters | kind.trees(width) | {"seed": seed}
    if len(checked):
        stop = dataset(samples.features, checked, columns, label[checked] / unit, data)
        stops: list[Any] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
        model = lightgbm.train(asked, data, MOST_TREES, [stop], callbacks=stops)
    else:
        model = lightgbm.train(asked, data, UNCHECKED_TREES)
    found = predicted(model, samples.features, np.flatnonzero(answered), columns).reshape(-1, width) * unit
    return np.expm1(np.clip(found, 0.0, None)) if task.learned_as == "value" else found
