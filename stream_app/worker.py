"""A worker: settings, source, engine and store put together, and what it tells of itself."""

import asyncio
import contextlib
import gc
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.errors import ForetellError
from stream_app import bundle
from stream_app.engine.compute import Threads
from stream_app.engine.delivery import AlertDelivery
from stream_app.engine.engine import Engine
from stream_app.engine.errors import OutOfStepError
from stream_app.engine.ports import Fetched, Surroundings
from stream_app.kafka_errors import sentence
from stream_app.metrics import Metrics
from stream_app.settings import Settings, SettingsError, variable
from stream_app.shelf import Shelf
from stream_app.snapshot.folder import Snapshots
from stream_app.source import KafkaSource
from stream_app.store.connect import connect
from stream_app.store.port import RowStore, StoreError, store_problems
from stream_app.together import together
from stream_app.topics import prepare
from stream_app.warm import warm_up

if TYPE_CHECKING:
    from stream_app.snapshot.keeper import Keeper

_log: Final = logging.getLogger(__name__)
STUCK_S: Final = 30.0
"""A partition that is behind and has not moved for so long is not ready."""
SILENT_S: Final = 10.0
AGAIN_S: Final = 2.0
PULSE_S: Final = 0.05
"""How often it looks whether its loop is late."""
LOOK_S: Final = 5.0
"""How often a running worker looks whether Redis and the topics still are as they must be."""
ANSWER_S: Final = 7.0
"""Longer than a store takes to find out that there is no answer."""
STOP_S: Final = 1.5


class Worker:
    """One process that scores a share of the partitions."""

    def __init__(self, settings: Settings) -> None:
        """Load the bundle; connect to nothing yet.

        Raises:
            SettingsError: no bundle is named.
            BundleError: it cannot be used.
        """
        if not settings.bundle:
            message = f"Expected the folder of a bundle in {variable('bundle')} or --bundle, found nothing; name one."
            raise SettingsError(message)
        self.settings = settings
        folder = Path(settings.bundles) if settings.bundles else None
        self._shelf = Shelf(bundle.load(Path(settings.bundle)), folder)
        self._shelf.predictor(self._shelf.first)
        self._layout = self._shelf.first.rolling.layout
        self.metrics = Metrics()
        self.source = KafkaSource(settings)
        self._stores = connect(settings)
        snapshots = Snapshots.of(settings, self._layout)
        self._threads = Threads()
        around = Surroundings(
            settings, self.source, self._shelf, AlertDelivery(settings), self.metrics, snapshots, self._threads
        )
        self.engine = Engine(around, self._store)
        self._keeper = self._saving(snapshots) if snapshots else None
        self._state = "starting"
        self._problem = ""
        self._outside: list[str] = []
        self._said: list[str] = []
        self._looking: asyncio.Task[None] | None = None
        self._timing: asyncio.Task[None] | None = None
        self._beat_s = time.monotonic()

    def _saving(self, snapshots: Snapshots) -> "Keeper":
        from stream_app.snapshot.keeper import Keeper  # noqa: PLC0415  (loads pyarrow)

        return Keeper(snapshots, 60.0 * self.settings.snapshot_minutes, self.settings.snapshots_kept, self.metrics)

    async def start(self) -> None:
        """Warm up, wait until Kafka and Redis are as they must be, saying what is missing, and join the group."""
        await asyncio.to_thread(warm_up, self._shelf)
        gc.collect()
        gc.freeze()  # numba and onnxruntime leave a heap that a full collection would walk again and again
        gc.set_threshold(50_000, 50, 100)
        self._threads.start()
        while True:
            if await self._join():
                break
            await asyncio.sleep(AGAIN_S)
        _log.info("joins the group", extra={"group": self.settings.group, "bundle": self._shelf.first.short})
        self._looking = asyncio.create_task(self._keep_looking(), name="look")
        self._timing = asyncio.create_task(self._keep_timing(), name="time the loop")
        if self._keeper is not None:
            self._keeper.start(lambda: self.engine.partitions)

    async def fetch(self) -> list[Fetched]:
        """Return what has arrived; nothing where there is no room or Kafka does not answer. Never raises."""
        self._beat_s = time.monotonic()
        wanted = self.engine.with_room()
        try:
            if wanted:
                fetched = await self.source.fetch(wanted)
            else:
                await self.engine.wait_for_room()
                self.source.check()
                fetched = []
        except OffsetOutOfRangeError as error:
            for name in error.args[0]:
                self.engine.fail(name, OutOfStepError("the log no longer has what comes next"))
            return []
        except (KafkaError, OSError) as error:
            self._problem = sentence(error, self.settings, self.settings.transactions_topic)
            self._tell()
            await asyncio.sleep(AGAIN_S)
            return []
        self._problem = ""
        return fetched

    async def stop(self) -> None:
        """Commit, flush and leave the group."""
        for task in (self._looking, self._timing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._keeper is not None:
            await self._keeper.stop()
        await self.engine.close()  # what matters is committed then; a server that is away must not hold us up
        rest = (self.source.stop(), asyncio.wait_for(self._stores.close(), STOP_S))
        _ = await asyncio.gather(*rest, return_exceptions=True)
        self._threads.close()

    @property
    def alive(self) -> bool:
        """Return whether the loop that fetches still turns."""
        return self._looking is None or time.monotonic() - self._beat_s < STUCK_S

    def problems(self) -> list[str]:
        """Return why the worker is not ready: causes, or where none is known what it waits for; nothing if it is."""
        opening = [name.partition for name, part in self.engine.partitions.items() if not part.progress.opened]
        states = [self._state, *(f"partition {number} is being opened" for number in opening)]
        return self._causes() or list(filter(None, states))

    def metrics_page(self) -> bytes:
        """Return all metrics as text."""
        self.metrics.lag.clear()  # of partitions that have gone to others
        for name, records in self.source.lag().items():
            self.metrics.lag.labels(name.partition).set(records)
        self.metrics.resident_rows.set(sum(part.progress.rows for part in self.engine.partitions.values()))
        self.metrics.ready.set(not self.problems())
        return self.metrics.page()

    async def _join(self) -> bool:
        """Join the group if nothing is in the way; return whether nothing was."""
        await self._look()
        if self._outside:
            return False
        try:
            await self.source.start(self._assign, self._revoke)
        except (KafkaError, OSError) as error:
            self._outside = [sentence(error, self.settings)]
            self._tell()
            return False
        self._state = f"group {self.settings.group} has given no partitions yet"
        return True

    async def _assign(self, names: set[TopicPartition]) -> None:
        await self.engine.assign(names)
        self._state = ""

    async def _revoke(self) -> None:
        self._state = f"group {self.settings.group} gives partitions anew"
        await self.engine.revoke()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except Exception:  # noqa: BLE001  (whatever it is, looking goes on)
                _log.exception("could not look whether Redis and the topics are as they must be")

    async def _keep_timing(self) -> None:
        while True:
            due = time.monotonic() + PULSE_S
            await asyncio.sleep(PULSE_S)
            self.metrics.loop_late_s.observe(max(time.monotonic() - due, 0.0))

    async def _look(self) -> None:
        """Note what is wrong with Redis and with Kafka's topics; make output topics that are not there."""
        found = await together([self._look_at_store(), self._look_at_topics()])
        self._outside = [problem for part in found for problem in part]
        self._tell()

    async def _look_at_store(self) -> list[str]:
        try:
            async with asyncio.timeout(ANSWER_S):
                return store_problems(await self._stores.facts())
        except TimeoutError:
            return [self._stores.problem or "Expected an answer of the store, found none; look whether it is well."]
        except StoreError as error:
            return [str(error)]

    async def _look_at_topics(self) -> list[str]:
        try:
            async with asyncio.timeout(ANSWER_S):
                await prepare(self.settings)
        except (KafkaError, OSError) as error:
            return [sentence(error, self.settings)]
        except ForetellError as error:
            return [str(error)]
        return []

    def _causes(self) -> list[str]:
        """Return what keeps the worker from its work, each once."""
        found = [self._problem, self._stores.problem, *self._outside, *self._hindrances()]
        progresses = [partition.progress for partition in self.engine.partitions.values()]
        found += [progress.refused or progress.trouble for progress in progresses]
        return list(dict.fromkeys(filter(None, found)))

    def _hindrances(self) -> Iterator[str]:
        """Yield what keeps partitions that are open from moving."""
        now, lag, silent = asyncio.get_running_loop().time(), self.source.lag(), list[int]()
        for name, partition in self.engine.partitions.items():
            waiting = max((self.source.delivered(name) or 0) - partition.progress.position, 0)
            behind = lag.get(name, 0) + waiting
            if partition.progress.opened and behind and now - partition.progress.moved_s > STUCK_S:
                yield (
                    f"Expected partition {name.partition} to move, found it {behind} records behind and where it was "
                    f"{STUCK_S:g} s ago; look at this worker's log, and restart it if that tells nothing."
                )
            elif partition.has_room and self.source.silent_s(name) > SILENT_S:
                silent.append(name.partition)
        if silent:
            yield (
                f"Expected Kafka at {self.settings.kafka} to answer, found no answer about partitions "
                f"{', '.join(map(str, silent))} for {SILENT_S:g} s; look whether all its brokers are well."
            )

    def _tell(self) -> None:
        """Log what is new of what is in the way; the store and the partitions log what they say themselves."""
        causes = self._causes()
        refused = {partition.progress.refused for partition in self.engine.partitions.values()}
        for problem in causes:
            if problem not in {*self._said, self._stores.problem, *refused}:
                _log.warning("%s", problem)
        if self._said and not causes:
            _log.info("nothing is in the way any more")
        self._said = causes

    def _store(self, name: TopicPartition) -> RowStore:
        return self._stores.open(name.topic, name.partition, self._layout.hash, self._layout.row_width)
