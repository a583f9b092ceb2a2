"""What an operator does to a Kafka that a worker runs on; the right things and the wrong ones."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DeleteAclsRequest, DeleteGroupsRequest

from tests.kit import records
from tests.kit.access import Operation, Resource
from tests.kit.kafka import Kafka

_LITERAL: Final = 3
_DENY: Final = 2


def add_partitions(kafka: Kafka, total: int, *topics: str) -> None:
    """Give topics more partitions, so that many keys move to others."""

    async def add(client: AIOKafkaAdminClient) -> None:
        answer = await client.create_partitions({topic: NewPartitions(total) for topic in topics})
        for _, code, message in answer.topic_errors:
            _raise(code, message)

    _ask(kafka, add)


def cut_log(kafka: Kafka, topic: str, before: Mapping[int, int]) -> None:
    """Delete the records of some partitions that stand before an offset, as retention does."""
    wanted = {TopicPartition(topic, number): RecordsToDelete(offset) for number, offset in before.items()}
    _ask(kafka, lambda client: client.delete_records(wanted))


def delete_group(kafka: Kafka, group: str) -> None:
    """Delete a group, which must be empty, with all that it has committed."""

    async def delete(client: AIOKafkaAdminClient) -> None:
        # The admin client knows the request but has no method for it.
        answer = await client._send_request(DeleteGroupsRequest([group]), await client.find_coordinator(group))  # noqa: SLF001
        for _, code in answer.results:
            _raise(code, group)

    _ask(kafka, delete)


def set_offsets(kafka: Kafka, group: str, topic: str, offsets: Mapping[int, int]) -> None:
    """Commit offsets for a group, which must be empty: as ``kafka-consumer-groups.sh --reset-offsets`` does."""

    async def commit() -> None:
        async with AIOKafkaConsumer(**kafka.internal, group_id=group, enable_auto_commit=False) as consumer:
            named = {TopicPartition(topic, number): offset for number, offset in offsets.items()}
            consumer.assign(list(named))
            await consumer.commit(named)

    asyncio.run(commit())


def committed(kafka: Kafka, group: str) -> dict[int, int]:
    """Return what a group of one topic has committed, by partition."""

    async def look(client: AIOKafkaAdminClient) -> dict[int, int]:
        found = await client.list_consumer_group_offsets(group)
        return {name.partition: at.offset for name, at in found.items()}

    offsets: dict[int, int] = _ask(kafka, look)
    return offsets


def allow_again(kafka: Kafka, user: str, name: str, operation: Operation, resource: Resource = Resource.TOPIC) -> None:
    """Take back a denial."""

    async def allow(client: AIOKafkaAdminClient) -> None:
        rule = DeleteAclsRequest(resource, name, _LITERAL, f"User:{user}", "*", operation, _DENY)
        answer = await client._send_request(rule)  # noqa: SLF001  (as for groups)
        for code, message, *_ in answer.filter_responses:
            _raise(code, message)

    _ask(kafka, allow)


def _ask(kafka: Kafka, what: Callable[[AIOKafkaAdminClient], Awaitable[Any]]) -> Any:  # noqa: ANN401  (its answer)
    async def ask() -> Any:  # noqa: ANN401  (as above)
        async with records.admin(kafka.internal) as client:
            return await what(client)

    return asyncio.run(ask())


def _raise(code: int, message: str) -> None:
    if code:
        raise for_code(code)(message)
