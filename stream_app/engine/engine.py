"""All partitions that this worker owns: assigned, probed, revoked."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

from aiokafka import TopicPartition

from stream_app.engine.holding import Holding
from stream_app.engine.partition import Partition
from stream_app.engine.ports import Fetched, Surroundings
from stream_app.engine.recovery import Recovery
from stream_app.engine.work import Kept
from stream_app.store.port import RowStore

_log: Final = logging.getLogger(__name__)
PROBE_S: Final = 1.0
PROBED_S: Final = 10.0
"""A store that is away for one partition must not keep the others from being looked after."""
PER_PARTITION_S: Final = 0.003
"""What a commit costs; with many partitions the interval grows, so that commits do not crowd out the work."""
ROOM_S: Final = 0.05


class Engine:
    """The partitions of one worker."""

    def __init__(self, around: Surroundings, store: Callable[[TopicPartition], RowStore]) -> None:
        """Own nothing yet. ``store`` opens the store of a partition."""
        self.partitions: dict[TopicPartition, Partition] = {}
        self._kept: dict[TopicPartition, Kept | None] = {}
        self._recoveries = defaultdict[TopicPartition, Recovery](Recovery)
        self._room = asyncio.Event()
        self._around, self._store = around, store
        self._probing: asyncio.Task[None] | None = None
        self._closed = False

    async def assign(self, names: Iterable[TopicPartition]) -> None:
        """Own these partitions from now on, and no others; none where everything is being let go.

        What is known of a partition's failures outlasts a rebalance: a search for the record to blame goes on.
        """
        if self._closed:
            return
        await self.revoke()
        settings, names = self._around.settings, sorted(names)
        commit_s = max(settings.commit_ms / 1000, PER_PARTITION_S * len(names))
        rows = settings.resident_rows // max(len(names), 1)
        kept, self._kept = self._kept, {}
        self.partitions = {
            name: Partition(
                Holding(
                    name, self._around, self._room, commit_s, rows, recovery=self._recoveries[name], kept=kept.get(name)
                ),
                self._store(name),
            )
            for name in names
        }
        for partition in self.partitions.values():
            partition.start()
        if self._probing is None:
            self._probing = asyncio.create_task(self._probe(), name="probe")

    async def revoke(self) -> None:
        """Finish and let go of all partitions; their rows are kept until it is told which of them come back."""
        partitions, self.partitions = self.partitions, {}
        await asyncio.gather(*(partition.stop() for partition in partitions.values()))
        self._kept |= {name: partition.kept for name, partition in partitions.items()}

    async def close(self) -> None:
        """Let go of everything."""
        self._closed = True
        await self.revoke()
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing
            self._probing = None
        await self._around.alerts.close()

    def with_room(self) -> list[TopicPartition]:
        """Return the partitions that more should be fetched for."""
        return [name for name, partition in self.partitions.items() if partition.has_room]

    async def wait_for_room(self) -> None:
        """Wait a moment, or until a partition may have room for another chunk."""
        self._room.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._room.wait(), ROOM_S)

    def submit(self, fetched: Fetched) -> None:
        """Hand a chunk to its partition; one of a partition that has gone is dropped."""
        partition = self.partitions.get(fetched.partition)
        if partition is not None:
            partition.submit(fetched)

    def fail(self, name: TopicPartition, error: Exception) -> None:
        """Tell a partition what has gone wrong outside of it; it is opened again."""
        partition = self.partitions.get(name)
        if partition is not None:
            partition.fail(error)

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_S)
            probes = [asyncio.wait_for(partition.probe(), PROBED_S) for partition in list(self.partitions.values())]
            for outcome in await asyncio.gather(*probes, return_exceptions=True):
                if isinstance(outcome, Exception):
                    _log.info("probe: %s", type(outcome).__name__)
