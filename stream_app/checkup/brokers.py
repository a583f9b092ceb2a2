"""What there is to say about Kafka: reached or not, topics, permissions, group, transactions."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Final

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin.config_resource import ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    KafkaError,
    NotCoordinatorForGroupError,
    UnsupportedVersionError,
)
from aiokafka.structs import OffsetAndMetadata

from stream_app import abilities, kafka, offsets
from stream_app.checkup import topics
from stream_app.checkup.cluster import Cluster, cluster_of, configs_of, group_of
from stream_app.checkup.finding import Finding, Level, fail, ok, warn
from stream_app.kafka_errors import unreachable
from stream_app.settings import Settings
from stream_app.wire import Broker

LOOK_S: Final = 15.0
_STOP_S: Final = 2.0
_SPEAKS: Final = {"Produce": 0, "Fetch": 1, "InitProducerId": 22}
_TOLD: Final = (KafkaError, OSError, NotImplementedError)
"""aiokafka raises the last where broker and client have no version of a request in common."""

_NOT_YET: Final = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""A new cluster makes the topic for groups when it is first asked about one."""
_AGAIN_S: Final = 0.2

Versions = Mapping[int, tuple[int, int]]


class Kafka:
    """The cluster of some settings, to be looked at once.

    Attributes:
        partitions: of the input; 0 as long as they are not known.
    """

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self.partitions = 0
        self._settings = settings

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is to be said; where no broker is reached, only that."""
        kafka.quieten()
        tried = [await _opened(place.strip(), self._settings) for place in self._settings.kafka.split(",")]
        reached = [found for found in tried if isinstance(found, Broker)]
        try:
            for found in tried:
                if isinstance(found, Finding):  # one of them is enough to start with
                    yield replace(found, level=Level.WARN) if reached else found
            for broker in reached[:1]:
                async for finding in self._of(broker):
                    yield finding
        finally:
            for broker in reached:
                broker.close()

    async def _of(self, broker: Broker) -> AsyncIterator[Finding]:
        settings = self._settings
        try:
            async with asyncio.timeout(LOOK_S):
                versions, cluster = await broker.versions(), await cluster_of(broker)
        except (IncompatibleBrokerVersion, UnsupportedVersionError) as error:
            yield fail("kafka", kafka.sentence(error, settings))
            return
        except (KafkaError, OSError) as error:  # a listener with SASL hangs up at the first question
            yield fail("kafka", unreachable(error, settings))
            return
        if settings.transactions_topic in cluster.topics:
            self.partitions = cluster.topics[settings.transactions_topic].partitions
        yield _answering(broker, versions, cluster)
        for place in sorted(set(cluster.brokers.values()) - {broker.place}):
            if found := await _advertised(place, settings):
                yield found
        for finding in topics.topic_findings(cluster, settings):
            yield finding
        for finding in await _of_configs(cluster, settings):
            yield finding
        for finding in await _of_group(broker, self.partitions, settings):
            yield finding
        yield await _of_delivery(cluster, settings)


async def _opened(place: str, settings: Settings) -> Broker | Finding:
    try:
        return await Broker.open(place, settings)
    except _TOLD as error:
        return fail("kafka", unreachable(error, settings, place))


def _answering(broker: Broker, versions: Versions, cluster: Cluster) -> Finding:
    spoken = {name: versions[key] for name, key in _SPEAKS.items() if key in versions}
    speaks = ", ".join(f"{name} {least}-{most}" for name, (least, most) in spoken.items())
    count = len(cluster.brokers)
    return ok("kafka", f"{broker.place} answers, {count} broker{'s' * (count != 1)}, protocol versions {speaks}")


async def _advertised(place: str, settings: Settings) -> Finding | None:
    """Return what is wrong with an address that the cluster gives to its clients, None if nothing."""
    found = await _opened(place, settings)
    if isinstance(found, Broker):
        found.close()
        return None
    return fail(
        "kafka",
        f"Expected to reach a broker at {place}, to which the cluster sends its clients, found it out of reach from "
        f"here ({found.text}); correct the broker's advertised.listeners.",
    )


async def _of_configs(cluster: Cluster, settings: Settings) -> list[Finding]:
    wanted = (settings.transactions_topic, settings.scores_topic, settings.alerts_topic, settings.dlq_topic)
    present = [name for name in wanted if name in cluster.topics]
    brokers = [str(number) for number in sorted(cluster.brokers)[:1]]
    client = kafka.admin(settings)
    try:
        async with asyncio.timeout(LOOK_S):
            await client.start()
            configs = await configs_of(client, ConfigResourceType.TOPIC, present, topics.TOPIC_CONFIGS)
            limits = await configs_of(client, ConfigResourceType.BROKER, brokers, topics.BROKER_CONFIGS)
    except _TOLD as error:
        return [warn("configuration", _sentence(error, settings))]
    finally:
        await client.close()
    found = list(topics.config_findings(configs, settings)) if settings.transactions_topic in present else []
    return found + [finding for config in limits.values() for finding in topics.broker_findings(config, settings)]


async def _of_group(broker: Broker, partitions: int, settings: Settings) -> list[Finding]:
    problem: Exception | None = None
    try:
        async with asyncio.timeout(LOOK_S):
            while True:
                try:
                    group, problem = await group_of(broker, settings, partitions), None
                    break
                except _NOT_YET as error:
                    problem = error
                    await asyncio.sleep(_AGAIN_S)
            bounds = await _bounds(settings, partitions)
    except _TOLD as error:
        return [fail(f"group {settings.group}", _sentence(problem or error, settings))]
    return list(topics.group_findings(group, bounds, settings))


async def _bounds(settings: Settings, partitions: int) -> dict[int, tuple[int, int]]:
    """Return the first offset of each partition of the input, and the one behind its last."""
    if not partitions:  # and aiokafka cannot stop a consumer that has done nothing since its start
        return {}
    places = [TopicPartition(settings.transactions_topic, number) for number in range(partitions)]
    consumer = kafka.reader(settings)
    try:
        await consumer.start()
        first, end = await consumer.beginning_offsets(places), await offsets.ends(consumer, places)
    finally:
        await consumer.stop()
    return {place.partition: (first[place], end[place]) for place in places}


async def _of_delivery(cluster: Cluster, settings: Settings) -> Finding:
    """Return whether output can leave as the settings want it: tried, and taken back."""
    in_transactions = settings.delivery == "exactly_once"
    subject = "transactions" if in_transactions else "delivery"
    try:
        async with asyncio.timeout(LOOK_S):
            numbered = await abilities.can_number(settings)
    except _TOLD as error:
        return fail(subject, _sentence(error, settings))
    if not numbered:
        text = abilities.no_transactions(settings)
        return fail(subject, text) if in_transactions else warn(subject, text)
    name = f"{settings.group}-doctor-{secrets.token_hex(4)}"
    producer = kafka.transactional_producer(settings, name) if in_transactions else kafka.idempotent_producer(settings)
    try:
        async with asyncio.timeout(LOOK_S):
            await producer.start()
            if in_transactions:
                await _abort_one(producer, cluster, settings)
    except TimeoutError:
        return fail(
            subject,
            f"Expected an answer within {LOOK_S:g} s, found none; look whether the topic __transaction_state could "
            "be made: a single broker needs transaction.state.log.replication.factor 1 and "
            "transaction.state.log.min.isr 1.",
        )
    except _TOLD as error:
        return fail(subject, _sentence(error, settings))
    finally:
        with contextlib.suppress(*_TOLD):
            await asyncio.wait_for(producer.stop(), _STOP_S)
    return ok(subject, "one was begun, given an offset and aborted" if in_transactions else "idempotent, at least once")


async def _abort_one(producer: AIOKafkaProducer, cluster: Cluster, settings: Settings) -> None:
    """Go through a transaction that leaves nothing; without an offset it would not even reach the broker."""
    await producer.begin_transaction()
    if settings.transactions_topic in cluster.topics:
        place = TopicPartition(settings.transactions_topic, 0)
        await producer.send_offsets_to_transaction({place: OffsetAndMetadata(0, "")}, settings.group)
    await producer.abort_transaction()


def _sentence(error: Exception, settings: Settings) -> str:
    return kafka.sentence(error, settings, settings.transactions_topic)
