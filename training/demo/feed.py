"""The log on its way into the topic, and when each of its records left."""

import asyncio
import contextlib
from array import array
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Final

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.accepted import epoch_ms
from schemas.messages import Customer, Record, Transaction
from schemas.spec import Spec
from stream_app import kafka
from stream_app.commands.broker import PATIENCE_S, opened, translated
from stream_app.commands.outgoing import Message, Outgoing
from stream_app.commands.publication import Placement
from stream_app.offline.log import FolderLog
from stream_app.offline.shipment import Part, parts
from stream_app.settings import Settings
from training.demo import words
from training.demo.state import State

TICK_S: Final = 0.05
"""Records that fall due within it leave together: the embedded broker gets slower with each batch that it took."""
AT_ONCE: Final = 2_000
"""Records that leave together at full speed."""


class Feed:
    """A folder's records, sent part by part.

    Attributes:
        left_s: when each record of each partition was handed to the producer, by offset.
    """

    def __init__(self, outgoing: Outgoing, log: FolderLog, partitions: int, spec: Spec, state: State) -> None:
        """Send nothing yet; ``state`` is told what leaves, and in words what the customers do who are watched."""
        self.left_s = [array("d") for _ in range(partitions)]
        self._outgoing, self._placement = outgoing, Placement(partitions)
        self._spec, self._state = spec, state
        self._watched = {actor.role.customer.encode() for actor in state.actors}
        self._parts: Iterator[Part] = parts(log)
        self._rest: Part | None = None

    async def paced(self, records: int, rate: float) -> None:
        """Send so many records at a steady rate."""
        loop = asyncio.get_running_loop()
        started, done, together = loop.time(), 0, max(round(rate * TICK_S), 1)
        while done < records:
            due_s = started + min(done + together, records) / rate
            if (early_s := due_s - loop.time()) > 0:
                await asyncio.sleep(early_s)
            due = min(max(int((loop.time() - started) * rate), done + together), records) - done
            sent = await self._send(due)
            if not sent:
                return
            done += sent

    async def all(self) -> None:
        """Send what is left as fast as it is taken."""
        while await self._send(AT_ONCE):
            pass
        await self._outgoing.settle()

    async def _send(self, most: int) -> int:
        """Send the next records; return how many, 0 at the end."""
        part = await self._take(most)
        if part is None:
            return 0
        groups = defaultdict[int, list[Message]](list)
        for key, value, place in zip(part.keys, part.values, self._placement.of(part), strict=True):
            groups[place].append((key, value, []))
        now_s = asyncio.get_running_loop().time()
        for place, messages in groups.items():
            self.left_s[place].extend([now_s] * len(messages))
            await self._outgoing.send(place, messages)
        self._tell(part)
        return len(part)

    async def _take(self, most: int) -> Part | None:
        # Writing some thousand records takes as long as scoring them: meanwhile others are read.
        part = self._rest if self._rest is not None else await asyncio.to_thread(next, self._parts, None)
        if part is None:
            return None
        self._rest = part.slice(most, len(part)) if len(part) > most else None
        return part.slice(0, most)

    def _tell(self, part: Part) -> None:
        self._state.send(len(part), _time_ms(part.values[-1])[0])
        for key, value in zip(part.keys, part.values, strict=True):
            if key in self._watched:
                time_ms, record = _time_ms(value)
                if record is not None:
                    self._state.happen((key or b"").decode(), time_ms, words.event(record, self._spec))


@contextlib.asynccontextmanager
async def sending(settings: Settings) -> AsyncIterator[Outgoing]:
    """Yield the way into the transactions topic.

    Raises:
        BrokerError: the broker is away or refuses.
    """

    def producer() -> AIOKafkaProducer:
        return kafka.idempotent_producer(settings, idempotent=False)

    async with opened(producer, settings, PATIENCE_S) as started:
        with translated(settings, settings.transactions_topic):
            yield Outgoing(started, settings.transactions_topic, _ignore, numbered=False)


def _time_ms(value: bytes | None) -> tuple[int, Record | None]:
    """Return the event time of a record, 0 where it tells none, and the record if it is one about a customer."""
    record = None if value is None else codec.decode(value)
    if isinstance(record, Transaction | Customer):
        return max(epoch_ms(record.time), 0), record
    return 0, None


def _ignore(unanswered: int) -> None:
    """Say nothing of records that wait: what the worker does not give in time is told at the end."""
