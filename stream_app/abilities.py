"""What brokers can do, learned by asking them for it: a broker may list a request and refuse it nevertheless."""

import asyncio
from typing import Final

from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    UnknownError,
    UnsupportedVersionError,
    for_code,
)
from aiokafka.protocol.transaction import InitProducerIdRequest

from stream_app.settings import Settings, variable
from stream_app.wire import Broker

_TRIES: Final = 3
"""A broker whose answer is "unknown error" may have meant only this one request."""
_AGAIN_S: Final = 0.1
_TIMEOUT_MS: Final = 10_000
_able: Final[set[str]] = set()
"""Clusters that were found able: they stay so. One that was not is asked again, it may have been exchanged."""


async def can_number(settings: Settings) -> bool:
    """Return whether the brokers number what a producer sends, as aiokafka asks for it (request InitProducerId).

    Without these numbers they do not know a repeated batch as one, and have no transactions.

    Raises:
        KafkaError: no broker is reached, or it does not answer.
        OSError: as ``KafkaError``.
    """
    if settings.kafka in _able:
        return True
    able = await _ask(settings)
    if able:
        _able.add(settings.kafka)
    return able


def no_transactions(settings: Settings, instead: str = "") -> str:
    """Return what to tell an operator who wants transactions of brokers that cannot number.

    Args:
        settings: where the brokers are.
        instead: what can be done without transactions; of a worker's delivery if not given.
    """
    instead = instead or f"set {variable('delivery')} to at_least_once, with which a restart may repeat scores"
    return (
        f"Expected idempotent producers and transactions at {settings.kafka}, found brokers without; use Apache Kafka, "
        f"or {instead}."
    )


def repeats(settings: Settings) -> str:
    """Return what to tell an operator who sends records to brokers that cannot number."""
    return (
        f"the brokers at {settings.kafka} have no idempotent producers: an outage loses nothing, but some records may "
        "then be there twice"
    )


async def _ask(settings: Settings) -> bool:
    broker = await _first(settings)
    try:
        for _ in range(_TRIES):
            answer = await broker.ask(InitProducerIdRequest(None, _TIMEOUT_MS))
            error = for_code(answer.error_code)
            if error is not UnknownError:
                return error is not UnsupportedVersionError  # who is not allowed it is told so by a producer's start
            await asyncio.sleep(_AGAIN_S)
    except (IncompatibleBrokerVersion, NotImplementedError):  # it knows none of the versions that aiokafka speaks
        return False
    finally:
        broker.close()
    return False


async def _first(settings: Settings) -> Broker:
    """Return a connection to the first broker that lets us in."""
    problem: Exception = KafkaConnectionError("no brokers are named")
    for place in settings.kafka.split(","):
        try:
            return await Broker.open(place.strip(), settings)
        except (KafkaError, OSError) as error:
            problem = error
    raise problem
