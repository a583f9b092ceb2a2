"""What comes on a topic, and whether the brokers still answer."""

import time
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from stream_app.commands.broker import say, translated
from stream_app.offsets import ends
from stream_app.settings import Settings

SILENT_S: Final = 10.0
"""After so long without an answer, not even an empty one, the brokers are away."""
POLL_MS: Final = 200
AT_ONCE: Final = 2000


class Listening:
    """A consumer on all partitions of a topic."""

    def __init__(self, consumer: AIOKafkaConsumer, names: list[TopicPartition], settings: Settings) -> None:
        """Take over a started consumer."""
        self._consumer, self._names, self._settings = consumer, names, settings
        self._answered_s, self._told = time.time(), False

    async def start(self, *, at_end: bool) -> None:
        """Begin with the first record, or behind the last.

        Raises:
            BrokerError: Kafka refuses.
        """
        with translated(self._settings, self._names[0].topic):
            self._consumer.assign(self._names)
            if at_end:
                for name, end in (await ends(self._consumer, self._names)).items():
                    self._consumer.seek(name, end)

    async def fetch(self) -> list[ConsumerRecord]:
        """Return what has come, of each partition in order; say so once where nothing can come.

        Raises:
            BrokerError: Kafka refuses.
        """
        with translated(self._settings, self._names[0].topic):
            fetched = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE)
        # aiokafka tries again without a word, but keeps when each partition was last answered.
        answers = [self._consumer.last_poll_timestamp(name) or 0 for name in self._names]
        self._answered_s = max(self._answered_s, max(answers) / 1000)
        away = time.time() - self._answered_s > SILENT_S
        if away and not self._told:
            say(f"waiting for Kafka at {self._settings.kafka}")
        self._told = away
        return [record for part in fetched.values() for record in part]
