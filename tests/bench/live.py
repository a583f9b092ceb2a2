"""Measures the stream on real servers: how fast a topic is filled and drained by a worker, how long a record takes.

    python -m tests.bench.live --log berka --bundle berka-bundle --records 500000 --rate 2000 --seconds 30
    python -m tests.bench.live --embedded --rate 1000 3000 --tick-ms 20

The servers are Kafka and Redis, or with --embedded those of the demo, whose memory is told at the end.

Drain: the topic is filled, then one worker starts; the rate is that of the score messages' own times of creation, from
the first tenth on, so that the start does not count. Latency: from handing a record to the producer until a
read_committed consumer has its score, at a steady rate; the first seconds do not count.
"""

import argparse
import asyncio
import os
import platform
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from numpy.typing import NDArray

from schemas import codec, spec_file
from schemas.progress import SILENT
from stream_app import abilities, kafka
from stream_app.offline.folder import SPEC
from stream_app.offline.log import open_log, partition_of
from stream_app.settings import Settings
from tests.bench.replay import repeated
from tests.bundles import random_bundle
from tests.integration import live
from tests.integration.live import Brokers
from tests.kit import records as raw
from tests.kit.embedded import Embedded
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics
from training.datasets.simulator import BankSimulator

PARTITIONS: Final = 4
WARM_S: Final = 5.0
TENTH: Final = 0.1

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Pace:
    """So many records a second; those that fall due within ``tick_s`` leave together, 0 for each alone."""

    rate: int
    tick_s: float

    def due_s(self, number: int) -> float:
        """Return when a record is to leave."""
        at = number / self.rate
        return -(-at // self.tick_s) * self.tick_s if self.tick_s else at


@dataclass(frozen=True)
class Bench:
    """What is measured on: servers, a log, a bundle and one delivery mode."""

    kafka: Brokers
    servers: dict[str, str]
    folder: Path
    bundle: Path
    delivery: str

    @property
    def log(self) -> Path:
        """Return the folder of the log."""
        return self.folder / "log"

    def topics(self, name: str) -> Topics:
        """Return topics of their own for one measurement."""
        return Topics.unique(name, self.servers | {"FORETELL_DELIVERY": self.delivery})

    def run(self, topics: Topics, *arguments: str | Path) -> Foretell:
        """Return a verb, started."""
        return Foretell(*arguments, environment=topics.environment, folder=self.folder).start()

    def drain(self, records: int) -> float:
        """Return how many records a second a worker takes out of a filled topic; print how fast that was filled."""
        topics = self.topics("drain")
        with self.run(topics, "publish", self.log, "--create", str(PARTITIONS), "--limit", str(records)) as publish:
            publish.wait(600)
            print(publish.output.splitlines()[-1], flush=True)
        with self.run(topics, "worker", "--bundle", self.bundle) as worker:
            live.wait_until_scored(self.kafka, topics, 600)
            worker.terminate()
        times = np.sort([record.timestamp_ms for record in self.kafka.read(topics.scores, seconds=300)])
        start = int(len(times) * TENTH)
        return float((len(times) - start) / ((times[-1] - times[start]) / 1000))

    def latency(self, pace: Pace, seconds: int) -> Times:
        """Return how many ms each record took, from the producer to a reader of its score."""
        topics = self.topics("latency")
        asyncio.run(raw.make_topic(self.kafka.internal, topics.transactions, PARTITIONS))
        with self.run(topics, "worker", "--bundle", self.bundle) as worker:
            worker.wait_ready()
            transactions = _transactions(self.log, pace.rate * seconds)
            taken = asyncio.run(_paced(live.settings_of(topics), topics, transactions, pace))
            worker.terminate()
        return taken


async def _paced(settings: Settings, topics: Topics, records: Iterable[tuple[bytes, bytes]], pace: Pace) -> Times:
    sent: dict[str, float] = {}
    taken: list[float] = []
    consumer = kafka.reader(settings)
    producer = kafka.idempotent_producer(settings, idempotent=await abilities.can_number(settings))
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(topics.scores, number) for number in range(PARTITIONS)])
    await consumer.seek_to_end()
    reading = asyncio.create_task(_read(consumer, sent, taken))
    started = time.perf_counter()
    for number, (key, value) in enumerate(records):
        due = started + pace.due_s(number)
        if due > time.perf_counter():
            await asyncio.sleep(due - time.perf_counter())
        name = str(codec.facts(value)["transaction_id"])
        if time.perf_counter() - started > WARM_S:
            sent[name] = time.perf_counter()
        _ = await producer.send(topics.transactions, value, key, partition_of(key, PARTITIONS))
    await producer.stop()
    await asyncio.sleep(WARM_S)
    reading.cancel()
    await consumer.stop()
    assert len(taken) == len(sent), f"Expected a score for each of {len(sent)} records, found {len(taken)}"
    return np.array(taken)


async def _read(consumer: AIOKafkaConsumer, sent: dict[str, float], taken: list[float]) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=100)
        now = time.perf_counter()
        for batch in batches.values():
            names = [str(codec.facts(record.value).get("transaction_id")) for record in batch]
            taken += [(now - sent[name]) * 1000 for name in names if name in sent]


def _transactions(log: Path, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values of the first transactions of a log."""
    left = most
    for chunk in open_log(log, 1).chunks(4096):
        for key, value in zip(chunk.keys, chunk.values, strict=True):
            if left and key and value and b'"transaction_id"' in value:
                left -= 1
                yield key, value


@contextmanager
def _servers(folder: Path, *, embedded: bool) -> Iterator[tuple[Brokers, dict[str, str]]]:
    """Give brokers to look into, and the variables that name the servers."""
    if embedded:
        with Embedded(folder) as running:
            yield running, running.environment
            for server in (running.broker, running.store):
                status = Path(f"/proc/{server.pid}/status")  # of Linux only
                told = re.search(r"VmHWM:\s*(.*)", status.read_text(encoding="utf-8")) if status.exists() else None
                print(f"{type(server).__name__}: {told[1] if told else 'an unknown amount'} of memory at most")
    else:
        with Kafka.start(folder / "kafka") as broker, RedisServer(folder / "redis").start() as redis:
            yield broker, broker.environment() | {"FORETELL_REDIS": redis.url}


def main() -> None:
    """Print the machine, the drain rates and the latencies in each delivery mode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--embedded", action="store_true")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rate", type=int, nargs="+", default=[2_000])
    parser.add_argument("--tick-ms", type=float, default=0, help="records that fall due within it leave together")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--runs", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source = args.log or work / "bank"
        if args.log is None:
            BankSimulator(seed=1, customers=1000, months=12, difficulty=1.0).write(source, SILENT)
        bundle = args.bundle or random_bundle(work / "bundle", spec_file.load(source / SPEC)).path
        once = open_log(source).records
        repeated(source, -(-max(args.records, max(args.rate) * args.seconds) // once), work / "log")
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {PARTITIONS} partitions"
        )
        with _servers(work, embedded=args.embedded) as (brokers, servers):
            for _ in range(args.runs):
                for delivery in ("exactly_once", "at_least_once")[args.embedded :]:
                    _measure(Bench(brokers, servers, work, bundle, delivery), args)


def _measure(bench: Bench, args: argparse.Namespace) -> None:
    print(f"{bench.delivery}: drain of {args.records:,} at {bench.drain(args.records):,.0f} records/s", flush=True)
    for rate in args.rate:
        taken = bench.latency(Pace(rate, args.tick_ms / 1000), args.seconds)
        p50, p99 = np.percentile(taken, [50, 99])
        print(
            f"{bench.delivery}: at {rate:,}/s p50 {p50:.1f} ms, p99 {p99:.1f} ms over {len(taken):,} records",
            flush=True,
        )


if __name__ == "__main__":
    main()
