"""Where records come from: one consumer of Kafka, which a worker's source service owns."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.structs import OffsetAndMetadata

from stream_app import kafka, offsets
from stream_app.engine.ports import Fetched
from stream_app.fetch import in_chunks
from stream_app.settings import Settings
from stream_app.steps.stages import Chunk

_log: Final = logging.getLogger(__name__)
POLL_MS: Final = 20
"""No longer, because a partition that gets room meanwhile would wait as long."""
REBALANCE_S: Final = 2.0
STOP_S: Final = 1.5
_NOT_SOUGHT: Final = -1

Assign = Callable[[set[TopicPartition]], Awaitable[None]]
Revoke = Callable[[], Awaitable[None]]


class KafkaSource:
    """The input topic, as ``stream_app.engine.ports.Source``."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._generation: dict[TopicPartition, int] = {}
        self._position: dict[TopicPartition, int] = {}

    async def start(self, assign: Assign, revoke: Revoke) -> None:
        """Join the group.

        Raises:
            KafkaError: the broker is away or refuses.
        """
        consumer = kafka.input_consumer(self._settings)
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        in_chunks(consumer)
        self._consumer = consumer
        consumer.subscribe([self._settings.transactions_topic], listener=_Listener(assign, revoke))

    async def stop(self) -> None:
        """Leave the group."""
        if self._consumer is not None:
            await asyncio.wait_for(self._consumer.stop(), STOP_S)

    @property
    def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            message = "the source has not been started"
            raise RuntimeError(message)
        return self._consumer

    def partitions(self) -> int:
        """Return how many partitions the input topic has."""
        return len(self._joined.partitions_for_topic(self._settings.transactions_topic) or ())

    async def fetch(self, wanted: list[TopicPartition]) -> list[Fetched]:
        """Return what has arrived on some partitions, one chunk each.

        Raises:
            OffsetOutOfRangeError: the log no longer has what comes next; its first argument maps partitions to offsets.
            KafkaError: nothing can be fetched.
        """
        self._join_anew_if_broken()
        try:
            async with asyncio.timeout(REBALANCE_S):  # it waits for the end of a rebalance, however long
                chunks = await self._joined.getmany(*wanted, timeout_ms=POLL_MS)
        except TimeoutError:  # nothing was taken out: aiokafka waits only before it does
            return []
        except Exception:  # what it had taken out for other partitions before one failed is lost to us
            for name in self._joined.assignment() & self._position.keys() & set(wanted):
                self._joined.seek(name, self._position[name])
            raise
        return [self._fetched(name, chunk) for name, (chunk,) in chunks.items()]

    def check(self) -> None:
        """Raise what keeps the consumer from taking part in the group; it says so to nobody who does not fetch.

        Raises:
            KafkaError: such as a group that this user may not use.
        """
        self._join_anew_if_broken()
        self._joined._coordinator.check_errors()  # noqa: SLF001  (`getmany` does it, and nothing else that is public)

    async def committed(self, partition: TopicPartition) -> OffsetAndMetadata | None:
        """Return the group's committed offset as the broker has it now; None if there is none."""
        return await offsets.committed(self._joined, self._settings.group, partition)

    async def bounds(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the offsets of the first record that the log still has and behind the last."""
        first = await self._joined.beginning_offsets([partition])
        end = await offsets.ends(self._joined, [partition])
        return int(first[partition]), end[partition]

    def lag(self) -> dict[TopicPartition, int]:
        """Return how many records each assigned partition is behind what the broker last told."""
        if self._consumer is None:
            return {}
        subscription = self._consumer._subscription.subscription  # noqa: SLF001  (its position is past aborted records)
        states = {name: subscription.assignment.state_value(name) for name in self._consumer.assignment()}
        return {
            name: max(state.lso - state.position, 0)
            for name, state in states.items()
            if state.lso is not None and state.has_valid_position
        }

    def silent_s(self, partition: TopicPartition) -> float:
        """Return for how many seconds no fetch of a partition has been answered; 0 before the first."""
        if self._consumer is None or partition not in self._consumer.assignment():
            return 0.0
        answered_ms = self._consumer.last_poll_timestamp(partition)
        return 0.0 if not answered_ms else max(time.time() - answered_ms / 1000, 0.0)

    def seek(self, partition: TopicPartition, offset: int, generation: int) -> None:
        """Fetch from ``offset`` on, stamping chunks with ``generation``."""
        self._joined.seek(partition, offset)
        self._position[partition], self._generation[partition] = offset, generation

    def delivered(self, partition: TopicPartition) -> int | None:
        """Return the position behind the last chunk that was handed over."""
        return self._position.get(partition)

    async def commit(self, partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        """Commit an offset outside a transaction."""
        await self._joined.commit({partition: offset})

    def _join_anew_if_broken(self) -> None:
        """Join the group anew where a task of its coordinator has failed: aiokafka starts no other by itself."""
        coordinator = self._joined._coordinator  # noqa: SLF001  (no public way tells or mends it)
        tasks = (coordinator._heartbeat_task, coordinator._commit_refresh_task)  # noqa: SLF001
        if any(task and task.done() and not task.cancelled() and task.exception() for task in tasks):
            coordinator.request_rejoin()

    def _fetched(self, name: TopicPartition, chunk: Chunk) -> Fetched:
        start = self._position.get(name, _NOT_SOUGHT)
        subscription = self._joined._subscription.subscription  # noqa: SLF001  (`position()` lets a seek come between)
        end = subscription.assignment.state_value(name).position
        self._position[name] = end
        return Fetched(name, self._generation.get(name, _NOT_SOUGHT), start, end, chunk)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Tells the engine what it owns. It opens partitions in tasks of their own: there is no heartbeat in here."""

    def __init__(self, assign: Assign, revoke: Revoke) -> None:
        self._assign, self._revoke = assign, revoke

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  (all of them)
        """Finish before another worker begins."""
        await self._revoke()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin."""
        await self._assign(assigned)
