"""Records on their way into the partitions of a topic: nothing lost, nothing twice, each partition in order."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from stream_app.outage import never_expire

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Key, value and headers."""
NOTICE_S: Final = 10.0


class Outgoing:
    """A producer's records into one topic.

    A partition has one batch under way and one that waits, so memory stays bounded however fast records come. Batches
    are repeated until the broker answers, and the broker knows a repeated one by its numbers: an outage is waited out,
    however long. What it refuses for good ends the sending. A broker that does not number what comes may have a
    repeated batch twice, and would take what comes after a refused one: there the next batch waits for the answer.
    """

    def __init__(
        self,
        producer: AIOKafkaProducer,
        topic: str,
        waiting: Callable[[int], None],
        *,
        numbered: bool = True,
        notice_s: float = NOTICE_S,
    ) -> None:
        """Take over a started producer.

        Args:
            producer: started; nothing else may send through it.
            topic: where records go.
            waiting: told once in an outage how many records wait for an answer.
            numbered: whether the broker numbers what comes; the producer is idempotent then.
            notice_s: after how long without an answer.
        """
        never_expire(producer)
        self.acknowledged = self._sent = 0
        self._producer, self._topic, self._waiting, self._numbered = producer, topic, waiting, numbered
        self._under_way = set[asyncio.Future[RecordMetadata]]()
        self._former = dict[int, asyncio.Future[RecordMetadata]]()
        self._error: BaseException | None = None
        self._told_at, self._notice_s = -1, notice_s

    @property
    def unanswered(self) -> int:
        """Return how many records have been sent of which it is not known whether they have arrived."""
        return self._sent - self.acknowledged

    async def send(self, partition: int, messages: Iterable[Message]) -> None:
        """Hand over messages of a partition; wait while its former ones are not under way.

        Raises:
            KafkaError: the broker has refused a batch; nothing can be sent any more.
        """
        batch = self._producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                await self._send(batch, partition)
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            await self._send(batch, partition)

    async def settle(self) -> None:
        """Wait until all that was sent has arrived.

        Raises:
            KafkaError: the broker has refused a batch.
        """
        while self._under_way:
            await self._wait_for(self._under_way)
        self._check()

    async def _send(self, batch: BatchBuilder, partition: int) -> None:
        batch.close()
        records = batch.record_count()
        while not self._numbered and partition in self._former and not self._former[partition].done():
            await self._wait_for({self._former[partition]})
        while True:
            self._check()
            try:
                future = await self._producer.send_batch(batch, self._topic, partition=partition)
                break
            except KafkaTimeoutError:  # the partition's former batch is still waiting; this one has not been taken
                self._notice()
        self._sent += records
        self._former[partition] = future
        self._under_way.add(future)
        future.add_done_callback(lambda done: self._answered(done, records))

    def _answered(self, done: asyncio.Future[RecordMetadata], records: int) -> None:
        self._under_way.discard(done)
        if done.cancelled():
            return
        if done.exception() is None:
            self.acknowledged += records
        else:
            self._error = self._error or done.exception()

    async def _wait_for(self, sent: set[asyncio.Future[RecordMetadata]]) -> None:
        done, _ = await asyncio.wait(sent, timeout=self._notice_s)
        if not done:
            self._notice()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _notice(self) -> None:
        if self._told_at != self.acknowledged:
            self._waiting(self.unanswered)
        self._told_at = self.acknowledged
