"""The end of a campaign: the log is captured, replayed, and compared with what workers have put out."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiokafka import ConsumerRecord

from schemas.messages import SLICES
from stream_app import settings
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from stream_app.store.connect import connect
from tests.chaos import checker, truth
from tests.chaos.checker import ALERTS, LETTERS, ROWS, SCORES, Found, Item
from tests.chaos.loader import ACKNOWLEDGED
from tests.chaos.scene import Scene
from tests.chaos.verdict import Checked
from tests.kit.records import Options

_AS_ITEM: Final[dict[str, Callable[[ConsumerRecord], Item]]] = {
    SCORES: lambda record: checker.score_item(record.key, record.value),
    ALERTS: lambda record: checker.alert_item(record.key, record.value),
    LETTERS: lambda record: checker.letter_item(record.key, record.value, record.headers),
}


def inspect(scene: Scene, *, poisoned: bool) -> Checked:
    """Return how what is there differs from what must be there."""
    begun, log = time.monotonic(), scene.options.out / "log.parquet"
    options, topic, partitions = scene.kafka.internal, scene.topics.transactions, scene.options.partitions
    scene.tally.tell("captures the log")
    asyncio.run(truth.capture(options, topic, partitions, log))
    checked = Checked(kinds={kind: Found() for kind in checker.KINDS})
    told = truth.read_acknowledged(scene.options.out / "load" / ACKNOWLEDGED)
    used = settings.load({}, scene.topics.environment | {"FORETELL_REDIS": scene.redis.primary.url})
    for number in range(partitions):
        scene.tally.tell(f"compares partition {number} with a replay of it")
        table = truth.read_captured(log, number)
        mine = [item for item in told if item.partition == number]
        offsets = table.column("offset").to_pylist()
        checked.misplaced += truth.misplaced(truth.numbers_of(table), offsets, mine)
        checked.records += table.num_rows
        checked.acknowledged += sum(item.records for item in mine)
        shelf = Shelf(scene.bundle)
        expected = checker.replayed(table, shelf, poisoned=poisoned)
        seen = asyncio.run(_seen(options, used, shelf, number))
        for kind, items in seen.items():
            checked.kinds[kind] += checker.compare(expected.kinds[kind], items)
    checked.seconds = time.monotonic() - begun
    return checked


async def _seen(options: Options, used: Settings, shelf: Shelf, number: int) -> dict[str, list[Item]]:
    """Return what is in a partition of the output topics, and its rows in the store."""
    found: dict[str, list[Item]] = {}
    for kind, topic in ((SCORES, used.scores_topic), (ALERTS, used.alerts_topic), (LETTERS, used.dlq_topic)):
        found[kind] = []
        async for part in truth.read_partition(options, topic, number):
            found[kind] += map(_AS_ITEM[kind], part)
    found[ROWS] = await _rows(used, shelf, number)
    return found


async def _rows(used: Settings, shelf: Shelf, number: int) -> list[Item]:
    layout, found, stores = shelf.first.rolling.layout, list[Item](), connect(used)
    try:
        store = stores.open(used.transactions_topic, number, layout.hash, layout.row_width)
        for part in range(SLICES):
            _, customers = await store.customers(part)
            if customers:
                _, rows = await store.read(customers)
                found += [checker.row_item(name, row) for name, row in zip(customers, rows, strict=True) if row.any()]
    finally:
        await stores.close()
    return found


def free(out: Path) -> bool:
    """Return whether a folder is empty or not there."""
    return not out.exists() or not any(out.iterdir())
