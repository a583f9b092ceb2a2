"""The records of a campaign: of every kind, without end, each customer's in the order of time."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Final

from stream_app.offline.log import partition_of
from tests.chunks import NOON, as_value
from tests.kit import every_kind
from tests.kit.poisoned import POISON
from tests.kit.records import Message

_STEP_MS: Final = 40_000
_LARGE_BYTES: Final = 65_536
_LARGE_KEPT: Final = 0.1
_SHORT_BYTES: Final = 200


class Stream:
    """Records from a seed."""

    def __init__(self, seed: int, customers: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311  (not for secrets)
        self._customers, self._time = customers, NOON
        self._numbers = count()

    def take(self, records: int) -> Iterator[Message]:
        """Yield the next records: nine in ten are transactions that pass, the others of every other kind."""
        for _ in range(records):
            name, number = self._next()
            record = every_kind.record(self._rng, number, name, self._time)
            value = as_value(record)
            if value and len(value) > _LARGE_BYTES and self._rng.random() > _LARGE_KEPT:
                value = value[:_SHORT_BYTES]  # one in a thousand that large would be most of the log's bytes
            yield name.encode(), value

    def storm(self, records: int) -> Iterator[Message]:
        """Yield customer records: what an import of all customers looks like."""
        for _ in range(records):
            name, number = self._next()
            yield (
                name.encode(),
                as_value({"kind": "customer", "customer_id": name, "time": self._time, "age": 18 + number % 80}),
            )

    def poison(self, records: int) -> Iterator[Message]:
        """Yield transactions that make a step fail, where workers run as ``tests.kit.poisoned``."""
        for _ in range(records):
            _, number = self._next()
            plain = {"transaction_id": f"p-{number}", "customer_id": POISON.decode(), "time": self._time}
            yield POISON, as_value(plain | {"amount": 1.0, "type": "other"})

    def _next(self) -> tuple[str, int]:
        self._time += self._rng.randrange(_STEP_MS)
        return f"c-{self._rng.randrange(self._customers)}", next(self._numbers)


@cache
def place(key: bytes, partitions: int) -> int:
    """Return the partition of a key; remembered, because the hash is slow."""
    return partition_of(key, partitions)
