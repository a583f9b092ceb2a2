"""Samples as a frame for notebooks. Importing this module loads pandas."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from schemas.spec import Task
from stream_app.bundle import outputs_of
from training.arrays import Flags, Floats, Ints
from training.prepare import Prepared
from training.rows import ROW_KINDS
from training.split import SHARES


def frame(prepared: Prepared) -> pd.DataFrame:
    """Return prepared samples as a frame, a row each; ``samples.load`` tells its columns."""
    rows, layout = prepared.samples.rows, prepared.layout
    names = sorted(layout.column, key=layout.column.__getitem__)
    columns = [layout.column[name] for name in names]
    places = pd.DataFrame(
        {
            "customer_id": prepared.log.customers[rows.customer],
            "time": pd.Series(rows.time_ms.astype("datetime64[ms]")).dt.tz_localize("UTC"),
            "kind": _kinds(prepared),
            "split.side": _sides(prepared),
        }
    )
    features = pd.DataFrame(prepared.samples.features[:, columns], columns=names)
    return pd.concat([places, features, _answers(prepared)], axis=1)


def _kinds(prepared: Prepared) -> "pd.Categorical[str]":
    code: Ints = np.argmax([np.isin(prepared.samples.rows.kind, kinds) for kinds in ROW_KINDS.values()], axis=0)
    return _named(code, ROW_KINDS)


def _sides(prepared: Prepared) -> "pd.Categorical[str]":
    """Return the part of the split of each row, the same for all of its labels."""
    code = np.full(len(prepared.samples), -1, np.int64)
    for place, name in enumerate(SHARES):
        code[getattr(prepared.split, name).any(axis=1)] = place
    return _named(code, SHARES)


def _answers(prepared: Prepared) -> pd.DataFrame:
    """Return the labels that serve in any part of the split, and whom each task is asked for."""
    samples, serves = prepared.samples, np.any([getattr(prepared.split, name) for name in SHARES], axis=0)
    answers: dict[str, object] = {}
    for index, (task, output) in enumerate(zip(prepared.spec.tasks, outputs_of(prepared.spec), strict=True)):
        answers[f"{task.name}.label"] = _label(task, samples.labels.value[:, index], serves[:, index], output.classes)
        answers[f"{task.name}.eligible"] = samples.eligible[:, index]
    return pd.DataFrame(answers)


def _label(task: Task, value: Floats, serves: Flags, classes: tuple[str, ...]) -> "pd.Categorical[str] | Floats":
    if classes:
        return _named(np.where(serves, value, -1.0).astype(np.int64), classes)
    return np.where(serves, np.expm1(value) if task.kind == "value" else value, np.nan)


def _named(code: Ints, names: Iterable[str]) -> "pd.Categorical[str]":
    """Return codes as a column of names; -1 as none."""
    return pd.Categorical.from_codes(code, pd.Index(list(names)))
