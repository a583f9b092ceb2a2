"""A snapshot back into Redis: what must be right before a row is touched."""

from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.errors import InputError
from schemas.progress import Progress
from stream_app.commands.group import Reach, chunks, reach, workers
from stream_app.engine.work import fingerprint
from stream_app.settings import Settings
from stream_app.snapshot.file import SnapshotFile
from stream_app.snapshot.folder import expect
from stream_app.snapshot.restoring import TRIES, restore_beside
from stream_app.snapshot.stamp import Stamp
from stream_app.store.connect import connect
from stream_app.store.port import LostWritesError, Marker, RowStore, UnfinishedError

_FORCED: Final = "or restore nevertheless with --force"


class Restoration:
    """Restores snapshots of one group."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, partitions: int, *, force: bool) -> None:
        """Take where to look and to write.

        Args:
            settings: group, topic, Redis.
            consumer: of the group.
            partitions: of the topic.
            force: whether to restore although workers are there, or the store is further.
        """
        self._settings, self._consumer, self._partitions, self._force = settings, consumer, partitions, force

    async def restore(self, found: SnapshotFile, progress: Progress) -> tuple[int, int]:
        """Restore a snapshot; return how many lines it has, and how many records the log has behind it.

        Raises:
            InputError: it is not of this group and topic, the log does not continue it, or something is in the way.
            BrokerError: something is wrong with Kafka.
            StoreError: the store refuses us, or the rows there are of another layout.
        """
        settings, stamp = self._settings, found.stamp
        wanted = Stamp(
            group=settings.group,
            topic=settings.transactions_topic,
            partition=stamp.partition,
            layout=stamp.layout,
            row_width=stamp.row_width,
        )
        expect(found, wanted, self._partitions)
        name = TopicPartition(stamp.topic, stamp.partition)
        log = await reach(self._consumer, settings, name)
        check_reach(found, log, settings.group, force=self._force)
        await self._check_record(found, name, log)
        if not self._force and (there := await workers(settings)):
            message = (
                f"Expected no worker of group {settings.group}, found {there}: they write to the same rows; stop them, "
                f"{_FORCED}."
            )
            raise InputError(message)
        return await self._write(found, progress), log.end - stamp.flushed

    async def _check_record(self, found: SnapshotFile, name: TopicPartition, log: Reach) -> None:
        """Prove that the last record in the rows is the one that the log has there, if it still has it."""
        stamp = found.stamp
        if stamp.last < log.first:
            return
        async for chunk in chunks(self._consumer, self._settings, name, stamp.last, stamp.last + 1):
            if int(chunk.offsets[0]) == stamp.last and fingerprint(chunk, 0) == stamp.fingerprint:
                return
        message = (
            f"Expected at offset {stamp.last} of {stamp.where} the record that the snapshot {found.path} was computed "
            "from, found another: the topic was made anew; take a snapshot of this one."
        )
        raise InputError(message)

    async def _write(self, found: SnapshotFile, progress: Progress) -> int:
        stamp, settings, rows = found.stamp, self._settings, 0

        def told(lines: int) -> None:
            nonlocal rows
            rows = lines
            progress.step(f"restore {stamp.where}", lines, found.lines)

        stores = connect(settings)
        try:
            store = stores.open(stamp.topic, stamp.partition, stamp.layout, stamp.row_width)
            tries = TRIES if self._force else 1
            await restore_beside(found, store, lambda: self._taken_over(found, store), tries, told)
        except LostWritesError as error:
            message = (
                f"Expected to be alone with the rows of {stamp.where}, found that somebody else writes there; stop all "
                "workers of the group and restore again."
            )
            raise InputError(message) from error
        finally:
            await stores.close()
        return rows

    async def _taken_over(self, found: SnapshotFile, store: RowStore) -> Marker:
        """Return the marker of the store, from which its owner is cut off now."""
        stamp = found.stamp
        try:
            marker = Marker.decode((await store.read([]))[0])
            if marker.flushed > stamp.flushed and not self._force:
                message = (
                    f"Expected the rows of {stamp.where} not to be further than the snapshot {found.path}, which "
                    f"stands at offset {stamp.flushed}, found them at {marker.flushed}; keep them, {_FORCED}."
                )
                raise InputError(message)
            return await store.take_over(stamp.marker().owner)
        except UnfinishedError as error:
            return error.marker


def check_reach(found: SnapshotFile, log: Reach, group: str, *, force: bool) -> None:
    """Prove that the log continues a snapshot, and that nothing between it and what is committed would be left out.

    Raises:
        InputError: it does not, or something would be.
    """
    stamp = found.stamp
    if stamp.flushed > log.end:
        message = (
            f"Expected {stamp.where} to reach offset {stamp.flushed}, where the snapshot {found.path} stands, "
            f"found its end at {log.end}: the topic was made anew; take a snapshot of this one."
        )
        raise InputError(message)
    if stamp.flushed < log.first:
        message = (
            f"Expected the log of {stamp.where} to reach back to offset {stamp.flushed}, where the snapshot "
            f"{found.path} stands, found its first record at {log.first}; take a newer snapshot."
        )
        raise InputError(message)
    if log.committed is not None and log.committed < stamp.flushed and not force:
        message = (
            f"Expected group {group} to have committed offset {stamp.flushed} of {stamp.where}, "
            f"where the snapshot {found.path} stands, found {log.committed}: what lies between would never be "
            f"scored; take an older snapshot, {_FORCED}."
        )
        raise InputError(message)
