"""A log in which good records of some customers stand between mutated records of others."""

import random
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

import numpy as np

from schemas import codec
from schemas.accepted import NO_RECORD_TIME
from schemas.messages import Activate
from stream_app.steps.stages import Chunk
from tests.chunks import NOON, as_value, customer, transaction
from tests.fuzz.mutations import mutated
from tests.kit import every_kind

GOOD: Final = b"good-"
"""What the names of customers begin with whose records are all good."""
_GOOD_SHARE: Final = 0.25
_REPEATED_SHARE: Final = 0.02
_SOUND_SHARE: Final = 0.1
_LONGEST_STEP_MS: Final = 40_000
_DAY_MS: Final = 86_400_000


class Entry(NamedTuple):
    """A record: its key, its value, and its time in Kafka."""

    key: bytes | None
    value: bytes | None
    time_ms: int = NO_RECORD_TIME

    @property
    def good(self) -> bool:
        """Return whether it must be accepted."""
        return self.key is not None and self.key.startswith(GOOD)


def entries(seed: int, count: int, bundles: Collection[str], customers: int = 800) -> Iterator[Entry]:
    """Yield records of which three in four are mutated ones.

    A record that activates a bundle that nobody has stops a partition until the operator has acted, as it must; none is
    among them.

    Args:
        seed: the same one gives the same records.
        count: how many.
        bundles: sha256 of those that may be activated.
        customers: good ones, and as many others.
    """
    rng, time = random.Random(seed), NOON  # noqa: S311  (not for secrets)
    known, last = sorted(bundles), Entry(b"c", None)
    for number in range(count):
        time += rng.randrange(_LONGEST_STEP_MS)
        who, chance = rng.randrange(customers), rng.random()
        if chance < _GOOD_SHARE:
            yield _good(rng, number, who, time)
        elif chance > 1 - _REPEATED_SHARE:
            yield last
        else:
            last = _other(rng, number, who, time, known)
            while _stops(last.value, known):
                last = _other(rng, number, who, time, known)
            yield last


def chunks(found: Iterator[Entry], seed: int) -> Iterator[Chunk]:
    """Yield records as chunks of a partition, of any size."""
    rng, offset = random.Random(seed), 0  # noqa: S311  (as above)
    while True:
        size = rng.choice((1, 10, 300, 2_000))
        part = [entry for _, entry in zip(range(size), found, strict=False)]
        if not part:
            return
        yield chunk_of(part, offset)
        offset += len(part)


def chunk_of(part: list[Entry], first: int = 0) -> Chunk:
    """Return records as one chunk."""
    keys, values, times = (list(column) for column in zip(*part, strict=True))
    return Chunk.of(("transactions", 0), np.arange(first, first + len(part)), (keys, values), np.array(times, np.int64))


def _good(rng: random.Random, number: int, who: int, time: int) -> Entry:
    name = f"{GOOD.decode()}{who}"
    at = {"customer_id": name, "time": time - rng.choice((0, 0, 0, _DAY_MS))}
    if rng.random() < 0.05:
        record = customer(**at, age=rng.randrange(18, 99), has_loan=rng.choice(("yes", "no")))
    else:
        kind = rng.choice(("salary", "groceries", "fee", "payment", "unheard"))
        record = transaction(**at, transaction_id=f"t-{number}", amount=round(rng.gauss(0, 500), 2), type=kind)
    return Entry(name.encode(), as_value(record), rng.choice((NO_RECORD_TIME, time)))


def _other(rng: random.Random, number: int, who: int, time: int, bundles: list[str]) -> Entry:
    name = f"c-{who}"
    record = every_kind.record(rng, number, name, time)
    if bundles and rng.random() < 0.005:
        record = {"kind": "activate", "bundle": rng.choice(bundles)}
    at = rng.choice((NO_RECORD_TIME, time, time - 2 * _DAY_MS))
    if rng.random() < _SOUND_SHARE:
        return Entry(name.encode(), as_value(record), at)
    return Entry(*mutated(rng, name.encode(), record), at)


def _stops(value: bytes | None, bundles: list[str]) -> bool:
    if value is None or (b"activate" not in value and b"\\u" not in value):
        return False
    message = codec.decode(value)
    return isinstance(message, Activate) and message.bundle not in bundles
