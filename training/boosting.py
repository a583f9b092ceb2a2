"""LightGBM on a matrix that may be larger than memory: it reads batches of rows, and keeps a byte a number."""

from typing import Any, Final

import numpy as np

from training.arrays import Floats, Ints, Singles
from training.matrix import PART, is_paged, parts

_BATCH: Final = 4096


def dataset(matrix: Singles, rows: Ints, columns: Ints, label: Floats, reference: Any = None) -> Any:  # noqa: ANN401
    """Return a LightGBM data set.

    Args:
        matrix: float32 [n, width].
        rows: int64 [m], those to learn from.
        columns: int64 [k], those that may be seen.
        label: float64 [m].
        reference: the data set that this one is validation for.
    """
    import lightgbm  # noqa: PLC0415  (loads slowly)

    if not is_paged(matrix):
        return lightgbm.Dataset(matrix[rows][:, columns], label, reference)

    class Rows(lightgbm.Sequence):
        batch_size = _BATCH

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, asked: Any) -> Any:  # noqa: ANN401  (an index, a slice or a list)
            return matrix[rows[asked]][..., columns].astype(np.float64)

    return lightgbm.Dataset(Rows(), label, reference)


def predicted(model: Any, matrix: Singles, rows: Ints, columns: Ints, **options: Any) -> Floats:  # noqa: ANN401
    """Return what a model predicts at rows, float64 [m] or [m, classes]; ``options`` are those of LightGBM."""
    found = [
        np.asarray(model.predict(matrix[rows[part]][:, columns], **options), np.float64)
        for part in parts(len(rows), PART)
    ]
    return np.concatenate(found)
