"""How messages leave: exactly once in transactions, or at least once at once; alerts always at once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import numpy as np
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalOperation, ProducerClosed
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from schemas import codec
from schemas.messages import Alert
from stream_app import abilities, kafka, record_batches
from stream_app.outage import stop_producer
from stream_app.record_batches import RecordBatch
from stream_app.settings import Settings
from stream_app.steps.encode import DeadLetter, Scores
from stream_app.steps.texts import Bytes, Texts, Whole

START_S: Final = 20.0
MOST_HELD: Final = 65_536
"""Bytes of scores: more leave before the transaction is committed."""
STOP_S: Final = 1.0
"""What has not left by then is given up: it was not committed."""

Message = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers."""
Sent = asyncio.Future[RecordMetadata]
"""What becomes of a batch."""
Commit = Callable[[TopicPartition, OffsetAndMetadata], Awaitable[None]]


class Outbox:
    """A producer that takes messages in as few batches as possible.

    Attributes:
        producer: what sends them.
        failed: whether a batch has failed; an idempotent producer refuses all from then on.
    """

    def __init__(self, producer: AIOKafkaProducer, *, numbered: bool = True, transactional: bool = False) -> None:
        """Take over a producer that is not started.

        Args:
            producer: what sends.
            numbered: whether the broker numbers what comes, so that it refuses what comes after a batch that failed.
                Else a partition's next batch is handed over only when the former one has arrived.
            transactional: whether it sends in transactions.
        """
        self.producer, self.failed, self._transactional = producer, False, transactional
        self._under_way: set[Sent] = set()
        self._numbered, self._former = numbered, dict[tuple[str, int], Sent]()

    async def start(self) -> None:
        """Start the producer; a transactional one fences its predecessor and settles its open transaction."""
        await asyncio.wait_for(self.producer.start(), START_S)

    async def send(self, topic: str, partition: int, messages: Iterable[Message]) -> list[Sent]:
        """Hand messages over; return what must be awaited before they can be taken to have arrived."""
        sent = list[Sent]()
        batch = self.producer.create_batch()
        for key, value, headers in messages:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                sent.append(await self._send(batch, topic, partition))
                batch = self.producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if batch.record_count():
            sent.append(await self._send(batch, topic, partition))
        return sent

    async def send_scores(self, topic: str, partition: int, scores: list[Scores]) -> list[Sent]:
        """Hand the scores of batches over; return what must be awaited before they can be taken to have arrived."""
        keys, values = _messages(scores)
        now_ms = int(time.time() * 1000)
        batches = record_batches.written(keys, values, kafka.LARGEST_BATCH, now_ms, transactional=self._transactional)
        return [await self._send(batch, topic, partition) for batch in batches]

    async def close(self) -> None:
        """Stop the producer, whatever state it is in, and tell whoever still waits for a batch."""
        stopping = asyncio.ensure_future(stop_producer(self.producer, STOP_S))
        with contextlib.suppress(Exception):  # it is not used again, and what it held was not committed
            await asyncio.shield(stopping)  # who is cancelled here must not leave behind what goes on sending
        for sent in list(self._under_way):
            if not sent.done():  # a producer that is stopped by force says nothing of it
                sent.set_exception(ProducerClosed())

    async def _send(self, batch: BatchBuilder | RecordBatch, topic: str, partition: int) -> Sent:
        batch.close()
        if not self._numbered and (former := self._former.get((topic, partition))) is not None:
            await asyncio.shield(former)
        sent: Sent = await self.producer.send_batch(batch, topic, partition=partition)
        self._former[topic, partition] = sent
        self._under_way.add(sent)
        sent.add_done_callback(self._settled)
        return sent

    def _settled(self, sent: Sent) -> None:
        """Look at what became of a batch, also where nobody waits for it any more."""
        self._under_way.discard(sent)
        arrived = not sent.cancelled() and sent.exception() is None  # looked at each time, or asyncio complains
        self.failed = self.failed or not arrived


def _messages(scores: list[Scores]) -> tuple[Texts, tuple[Bytes, Whole]]:
    """Return the keys of scores, and their messages with where each starts."""
    if len(scores) == 1:
        return scores[0].customers, (scores[0].messages, scores[0].starts)
    before = np.cumsum([0, *(len(part.messages) for part in scores)])
    starts = [part.starts[:-1] + skipped for part, skipped in zip(scores, before[:-1], strict=True)]
    messages = np.concatenate([part.messages for part in scores])
    keys = Texts.joined(*(part.customers.packed() for part in scores))
    return keys, (messages, np.concatenate([*starts, before[-1:]]))


class Delivery:
    """The way out of one partition's scores and dead letters, and with them of its input offset.

    Nobody sees what a transaction holds before it ends. So the scores of many small chunks go out in two requests: of
    the first chunk at once, which makes the partition known to the transaction; the rest before the commit.
    """

    def __init__(self, settings: Settings, partition: TopicPartition, commit: Commit) -> None:
        """Start with no producer; ``commit`` commits outside a transaction."""
        self._settings, self._partition, self._commit = settings, partition, commit
        self.in_transactions = settings.delivery == "exactly_once"
        self._outbox: Outbox | None = None
        self._sent = list[Sent]()
        self._held = list[Scores]()
        self._known = False

    async def start(self) -> None:
        """Become the partition's only writer, by the producer that the delivery mode asks for."""
        if self.in_transactions:
            name = f"{self._settings.group}-{self._partition.topic}-{self._partition.partition}"
            self._outbox = Outbox(kafka.transactional_producer(self._settings, name), transactional=True)
        else:
            self._outbox = await _plain_outbox(self._settings)
        await self._outbox.start()

    async def begin(self) -> None:
        """Start a transaction, where there are transactions."""
        if self.in_transactions:
            await self._started.producer.begin_transaction()
            self._known = False

    async def send(self, scores: Iterable[Scores], dead_letters: Iterable[DeadLetter]) -> None:
        """Send the scores and dead letters of a chunk; scores may be held until the commit."""
        self._held += scores
        large = sum(len(part.messages) for part in self._held) >= MOST_HELD
        at_once = large or not (self.in_transactions and self._known)
        await self._hand_over(list(dead_letters), scores=at_once)

    async def _hand_over(self, dead_letters: list[DeadLetter], *, scores: bool) -> None:
        settings, number = self._settings, self._partition.partition
        letters = [(letter.key, letter.value, list(letter.headers)) for letter in dead_letters]
        try:
            if scores and self._held:
                held, self._held, self._known = self._held, [], True
                self._sent += await self._started.send_scores(settings.scores_topic, number, held)
            self._sent += await self._started.send(settings.dlq_topic, number, letters)
        except IllegalOperation:  # the transaction has failed already: to commit it tells why
            await self._started.producer.commit_transaction()
            raise
        except AssertionError:  # what aiokafka says of every batch that comes after a refused one
            for sent in self._sent:
                if sent.done():
                    sent.result()
            raise

    async def commit(self, offset: OffsetAndMetadata) -> None:
        """Make all that was sent visible together with the input offset.

        Every batch is awaited first: aiokafka would commit a transaction although a batch of it has failed.
        """
        await self._hand_over([], scores=True)
        await self._arrived()
        if self.in_transactions:
            producer = self._started.producer
            await producer.send_offsets_to_transaction({self._partition: offset}, self._settings.group)
            await producer.commit_transaction()
        else:
            await self._commit(self._partition, offset)

    async def _arrived(self) -> None:
        sent, self._sent = self._sent, []
        await asyncio.gather(*sent)

    async def close(self) -> None:
        """Stop the producer; an open transaction is settled by the next owner or the broker."""
        if self._outbox is not None:
            await self._outbox.close()

    @property
    def _started(self) -> Outbox:
        if self._outbox is None:
            message = "the delivery has not been started"
            raise RuntimeError(message)
        return self._outbox


class AlertDelivery:
    """The way out of a worker's alerts: they leave at once; a repeat after a crash is byte-identical."""

    def __init__(self, settings: Settings) -> None:
        """Start with no producer."""
        self._settings = settings
        self._outbox: Outbox | None = None
        self._starting = asyncio.Lock()

    async def send(self, partition: int, alerts: list[Alert]) -> list[Sent]:
        """Send alerts; return what must be settled before their records are committed."""
        if not alerts:
            return []
        outbox = await self._open()
        messages: list[Message] = [(alert.customer_id.encode(), codec.encode(alert), []) for alert in alerts]
        try:
            return await outbox.send(self._settings.alerts_topic, partition, messages)
        except Exception:
            outbox.failed = True
            raise

    async def settle(self, sent: list[Sent]) -> None:
        """Wait until what was sent has arrived."""
        await asyncio.shield(asyncio.gather(*sent))  # batches of other partitions go by the same producer

    async def close(self) -> None:
        """Stop the producer."""
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            await outbox.close()

    async def _open(self) -> Outbox:
        async with self._starting:
            if self._outbox is not None and self._outbox.failed:
                await self.close()
            if self._outbox is None:
                outbox = await _plain_outbox(self._settings)
                try:
                    await outbox.start()
                except BaseException:  # also when the partition is taken away meanwhile: it must not live on
                    await outbox.close()
                    raise
                self._outbox = outbox
            return self._outbox


async def _plain_outbox(settings: Settings) -> Outbox:
    """Return a way out without transactions, as the brokers can have it; not started."""
    numbered = await abilities.can_number(settings)
    return Outbox(kafka.idempotent_producer(settings, idempotent=numbered), numbered=numbered)
