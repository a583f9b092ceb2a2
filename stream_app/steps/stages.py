"""What the steps hand on: a chunk of records becomes batches of items, read rows, scores, messages.

n is the number of items of a batch, m the number of those that are scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.accepted import Rejection
from schemas.messages import Activate, Tick
from stream_app.kernel import kernel
from stream_app.steps.texts import At, Texts

Whole = NDArray[np.int64]
Messages = tuple[Sequence[bytes | None], Sequence[bytes | None]]
"""Keys and values."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one partition, in offset order: whatever has arrived.

    Attributes:
        topic: the input topic.
        partition: its partition.
        offsets: int64 [records].
        keys: the records' keys; None where there is none.
        values: the records' values; None is a tombstone.
        record_times: int64 [records], Kafka's time in ms; -1 where a file has none.
    """

    topic: str
    partition: int
    offsets: Whole
    keys: Texts
    values: Texts
    record_times: Whole

    @classmethod
    def of(cls, place: tuple[str, int], offsets: Whole, messages: Messages, record_times: Whole) -> "Chunk":
        """Return a chunk of messages that are Python objects.

        Args:
            place: topic and partition.
            offsets: int64 [records].
            messages: keys and values of the records.
            record_times: int64 [records].
        """
        keys, values = (Texts.of(texts) for texts in messages)
        return cls(*place, offsets, keys, values, record_times)

    @classmethod
    def joined(cls, parts: "Sequence[Chunk]") -> "Chunk":
        """Return chunks that follow each other as one."""
        keys, values = (Texts.joined(*(getattr(part, name) for part in parts)) for name in ("keys", "values"))
        offsets, times = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("offsets", "record_times")
        )
        return cls(parts[0].topic, parts[0].partition, offsets, keys, values, times)

    def slice(self, start: int, stop: int) -> "Chunk":
        """Return the records from ``start`` up to ``stop``."""
        return self.take(slice(start, stop))

    def take(self, at: At) -> "Chunk":
        """Return some of the records."""
        keys, values = self.keys.take(at), self.values.take(at)
        return Chunk(self.topic, self.partition, self.offsets[at], keys, values, self.record_times[at])


def cut(chunk: Chunk, offset: int) -> list[Chunk]:
    """Return the records before an offset and those from it on, without parts that are empty."""
    middle, end = int(np.searchsorted(chunk.offsets, offset)), len(chunk.offsets)
    return [chunk.slice(start, stop) for start, stop in ((0, middle), (middle, end)) if start < stop]


@dataclass(frozen=True, slots=True)
class Batch:
    """Items that rows are needed for, in log order.

    Attributes:
        record: int64 [n], index of the item's record in the chunk.
        op: int64 [n], what the kernel does.
        customers: the customers' ids in UTF-8.
        transaction_ids: in UTF-8; empty where the item is no transaction.
        time_ms: int64 [n], event time.
        kind: int64 [n], type code.
        amount: float64 [n], in the base currency.
        balance: float64 [n], NaN where unknown.
        id_hash: int64 [n, 2].
        attributes: float64 [customer records, attributes].
    """

    record: Whole
    op: Whole
    customers: Texts
    transaction_ids: Texts
    time_ms: Whole
    kind: Whole
    amount: NDArray[np.float64]
    balance: NDArray[np.float64]
    id_hash: Whole
    attributes: NDArray[np.float64]


def merged(first: Batch, second: Batch) -> Batch:
    """Return the items of two batches of one chunk in log order; only the second may have customer records."""
    order = np.argsort(np.concatenate([first.record, second.record]), kind="stable")

    def column(name: str) -> Any:  # noqa: ANN401  (an array of the type of the batch's)
        return np.concatenate([getattr(first, name), getattr(second, name)])[order]

    return Batch(
        record=column("record"),
        op=column("op"),
        customers=Texts.joined(first.customers, second.customers).take(order),
        transaction_ids=Texts.joined(first.transaction_ids, second.transaction_ids).take(order),
        time_ms=column("time_ms"),
        kind=column("kind"),
        amount=column("amount"),
        balance=column("balance"),
        id_hash=column("id_hash"),
        attributes=second.attributes,
    )


@dataclass(frozen=True, slots=True)
class Control:
    """A record that cuts the chunk: it acts on the rows as everything before it has left them."""

    record: int
    message: Tick | Activate


@dataclass(frozen=True, slots=True)
class Decoded:
    """A chunk after decoding.

    Attributes:
        parts: batches and controls, in log order.
        rejections: the records that were refused.
        unknown_types: how many transactions had a type that the spec does not know and became ``other``.
        unknown_values: how many attribute values of customer records the spec does not know.
    """

    parts: list[Batch | Control]
    rejections: list[Rejection]
    unknown_types: int
    unknown_values: int


@dataclass(frozen=True, slots=True)
class Read:
    """A batch whose rows have been changed and read.

    Attributes:
        rows: int64 [n], index of each item's row.
        verdict: int64 [n], NOTHING, SCORED or DUPLICATE.
        scored: int64 [m], the items that are scored.
        features: float32 [m, feature width].
        eligible: bool [m, tasks].
    """

    rows: Whole
    verdict: Whole
    scored: Whole
    features: NDArray[np.float32]
    eligible: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fired:
    """The alerts of a batch.

    Attributes:
        item: int64 [alerts], index among the scored items.
        rule: int64 [alerts], index of the rule.
        value: float64 [alerts], what the rule looked at, six decimals.
        suppressed: int64 [alerts], how often it held since its last alert without firing.
    """

    item: Whole
    rule: Whole
    value: NDArray[np.float64]
    suppressed: Whole


EMPTY_ATTRIBUTES = np.zeros((0, 0), np.float64)


def items_of(batch: Batch, rows: Whole, hour: Whole, ms: Whole, read_customers: bool) -> kernel.Items:  # noqa: FBT001
    """Return a batch as the kernel takes it."""
    return kernel.Items(
        op=batch.op,
        row=rows,
        hour=hour,
        ms=ms,
        kind=batch.kind,
        amount=batch.amount,
        balance=batch.balance,
        id_hash=batch.id_hash,
        attributes=batch.attributes,
        read_customers=np.array([read_customers], np.int64),
    )
