"""The life of one partition: opened, worked on, and on any failure opened again: one path of recovery for all."""

import asyncio
import contextlib
import logging
import secrets
from typing import Final

from aiokafka.errors import KafkaError, ProducerFenced

from schemas.errors import ForetellError
from stream_app.engine.delivery import Delivery
from stream_app.engine.errors import OutOfStepError, RefusedError
from stream_app.engine.holding import Holding, Progress
from stream_app.engine.opening import open_partition
from stream_app.engine.ports import Fetched
from stream_app.engine.session import Session
from stream_app.engine.work import Kept, PartitionWork
from stream_app.kafka_errors import sentence
from stream_app.store.port import LostWritesError, RowStore, StoreError

_log: Final = logging.getLogger(__name__)
WAITING_CHUNKS: Final = 2
DRAIN_S: Final = 4.0
REFUSED_S: Final = 5.0
"""How often a refused partition looks whether the operator has acted."""
_INFRASTRUCTURE: Final = (KafkaError, LostWritesError, OutOfStepError, OSError, TimeoutError)


class Partition:
    """One partition that this worker owns."""

    def __init__(self, holding: Holding, store: RowStore) -> None:
        """Own a partition; ``start`` begins the work."""
        self.name = holding.name
        self._holding, self._store, self._around = holding, store, holding.around
        self._generation = secrets.randbits(40)
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def progress(self) -> Progress:
        """Return how far the partition is."""
        return self._holding.progress

    @property
    def kept(self) -> Kept | None:
        """Return the rows that the next opening may begin with, once the partition has been let go."""
        return self._holding.kept

    @property
    def work(self) -> PartitionWork | None:
        """Return the rows of the present opening; None while there is none."""
        return None if self._session is None else self._session.work

    @property
    def has_room(self) -> bool:
        """Return whether more should be fetched."""
        session = self._session
        return session is not None and not session.behind and self._holding.waiting.qsize() < WAITING_CHUNKS

    def start(self) -> None:
        """Begin to open the partition in a task of its own: the callback that assigns it has no heartbeat."""
        self._task = asyncio.create_task(self._run(), name=f"partition {self.name.partition}")

    async def stop(self) -> None:
        """Commit what has been taken, flush, and let go of the partition, within ``DRAIN_S``."""
        self._holding.stopping = True
        self._holding.waiting.put_nowait(None)
        if self._task is None:
            return
        if self._session is None:
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(self._task, DRAIN_S)

    def submit(self, fetched: Fetched) -> None:
        """Take a chunk that the source has fetched."""
        self._holding.waiting.put_nowait(fetched)

    def fail(self, error: Exception) -> None:
        """Let the present opening end with an error."""
        if self._session is not None:
            self._session.fail(error)

    async def probe(self) -> None:
        """Look after a partition that may be idle."""
        if self._session is not None:
            await self._session.probe()

    async def _run(self) -> None:
        while not self._holding.stopping:
            try:
                await self._work()
            except (RefusedError, StoreError) as error:
                await self._refuse(error)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                await self._recover(error)  # not ours: one of aiokafka's tasks was cancelled
            except Exception as error:  # noqa: BLE001  (the one place where everything ends: drop all, open again)
                await self._recover(error)

    async def _work(self) -> None:
        """Open the partition and work on it until it is to be let go or something fails."""
        around, name = self._around, self.name
        delivery = Delivery(around.settings, name, around.source.commit)
        try:
            kept, self._holding.kept = self._holding.kept, None
            opened = await open_partition(name, delivery, self._store, around, kept)
            self._generation += 1
            session = Session(self._holding, opened, delivery, self._generation)
            around.source.seek(name, opened.start, self._generation)
            self._session = session
            self._holding.room.set()
            places = {"flushed": opened.work.marker.flushed, "committed": opened.committed}
            kept_rows = {"kept_rows": len(opened.work.residents)}
            _log.info("partition opened", extra={"partition": name.partition} | places | kept_rows)
            try:
                await session.run()
                self._holding.kept = opened.work.kept(self.progress.position)
            finally:
                self._session, self.progress.opened = None, False
                await session.close()
        finally:
            await delivery.close()

    async def _refuse(self, error: ForetellError) -> None:
        if self.progress.refused != str(error):
            _log.error("%s", error, extra={"partition": self.name.partition})
        self.progress.refused = str(error)
        await asyncio.sleep(REFUSED_S)

    def _trouble(self, error: BaseException) -> str:
        """Return what an operator should know of a failure, should it come again and again."""
        if isinstance(error, LostWritesError | OutOfStepError):  # opening again heals it
            return ""
        if isinstance(error, KafkaError | OSError):
            return sentence(error, self._around.settings)
        return (
            f"Expected the steps to take the records of partition {self.name.partition}, found "
            f"{type(error).__name__}; look at the log for where it happens."
        )

    async def _recover(self, error: BaseException) -> None:
        infrastructure = isinstance(error, _INFRASTRUCTURE)
        self.progress.trouble = self._trouble(error)
        self._around.metrics.resets.labels(type(error).__name__).inc()
        progress = self.progress
        places = {"flushed": progress.flushed, "committed": progress.committed, "position": progress.position}
        _log.warning("partition starts again", exc_info=error, extra={"partition": self.name.partition} | places)
        if self._holding.stopping:
            return
        try:
            pause = self._holding.recovery.failed(
                infrastructure=infrastructure, fenced=isinstance(error, ProducerFenced)
            )
        except RefusedError as refused:
            await self._refuse(refused)
        else:
            await asyncio.sleep(pause)
