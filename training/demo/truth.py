"""What became of customers, where the data tells it: the labels of training, asked at every transaction."""

from dataclasses import dataclass

import numpy as np

from schemas.errors import InputError
from schemas.spec import Spec, Task
from stream_app.bundle import Manifest
from stream_app.kernel.rolling import Rolling
from stream_app.offline.folder import Folder
from training.arrays import Flags, Ints, Texts, Timeline
from training.events import read_log
from training.labels import NO, Labels, label
from training.log import Log
from training.provenance import fingerprint
from training.rows import EVENT, Rows
from training.samples import without_repeats
from training.split import TEST, sides


@dataclass(frozen=True)
class Truth:
    """What came true after each of n transactions; of nobody where the data does not tell it.

    Attributes:
        spec: the tasks.
        rows: right after the transactions.
        known: the log and its labels, if any.
    """

    spec: Spec
    rows: int
    known: tuple[Log, Rows, Labels] | None

    @classmethod
    def of(cls, log: Log | None, spec: Spec, customer: Texts, time_ms: Ints) -> "Truth":
        """Label the transactions of a log, given by customer and time in the order of both.

        Nothing is known where those that can be learned from are others than those that were scored.
        """
        nothing = cls(spec, len(time_ms), None)
        if log is None:
            return nothing
        moved = log.transactions
        if not (np.array_equal(log.customers[moved.customer], customer) and np.array_equal(moved.time_ms, time_ms)):
            return nothing
        rows = Rows(moved.customer, moved.time_ms, np.full(len(moved.kind), EVENT), np.arange(len(moved.kind)) + 1)
        try:
            labels = label(log, spec, rows, np.ones((len(rows), len(spec.tasks)), np.bool_))
        except InputError:
            return nothing
        return cls(spec, len(time_ms), (log, rows, labels))

    def came_ms(self, task: Task, class_: str) -> Ints:
        """Return when what a task asks (of a multiclass task: that a class comes) came true, int64 [n]; -1 if not."""
        nowhere = np.full(self.rows, -1)
        if self.known is None or task.kind == "value":
            return nowhere
        log, rows, labels = self.known
        index = self.spec.tasks.index(task)
        wanted = self.spec.classes(task).index(class_) if class_ else 1
        true = labels.known[:, index] & (labels.value[:, index] == wanted)
        if task.label not in {"outcome_within", "outcome_next"}:
            return np.where(true, labels.settled_ms[:, index], nowhere)
        outcomes = log.outcomes.of(task.outcome_name)
        of_class = outcomes.value == class_ if class_ else outcomes.value != NO
        timeline = Timeline(outcomes.customer[of_class], outcomes.time_ms[of_class])
        place = timeline.place(rows.customer, rows.time_ms, "right")
        ahead = np.minimum(place, max(len(timeline.time_ms) - 1, 0))
        return np.where(true, timeline.time_ms[ahead], nowhere) if len(timeline.time_ms) else nowhere


def read(folder: Folder, spec: Spec) -> Log | None:
    """Return the log of a folder as training reads it, None where it cannot."""
    try:
        return without_repeats(read_log(folder, spec), Rolling.of(spec))
    except InputError:
        return None


def unseen(folder: Folder, log: Log | None, manifest: Manifest, ids: Texts) -> Flags | None:
    """Return whose data the training set aside, bool [customers]; None where it has not seen any of this folder."""
    told = manifest.data
    if log is None or told.get("split") != "customer":
        return None
    if fingerprint(folder.path, log)["sha256"] != told.get("sha256"):
        return None
    test = log.customers[sides(log, int(told["seed"])) == TEST]
    found: Flags = np.isin(ids.astype(str), test.astype(str))
    return found
