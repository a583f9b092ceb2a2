"""Committed offsets of a group, asked for in a way that does not mistake an error for "none"."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.structs import OffsetAndMetadata

AGAIN_S: Final = 0.1
_NO_OFFSET: Final = -1
_COORDINATOR_MOVED: Final = (15, 16)


async def committed(consumer: AIOKafkaConsumer, group: str, partition: TopicPartition) -> OffsetAndMetadata | None:
    """Return what the group has committed for a partition as the broker has it now; None if nothing.

    aiokafka's own ``committed`` overlooks the error that stands at the top of the answer (the coordinator is loading
    after a restart of the broker) and takes it for "no offset": all since the beginning would be done twice.

    Args:
        consumer: a started consumer of the group.
        group: its name.
        partition: whose offset.

    Raises:
        KafkaError: the broker refuses; what passes is waited for.
    """
    coordinator = consumer._coordinator  # noqa: SLF001  (no public way sends a request to it)
    while True:
        try:
            await coordinator.ensure_coordinator_known()
            request = OffsetFetchRequest(group, [(partition.topic, [partition.partition])])
            answer = await coordinator._send_req(request)  # noqa: SLF001
            _, offset, metadata, error_code = answer.topics[0][1][0] if answer.topics else (0, _NO_OFFSET, "", 0)
            code = getattr(answer, "error_code", 0) or error_code
            if code == 0:
                return None if offset == _NO_OFFSET else OffsetAndMetadata(int(offset), metadata or "")
            if not for_code(code).retriable:
                raise for_code(code)
            if code in _COORDINATOR_MOVED:
                coordinator.coordinator_dead()
        except KafkaError as error:
            if not error.retriable:
                raise
        await asyncio.sleep(AGAIN_S)


async def committed_offset(consumer: AIOKafkaConsumer, group: str, partition: TopicPartition) -> int | None:
    """Return the group's committed offset of a partition as the broker has it now; None if there is none.

    Raises:
        KafkaError: the broker refuses; what passes is waited for.
    """
    found = await committed(consumer, group, partition)
    return None if found is None else int(found.offset)
