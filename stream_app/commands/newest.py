"""The newest score, which tells what is in force."""

import asyncio
from typing import Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.messages import Score
from stream_app import kafka, offsets
from stream_app.commands.orders import OrderError, topics
from stream_app.settings import Settings

_BACK: Final = 100
"""Offsets to go back from the end: the last ones may be of control records or of an aborted transaction."""
_POLL_MS: Final = 200
_READ_S: Final = 15.0


async def newest_score(settings: Settings) -> Score | None:
    """Return the newest score that can be read, None where there is none.

    Raises:
        OrderError: the topic is there and cannot be read.
    """
    topic = settings.scores_topic
    places = [TopicPartition(topic, number) for number in range((await topics(settings)).get(topic, 0))]
    if not places:  # and aiokafka cannot stop a consumer that has done nothing since its start
        return None
    consumer = kafka.reader(settings)
    try:
        async with asyncio.timeout(_READ_S):
            await consumer.start()
            return await _newest(consumer, places)
    except (KafkaError, OSError) as error:
        raise OrderError(kafka.sentence(error, settings, topic)) from error
    finally:
        await consumer.stop()


async def _newest(consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> Score | None:
    first, ends = await consumer.beginning_offsets(places), await offsets.ends(consumer, places)
    waiting = {place for place in places if first[place] < ends[place]}
    if waiting:
        consumer.assign(waiting)
    for place in waiting:
        consumer.seek(place, max(first[place], ends[place] - _BACK))
    newest, value = -1, b""
    while waiting:
        for records in (await consumer.getmany(*waiting, timeout_ms=_POLL_MS)).values():
            for record in records:
                if record.timestamp >= newest and record.value:
                    newest, value = record.timestamp, record.value
        waiting = {place for place in waiting if await consumer.position(place) < ends[place]}
    try:
        return msgspec.json.decode(value, type=Score) if value else None
    except msgspec.DecodeError:  # something else writes there; what is in force is not known then
        return None
