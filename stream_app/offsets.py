"""Offsets as they are: what a group has committed, where partitions end. No broker's slip is taken for an answer."""

import asyncio
from collections.abc import Iterable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, LeaderNotAvailableError, for_code
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.structs import OffsetAndMetadata

from stream_app.together import together

AGAIN_S: Final = 0.1
ENDS_S: Final = 10.0
_READ_COMMITTED: Final = 1
_WAIT_MS: Final = 20
"""A broker with nothing to wait for answers at once; there are some that do not even look where they may not wait."""
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


async def ends(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset behind the last committed record of each partition.

    There are brokers (Tansu 0.6) that answer this very question (ListOffsets) with an offset within the last batch, and
    tell the end only beside what is fetched; so both are asked for.

    Args:
        consumer: started.
        partitions: of topics that it has been assigned or asked about.

    Raises:
        KafkaError: a broker refuses.
        TimeoutError: there is no answer for ``ENDS_S``.
    """
    told: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
    async with asyncio.timeout(ENDS_S):
        found = await together(_end(consumer, name, offset) for name, offset in told.items())
    return dict(zip(told, map(max, told.values(), found), strict=True))


async def _end(consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> int:
    """Return the end of a partition as a fetch from an offset tells it, which gets as little else as possible.

    What passes is waited for.
    """
    client = consumer._client  # noqa: SLF001  (no public way sends a request)
    request = FetchRequest(_WAIT_MS, 0, 1, _READ_COMMITTED, [(partition.topic, [(partition.partition, offset, 1)])])
    while True:
        try:
            leader = client.cluster.leader_for_partition(partition)
            if leader in {None, -1}:
                raise LeaderNotAvailableError
            answer = await client.send(leader, request)
            if answer.topics:  # not where a broker had no time to look
                _, code, _, end, *_ = answer.topics[0][1][0]
                if code == 0:
                    return int(end)
                raise for_code(code)(partition.topic)
        except KafkaError as error:
            if not error.retriable:
                raise
            if error.invalid_metadata:
                await client.force_metadata_update()
        await asyncio.sleep(AGAIN_S)
