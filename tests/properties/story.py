"""Stories of one partition: a log, and all that happens to workers, store and requests while it is scored."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.bundles import random_bundle
from tests.kit.evidence import differences, replayed
from tests.kit.wire import LOST, REFUSED, UNANSWERED
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.test_replay import Row, captured, made, row

FAULTS = {
    "start": (REFUSED, LOST, UNANSWERED),
    "batch": (REFUSED, LOST, UNANSWERED),
    "alert": (REFUSED, LOST, UNANSWERED),
    "offsets": (REFUSED, LOST, UNANSWERED),
    "commit": (REFUSED, LOST, UNANSWERED),
    "committed": (REFUSED, LOST),
    "bounds": (REFUSED, LOST),
    "offset commit": (REFUSED, LOST, UNANSWERED),
    "store take_over": (LOST, UNANSWERED),
    "store read": (LOST,),
    "store customers": (LOST,),
    "store write": (LOST, UNANSWERED),
}
"""How each kind of request goes wrong."""
TAKE_OVERS = ("crash", "handover", "zombie", "two owners")
KINDS = (*TAKE_OVERS, "lose", "wipe", "more", "hold", "expire", "wait")
REPEATS = {"exactly_once": ("alerts",), "at_least_once": ("alerts", "scores", "letters")}
"""What may be there twice, by delivery mode; byte for byte the same."""
PAUSES_S = (0.001, 0.01, 0.05, 0.3, 2.0)


@dataclass(frozen=True)
class Event:
    """Something that happens, after a pause; ``much``, from 0 to 1, says how long, how far or how often."""

    after_s: float
    kind: str
    much: float


@dataclass(frozen=True)
class Schedule:
    """A log and all that happens while it is scored; ``slow_s`` says which kinds of requests take so long."""

    log: list[Row]
    events: Sequence[Event] = ()
    faults: Mapping[tuple[str, int], str] = field(default_factory=dict)
    seed: int = 0
    mishaps: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    slow_s: Mapping[str, float] = field(default_factory=dict)


class Story:
    """A schedule that happens."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        """Begin with a part of the log."""
        self._world, self._schedule = world, schedule
        self._gone: list[asyncio.Task[None]] = []
        world.plan(schedule.faults)
        world.mishaps = schedule.mishaps
        world.wire.slow_s |= schedule.slow_s
        world.broker.end = 0
        self._log_up_to(0.3)

    async def happen(self) -> None:
        """Let everything happen, and then let the workers come to the end."""
        owner = await self._world.join()
        for event in self._schedule.events:
            await asyncio.sleep(event.after_s)
            if event.kind in TAKE_OVERS:
                await self._end(event, owner)
                owner = await self._world.join()
            else:
                await self._disturb(event, owner)
        self._log_up_to(1.0)
        await self._world.settle()
        await asyncio.sleep(2)
        await asyncio.gather(*self._gone)

    async def _end(self, event: Event, owner: Worker) -> None:
        """Let a worker's time end, though it may not know it yet."""
        if event.kind == "crash":
            self._later(owner.die())
            await asyncio.sleep(event.much)
        elif event.kind == "handover":
            await owner.leave()
        elif event.kind == "zombie":
            owner.process.hold()
            self._later(self._wake(owner, 5 * event.much))
        else:
            self._later(self._wake(owner, event.much))

    async def _disturb(self, event: Event, owner: Worker) -> None:
        """Let something happen to a worker, the log, the store or a transaction."""
        world, much = self._world, event.much
        if event.kind == "hold":
            owner.process.hold()
            await asyncio.sleep(20 * much)
            owner.process.go_on()
        elif event.kind == "lose":
            world.stores.lose(1 + int(3 * much))
        elif event.kind == "wipe":
            world.stores.wipe()
        elif event.kind == "more":
            self._log_up_to(much)
        elif event.kind == "expire":
            for name in list(world.broker.open):
                world.broker.become_writer(name)

    async def _wake(self, zombie: Worker, after_s: float) -> None:
        """Let a worker that has lost the partition go on for a while, until the group tells it so."""
        await asyncio.sleep(after_s)
        zombie.process.go_on()
        await asyncio.sleep(0.5)
        await zombie.leave()

    def _later(self, work: Any) -> None:  # noqa: ANN401  (a coroutine)
        self._gone.append(asyncio.create_task(work))

    def _log_up_to(self, share: float) -> None:
        """Let a share of the log be there, or what is there already."""
        broker = self._world.broker
        broker.end = max(broker.end, broker.offsets[max(int(share * len(broker.offsets)) - 1, 0)] + 1)


def two_bundles(folder: Path) -> tuple[Bundle, Bundle]:
    """Make two bundles of one state layout that answer differently."""
    first = made(folder, score_on_customer=False)
    rules = tuple(msgspec.structs.replace(rule, threshold=0.9 * rule.threshold) for rule in first.spec.rules)
    return first, random_bundle(folder / "second", msgspec.structs.replace(first.spec, rules=rules), seed=9)


def wrong(bundles: tuple[Bundle, Bundle], schedule: Schedule, mode: str) -> list[str]:
    """Return where a schedule gives something else than the replay of its log: while idle, and after all have left."""
    shelf, log = Shelf(bundles[0]), captured(schedule.log)
    expected = replayed(log, shelf)

    async def acted(world: World) -> list[str]:
        await Story(world, schedule).happen()
        idle = differences(expected, world.evidence(), repeats=REPEATS[mode])
        for worker in world.workers:
            await worker.leave()
        return idle + differences(expected, world.evidence(), repeats=REPEATS[mode])

    return play(lambda: World(shelf, records_of(log), schedule.seed, delivery=mode, **schedule.settings), acted)


def spiced(log: list[Row], other: Bundle, seed: int) -> list[Row]:
    """Return a log with activates, tombstones, repeats and unreadable records between its records."""
    chance, found = random.Random(seed), list[Row]()  # noqa: S311  (not for secrets)
    for item in log:
        found.append(item)
        more = [
            row({"kind": "activate", "bundle": other.sha256}, key=None),
            (0, item[1], b"{", None),
            (0, item[1], b"\xff" * 70_000, None),
            (0, item[1], None, None),
            item,
        ]
        found += chance.choices(more, k=chance.random() < 1 / 10)
    return found
