"""What the verbs that write records into chosen partitions of the input topic share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.structs import RecordMetadata

from schemas.errors import ForetellError
from stream_app import abilities, kafka
from stream_app.settings import Settings

START_S: Final = 20.0
WRITE_S: Final = 60.0
STOP_S: Final = 2.0
"""aiokafka's ``stop`` can hang."""


class OrderError(ForetellError):
    """Records that could not be written, or of which some were not."""


@dataclass(frozen=True)
class Order:
    """A record to be written; without a partition it goes where its key belongs."""

    value: bytes
    key: bytes | None = None
    partition: int | None = None


@dataclass(frozen=True)
class Desk:
    """An open way into the input topic, which has ``partitions`` partitions."""

    settings: Settings
    partitions: int
    producer: AIOKafkaProducer

    async def write(self, orders: Sequence[Order]) -> list[RecordMetadata]:
        """Write records; return where each stands.

        Raises:
            OrderError: one or more are not known to have arrived; tells in which partitions all did.
        """
        topic = self.settings.transactions_topic
        try:
            async with asyncio.timeout(WRITE_S):
                sent = [
                    await self.producer.send(topic, order.value, key=order.key, partition=order.partition)
                    for order in orders
                ]
                done = await asyncio.gather(*sent, return_exceptions=True)
        except (KafkaError, OSError) as error:
            raise OrderError(kafka.sentence(error, self.settings, topic)) from error
        failed = [found for found in done if isinstance(found, BaseException)]
        if not failed:
            return done
        raise self._partly(done, failed[0]) from failed[0]

    def _partly(self, done: Sequence[RecordMetadata | BaseException], error: BaseException) -> Exception:
        if not isinstance(error, KafkaError | OSError):
            return OrderError(f"Expected records to be written, found {error!r}; report it.")
        written = sorted({found.partition for found in done if not isinstance(found, BaseException)})
        advice = (
            f" Written to partition {', '.join(map(str, written))} only; give the command again." if written else ""
        )
        return OrderError(kafka.sentence(error, self.settings, self.settings.transactions_topic) + advice)


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Desk]:
    """Give a way into the input topic, for as long as it is needed.

    Raises:
        OrderError: there is no broker, no such topic, or no permission.
    """
    kafka.quieten()
    found = await topics(settings)
    if settings.transactions_topic not in found:
        missing = UnknownTopicOrPartitionError()
        raise OrderError(kafka.sentence(missing, settings, settings.transactions_topic))
    try:
        numbered = await abilities.can_number(settings)
    except (KafkaError, OSError) as error:
        raise OrderError(kafka.sentence(error, settings)) from error
    producer = kafka.idempotent_producer(settings, idempotent=numbered)
    try:
        try:
            await asyncio.wait_for(producer.start(), START_S)
        except (KafkaError, OSError) as error:
            raise OrderError(kafka.sentence(error, settings, settings.transactions_topic)) from error
        yield Desk(settings, found[settings.transactions_topic], producer)
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await asyncio.wait_for(producer.stop(), STOP_S)


async def topics(settings: Settings) -> dict[str, int]:
    """Return how many partitions each topic has. Asking for all makes none, where asking for one by its name might.

    Raises:
        OrderError: there is no broker, or it does not let us in.
    """
    client = kafka.admin(settings)
    try:
        await client.start()
        return {item["topic"]: len(item["partitions"]) for item in await client.describe_topics()}
    except (KafkaError, OSError) as error:
        raise OrderError(kafka.sentence(error, settings)) from error
    finally:
        await client.close()
