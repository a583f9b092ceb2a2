"""What the source does where aiokafka fails it."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition, codec
from aiokafka.errors import CorruptRecordException, GroupAuthorizationFailedError

from stream_app import settings
from stream_app.source import KafkaSource

FIRST, SECOND, OTHER = (TopicPartition("transactions", number) for number in range(3))


class Coordinator:
    """The coordinator's two tasks, and whether it was asked to join anew."""

    def __init__(self, heartbeat: "asyncio.Task[None] | None" = None) -> None:
        self._heartbeat_task, self._commit_refresh_task = heartbeat, None
        self.rejoins = 0

    def request_rejoin(self) -> None:
        self.rejoins += 1

    def check_errors(self) -> None:
        """Find none."""


class Consumer:
    """A consumer of three partitions whose fetches fail, after it has moved on in the first."""

    def __init__(self, coordinator: Coordinator, fails: Callable[[], None]) -> None:
        self._coordinator, self._fails = coordinator, fails
        self.positions: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return {FIRST, SECOND, OTHER}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    async def getmany(self, *_: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[object]]:
        assert timeout_ms > 0
        self.positions[FIRST] = 500
        self._fails()
        return {}


def source_of(consumer: Consumer) -> KafkaSource:
    source = KafkaSource(settings.load({}, {}))
    source._consumer = consumer  # noqa: SLF001  (in place of a broker)
    for partition in (FIRST, SECOND, OTHER):
        source.seek(partition, 100, generation=1)
    return source


def corrupt() -> None:
    raise CorruptRecordException


def test_records_that_were_taken_out_when_another_partition_failed_are_fetched_again() -> None:
    consumer = Consumer(Coordinator(), corrupt)
    source = source_of(consumer)
    with pytest.raises(CorruptRecordException):
        asyncio.run(source.fetch([FIRST, SECOND]))
    assert consumer.positions == {FIRST: 100, SECOND: 100, OTHER: 100}
    assert source.delivered(FIRST) == 100


def test_where_nothing_fails_nothing_is_fetched_again() -> None:
    consumer = Consumer(Coordinator(), lambda: None)
    assert asyncio.run(source_of(consumer).fetch([FIRST])) == []
    assert consumer.positions[FIRST] == 500


@pytest.mark.parametrize(("error", "rejoins"), [(GroupAuthorizationFailedError(), 1), (None, 0)])
def test_the_group_is_joined_anew_where_a_task_of_its_coordinator_has_failed(
    error: Exception | None, rejoins: int
) -> None:
    async def beat() -> None:
        if error is not None:
            raise error

    async def check() -> int:
        task = asyncio.create_task(beat())
        await asyncio.wait([task])
        coordinator = Coordinator(task)
        source_of(Consumer(coordinator, lambda: None)).check()
        return coordinator.rejoins

    assert asyncio.run(check()) == rejoins


def test_what_other_producers_compress_can_be_read() -> None:
    assert [codec.has_gzip(), codec.has_lz4(), codec.has_snappy(), codec.has_zstd()] == [True] * 4
