"""Clients of Kafka while there is none: they look for it now and then, and end when they are told to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import RequestTimedOutError

from schemas.errors import ForetellError
from stream_app import kafka, settings
from stream_app.commands.broker import FOR_EVER, BrokerError, find_topic, opened, translated
from stream_app.embedded import ports
from stream_app.outage import never_expire, pace_metadata, stop_producer
from stream_app.settings import Settings

NAME: Final = TopicPartition("t", 0)


def nowhere() -> Settings:
    """Return settings of a Kafka that does not run."""
    return settings.load({"kafka": f"127.0.0.1:{ports.free()}"}, {})


class Asking:
    """A client that has been asked to find a broker, as far as is needed here."""

    def __init__(self, answers: list[bool]) -> None:
        self.answers, self.asked = answers, 0

    async def _metadata_update(self, cluster: str, topics: list[str]) -> bool:
        assert (cluster, topics) == ("cluster", ["topic"])
        self.asked += 1
        await asyncio.sleep(0)
        return self.answers.pop(0)


def test_a_client_that_found_no_broker_waits_before_it_looks_again() -> None:
    async def took_s(answers: list[bool]) -> float:
        client, loop = Asking(list(answers)), asyncio.get_running_loop()
        pace_metadata(client, again_s=0.05)
        started = loop.time()
        found = [await client._metadata_update("cluster", ["topic"]) for _ in answers]  # noqa: SLF001
        assert (found, client.asked) == (answers, len(answers))
        return loop.time() - started

    assert asyncio.run(took_s([False, False])) >= 0.1
    assert asyncio.run(took_s([True, True])) < 0.05


def test_a_producer_keeps_its_batches_for_ever_when_it_is_told_to() -> None:
    async def expired(*, patient: bool) -> bool:
        producer = kafka.idempotent_producer(nowhere(), patience_ms=1)
        if patient:
            never_expire(producer)
        batches = producer._message_accumulator  # noqa: SLF001  (a batch's age shows only in a running producer)
        batch = batches._append_batch(producer.create_batch(), NAME)  # noqa: SLF001
        await asyncio.sleep(0.01)
        found: bool = batch.expired()
        await producer.stop()
        return found

    assert (asyncio.run(expired(patient=False)), asyncio.run(expired(patient=True))) == (True, False)


async def stopped(stop: Callable[[AIOKafkaProducer], Awaitable[None]]) -> list[str]:
    """Stop a producer that cannot deliver what it has been given; return which tasks of it are left."""
    producer = AIOKafkaProducer(bootstrap_servers=nowhere().kafka)
    await producer._sender.start()  # noqa: SLF001  (as far as a producer starts without a broker)
    producer._message_accumulator._append_batch(producer.create_batch(), NAME)  # noqa: SLF001
    await asyncio.sleep(0.01)
    with contextlib.suppress(TimeoutError):
        await stop(producer)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    found = sorted(str(getattr(task.get_coro(), "__qualname__", "")) for task in left)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    return found


def test_a_producer_that_cannot_deliver_stops_and_leaves_no_task() -> None:
    ours = asyncio.run(stopped(lambda producer: stop_producer(producer, within_s=0.1)))
    its_own = asyncio.run(stopped(lambda producer: asyncio.wait_for(producer.stop(), 0.1)))

    assert (ours, its_own) == ([], ["MessageAccumulator.close", "Sender._sender_routine"])


def test_a_producer_that_was_never_started_can_be_stopped() -> None:
    async def stop() -> None:
        await stop_producer(AIOKafkaProducer(bootstrap_servers=nowhere().kafka), within_s=0.1)

    asyncio.run(stop())


def test_a_command_gives_up_a_broker_that_stays_away_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    known = nowhere()

    with pytest.raises(BrokerError, match=f"Expected Kafka at {known.kafka}, found no answer .*; start it or correct"):
        asyncio.run(find_topic(known, "t", 1.5))

    assert capsys.readouterr().err == f"foretell: waiting for Kafka at {known.kafka} (FORETELL_KAFKA)\n"


def test_a_command_that_waits_for_ever_can_be_interrupted_and_leaves_nothing() -> None:
    async def interrupted() -> None:
        async with asyncio.timeout(0.5), opened(lambda: kafka.reader(nowhere()), nowhere(), FOR_EVER):
            pytest.fail("there is no broker")

    with pytest.raises(TimeoutError):
        asyncio.run(interrupted())


def test_a_reader_of_our_output_who_has_gone_is_no_trouble_with_kafka() -> None:
    with pytest.raises(BrokenPipeError), translated(nowhere()):
        raise BrokenPipeError
    with pytest.raises(ForetellError, match="Expected Kafka at "), translated(nowhere()):
        raise RequestTimedOutError
