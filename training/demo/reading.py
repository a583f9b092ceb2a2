"""What the worker writes, read back from its topics as it comes."""

import asyncio
import contextlib
from array import array
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.messages import Alert, Score
from stream_app import kafka
from stream_app.commands.broker import PATIENCE_S, opened, translated
from stream_app.settings import Settings
from stream_app.steps.encode import DeadLetter
from training.arrays import Floats
from training.demo.state import State

POLL_MS: Final = 50
AT_ONCE: Final = 4_000
_score: Final = msgspec.json.Decoder(Score)
_alert: Final = msgspec.json.Decoder(Alert)


class Reading:
    """Reads scores, alerts and dead letters, tells a state of them, and keeps them all: scores in files.

    Attributes:
        scores: how many have come.
        heard_s: when anything came last.
        alerts: their messages.
        letters: the dead ones.
        left_s: when each record of each partition was handed to the producer, by offset; for the latencies.
        timed: from when to when a record must have left for its latency to count.
    """

    def __init__(self, consumer: AIOKafkaConsumer, settings: Settings, folder: Path, state: State) -> None:
        """Take over a started consumer; ``folder`` will hold a file of scores for each partition."""
        self.scores, self.heard_s = 0, 0.0
        self.alerts: list[bytes] = []
        self.letters: list[DeadLetter] = []
        self.left_s: Sequence[array[float]] = ()
        self.timed: tuple[float, float] | None = None
        self._consumer, self._settings, self._folder, self._state = consumer, settings, folder, state
        self._watched = {actor.role.customer.encode() for actor in state.actors}

    @property
    def done(self) -> int:
        """Return how many messages of all kinds have come."""
        return self.scores + len(self.alerts) + len(self.letters)

    async def run(self, partitions: int) -> None:
        """Read until cancelled.

        Raises:
            BrokerError: the broker is away or refuses.
        """
        settings, loop = self._settings, asyncio.get_running_loop()
        topics = (settings.scores_topic, settings.alerts_topic, settings.dlq_topic)
        self._consumer.assign([TopicPartition(topic, number) for topic in topics for number in range(partitions)])
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(scores_file(self._folder, number).open("wb")) for number in range(partitions)]
            while True:
                with translated(settings, settings.scores_topic):
                    fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
                self.heard_s = loop.time() if fetched else self.heard_s
                for name, records in fetched.items():
                    if name.topic == settings.scores_topic:
                        files[name.partition].writelines(record.value + b"\n" for record in records)
                        self._take_scores(name, records, loop.time())
                    elif name.topic == settings.alerts_topic:
                        self._take_alerts(records)
                    else:
                        self._take_letters(records)
                for file in files if fetched else ():
                    file.flush()

    def _take_scores(self, name: TopicPartition, records: list[ConsumerRecord], now_s: float) -> None:
        self.scores += len(records)
        latencies = self._latencies_ms(name.partition, records, now_s) if self.timed else np.empty(0)
        self._state.read(now_s, len(records), latencies)
        for record in records:
            if record.key in self._watched:
                self._state.score(_score.decode(record.value))

    def _latencies_ms(self, partition: int, records: list[ConsumerRecord], now_s: float) -> Floats:
        """Return how long the records of some scores took, from the producer's hand to here, float64 [<= n]."""
        first_s, last_s = self.timed or (0.0, 0.0)
        start = len(f'{{"score_id":"{self._settings.transactions_topic}-{partition}-')
        offsets = [int(value[start : value.index(b'"', start)]) for value in map(_value, records)]
        left_s = self.left_s[partition]
        # A broker that got a batch twice has more records than have left.
        left = np.array([left_s[offset] for offset in offsets if offset < len(left_s)])
        return (now_s - left[(left >= first_s) & (left <= last_s)]) * 1000

    def _take_alerts(self, records: list[ConsumerRecord]) -> None:
        for record in records:
            self.alerts.append(record.value)
            self._state.alert(_alert.decode(record.value))

    def _take_letters(self, records: list[ConsumerRecord]) -> None:
        for record in records:
            headers = tuple(record.headers)
            self.letters.append(DeadLetter(record.key, record.value, headers))
            self._state.refuse(dict(headers).get("reason", b"").decode())


@contextlib.asynccontextmanager
async def reading(settings: Settings, folder: Path, state: State) -> AsyncIterator[Reading]:
    """Yield a reading of the worker's topics, which begins with the first message.

    Raises:
        BrokerError: the broker is away or refuses.
    """
    async with opened(lambda: kafka.reader(settings), settings, PATIENCE_S) as consumer:
        yield Reading(consumer, settings, folder, state)


def scores_file(folder: Path, partition: int) -> Path:
    """Return the file that holds the scores of a partition, one message a line."""
    return folder / f"scores-{partition}.ndjson"


def _value(record: ConsumerRecord) -> bytes:
    value: bytes = record.value
    return value
