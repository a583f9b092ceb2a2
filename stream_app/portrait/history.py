"""What of a log makes a customer's row: the customer's own records, ticks and activates, up to a time.

Everything else in a log is about others, and may be left out before it is replayed: the row is the same to the last bit
(a test compares them).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.accepted import EARLIEST_MS, LATEST_MS, epoch_ms
from schemas.errors import InputError
from schemas.messages import Tick
from stream_app.kernel.kernel import FORGET
from stream_app.offline.log import CapturedLog, FolderLog, Log
from stream_app.offline.replay import CHUNK
from stream_app.steps.decode import Vocabulary, decode
from stream_app.steps.stages import Batch, Chunk, Decoded

_MAY_BE_CONTROL: Final = ("tick", "activate", "\\")
"""A tick or an activate names its kind, be it in an escaped form."""


@dataclass(frozen=True)
class History:
    """Chunks of a log that are enough for one customer's row: a log itself."""

    kept: tuple[Chunk, ...]

    @property
    def records(self) -> int:
        """Return how many records there are."""
        return sum(len(chunk.offsets) for chunk in self.kept)

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all records in chunks of at most ``size``."""
        for chunk in self.kept:
            yield from (chunk.slice(start, start + size) for start in range(0, len(chunk.offsets), size))


def history(log: Log, customer: str, at_ms: int, vocabulary: Vocabulary) -> History:
    """Return what makes a customer's row as of a time: up to the first record of it that is later, in log order.

    So what came late is left out where it came after that: it was not known then.

    Raises:
        InputError: the customer's records stand in more than one partition.
    """
    kept = list[Chunk]()
    for chunk in _about(log, customer).chunks(CHUNK):
        end = min((at for at, time_ms in _times(decode(chunk, vocabulary)) if time_ms > at_ms), default=None)
        kept.append(chunk.slice(0, len(chunk.offsets) if end is None else end))
        if end is not None:
            break
    return History(tuple(kept))


def end_ms(log: Log, customer: str, vocabulary: Vocabulary) -> int:
    """Return until when a log tells of a customer: its latest event, of whomever, or where the customer is cut off.

    Of a folder, no more than times is looked at; there ``observed_until`` may tell that from then on the data, not the
    customer, is silent.
    """
    if isinstance(log, FolderLog):
        tables = (log.folder.customers, log.folder.transactions)
        latest = max((_latest(table.column("time").cast(pa.int64())) for table in tables), default=0)
        return min(latest, _observed_until(log.folder.customers, customer))
    decoded = (decode(chunk, vocabulary) for chunk in log.chunks(CHUNK))
    return max((time_ms for part in decoded for _, time_ms in _times(part)), default=0)


def _about(log: Log, customer: str) -> Log:
    if isinstance(log, FolderLog):
        folder = log.folder
        tables = {
            name: table.filter(pc.equal(table.column("customer_id"), customer))
            for name, table in (("transactions", folder.transactions), ("customers", folder.customers))
        }
        return FolderLog(replace(folder, **tables), log.partitions)
    return _captured(log, customer.encode()) if isinstance(log, CapturedLog) else log


def _captured(log: CapturedLog, customer: bytes) -> CapturedLog:
    own = pc.fill_null(pc.equal(log.table.column("key"), pa.scalar(customer, pa.binary())), False)  # noqa: FBT003  (the value to fill)
    places = log.table.filter(own).select(["topic", "partition"]).group_by(["topic", "partition"]).aggregate([])
    if places.num_rows > 1:
        found = ", ".join(sorted(f"{place['topic']}-{place['partition']}" for place in places.to_pylist()))
        message = (
            f"Expected a customer's records in one partition, found them in {found}; capture one topic, whose records "
            "are partitioned by customer_id."
        )
        raise InputError(message)
    if not places.num_rows:
        return CapturedLog(log.table.slice(0, 0))
    place = places.to_pylist()[0]
    here = pc.and_(
        pc.equal(log.table.column("topic"), place["topic"]), pc.equal(log.table.column("partition"), place["partition"])
    )
    return CapturedLog(log.table.filter(pc.and_(here, pc.or_(own, _may_be_control(log.table.column("value"))))))


def _may_be_control(values: pa.ChunkedArray) -> pa.ChunkedArray:
    found = pc.match_substring(values, _MAY_BE_CONTROL[0])
    for text in _MAY_BE_CONTROL[1:]:
        found = pc.or_(found, pc.match_substring(values, text))
    return pc.fill_null(found, False)  # noqa: FBT003  (as above)


def _times(decoded: Decoded) -> Iterator[tuple[int, int]]:
    """Yield the index of each accepted record that has an event time, and the time."""
    for part in decoded.parts:
        if isinstance(part, Batch):
            timed = part.op != FORGET
            yield from zip(part.record[timed].tolist(), part.time_ms[timed].tolist(), strict=True)
        elif isinstance(part.message, Tick):
            yield part.record, epoch_ms(part.message.time)


def _latest(times: pa.ChunkedArray) -> int:
    accepted = pc.and_(pc.greater_equal(times, EARLIEST_MS), pc.less(times, LATEST_MS))
    return int(pc.max(times.filter(accepted)).as_py() or 0)


def _observed_until(customers: pa.Table, customer: str) -> int:
    """Return from when on the data is silent about a customer; a time beyond all logs where it is not."""
    if "observed_until" not in customers.column_names:
        return LATEST_MS
    own = customers.filter(pc.equal(customers.column("customer_id"), customer)).column("observed_until")
    return int(pc.min(own.cast(pa.int64())).as_py() or LATEST_MS)
