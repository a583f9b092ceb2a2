"""What a worker needs of the brokers: the input topic, outputs with as many partitions, transactions."""

import logging
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from stream_app import abilities, kafka
from stream_app.engine.errors import RefusedError
from stream_app.settings import Settings, variable

_log: Final = logging.getLogger(__name__)


async def prepare(settings: Settings) -> None:
    """Make the output topics that are not there, as often copied as the input.

    Raises:
        KafkaError: the broker is away, or refuses.
        RefusedError: the input topic is not there, an output topic has another number of partitions, or the brokers
            have no transactions and the delivery needs them.
    """
    if settings.delivery == "exactly_once" and not await abilities.can_number(settings):
        raise RefusedError(abilities.no_transactions(settings))
    source, outputs = settings.transactions_topic, (settings.scores_topic, settings.alerts_topic, settings.dlq_topic)
    client = kafka.admin(settings)
    try:
        await client.start()
        found = await _found(client, [source, *outputs])
        if source not in found:
            message = (
                f"Expected the topic {source} at {settings.kafka}, found it not there; make it (`foretell publish "
                f"--create PARTITIONS` does) or correct {variable('transactions_topic')}."
            )
            raise RefusedError(message)
        wanted = len(found[source])
        for name in outputs:
            if len(found.get(name, found[source])) != wanted:
                message = (
                    f"Expected {wanted} partitions of {name}, as {source} has, found {len(found[name])}; make that "
                    "topic anew or name another one. If partitions were added to the input, customers have moved: "
                    f"start with another {variable('group')} and other output topics."
                )
                raise RefusedError(message)
        copies = len(found[source][0]["replicas"])
        await _make(client, [NewTopic(name, wanted, copies) for name in outputs if name not in found])
    finally:
        await client.close()


async def _found(client: AIOKafkaAdminClient, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the partitions of the topics that are there, by name.

    Raises:
        KafkaError: this user must not know of one of them, or no topic can have its name.
    """
    # Asking by `describe_topics` would make a broker create a topic that is not there, where it may.
    answer = await client._send_request(MetadataRequest(names, allow_auto_topic_creation=False))  # noqa: SLF001
    found = {}
    for topic in answer.to_object()["topics"]:
        error = for_code(topic["error_code"])
        if topic["partitions"]:
            found[topic["topic"]] = topic["partitions"]
        elif error is not UnknownTopicOrPartitionError:
            raise error(topic["topic"])
    return found


async def _make(client: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    if not topics:
        return
    answer = await client.create_topics(topics)
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(name)
        _log.info("made a topic", extra={"topic": name, "partitions": topics[0].num_partitions})
