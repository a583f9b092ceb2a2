"""What a worker has put out, against what a replay of the same log gives: every message to the last byte, every row.

``replayed`` computes what must be there; ``found`` reads what is; ``differences`` tells in words where they differ.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.messages import SLICES
from stream_app import offsets
from stream_app.offline.log import LOG_COLUMNS, CapturedLog, Log
from stream_app.offline.replay import emissions
from stream_app.scorer import Scorer
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from stream_app.store.connect import connect
from tests.kit.records import Record, read

Options = Mapping[str, Any]
Rows = dict[tuple[int, bytes], bytes]
"""Rows that are not empty, by partition and customer."""
Letter = tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]
MOST_TOLD = 5


@dataclass
class Evidence:
    """Messages by what tells them apart, and rows.

    Attributes:
        scores: by partition and score_id.
        alerts: by partition and alert_id.
        letters: dead letters by partition and offset of their record.
        rows: at the end of the log.
        repeated: messages that were there more than once, by topic; byte for byte the same ones.
        contradicted: messages with the id of another one and other bytes.
    """

    scores: dict[tuple[int, str], bytes] = field(default_factory=dict)
    alerts: dict[tuple[int, str], bytes] = field(default_factory=dict)
    letters: dict[tuple[int, int], Letter] = field(default_factory=dict)
    rows: Rows = field(default_factory=dict)
    repeated: Counter[str] = field(default_factory=Counter)
    contradicted: list[str] = field(default_factory=list)


def captured(records: Iterable[Record], topic: str) -> CapturedLog:
    """Return records of a topic as a captured log."""
    columns: dict[str, list[Any]] = {name: [] for name in LOG_COLUMNS}
    for record in records:
        row = (topic, record.partition, record.offset, record.timestamp_ms, record.key, record.value)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    table = pa.table(columns, schema=pa.schema(list(LOG_COLUMNS.items())))
    return CapturedLog(table.sort_by([("partition", "ascending"), ("offset", "ascending")]))


def replayed(log: Log, shelf: Shelf) -> Evidence:
    """Return what a log must give."""
    told, scorers = Evidence(), dict[int, Scorer]()
    for chunk, emission, scorer in emissions(log, shelf):
        number = chunk.partition
        for part in emission.scores:
            for first, end in pairwise(part.starts.tolist()):
                message = part.messages[first:end].tobytes()
                told.scores[number, codec.facts(message)["score_id"]] = message
        for alert in emission.alerts:
            told.alerts[number, alert.alert_id] = codec.encode(alert)
        for letter in emission.dead_letters:
            offset = int(dict(letter.headers)["offset"])
            told.letters[number, offset] = (letter.key, letter.value, letter.headers)
        scorers[number] = scorer
    for number, scorer in scorers.items():
        told.rows |= _rows(number, scorer.residents.customers, scorer.residents.matrix)
    return told


async def found(options: Options, settings: Settings, layout: tuple[str, int], partitions: int) -> Evidence:
    """Return what is in the output topics and in the store.

    Args:
        options: of Kafka clients.
        settings: of the worker.
        layout: hash of the state layout, and the row width.
        partitions: of the input topic.
    """
    seen = Evidence()
    for topic, kept, name in (
        (settings.scores_topic, seen.scores, "score_id"),
        (settings.alerts_topic, seen.alerts, "alert_id"),
    ):
        for record in await read(options, topic):
            message = record.value or b""
            _keep(seen, kept, (record.partition, str(codec.facts(message)[name])), message)
    for record in await read(options, settings.dlq_topic):
        offset = int(dict(record.headers)["offset"])
        _keep(seen, seen.letters, (record.partition, offset), (record.key, record.value, record.headers))
    stores = connect(settings)
    try:
        for number in range(partitions):
            store = stores.open(settings.transactions_topic, number, *layout)
            for part in range(SLICES):
                _, names = await store.customers(part)
                if names:
                    _, rows = await store.read(names)
                    seen.rows |= _rows(number, names, rows)
    finally:
        await stores.close()
    return seen


def differences(expected: Evidence, seen: Evidence, *, repeats: Iterable[str] = ("alerts",)) -> list[str]:
    """Return what is wrong with what was seen; nothing if all is as it must be.

    Args:
        expected: of the replay.
        seen: of the worker.
        repeats: where a message may be there twice (byte for byte the same).
    """
    told = list(seen.contradicted)
    told += [f"{count} repeated {kind}" for kind, count in seen.repeated.items() if kind not in repeats]
    for kind in ("scores", "alerts", "letters", "rows"):
        told += _differ(kind, getattr(expected, kind), getattr(seen, kind))
    return told


def _differ(kind: str, expected: dict[Any, Any], seen: dict[Any, Any]) -> list[str]:
    told = []
    for word, keys in (
        ("missing", expected.keys() - seen.keys()),
        ("unexpected", seen.keys() - expected.keys()),
        ("different", {key for key in expected.keys() & seen.keys() if expected[key] != seen[key]}),
    ):
        if keys:
            told.append(f"{len(keys)} {kind} {word}, such as {sorted(keys)[:MOST_TOLD]}")
    return told


def _keep(seen: Evidence, kept: dict[Any, Any], key: Any, message: Any) -> None:  # noqa: ANN401  (of three kinds)
    kind = next(name for name in ("scores", "alerts", "letters") if getattr(seen, name) is kept)
    if key in kept:
        seen.repeated[kind] += 1
        if kept[key] != message:
            seen.contradicted.append(f"{kind} {key} there twice with different bytes")
    kept[key] = message


def _rows(number: int, customers: list[bytes], matrix: "np.ndarray[Any, np.dtype[np.float32]]") -> Rows:
    return {
        (number, name): row.tobytes()
        for name, row in zip(customers, matrix[: len(customers)], strict=True)
        if row.any()
    }


async def caught_up(options: Options, settings: Settings) -> bool:
    """Return whether the group has committed every partition of the input up to its end."""
    consumer = AIOKafkaConsumer(**options, isolation_level="read_committed")
    client = AIOKafkaAdminClient(**options)
    try:
        await consumer.start()
        await client.start()
        (topic,) = await client.describe_topics([settings.transactions_topic])
        names = [TopicPartition(settings.transactions_topic, part["partition"]) for part in topic["partitions"]]
        ends = await offsets.ends(consumer, names)
        committed = await client.list_consumer_group_offsets(settings.group, partitions=names)
    except (KafkaError, OSError):  # a broker that is restarting
        return False
    else:
        return all(name in committed and committed[name].offset == end for name, end in ends.items())
    finally:
        await client.close()
        await consumer.stop()
