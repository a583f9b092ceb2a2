"""Watches a worker's memory under a steady load for a long time, on a real Kafka and a real Redis.

    python -m tests.bench.soak --minutes 30 --rate 10000

The same log is published again and again, so that customers, and with them rows, do not become more. Memory is that of
the worker's process (VmRSS), looked at every five seconds. It passes if the median of the last fifth of the time is no
more than 5 % above that of the second fifth: the first fifth is for warming up.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from schemas import spec_file
from schemas.progress import SILENT
from stream_app.offline.folder import SPEC
from tests.bundles import random_bundle
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics
from training.datasets.simulator import BankSimulator

PARTITIONS: Final = 4
LOOK_S: Final = 5.0
KEEP: Final = {"retention.bytes": str(256 << 20), "segment.bytes": str(64 << 20)}
"""Of each partition: the disk is not what is measured."""
MOST_GROWTH: Final = 0.05
PARTS: Final = 5


@dataclass
class Memory:
    """What a worker has taken, MB, from look to look, and how many scores it has given."""

    seen: list[float] = field(default_factory=list)
    scores: int = 0

    def look(self, pid: int) -> float:
        """Note and return what it takes now."""
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        self.seen.append(int(line.split()[1]) / 1024)
        return self.seen[-1]

    @property
    def growth(self) -> float:
        """Return by which share the last fifth lies above the second."""
        part = max(len(self.seen) // PARTS, 1)
        early, late = statistics.median(self.seen[part : 2 * part]), statistics.median(self.seen[-part:])
        return late / early - 1


@dataclass(frozen=True)
class Soak:
    """A worker, and a publisher that is started again whenever it has come to the end of the log."""

    topics: Topics
    folder: Path
    bundle: Path
    rate: int

    def looks(self, minutes: float, memory: Memory) -> Iterator[float]:
        """Yield what the worker takes, MB, every five seconds, and note it."""
        end = time.monotonic() + 60 * minutes
        with self._start("worker", "--bundle", self.bundle) as worker, self._start(*self._publish) as publisher:
            worker.wait_ready()
            while time.monotonic() < end:
                time.sleep(LOOK_S)
                if not publisher.running:
                    assert publisher.exit_code == 0, publisher.output
                    publisher.start()
                memory.scores = _scores(worker.page("/metrics"))
                yield memory.look(worker.pid)
            publisher.terminate()
            ended = worker.terminate()
            assert ended.code == 0, worker.output

    @property
    def _publish(self) -> tuple[str | Path, ...]:
        return ("publish", self.folder / "log", "--rate", str(self.rate))

    def _start(self, *arguments: str | Path) -> Foretell:
        return Foretell(*arguments, environment=self.topics.environment, folder=self.folder).start()


def _scores(page: str) -> int:
    """Return how many scores a page of metrics tells of."""
    found = re.search(r"^foretell_scores_total (\S+)", page, re.MULTILINE)
    return int(float(found[1])) if found else 0


def main() -> int:
    """Print the worker's memory once a minute and the verdict; return 1 where it has grown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, default=10_000, help="records a second")
    parser.add_argument("--customers", type=int, default=2_000)
    args = parser.parse_args()
    memory = Memory()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        BankSimulator(seed=1, customers=args.customers, months=12, difficulty=1.0).write(work / "log", SILENT)
        bundle = random_bundle(work / "bundle", spec_file.load(work / "log" / SPEC)).path
        with Kafka.start(work / "kafka") as kafka, RedisServer(work / "redis").start() as redis:
            servers = kafka.environment() | {"FORETELL_REDIS": redis.url}
            topics = Topics.unique("soak", servers)
            for topic in (topics.transactions, topics.scores):
                kafka.make_topic(topic, PARTITIONS, KEEP)
            soak = Soak(topics, work, bundle, args.rate)
            for number, megabytes in enumerate(soak.looks(args.minutes, memory), 1):
                if number * LOOK_S % 60 == 0:
                    print(f"minute {number * LOOK_S / 60:.0f}: {megabytes:.0f} MB", flush=True)
    print(f"{memory.scores:,} scores; memory grew by {memory.growth:.1%} from the second fifth of the time to the last")
    return int(memory.growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
