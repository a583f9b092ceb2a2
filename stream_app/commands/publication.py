"""One log on its way into the transactions topic."""

import argparse
import asyncio
import contextlib
from collections import defaultdict
from functools import lru_cache, partial
from typing import Final

from aiokafka.errors import KafkaError

from stream_app import abilities, kafka
from stream_app.commands.broker import (
    FOR_EVER,
    BrokerError,
    find_topic,
    make_topic,
    opened,
    partitions_of,
    say,
    translated,
)
from stream_app.commands.outgoing import Message, Outgoing
from stream_app.commands.pace import AsTheyHappened, AtOnce, Evenly, Pace
from stream_app.offline.log import Log, partition_of
from stream_app.offline.shipment import Part, captured_partitions, clipped, parts
from stream_app.settings import Settings

TICK_S: Final = 0.02
"""Records that fall due within it leave together: brokers prefer fewer batches to many small ones."""
LAST_ANSWERS_S: Final = 2.0
_KEYS_KNOWN: Final = 1 << 20


class Placement:
    """Chooses the partition of each record."""

    def __init__(self, partitions: int, captured: int = 0) -> None:
        """Place records over ``partitions``; ``captured`` is how many they were captured from, 0 for a folder's."""
        self._partitions = partitions
        self._kept = captured == partitions
        # The hash is plain Python, and customers return.
        self._by_key = lru_cache(_KEYS_KNOWN)(partial(partition_of, partitions=partitions))

    def of(self, part: Part) -> list[int]:
        """Return the partition of each record: its former one where there are as many, else by its key."""
        origin: list[int] = part.origin.tolist()
        if self._kept:
            return origin
        return [
            former % self._partitions if key is None and former >= 0 else self._by_key(key or b"")
            for key, former in zip(part.keys, origin, strict=True)
        ]


class Publication:
    """Publishes a log as the operator asked for it."""

    def __init__(self, settings: Settings, args: argparse.Namespace) -> None:
        """Connect to nothing yet."""
        self._settings, self._args = settings, args
        self._topic = settings.transactions_topic
        self._outgoing: Outgoing | None = None
        self._partitions, self._started, self._took_s = 0, 0.0, 0.0

    async def run(self, log: Log) -> None:
        """Publish.

        Raises:
            BrokerError: the topic is not there or has other partitions than it is to have, or Kafka refuses.
            InputError: the log cannot be published.
        """
        captured = captured_partitions(log)
        self._partitions = await self._topic_partitions()
        loop = asyncio.get_running_loop()
        with translated(self._settings, self._topic):
            numbered = await abilities.can_number(self._settings)
        if not numbered:
            say(abilities.repeats(self._settings))
        make = partial(kafka.idempotent_producer, self._settings, idempotent=numbered)
        async with opened(make, self._settings, FOR_EVER) as producer:
            self._outgoing = outgoing = Outgoing(producer, self._topic, self._waiting, numbered=numbered)
            self._started = loop.time()
            try:
                with translated(self._settings, self._topic):
                    await self._send(log, outgoing, Placement(self._partitions, captured))
                    await outgoing.settle()
            except (asyncio.CancelledError, BrokerError):  # what is told then is to be right
                await _last_answers(outgoing)
                raise
            finally:
                self._took_s = loop.time() - self._started

    @property
    def begun(self) -> bool:
        """Return whether anything may have been published."""
        return self._outgoing is not None

    def told(self) -> str:
        """Return what was done, in words."""
        if self._outgoing is None:
            return "published nothing"
        done, unanswered = self._outgoing.acknowledged, self._outgoing.unanswered
        rate = f", {done / self._took_s:,.0f} records/s" if self._took_s else ""
        more = f"; {unanswered:,} more were sent, but their arrival is not known" if unanswered else ""
        where = f"{self._topic} ({self._partitions} partitions)"
        return f"published {done:,} records to {where} in {self._took_s:.1f} s{rate}{more}"

    async def _topic_partitions(self) -> int:
        settings, wanted = self._settings, self._args.create
        if wanted is None:
            advice = "make it with `foretell publish --create PARTITIONS`, or correct the name"
            return await partitions_of(settings, self._topic, FOR_EVER, advice)
        found = await find_topic(settings, self._topic, FOR_EVER)
        if found is None:
            await make_topic(settings, self._topic, wanted)
        elif found != wanted:
            message = (
                f"Expected {wanted} partitions of {self._topic}, found it there with {found}; leave out --create, or "
                "name another topic."
            )
            raise BrokerError(message)
        return int(wanted)

    async def _send(self, log: Log, outgoing: Outgoing, placement: Placement) -> None:
        total = min(max(log.records - self._args.skip, 0), self._args.limit or log.records)
        pace, done, loop = self._pace(), 0, asyncio.get_running_loop()
        for part in clipped(parts(log), self._args.skip, total):
            due, places, at = pace.due_s(part), placement.of(part), 0
            if not done:
                self._started = loop.time()  # not before: reading a log takes its time
            while at < len(part):
                now = loop.time() - self._started
                ready = int(due.searchsorted(now, "right"))
                if ready > at:
                    await _send_rows(outgoing, part.slice(at, ready), places[at:ready])
                    self._args.progress.step("publish", done + ready, total)
                    at = ready
                else:
                    await asyncio.sleep(max(float(due[at]) - now, TICK_S))
            done += len(part)

    def _pace(self) -> Pace:
        if self._args.rate is not None:
            return Evenly(self._args.rate)
        return AtOnce() if self._args.speed is None else AsTheyHappened(self._args.speed)

    def _waiting(self, unanswered: int) -> None:
        say(f"waiting for Kafka at {self._settings.kafka}: {unanswered:,} records are on their way")


async def _send_rows(outgoing: Outgoing, part: Part, places: list[int]) -> None:
    messages = defaultdict[int, list[Message]](list)
    headers = part.headers or [[]] * len(part)
    for place, message in zip(places, zip(part.keys, part.values, headers, strict=True), strict=True):
        messages[place].append(message)
    for partition, own in messages.items():
        await outgoing.send(partition, own)


async def _last_answers(outgoing: Outgoing) -> None:
    with contextlib.suppress(TimeoutError, KafkaError):
        async with asyncio.timeout(LAST_ANSWERS_S):
            await outgoing.settle()
