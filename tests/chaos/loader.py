"""The process that loads: paced, past restarts of the broker, and writes down what the broker has acknowledged.

Each record has its number within its partition as a header, so that the log can be compared with what was sent. Orders
are lines that the campaign appends to a file: ``rate``, ``storm``, ``poison`` and ``stop``.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from stream_app import kafka, settings
from tests.chaos.stream import Stream, place
from tests.kit.records import Message

NUMBER: Final = "number"
ORDERS, ACKNOWLEDGED, LOAD = "orders.jsonl", "acknowledged.jsonl", "load.json"
_TURN_S: Final = 0.05
_MOST_PER_TURN: Final = 1_000
_MOST_UNDER_WAY: Final = 64
_PATIENCE_MS: Final = 120_000
"""Longer than any fault of the broker: what is given up may stand in the log or not."""
_STOP_S: Final = 2.0


class Load(msgspec.Struct, frozen=True):
    """What the loader is to do.

    Attributes:
        kafka: host:port.
        topic: where to.
        partitions: of the topic.
        seed: of the records.
        customers: how many there are.
        rate: records a second at first.
    """

    kafka: str
    topic: str
    partitions: int
    seed: int
    customers: int
    rate: int


class Loader:
    """Sends records in their order, partition by partition."""

    def __init__(self, load: Load, acknowledged: TextIO) -> None:
        self._load, self._acknowledged = load, acknowledged
        self.stream = Stream(load.seed, load.customers)
        self._settings = settings.load({}, {"FORETELL_KAFKA": load.kafka})
        self._producer: AIOKafkaProducer | None = None
        self._numbers = [0] * load.partitions
        self._under_way: set[asyncio.Task[None]] = set()
        self._failed = False
        self.given_up = 0

    async def send(self, messages: Iterator[Message]) -> None:
        """Hand records over; waits while too many are on their way."""
        parts: list[list[Message]] = [[] for _ in range(self._load.partitions)]
        for key, value in messages:
            parts[place(key or b"", self._load.partitions)].append((key, value))
        for number, part in enumerate(parts):
            if part:
                await self._send(number, part)

    async def close(self) -> None:
        """Wait for what is on its way, and stop."""
        await asyncio.gather(*self._under_way)
        await self._drop()

    async def _send(self, partition: int, messages: list[Message]) -> None:
        while len(self._under_way) >= _MOST_UNDER_WAY:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        producer = await self._ready()
        batch, first = producer.create_batch(), self._numbers[partition]
        for key, value in messages:
            header = [(NUMBER, b"%d" % self._numbers[partition])]
            if batch.append(key=key, value=value, timestamp=None, headers=header) is None:
                await self._hand_over(batch, partition, first)
                batch, first = producer.create_batch(), self._numbers[partition]
                batch.append(key=key, value=value, timestamp=None, headers=header)
            self._numbers[partition] += 1
        await self._hand_over(batch, partition, first)

    async def _hand_over(self, batch: Any, partition: int, first: int) -> None:  # noqa: ANN401  (aiokafka: no types)
        records = self._numbers[partition] - first
        batch.close()
        producer = await self._ready()
        try:
            sent = await producer.send_batch(batch, self._load.topic, partition=partition)
        except (KafkaError, AssertionError):
            self._give_up(records)
            return
        task = asyncio.create_task(self._note(sent, partition, first, records))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _note(self, sent: "asyncio.Future[RecordMetadata]", partition: int, first: int, records: int) -> None:
        try:
            arrived = await sent
        except (KafkaError, AssertionError):  # the latter is what aiokafka says of what comes after a refused batch
            self._give_up(records)
            return
        line = {"partition": partition, "first": first, "records": records, "offset": arrived.offset}
        self._acknowledged.write(json.dumps(line) + "\n")
        self._acknowledged.flush()

    def _give_up(self, records: int) -> None:
        """Take note that records may stand in the log or not, and that the producer is of no use any more."""
        self._failed = True
        self.given_up += records

    async def _ready(self) -> AIOKafkaProducer:
        """Return a producer that takes records, a new one where one has failed, however long that takes."""
        while self._producer is None or self._failed:
            await self._drop()
            await asyncio.gather(*self._under_way)
            producer = kafka.idempotent_producer(self._settings, patience_ms=_PATIENCE_MS)
            try:
                await producer.start()
            except (KafkaError, OSError):
                await producer.stop()
                await asyncio.sleep(1.0)
            else:
                self._producer, self._failed = producer, False
        return self._producer

    async def _drop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, OSError):
                await asyncio.wait_for(producer.stop(), _STOP_S)


class Orders:
    """The lines that the campaign has written since they were last looked at."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0

    def take(self) -> list[dict[str, int]]:
        """Return what is new."""
        content = self._path.read_bytes()[self._read :] if self._path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


async def run(folder: Path) -> None:
    """Load until told to stop."""
    load = msgspec.json.decode((folder / LOAD).read_bytes(), type=Load)
    orders, rate, due, before = Orders(folder / ORDERS), float(load.rate), 0.0, time.monotonic()
    with (folder / ACKNOWLEDGED).open("a", encoding="utf-8") as acknowledged:
        loader = Loader(load, acknowledged)
        stream = loader.stream
        stopping = False
        while not stopping:
            for order in orders.take():
                rate = float(order.get("rate", rate))
                stopping = stopping or bool(order.get("stop"))
                await loader.send(stream.storm(order.get("storm", 0)))
                await loader.send(stream.poison(order.get("poison", 0)))
            now = time.monotonic()
            due, before = due + rate * (now - before), now
            records = min(int(due), _MOST_PER_TURN)
            due -= records
            await loader.send(stream.take(records))
            await asyncio.sleep(_TURN_S if due < _MOST_PER_TURN else 0)
        await loader.close()
    print(f"given up: {loader.given_up}")  # noqa: T201  (its output is kept)


if __name__ == "__main__":
    kafka.quieten()
    asyncio.run(run(Path(sys.argv[1])))
