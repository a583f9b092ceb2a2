"""Makes the samples of a part: the contest's data, with its test rows set aside."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from schemas.progress import SILENT, Progress
from stream_app.offline.folder import read_folder
from training.arrays import Flags
from training.benchmark.contest import Contest, Part
from training.prepare import Options, Prepared, prepare
from training.rows import TICK
from training.split import places, split_fold

_OTHER: Final = 1000
"""Added to a seed: customers' places here have nothing to do with their sides."""


@dataclass(frozen=True)
class Ground:
    """Where a contest is held: its interchange folder."""

    contest: Contest
    folder: Path

    @classmethod
    def of(cls, contest: Contest, source: Path, out: Path, progress: Progress = SILENT) -> "Ground":
        """Make the folder ``out / data``, or take the one that is there.

        Raises:
            InputError: the source cannot be used.
            OutputError: ``out`` cannot be written.
        """
        folder = out / "data"
        if not folder.exists():
            contest.data(source).write(folder, progress)
        return cls(contest, folder)

    def prepared(self, part: Part) -> Prepared:
        """Return the samples of a part."""
        if part.fold is None:
            drawn = self._drawn(part.seed)
            drawn = later(drawn) if part.later else drawn
        else:
            drawn, strata = self._once, self._strata(self._once)
            drawn = replace(drawn, split=split_fold(drawn.samples, drawn.log, part.fold, part.seed, strata))
        return drawn if part.share == 1.0 else fewer(drawn, part)

    @cached_property
    def _once(self) -> Prepared:
        return self._drawn(1)

    def _drawn(self, seed: int) -> Prepared:
        folder = read_folder(self.folder)
        return prepare(folder, folder.spec, Options(seed, "customer" if self.contest.folds else "time"))

    def _strata(self, drawn: Prepared) -> Flags:
        """Return the customers with a positive label of the task that folds are alike in."""
        strata = np.zeros(len(drawn.log.customers), np.bool_)
        names = [task.name for task in drawn.spec.tasks]
        if self.contest.stratified_by is not None:
            index, labels = names.index(self.contest.stratified_by), drawn.samples.labels
            positive = labels.known[:, index] & (labels.value[:, index] > 0)
            strata[drawn.samples.rows.customer[positive]] = True
        return strata


def later(prepared: Prepared) -> Prepared:
    """Return the same samples, split as the cut in time will split them, but without any row behind that cut.

    The last tick before the cut takes the cut's place: what is learned and stopped by lies before it, and the rows
    from it on, on the side of calibration, tell how well that holds later.
    """
    split, rows = prepared.split, prepared.samples.rows
    asked = split.train | split.validation | split.calibration
    last = rows.time_ms[asked.any(axis=1) & (rows.kind == TICK)].max()
    early = (rows.time_ms < last)[:, None]
    return replace(
        prepared,
        split=replace(
            split,
            train=split.train & early,
            validation=split.validation & early,
            calibration=asked & ~early & rows.asked[:, None],
            test=np.zeros_like(split.test),
        ),
    )


def fewer(prepared: Prepared, part: Part) -> Prepared:
    """Return the same samples with a part's share of the customers to learn from; a larger share holds a smaller."""
    kept = (places(prepared.log, part.seed + _OTHER) < part.share)[prepared.samples.rows.customer][:, None]
    sides = {name: getattr(prepared.split, name) & kept for name in ("train", "validation", "calibration")}
    return replace(prepared, split=replace(prepared.split, **sides))


def alone(prepared: Prepared, index: int) -> Prepared:
    """Return the same samples with one task only, for a network of that task alone."""
    one, samples, split = [index], prepared.samples, prepared.split
    labels = replace(
        samples.labels,
        value=samples.labels.value[:, one],
        known=samples.labels.known[:, one],
        settled_ms=samples.labels.settled_ms[:, one],
    )
    return replace(
        prepared,
        spec=msgspec.structs.replace(prepared.spec, tasks=(prepared.spec.tasks[index],), rules=()),
        samples=replace(samples, labels=labels, eligible=samples.eligible[:, one]),
        split=replace(
            split,
            train=split.train[:, one],
            validation=split.validation[:, one],
            calibration=split.calibration[:, one],
            test=split.test[:, one],
        ),
    )
