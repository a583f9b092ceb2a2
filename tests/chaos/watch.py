"""How far the group has committed, looked at all the time; and how long it takes to get on after a kill."""

import asyncio
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, Self

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.kit.records import Options

_EVERY_S: Final = 0.2
_AGAIN_S: Final = 1.0
_PATIENCE_S: Final = 5.0
_BASE: Final = 0.0
"""Of a marked partition that has been looked at and has not got on since."""


class Commits:
    """When each partition was seen to get on."""

    def __init__(self, partitions: int) -> None:
        self._moved = dict.fromkeys(range(partitions), 0.0)
        self._marked: dict[int, float | None] = {}
        self.offsets: dict[int, int] = {}

    def see(self, offsets: Mapping[int, int], now_s: float) -> None:
        """Take in the committed offsets of a moment."""
        for number, offset in offsets.items():
            if offset > self.offsets.get(number, -1):
                self.offsets[number], self._moved[number] = offset, now_s
                if self._marked.get(number) == _BASE:
                    self._marked[number] = now_s
            if number in self._marked and self._marked[number] is None:  # what came before the mark is not the answer
                self._marked[number] = _BASE

    def moved_since(self, partitions: Iterable[int], when_s: float) -> bool:
        """Return whether each of some partitions has been seen to get on after a moment."""
        return all(self._moved[number] > when_s for number in partitions)

    def mark(self, partitions: Iterable[int]) -> None:
        """Look from now on when each of these partitions first gets on."""
        self._marked = dict.fromkeys(partitions)

    @property
    def marked(self) -> bool:
        """Return whether there are marked partitions: a worker that was still starting had none."""
        return bool(self._marked)

    def resumed_s(self, when_s: float) -> float | None:
        """Return how long after a moment the last of the marked partitions got on; None if one has not yet."""
        moments = [moment or 0.0 for moment in self._marked.values()]
        return max(moments) - when_s if moments and all(moments) else None


class Watch:
    """A thread that asks the broker for the group's offsets.

    Attributes:
        commits: what it has seen; moments are those of ``time.monotonic``.
    """

    def __init__(self, options: Options, group: str, topic: str, partitions: int) -> None:
        self._options, self._group = dict(options), group
        self._names = [TopicPartition(topic, number) for number in range(partitions)]
        self.commits = Commits(partitions)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._look()), name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(2 * _PATIENCE_S)

    async def _look(self) -> None:
        while not self._ending.is_set():
            client = AIOKafkaAdminClient(**self._options)
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await client.start()
                while not self._ending.is_set():
                    async with asyncio.timeout(_PATIENCE_S):
                        found = await client.list_consumer_group_offsets(self._group, partitions=self._names)
                    offsets = {name.partition: int(committed.offset) for name, committed in found.items()}
                    self.commits.see(offsets, time.monotonic())
                    await asyncio.sleep(_EVERY_S)
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    await client.close()
            if not self._ending.is_set():
                await asyncio.sleep(_AGAIN_S)
