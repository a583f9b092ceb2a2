"""Saves a worker's partitions now and then, one at a time, while they are worked on."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from aiokafka import TopicPartition

from schemas.errors import ForetellError
from stream_app.engine.work import PartitionWork
from stream_app.metrics import Metrics
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.saving import GoneError, save_moving

_log: Final = logging.getLogger(__name__)
LOOK_S: Final = 5.0
AGAIN_S: Final = 60.0
"""After a failure."""


class Held(Protocol):
    """A partition that a worker holds."""

    @property
    def work(self) -> PartitionWork | None:
        """Return the rows of the present opening; None while there is none."""


class Keeper:
    """Takes the snapshots of one worker."""

    def __init__(self, snapshots: Snapshots, every_s: float, kept: int, metrics: Metrics) -> None:
        """Begin nothing yet.

        Args:
            snapshots: where they stand.
            every_s: so old may the newest one of a partition be.
            kept: how many of a partition stay.
            metrics: where is counted what was saved.
        """
        self._snapshots, self._every_s, self._kept, self._metrics = snapshots, every_s, kept, metrics
        self._due_s: dict[TopicPartition, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self, held: Callable[[], Mapping[TopicPartition, Held]]) -> None:
        """Save what is held, from now on."""
        self._task = asyncio.create_task(self._run(held), name="snapshots")

    async def stop(self) -> None:
        """Save no more; what is being saved is given up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self, held: Callable[[], Mapping[TopicPartition, Held]]) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for name in sorted(held()):
                partition = held().get(name)  # it may have been revoked while another was saved
                if partition is not None and partition.work is not None:
                    await self._look_after(name, partition, partition.work)

    async def _look_after(self, name: TopicPartition, partition: Held, work: PartitionWork) -> None:
        """Save a partition if it is due."""
        try:
            if await self._is_due(name, work):
                await self._save(name, partition, work)
        except GoneError:
            self._due_s.pop(name, None)
        except ForetellError as error:
            self._failed(name)
            _log.warning("%s", error, extra={"partition": name.partition})
        except Exception:  # noqa: BLE001  (whatever it is, the worker goes on, and so does saving)
            self._failed(name)
            _log.exception("could not save a snapshot", extra={"partition": name.partition})

    async def _is_due(self, name: TopicPartition, work: PartitionWork) -> bool:
        if name not in self._due_s:
            age_s = await self._snapshots.apart(self._snapshots.age_s, name)
            self._due_s[name] = _now() + (0.0 if age_s is None else self._every_s - age_s)
        return _now() >= self._due_s[name] and work.marker.flushed > 0

    async def _save(self, name: TopicPartition, partition: Held, work: PartitionWork) -> None:
        started, apart = _now(), self._snapshots.apart
        newest = next(iter(await apart(self._snapshots.offsets, name)), None)
        if newest != work.marker.flushed:  # else nothing has come since
            saved = await save_moving(work, lambda: partition.work is work, self._snapshots, name)
            await apart(self._snapshots.prune, name, self._kept)
            self._metrics.snapshots.labels("saved").inc()
            extra = {"partition": name.partition, "flushed": saved.stamp.flushed, "seconds": round(_now() - started, 1)}
            _log.info("snapshot saved", extra=extra)
        self._due_s[name] = _now() + self._every_s

    def _failed(self, name: TopicPartition) -> None:
        self._metrics.snapshots.labels("failed").inc()
        self._due_s[name] = _now() + min(AGAIN_S, self._every_s)


def _now() -> float:
    return asyncio.get_running_loop().time()
