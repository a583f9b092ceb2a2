"""Samples by replay through the kernel: there is no second definition of a feature."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.kernel import kernel
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.plan import split_time
from stream_app.kernel.rolling import Rolling
from training.arrays import Flags, Ints, Singles
from training.labels import Labels, label
from training.log import Log
from training.matrix import BOUND, kept, room
from training.rows import BETWEEN, EVENT, TICK, Rows, choose

if TYPE_CHECKING:
    import pandas as pd

CHUNK: Final = 16_384
"""Items that go through the kernel at once: bounds the memory of the features in between."""
_TICK, _RECORD, _AFTER_RECORD, _TRANSACTION = range(4)
"""The order of what happens at one time."""


@dataclass(frozen=True)
class Samples:
    """Rows with features float32 [n, feature width], labels, and whom each task is asked for, bool [n, tasks]."""

    rows: Rows
    features: Singles
    labels: Labels
    eligible: Flags

    def __len__(self) -> int:
        return len(self.rows)


def draw(log: Log, spec: Spec, seed: int, progress: Progress = SILENT, bound: int = BOUND) -> Samples:
    """Choose rows, replay the log up to each of them, and label them.

    Args:
        log: what happened; repeated transaction ids must be gone (``without_repeats``).
        spec: features, tasks and how to draw.
        seed: of the sample of event rows.
        progress: told how many items were replayed.
        bound: bytes of features that are kept in memory.

    Raises:
        InputError: an outcome's value is no class of its task.
    """
    rolling = Rolling.of(spec)
    rows = choose(log, spec, seed)
    features, scored, _ = replay(log, rolling, rows, progress, bound)
    rows, features = rows.take(scored), kept(features, np.flatnonzero(scored))
    eligible = Eligibility.of(rolling.layout)(features)
    return Samples(rows, features, label(log, spec, rows, eligible), eligible)


def load(
    folder: Path | str,
    spec: Spec | None = None,
    *,
    split: Literal["customer", "time"] = "customer",
    seed: int = 1,
    progress: Progress = SILENT,
) -> "pd.DataFrame":
    """Return the samples of an interchange folder as a frame: those that `foretell train` learns from and tests on.

    >>> from training.samples import load
    >>> frame = load("bank")
    >>> train = frame[frame["split.side"] == "train"].dropna(subset="churn.label")
    >>> x, y = train.select_dtypes("float32"), train["churn.label"]
    >>> list(x.columns[:3]), sorted(y.unique().tolist())
    (['count_1h', 'in_1h', 'out_1h'], [0.0, 1.0])
    >>> list(frame["preference.label"].cat.categories)
    ['none', 'loan', 'card', 'fund', 'insurance']

    A row is a moment in the life of a customer. Its features know what was before it, its labels what came after:

        customer_id      whose it is
        time             when, in UTC
        kind             "event": right after a transaction; "tick": at a cut in time, or at the time of an outcome;
                         "record": at a customer's first record
        split.side       "train", "validation", "calibration" or "test"; NaN where it has no label to learn or test by
        <feature>        float32, by its name; all of them, also those that the network may not see
        <task>.label     1.0 or 0.0, a class (categorical), or an amount; NaN where there is none, or where a split by
                         time leaves it out because it was not settled before the test rows begin
        <task>.eligible  whether the task is asked for that customer at that time

    Args:
        folder: as `foretell data` writes it.
        spec: types, features and tasks; default: the folder's own.
        split: how test rows are set aside.
        seed: of the drawn rows and of the split, as of `foretell train`.
        progress: told of each phase.

    Raises:
        SpecError: the spec is missing or refused.
        InputError: the folder, the log or an outcome cannot be used.
    """
    from stream_app.offline.folder import read_folder  # noqa: PLC0415  (these import this module)
    from training.frame import frame  # noqa: PLC0415
    from training.prepare import Options, sampled  # noqa: PLC0415

    read = read_folder(Path(folder))
    return frame(sampled(read, spec or read.spec, Options(seed, split), progress))


def without_repeats(log: Log, rolling: Rolling) -> Log:
    """Return the log without the transactions that the kernel takes for duplicates."""
    nothing = np.empty(0, np.int64)
    _, _, counted = replay(log, rolling, Rows(nothing, nothing, nothing, nothing))
    return log if counted.all() else log.counting(counted)


def replay(
    log: Log, rolling: Rolling, rows: Rows, progress: Progress = SILENT, bound: int = BOUND
) -> tuple[Singles, Flags, Flags]:
    """Run the log through the kernel and keep the features of some rows; in a file beyond so many bytes.

    Returns:
        Features float32 [n, feature width] of the rows; which rows were scored, bool [n] (a customer of whom nothing is
        known is not); and which transactions of the log counted, bool (duplicates do not).
    """
    items = _Items.of(log, rows)
    features = room(len(rows), rolling.layout.feature_width, bound)
    scored = np.zeros(len(rows), np.bool_)
    counted = np.ones(len(log.transactions.kind), np.bool_)
    state = rolling.empty(1)
    for start in range(0, len(items.op), CHUNK):
        part = items.slice(start, start + CHUNK)
        customer = np.r_[0, np.cumsum(np.diff(part.customer) != 0)]
        goes_on = start > 0 and items.customer[start - 1] == part.customer[0]
        state, last = rolling.empty(int(customer[-1]) + 1), state[-1]
        if goes_on:
            state[0] = last
        found, verdict = rolling.step(state, part.arguments(log, customer, rolling.layout.spec.utc_offset_minutes))
        wanted = np.flatnonzero((part.row >= 0) & (verdict == kernel.SCORED))
        features[part.row[wanted]] = found[wanted]
        scored[part.row[wanted]] = True
        counted[part.source[(part.op == kernel.TRANSACTION) & (verdict == kernel.DUPLICATE)]] = False
        progress.step("features", min(start + CHUNK, len(items.op)), len(items.op))
    return features, scored, counted


@dataclass(frozen=True)
class _Items:
    """Everything that happens, by customer, time and rank within a time.

    ``source`` is the index in its own table, ``row`` the sample row that is read after the item, -1 if none.
    """

    op: Ints
    customer: Ints
    time_ms: Ints
    source: Ints
    row: Ints

    @classmethod
    def of(cls, log: Log, rows: Rows) -> "_Items":
        ticks = np.flatnonzero(rows.kind != EVENT)
        events = np.flatnonzero(rows.kind == EVENT)
        moved, known = log.transactions, log.records
        read_after = np.full(len(moved.kind), -1)
        read_after[rows.after[events] - 1] = events
        tick_rank = np.where(np.isin(rows.kind[ticks], (TICK, BETWEEN)), _TICK, _AFTER_RECORD)
        size = [len(moved.customer), len(known.customer), len(ticks)]
        op = np.repeat([kernel.TRANSACTION, kernel.CUSTOMER, kernel.TICK], size)
        customer = np.concatenate([moved.customer, known.customer, rows.customer[ticks]])
        time_ms = np.concatenate([moved.time_ms, known.time_ms, rows.time_ms[ticks]])
        source = np.concatenate([np.arange(count) for count in size])
        row = np.concatenate([read_after, np.full(size[1], -1), ticks])
        rank = np.concatenate([np.full(size[0], _TRANSACTION), np.full(size[1], _RECORD), tick_rank])
        order = np.lexsort((rank, time_ms, customer))
        return cls(op[order], customer[order], time_ms[order], source[order], row[order])

    def slice(self, start: int, end: int) -> "_Items":
        part = slice(start, end)
        return replace(
            self,
            op=self.op[part],
            customer=self.customer[part],
            time_ms=self.time_ms[part],
            source=self.source[part],
            row=self.row[part],
        )

    def arguments(self, log: Log, state_row: Ints, utc_offset_minutes: int) -> kernel.Items:
        transactions = log.transactions
        is_transaction = self.op == kernel.TRANSACTION
        source = self.source[is_transaction]
        hour, ms = split_time(self.time_ms, utc_offset_minutes)
        n = len(self.op)
        kind, id_hash = np.zeros(n, np.int64), np.zeros((n, 2), np.int64)
        amount, balance = np.zeros(n), np.full(n, np.nan)
        kind[is_transaction], id_hash[is_transaction] = transactions.kind[source], transactions.id_hash[source]
        amount[is_transaction], balance[is_transaction] = transactions.amount[source], transactions.balance[source]
        attributes = log.records.values[self.source[self.op == kernel.CUSTOMER]]
        read_customers = np.zeros(1, np.int64)
        return kernel.Items(self.op, state_row, hour, ms, kind, amount, balance, id_hash, attributes, read_customers)
