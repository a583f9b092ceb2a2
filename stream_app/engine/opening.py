"""Opening a partition. The order matters: first become the only writer, then ask how far the former one came.

1. Start the producer: it fences the former owner and settles its open transaction.
2. Read the committed offset from the broker.
3. Take over the marker in the store: the former owner's writes fail from now on.
4. Refuse what cannot be right; else start at the marker.

With each committed offset stands what the group began the partition with (``stream_app.engine.beginning``).
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, replace
from typing import Final

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from stream_app.bundle import SHORT, Bundle
from stream_app.engine.beginning import Beginning
from stream_app.engine.delivery import Delivery
from stream_app.engine.errors import RefusedError
from stream_app.engine.ports import Surroundings
from stream_app.engine.work import Kept, PartitionWork
from stream_app.residents import Residents
from stream_app.scorer import Scorer
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.restoring import begun_by, restore
from stream_app.store.port import Marker, RowStore, Unfinished, UnfinishedError

_log: Final = logging.getLogger(__name__)
ASK_AGAIN: Final = 5
ASK_AGAIN_S: Final = 0.3


@dataclass(frozen=True)
class Opened:
    """A partition that may be worked on.

    Attributes:
        work: its rows and scorer.
        start: where to fetch from: at the record that the marker knows, to see that it is still the same one.
        committed: where emission begins.
        beginning: what is committed with every offset.
        verify: offset and fingerprint of that record; None if there is none to look at.
    """

    work: PartitionWork
    start: int
    committed: int
    beginning: str
    verify: tuple[int, str] | None


@dataclass(frozen=True)
class _Found:
    """What stands in Kafka and in the store when a partition is opened.

    Attributes:
        name: topic and partition.
        marker: of the store.
        committed: offset of the group.
        beginning: what the group began the partition with; None at a first start, or where an operator set the offset.
        partitions: what the group began the topic with, 0 where nothing tells.
        first: offset of the first record that the log still has.
        end: behind its last record.
    """

    name: TopicPartition
    marker: Marker
    committed: OffsetAndMetadata | None
    beginning: Beginning | None
    partitions: int
    first: int
    end: int

    @property
    def needed(self) -> int:
        """Return the first record that is not in the rows: the log must reach back to it."""
        if self.committed is None:
            return self.first
        if self._does_without:
            return self.first
        return max(self.marker.flushed, self.beginning.first if self.beginning else 0)

    @property
    def began(self) -> int:
        """Return where the rows begin; where nobody knows any more, only the whole log will do."""
        return self.first if self.committed is None or self._does_without else 0

    @property
    def _does_without(self) -> bool:
        """Return whether an operator has set the offset so as to do without records that are gone."""
        return self.committed is not None and self.beginning is None and self.committed.offset == self.first


async def open_partition(
    name: TopicPartition, delivery: Delivery, store: RowStore, around: Surroundings, kept: Kept | None = None
) -> Opened:
    """Open a partition; where the rows kept from the last time are still those of the store, with these in memory.

    Raises:
        RefusedError: partitions were added, the topic was made anew, the log no longer reaches back, or another bundle
            is in force.
        StoreError: the rows are of another layout, or the store refuses us.
    """
    await delivery.start()
    found = await _look(name, store, around)
    if around.snapshots is not None and (found.first > found.needed or isinstance(found.marker, Unfinished)):
        found = await _with_snapshot(found, store, around.snapshots, around.source.partitions())
    _check(found, around)
    first, partitions = around.shelf.first, around.source.partitions()
    beginning = found.beginning or Beginning(found.marker.bundle or first.sha256, found.began, partitions)
    bundle = _bundle_in_force(found, beginning, around)
    if found.committed is None:
        committed = found.end if around.settings.start == "now" else found.first
        await around.source.commit(name, OffsetAndMetadata(committed, beginning.encode()))
    else:
        committed = found.committed.offset
    marker = found.marker
    residents = kept.residents if kept and kept.are_of(marker) else Residents(bundle.rolling.layout.row_width)
    scorer = Scorer(around.shelf, residents, name.topic, name.partition)
    scorer.switch(bundle)
    verify = (marker.last, marker.fingerprint) if marker.last >= found.first else None
    flushed = max(marker.flushed, found.first)
    work = PartitionWork(scorer, store, marker, around.compute)
    await work.adopt(marker._replace(flushed=flushed, partitions=partitions, started=first.sha256))
    return Opened(work, flushed if verify is None else marker.last, committed, beginning.encode(), verify)


async def _look(name: TopicPartition, store: RowStore, around: Surroundings) -> _Found:
    source = around.source
    committed = await source.committed(name)
    marker = await _taken_over(store, around)
    for _ in range(ASK_AGAIN):
        if committed is not None or marker.flushed == 0:
            break
        await asyncio.sleep(ASK_AGAIN_S)
        committed = await source.committed(name)
    beginning = Beginning.of(committed)
    known = beginning or Beginning.of(await source.committed(TopicPartition(name.topic, 0)))
    partitions = marker.partitions or (known.partitions if known else 0)
    return _Found(name, marker, committed, beginning, partitions, *await source.bounds(name))


async def _taken_over(store: RowStore, around: Surroundings) -> Marker:
    """Take over the marker; where a worker was cut short while it restored the rows, go on from what that has left."""
    try:
        return await store.take_over(secrets.token_hex(8))
    except UnfinishedError as error:
        if around.snapshots is None or begun_by(error.marker) != "worker":
            raise
        return error.marker


async def _with_snapshot(found: _Found, store: RowStore, snapshots: Snapshots, partitions: int) -> _Found:
    """Restore the newest snapshot that the log continues, if there is one.

    Raises:
        UnfinishedError: there is none any more, and part of it stands in the store.
    """
    name, upto = found.name, min(found.committed.offset if found.committed else 0, found.end)
    snapshot = await snapshots.newest(name, found.first, upto, partitions)
    if snapshot is not None and found.partitions in {0, partitions}:
        _log.warning("restores a snapshot", extra={"partition": name.partition, "flushed": snapshot.stamp.flushed})
        return replace(found, marker=await restore(snapshot, store, found.marker, "worker", snapshots.apart))
    if isinstance(found.marker, Unfinished):
        raise UnfinishedError(found.marker, f"{name.topic}-{name.partition}")
    return found


def _check(found: _Found, around: Surroundings) -> None:
    name, marker, settings = found.name, found.marker, around.settings
    where, partitions = f"{name.topic}-{name.partition}", around.source.partitions()
    reached = max(marker.flushed, found.committed.offset if found.committed else 0)
    if found.partitions not in {0, partitions}:
        message = (
            f"Expected {found.partitions} partitions of {name.topic}, as group {settings.group} began with, found "
            f"{partitions}: customers have moved between partitions; start with another FORETELL_GROUP and other "
            "output topics, which takes the log in anew, or make a topic with the former number."
        )
        raise RefusedError(message)
    if reached > found.end:
        message = (
            f"Expected {where} to reach offset {reached}, found its end at {found.end}: the topic was made anew; "
            f"{begin_anew(name, settings.group)}"
        )
        raise RefusedError(message)
    if found.committed is None and marker.flushed > 0:
        message = (
            f"Expected a committed offset of group {settings.group} for {where}, found none, though rows stand at "
            f"{marker.flushed}: it has expired or was deleted, or the topic was made anew; in the first case stop all "
            f"workers of the group and set it: {_set_offset(found, around, marker.flushed)}; in the other, "
            f"{begin_anew(name, settings.group)}"
        )
        raise RefusedError(message)
    if found.first > found.needed:
        message = (
            f"Expected the log of {where} to reach back to offset {found.needed}, where the rows stand, found its "
            f"first record at {found.first}: what rows must remember is gone from it; {_advice(around)}, or to do "
            f"without those records stop all workers of the group and set the offset: "
            f"{_set_offset(found, around, found.first)}; or {begin_anew(name, settings.group)}"
        )
        raise RefusedError(message)


def _advice(around: Surroundings) -> str:
    """Return where rows could come from that the log no longer gives."""
    if around.snapshots is None:
        return "restore the store from a backup, or a snapshot with `foretell snapshot restore`"
    return f"no snapshot in {around.snapshots.folder} is whole and as new as that; restore the store from a backup"


def begin_anew(name: TopicPartition, group: str) -> str:
    """Return what an operator can do who gives up what the rows remember."""
    return (
        f"choose another FORETELL_GROUP, or to begin anew stop all workers of the group, then delete group {group} "
        f"(kafka-consumer-groups.sh --delete --group {group}) and the keys {{{name.topic}-*}}:{group}:* in Redis."
    )


def _set_offset(found: _Found, around: Surroundings, offset: int) -> str:
    name, settings = found.name, around.settings
    return (
        f"kafka-consumer-groups.sh --bootstrap-server {settings.kafka} --group {settings.group} --topic "
        f"{name.topic}:{name.partition} --reset-offsets --to-offset {offset} --execute"
    )


def _bundle_in_force(found: _Found, beginning: Beginning, around: Surroundings) -> Bundle:
    first, marker = around.shelf.first, found.marker
    where = f"{found.name.topic}-{found.name.partition}"
    if marker.bundle and first.sha256 not in {marker.bundle, marker.started}:
        message = (
            f"Expected FORETELL_BUNDLE to be the bundle {marker.bundle[:SHORT]} that is in force on {where}, found "
            f"{first.short}; start with the former, then run: foretell activate {first.path}"
        )
        raise RefusedError(message)
    bundle = around.shelf.find(marker.bundle or beginning.bundle)
    if bundle is None:
        what = "is in force" if marker.bundle else "the group began with"
        message = (
            f"Expected the bundle {marker.bundle or beginning.bundle}, which {what} on {where}, in "
            f"{around.shelf.folder}, found it not there; put its folder there."
        )
        raise RefusedError(message)
    return bundle
