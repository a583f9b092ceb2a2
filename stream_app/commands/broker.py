"""Kafka as a command meets it: brokers that are away, topics that are not there, refusals in one sentence."""

import asyncio
import contextlib
import math
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from aiokafka import AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from schemas.errors import ForetellError
from stream_app import kafka, kafka_errors
from stream_app.outage import STOP_S, pace_metadata, stop_producer
from stream_app.settings import Settings, variable

PATIENCE_S: Final = 30.0
"""How long a command that has an end waits for a broker."""
FOR_EVER: Final = math.inf
AGAIN_S: Final = 1.0
START_S: Final = 20.0
MADE_S: Final = 10.0
_REFUSALS: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.IllegalSaslStateError,
    errors.IncompatibleBrokerVersion,
    errors.SaslAuthenticationFailed,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailed,
    errors.UnsupportedSaslMechanismError,
    ssl.SSLCertVerificationError,
)

Client = Any
"""A producer, consumer or admin client of aiokafka, which ships no types."""


class BrokerError(ForetellError):
    """Kafka is away, refuses, or has no such topic."""


@contextlib.contextmanager
def translated(settings: Settings, topic: str = "") -> Iterator[None]:
    """Translate what goes wrong with Kafka.

    Raises:
        BrokerError: something did.
    """
    try:
        yield
    except BrokenPipeError:  # of our own output
        raise
    except (KafkaError, OSError) as error:
        raise BrokerError(kafka.sentence(error, settings, topic)) from error


@contextlib.asynccontextmanager
async def opened(make: Callable[[], Client], settings: Settings, patience_s: float) -> AsyncIterator[Client]:
    """Yield a started client and stop it at the end; wait for brokers that are away, saying so once.

    Args:
        make: returns a new client, not started.
        settings: where the brokers are.
        patience_s: how long to wait.

    Raises:
        BrokerError: the brokers stayed away, or refuse.
    """
    client = await _started(make, settings, patience_s)
    try:
        yield client
    finally:
        await _stopped(client)


async def find_topic(settings: Settings, topic: str, patience_s: float) -> int | None:
    """Return how many partitions a topic has; None if it is not there. Asking does not make it.

    Raises:
        BrokerError: the brokers stayed away, or refuse.
    """
    async with opened(lambda: kafka.admin(settings), settings, patience_s) as client:
        with translated(settings, topic):
            # All are asked for: to be asked for one that is not there can make a broker create it.
            found = {each["topic"]: len(each["partitions"]) for each in await client.describe_topics()}
    return found.get(topic)


async def partitions_of(settings: Settings, topic: str, patience_s: float, advice: str) -> int:
    """Return how many partitions a topic has.

    Raises:
        BrokerError: it is not there, or the brokers stayed away or refuse.
    """
    found = await find_topic(settings, topic, patience_s)
    if found is None:
        who = f" (or not shown to the user {settings.kafka_user})" if settings.kafka_user else ""
        message = f"Expected the topic {topic} at {settings.kafka}, found it not there{who}; {advice}."
        raise BrokerError(message)
    return found


async def make_topic(settings: Settings, topic: str, partitions: int) -> None:
    """Make a topic and wait until it can be used.

    Raises:
        BrokerError: the broker refuses.
    """
    async with opened(lambda: kafka.admin(settings), settings, PATIENCE_S) as client:
        with translated(settings, topic):
            answer = await client.create_topics([NewTopic(topic, partitions, -1, {})])  # copied as the broker does it
            for _, code, *_ in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise for_code(code)(topic)
            async with asyncio.timeout(MADE_S):
                while not await _has_leaders(client, topic, partitions):  # noqa: ASYNC110  (only the broker knows)
                    await asyncio.sleep(AGAIN_S / 10)


async def _has_leaders(client: Client, topic: str, partitions: int) -> bool:
    for each in await client.describe_topics():
        if each["topic"] == topic:
            led = [part for part in each["partitions"] if part["leader"] >= 0]
            return len(led) >= partitions
    return False


def say(text: str) -> None:
    """Tell the operator something that is no result."""
    print(f"foretell: {text}", file=sys.stderr, flush=True)


async def _started(make: Callable[[], Client], settings: Settings, patience_s: float) -> Client:
    kafka.quieten()
    loop = asyncio.get_running_loop()
    deadline, told = loop.time() + patience_s, False
    while True:
        client = make()
        pace_metadata(client.client if isinstance(client, AIOKafkaProducer) else client._client)  # noqa: SLF001  (not public)
        try:
            await asyncio.wait_for(client.start(), START_S)
        except (KafkaError, OSError) as error:
            await _stopped(client)
            if is_refusal(error, settings) or loop.time() + AGAIN_S > deadline:
                raise BrokerError(kafka.sentence(error, settings)) from error
        except BaseException:
            await _stopped(client)
            raise
        else:
            return client
        if not told:
            say(f"waiting for Kafka at {settings.kafka} ({variable('kafka')})")
        told = True
        await asyncio.sleep(AGAIN_S)


async def _stopped(client: Client) -> None:
    if isinstance(client, AIOKafkaProducer):
        await stop_producer(client)
        return
    with contextlib.suppress(KafkaError, OSError):
        await asyncio.wait_for(client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop(), STOP_S)


def is_refusal(error: Exception, settings: Settings) -> bool:
    """Return whether waiting is in vain: the brokers answered, or no settings can be right."""
    cause = kafka_errors._refusal(settings) if isinstance(error, KafkaConnectionError) else error  # noqa: SLF001
    return isinstance(cause, _REFUSALS)
