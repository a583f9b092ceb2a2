"""Workers without Kafka, Redis and Faust: engines in processes that come and go, around doubles of one partition."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pytest
from aiokafka import TopicPartition

from schemas import codec
from schemas.accepted import NO_RECORD_TIME
from stream_app import abilities, kafka
from stream_app.engine.delivery import AlertDelivery
from stream_app.engine.engine import Engine
from stream_app.engine.ports import Surroundings
from stream_app.metrics import Metrics
from stream_app.offline.log import CapturedLog
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from stream_app.store.port import Marker, RowStore
from tests.kit import virtual_time
from tests.kit.doubles import INPUT, Broker, Feed, Producer
from tests.kit.evidence import Evidence
from tests.kit.losing import Losing, Rows
from tests.kit.wire import Faults, Process, Wire

_T = TypeVar("_T")
Record = tuple[int, bytes | None, bytes | None, int]
"""Offset, key, value, record time."""


class Worker:
    """A process with an engine, fed from the log."""

    def __init__(self, world: "World", name: str, shelf: Shelf) -> None:
        """Start the process; it owns nothing yet."""
        self.process, self._world, self._shelf = Process(name), world, shelf
        self.feed = Feed(world.broker, world.wire, self.process)
        self.settings = Settings(instance=name, **world.settings)
        self.metrics = Metrics()
        around = Surroundings(self.settings, self.feed, shelf, AlertDelivery(self.settings), self.metrics)
        self.engine = Engine(around, self._store)
        self._feeding: asyncio.Task[None] | None = None

    @property
    def problem(self) -> str:
        """Return why the partition is refused, or whether it is not open; empty if all is well."""
        partition = self.engine.partitions.get(INPUT)
        if partition is None or not partition.progress.opened:
            return partition.progress.refused if partition and partition.progress.refused else "not open"
        return partition.progress.refused

    async def own(self) -> None:
        """Own the partition."""
        await self.engine.assign([INPUT])
        self._feeding = asyncio.create_task(self._feed(), name=f"feeding {self.process.name}")

    async def leave(self) -> None:
        """Let go of the partition and end, as SIGTERM and a rebalance make it do."""
        await self.engine.close()
        await self._end()

    async def die(self) -> None:
        """End as SIGKILL does."""
        self.process.kill()
        await self.engine.close()
        await self._end()

    async def _end(self) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])

    def _store(self, name: TopicPartition) -> RowStore:
        layout = self._shelf.first.rolling.layout
        opened = self._world.stores.open(name.topic, name.partition, layout.hash, layout.row_width)
        return Rows(self._world.stores, opened, self._world.wire, self.process)

    async def _feed(self) -> None:
        """Fetch chunks of any cut, of which some get lost, come twice, or come from before a seek."""
        chance = self._world.chance
        while True:
            await asyncio.sleep(chance.uniform(0.001, 0.02))
            await self.process.pass_on()
            if INPUT not in self.engine.with_room():
                continue
            fetched = self.feed.fetch(chance.choice(self._world.cuts), beyond=chance.random() < 1 / 2)
            if fetched is None:
                continue
            await asyncio.sleep(chance.choice([0, 0, 0.005]))
            mishap = chance.random() if self._world.mishaps else 1.0
            for _ in range(0 if mishap < 0.03 else 2 if mishap < 0.06 else 1):
                self.engine.submit(fetched)


class World:
    """One partition's log and group, one store, and the workers around them."""

    def __init__(self, shelf: Shelf, log: Sequence[Record], seed: int = 0, **settings: Any) -> None:  # noqa: ANN401
        """Begin with nobody at work and a log that has all of its records; must be made in a running loop."""
        self.chance = random.Random(seed)  # noqa: S311  (not for secrets)
        offsets, keys, values, times = (list(column) for column in zip(*log, strict=True))
        self.broker = Broker(offsets, list(zip(keys, values, times, strict=True)), end=offsets[-1] + 1)
        self.shelf, self.settings, self.stores = shelf, settings, Losing()
        self.wire = Wire(Faults(), self.chance)
        self.workers: list[Worker] = []
        self.cuts: Sequence[int] = (1, 2, 5, 20)
        self.mishaps, self.numbered = False, True

    def plan(self, faults: Mapping[tuple[str, int], str]) -> None:
        """Let requests go wrong."""
        self.wire.faults.planned = faults

    async def join(self, shelf: Shelf | None = None) -> Worker:
        """Let a new worker own the partition, with the bundles of the others if none are given."""
        worker = Worker(self, f"w-{len(self.workers)}", shelf or self.shelf)
        self.workers.append(worker)
        self.broker.owner = worker.process.name
        await worker.own()
        return worker

    async def settle(self, upto: int | None = None, longest_s: float = 300.0) -> None:
        """Wait until all records have been committed, and their rows are in the store.

        Raises:
            TimeoutError: they are not.
        """
        upto = self.broker.offsets[-1] + 1 if upto is None else upto
        async with asyncio.timeout(longest_s):
            while not self._done(upto):  # noqa: ASYNC110  (broker and store are doubles that announce nothing)
                await asyncio.sleep(0.1)

    def _done(self, upto: int) -> bool:
        committed = self.broker.committed
        return committed is not None and min(committed.offset, self.flushed) >= upto

    def evidence(self) -> Evidence:
        """Return what consumers see, and the rows in the store."""
        seen = Evidence()
        for message in self.broker.visible:
            if message.topic == "transactions.dlq":
                letter = (message.key, message.value, message.headers)
                _keep(seen, "letters", (0, int(dict(message.headers)["offset"])), letter)
            else:
                content = message.value or b""
                kind, name = ("scores", "score_id") if message.topic == "scores" else ("alerts", "alert_id")
                _keep(seen, kind, (0, str(codec.facts(content)[name])), content)
        rows = self.stores.partition(INPUT).rows.get(self.shelf.first.manifest.layout, {})
        seen.rows = {(0, name): row for name, row in rows.items()}
        return seen

    @property
    def flushed(self) -> int:
        """Return how far the rows in the store are."""
        return Marker.decode(self.stores.partition(INPUT).markers.get(self.shelf.first.manifest.layout)).flushed

    def producer(self, settings: Settings, name: str = "", *, idempotent: bool = True) -> Producer:
        """Return a producer of the process that the settings name."""
        process = next(worker.process for worker in self.workers if worker.process.name == settings.instance)
        return Producer(self.broker, self.wire, process, name, idempotent=idempotent)

    async def can_number(self, settings: Settings) -> bool:
        """Return whether the broker numbers what a producer sends."""
        del settings
        return self.numbered


LARGEST_BYTES: Final = 2_000
"""A few scores, so that many batches are under way."""


@contextmanager
def producers_of(world: World) -> Iterator[None]:
    """Let the engine make doubles of producers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(abilities, "can_number", world.can_number)
        patch.setattr(kafka, "transactional_producer", world.producer)
        patch.setattr(kafka, "idempotent_producer", world.producer)
        patch.setattr(kafka, "LARGEST_BATCH", LARGEST_BYTES)
        yield


def play(world: Callable[[], World], act: Callable[[World], Awaitable[_T]]) -> _T:
    """Return what comes of acting in a new world, in virtual time; whoever is at work at the end leaves."""

    async def acted() -> _T:
        made = world()
        with producers_of(made):
            try:
                return await act(made)
            finally:
                for worker in made.workers:
                    worker.process.go_on()
                    await worker.leave()

    return virtual_time.run(acted())


def records_of(log: CapturedLog) -> list[Record]:
    """Return the records of a captured topic's one partition."""
    return [
        (
            line["offset"],
            line["key"],
            line["value"],
            NO_RECORD_TIME if line["record_time"] is None else line["record_time"],
        )
        for line in log.table.to_pylist()
    ]


def _keep(seen: Evidence, kind: str, key: Any, message: Any) -> None:  # noqa: ANN401  (of three kinds)
    kept = getattr(seen, kind)
    if key in kept:
        seen.repeated[kind] += 1
        if kept[key] != message:
            seen.contradicted.append(f"{kind} {key} there twice with different bytes")
    kept[key] = message
