"""Which customers an audit looks at: by chance, but the same for the same seed and the same system.

One half is drawn from the rows, which finds rows that should not be there or have changed; the other from places in the
log, which finds rows that are missing.
"""

import random
from collections import defaultdict
from typing import Final

from aiokafka import TopicPartition

from schemas.messages import SLICES
from stream_app.commands.auditing import Live
from stream_app.commands.broker import translated
from stream_app.commands.group import reach

_MORE: Final = 4
"""Times as many names are looked at as are drawn, so that a slice does not decide."""
_LOOKED_AT: Final = 500
"""Records from a place in the log on."""
_WAIT_MS: Final = 2_000


async def sample(live: Live, count: int, seed: int) -> dict[int, list[bytes]]:
    """Return customers by partition.

    Raises:
        ForetellError: Kafka or the store does not answer, or refuses.
    """
    chance = random.Random(seed)  # noqa: S311  (no secret)
    logged = _drawn(await _of_log(live, chance, count), chance, count // 2)
    kept = [each for each in await _of_rows(live, chance, _MORE * count) if each not in set(logged)]
    found = defaultdict[int, list[bytes]](list)
    for number, customer in [*logged, *_drawn(kept, chance, count - len(logged))]:
        found[number].append(customer)
    return dict(sorted(found.items()))


def _drawn(found: list[tuple[int, bytes]], chance: random.Random, count: int) -> list[tuple[int, bytes]]:
    known = sorted(set(found))
    return chance.sample(known, min(count, len(known)))


async def _of_rows(live: Live, chance: random.Random, enough: int) -> list[tuple[int, bytes]]:
    """Return customers of whole slices, of any partition, until there are enough."""
    topic, layout = live.settings.transactions_topic, live.shelf.first.rolling.layout
    stores = [live.stores.open(topic, number, layout.hash, layout.row_width) for number in range(live.partitions)]
    places = [(number, part) for number in range(live.partitions) for part in range(SLICES)]
    found = list[tuple[int, bytes]]()
    for number, part in chance.sample(places, len(places)):
        found += [(number, name) for name in (await stores[number].customers(part))[1]]
        if len(found) >= enough:
            break
    return found


async def _of_log(live: Live, chance: random.Random, enough: int) -> list[tuple[int, bytes]]:
    """Return the keys of records at one place of each partition, up to what is committed."""
    found = list[tuple[int, bytes]]()
    for number in range(live.partitions):
        name = TopicPartition(live.settings.transactions_topic, number)
        log = await reach(live.consumer, live.settings, name)
        if (log.committed or 0) <= log.first:
            continue
        with translated(live.settings, name.topic):
            live.consumer.seek(name, chance.randrange(log.first, log.committed or 0))
            fetched = await live.consumer.getmany(name, timeout_ms=_WAIT_MS, max_records=max(_LOOKED_AT, enough))
        records = [record for part in fetched.values() for record in part if record.offset < (log.committed or 0)]
        found += [(number, record.key) for record in records if record.key and record.value is not None]
    return found
