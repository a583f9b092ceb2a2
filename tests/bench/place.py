"""Where the bench measures: servers of its own, a bundle, and what each process has used."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream_app import bundle
from stream_app.bundle import Bundle
from tests.kit import java
from tests.kit.broker import Options
from tests.kit.kafka import Kafka
from tests.kit.processes import ROOT, Foretell, Process
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

CACHE: Final = ROOT / ".cache" / "bench"
KEEP: Final = {"segment.bytes": str(256 << 20)}


class _Broker(Kafka):
    """A Kafka with the heap and the compilers that one has in production; that of the tests starts sooner."""

    def __init__(self, folder: Path, options: Options) -> None:
        super().__init__(folder, options)
        first, *rest = java.command("kafka.Kafka", self._file)
        small = ("-Xm", "-XX:TieredStopAtLevel", "-XX:+UseSerialGC")
        command = [first, "-Xms1g", "-Xmx1g", "-XX:+UseG1GC", *(part for part in rest if not part.startswith(small))]
        self._process = Process(command, folder / "kafka.log", {}, folder)


@dataclass(frozen=True)
class Place:
    """Servers, a folder and a bundle."""

    kafka: Kafka
    redis: RedisServer
    folder: Path
    bundle: Bundle

    def topics(self, name: str, delivery: str = "exactly_once") -> Topics:
        """Return topics of their own for one measurement."""
        servers = self.kafka.environment() | {"FORETELL_REDIS": self.redis.url, "FORETELL_DELIVERY": delivery}
        return Topics.unique(name, servers)

    def worker(self, topics: Topics) -> Foretell:
        """Return a worker that has been started."""
        return self.run("stream_app", topics, "worker", "--bundle", self.bundle.path)

    def run(self, module: str, topics: Topics, *arguments: str | Path | int) -> Foretell:
        """Return a process of the bench, started with the settings of a worker."""
        texts = [str(argument) for argument in arguments]
        return Foretell(*texts, environment=topics.environment, folder=self.folder, module=module).start()

    def drop(self, topics: Topics) -> None:
        """Delete what a measurement has left: the next one begins with empty servers."""
        there = self.kafka.topics()
        for name in (topics.transactions, topics.scores, topics.alerts, topics.dlq):
            if name in there:
                self.kafka.delete_topic(name)
        self.redis.flushall()


@contextmanager
def opened(folder: Path, own_bundle: Path | None) -> Iterator[Place]:
    """Give a place whose servers end with it."""
    chosen = bundle.load(own_bundle) if own_bundle else _bundle()
    with _Broker.start(folder / "kafka") as kafka, RedisServer(folder / "redis").start() as redis:
        yield Place(kafka, redis, folder, chosen)


def _bundle() -> Bundle:
    """Return the bundle of the trained shape, made anew where there is none that this version takes."""
    from schemas import spec_file  # noqa: PLC0415  (of no use with a bundle of one's own)
    from stream_app.kernel.layout import Layout  # noqa: PLC0415  (as above)

    path = CACHE / Layout(spec_file.bank()).check().hash
    if not (path / bundle.MANIFEST).exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "tests.bench.network", str(path)], check=True, cwd=ROOT)
    return bundle.load(path)


def cpu_s(pid: int | str) -> float:
    """Return the CPU time that a process has had, or one of its threads (``pid/task/number``), s; of Linux only."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compilers_s(pid: int) -> float:
    """Return the CPU time that the compilers of a JVM have had, s."""
    tasks = Path(f"/proc/{pid}/task")
    names = {task.name: (task / "comm").read_text(encoding="utf-8") for task in tasks.iterdir()}
    return sum(cpu_s(f"{pid}/task/{task}") for task, name in names.items() if "CompilerThre" in name)


def resident_bytes(pid: int) -> int:
    """Return the memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
