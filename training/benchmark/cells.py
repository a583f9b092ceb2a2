"""Cells: what each model answered at the test rows of each part, kept as files: a benchmark can be taken up again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas.atomic import atomic_file
from training.arrays import Floats, Ints
from training.benchmark.contest import Part

_DIGITS: Final = 16


@dataclass(frozen=True)
class Answers:
    """What a model answered at the n test rows of a task.

    Attributes:
        customer: int64 [n], codes of the groups of customers.
        target: the labels, float64 [n].
        scores: float64 [n, width].
    """

    customer: Ints
    target: Floats
    scores: Floats


Cell = dict[str, Answers]
"""By task."""


@dataclass(frozen=True)
class Cells:
    """A folder of cells.

    ``basis`` is what all cells rest on: data, spec, versions. A cell of another basis is computed anew.
    """

    folder: Path
    basis: str

    def get(self, model: str, part: Part, how: Any, compute: Callable[[], Cell]) -> Cell:  # noqa: ANN401  (JSON)
        """Return a cell: the kept one, or else a computed one, which is kept.

        Args:
            model: whose answers.
            part: at whose test rows.
            how: the model's parameters, as JSON can say them.
            compute: makes the cell.
        """
        path = self.folder / f"{part.name}-{model}-{mark([self.basis, model, part.name, how])}.npz"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(path, compute())
        return _read(path)


def mark(content: Any) -> str:  # noqa: ANN401  (JSON)
    """Return a name for what JSON can say: the same for the same, another for anything else."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _write(path: Path, cell: Cell) -> None:
    arrays = {
        f"{task}/{name}": getattr(answers, name)
        for task, answers in cell.items()
        for name in ("customer", "target", "scores")
    }
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read(path: Path) -> Cell:
    with np.load(path) as arrays:
        tasks = dict.fromkeys(name.split("/")[0] for name in arrays.files)
        return {
            task: Answers(*(arrays[f"{task}/{name}"] for name in ("customer", "target", "scores"))) for task in tasks
        }
