"""Where faults are played: broker, Redis and its replica, the network between, workers, the loader."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from stream_app.warm import warm_up
from tests.chaos.fleet import Fleet
from tests.chaos.loader import LOAD, ORDERS, Load
from tests.chaos.options import Options
from tests.chaos.pair import Pair
from tests.chaos.tally import Tally
from tests.chaos.watch import Watch
from tests.kit import every_kind
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.proxy import Proxy
from tests.kit.topics import Topics

CUSTOMERS: Final = 6_000
WORKER: Final = {"FORETELL_RESIDENT_ROWS": "2000", "FORETELL_FLUSH_MS": "500"}
"""Few rows stay in memory, so that rows are read from Redis all the time."""
SECOND: Final = "second"


@dataclass(frozen=True)
class Scene:
    """Where faults are played.

    Attributes:
        options: of the campaign.
        kafka: the broker.
        network: between workers and broker.
        redis: primary and replica, and the network between them and the workers.
        topics: names and servers' places.
        fleet: the workers.
        loader: the process that loads.
        watch: how far the group is.
        tally: what has happened.
        bundle: that workers start with.
    """

    options: Options
    kafka: Kafka
    network: Proxy
    redis: Pair
    topics: Topics
    fleet: Fleet
    loader: Foretell
    watch: Watch
    tally: Tally
    bundle: Bundle

    def order(self, **order: int) -> None:
        """Tell the loader to do something."""
        with (self.loader.folder / ORDERS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(order) + "\n")

    def verb(self, *arguments: str | Path) -> Foretell:
        """Start a verb of ``foretell``."""
        return Foretell(*arguments, environment=self.topics.environment, folder=self.options.out / "logs").start()


def module(options: Options, *, poisoned: bool) -> tuple[str, ...]:
    """Return what a worker runs: module, and the arguments before the verb."""
    if options.without:
        return ("tests.kit.unprotected", options.without)
    return ("tests.kit.poisoned",) if poisoned else ("stream_app",)


@contextmanager
def staged(options: Options, tally: Tally, *, poisoned: bool) -> Iterator[Scene]:
    """Start all servers, workers and the loader; end all of them afterwards."""
    logs = options.out / "logs"
    for path in (logs, options.out / "bundles", options.out / "load"):
        path.mkdir(parents=True, exist_ok=True)
    bundle = every_kind.bundle(options.out / "bundles" / "first")
    every_kind.bundle(options.out / "bundles" / SECOND, seed=4)
    warm_up(Shelf(bundle))  # once, not by each of several workers at the same time
    with ExitStack() as undo:
        network, gate, replication = (undo.enter_context(Proxy(0)) for _ in range(3))
        kafka = undo.enter_context(Kafka.start(options.out / "kafka", advertised=network.port))
        network.lead_to(kafka.ports.client)
        redis = undo.enter_context(Pair(options.out / "redis", gate, replication).running())
        servers = {"FORETELL_KAFKA": network.url, "FORETELL_REDIS": f"redis://{gate.url}/0"}
        topics = Topics.unique(f"chaos-{options.seed}", servers)
        kafka.make_topic(topics.transactions, options.partitions)
        command = (*module(options, poisoned=poisoned), "worker", "--bundle", str(bundle.path))
        fleet = Fleet(command, _environment(options, topics), logs, tally, options.named)
        undo.callback(fleet.kill_all)
        watch = undo.enter_context(Watch(kafka.internal, topics.group, topics.transactions, options.partitions))
        loader = undo.enter_context(_loader(options, kafka, topics))
        yield Scene(options, kafka, network, redis, topics, fleet, loader, watch, tally, bundle)


def _environment(options: Options, topics: Topics) -> dict[str, str]:
    chosen = {"FORETELL_SESSION_TIMEOUT_MS": str(options.session_timeout_ms), "FORETELL_DELIVERY": options.delivery}
    return topics.environment | WORKER | chosen


def settings_told(options: Options) -> str:
    """Return which settings differ from the defaults."""
    chosen = WORKER | {"FORETELL_SESSION_TIMEOUT_MS": str(options.session_timeout_ms)}
    told = ", ".join(f"{name}={value}" for name, value in sorted(chosen.items()))
    members = "every other worker has a FORETELL_INSTANCE" if options.named else "no worker has a FORETELL_INSTANCE"
    return f"{told}; {members}; the broker allows sessions from 1 s on"


def _loader(options: Options, kafka: Kafka, topics: Topics) -> Foretell:
    folder = options.out / "load"
    bootstrap = kafka.internal["bootstrap_servers"]
    load = Load(bootstrap, topics.transactions, options.partitions, options.seed, CUSTOMERS, options.rate)
    (folder / LOAD).write_bytes(msgspec.json.encode(load))
    process = Foretell(str(folder), environment={}, folder=folder, module="tests.chaos.loader")
    return process.start()


def until(end_s: float) -> None:
    """Wait until a moment of ``time.monotonic``."""
    time.sleep(max(end_s - time.monotonic(), 0.0))
