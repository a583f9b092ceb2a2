"""Samples as a frame for notebooks. Importing this module loads pandas."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.atomic import atomic_file
from schemas.spec import Task
from stream_app.bundle import outputs_of
from training.arrays import Flags, Floats, Ints
from training.matrix import parts
from training.prepare import Prepared
from training.rows import ROW_KINDS
from training.split import SHARES


def frame(prepared: Prepared, part: slice = slice(None)) -> pd.DataFrame:
    """Return prepared samples, or a part of them, as a frame, a row each; ``samples.load`` tells its columns."""
    rows, layout = prepared.samples.rows, prepared.layout
    names = sorted(layout.column, key=layout.column.__getitem__)
    columns = [layout.column[name] for name in names]
    places = pd.DataFrame(
        {
            "customer_id": prepared.log.customers[rows.customer[part]],
            "time": pd.Series(rows.time_ms[part].astype("datetime64[ms]")).dt.tz_localize("UTC"),
            "kind": _kinds(prepared, part),
            "split.side": _sides(prepared, part),
        }
    )
    features = pd.DataFrame(prepared.samples.features[part][:, columns], columns=names)
    return pd.concat([places, features, _answers(prepared, part)], axis=1)


def write(prepared: Prepared, path: Path) -> None:
    """Write prepared samples as Parquet, part by part: they need not be in memory.

    Raises:
        OutputError: the file cannot be written.
    """
    writer: pq.ParquetWriter | None = None
    with atomic_file(path) as file:
        for part in parts(len(prepared.samples)):
            table = pa.Table.from_pandas(frame(prepared, part), preserve_index=False)
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()


def _kinds(prepared: Prepared, part: slice) -> "pd.Categorical[str]":
    code: Ints = np.argmax([np.isin(prepared.samples.rows.kind[part], kinds) for kinds in ROW_KINDS.values()], axis=0)
    return _named(code, ROW_KINDS)


def _sides(prepared: Prepared, part: slice) -> "pd.Categorical[str]":
    """Return the part of the split of each row, the same for all of its labels."""
    sides = [getattr(prepared.split, name)[part].any(axis=1) for name in SHARES]
    code = np.full(len(sides[0]), -1, np.int64)
    for place, side in enumerate(sides):
        code[side] = place
    return _named(code, SHARES)


def _answers(prepared: Prepared, part: slice) -> pd.DataFrame:
    """Return the labels that serve in any part of the split, and whom each task is asked for."""
    samples, serves = prepared.samples, np.any([getattr(prepared.split, name)[part] for name in SHARES], axis=0)
    answers: dict[str, object] = {}
    for index, (task, output) in enumerate(zip(prepared.spec.tasks, outputs_of(prepared.spec), strict=True)):
        answers[f"{task.name}.label"] = _label(
            task, samples.labels.value[part, index], serves[:, index], output.classes
        )
        answers[f"{task.name}.eligible"] = samples.eligible[part, index]
    return pd.DataFrame(answers)


def _label(task: Task, value: Floats, serves: Flags, classes: tuple[str, ...]) -> "pd.Categorical[str] | Floats":
    if classes:
        return _named(np.where(serves, value, -1.0).astype(np.int64), classes)
    return np.where(serves, np.expm1(value) if task.kind == "value" else value, np.nan)


def _named(code: Ints, names: Iterable[str]) -> "pd.Categorical[str]":
    """Return codes as a column of names; -1 as none."""
    return pd.Categorical.from_codes(code, pd.Index(list(names)))
