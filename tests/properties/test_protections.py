"""Each protection of the engine, switched off: the comparison that finds nothing with it finds a fault without it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from stream_app import offsets
from stream_app.bundle import Bundle
from stream_app.shelf import Shelf
from tests.kit.doubles import INPUT, Feed
from tests.kit.evidence import Evidence, differences, replayed
from tests.kit.unprotected import PROTECTIONS, without
from tests.kit.wire import REFUSED
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.story import Event, Schedule, two_bundles, wrong
from tests.properties.test_replay import Row, captured, dense, row

Bundles = tuple[Bundle, Bundle]
Scenario = Callable[[Bundles, int], list[str]]
"""What the checker tells of a scenario that is played with some seed."""
MOST_SEEDS = 12
LOADING = 14
"""What a coordinator answers that has not read the offsets yet."""


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    """Make two bundles of one state layout that answer differently."""
    return two_bundles(tmp_path_factory.mktemp("protections"))


# Scenarios of what happens at random times


def of(schedule: Callable[[int], Schedule]) -> Scenario:
    """Return the scenario of a schedule."""
    return lambda bundles, seed: wrong(bundles, schedule(seed), "exactly_once")


def losing(seed: int) -> Schedule:
    """Return a schedule in which the store goes back while rows have to be read from it again."""
    events = [Event(0.6, kind, 0.1 * k) for k in range(4, 10) for kind in ("more", "lose", "more")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"resident_rows": 1, "flush_ms": 100})


def crashing(seed: int) -> Schedule:
    """Return a schedule of crashes at short intervals."""
    events = [Event(0.1 * (1 + k % 3), kind, 0.1 * k) for k in range(1, 10) for kind in ("more", "crash")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"flush_ms": 50, "commit_ms": 5})


def crashing_at_work(seed: int) -> Schedule:
    """Return a schedule in which chunks come while commits are under way, and crashes in the middle of it."""
    events = [Event(0.0, "more", 1.0), *(Event(0.1 + 0.07 * k, "crash", 0.0) for k in range(6))]
    settings = {"flush_ms": 1, "commit_ms": 5}
    return Schedule(dense(150, seed=seed), events, seed=seed, settings=settings, slow_s={"commit": 0.04})


def failing(kind: str, fault: str) -> Callable[[int], Schedule]:
    """Return a schedule in which a request of a kind goes wrong."""
    return lambda seed: Schedule(
        dense(60, seed=seed),
        faults={(kind, 1 + seed): fault},
        seed=seed,
        settings={"flush_ms": 50, "commit_ms": 20},
    )


def straying(seed: int) -> Schedule:
    """Return a schedule in which chunks get lost or come twice."""
    return Schedule(dense(100, seed=seed), seed=seed, mishaps=True)


def disputed(seed: int) -> Schedule:
    """Return a schedule in which workers believe for a while that they own what others own."""
    events = [Event(0.05, kind, 0.1 * k) for k in range(1, 10) for kind in ("more", "two owners", "zombie")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"flush_ms": 50, "commit_ms": 20})


# Scenarios of what happens at one moment

Act = Callable[[World], Awaitable[None]]


def played(bundles: Bundles, log: list[Row], act: Act, seed: int, **settings: Any) -> list[str]:  # noqa: ANN401  (of any type)
    """Return where what comes of acting differs from the replay of the log."""
    shelf = Shelf(bundles[0])
    return differences(replayed(captured(log), shelf), seen_after(shelf, log, act, seed, **settings))


def seen_after(shelf: Shelf, log: list[Row], act: Act, seed: int, **settings: Any) -> Evidence:  # noqa: ANN401  (as above)
    """Return what there is after acting in a world with a log."""

    async def acted(world: World) -> Evidence:
        await act(world)
        return world.evidence()

    return play(lambda: World(shelf, records_of(captured(log)), seed, **settings), acted)


def half_of(world: World) -> int:
    """Return the offset of the first record of the log's second half."""
    return world.broker.offsets[len(world.broker.offsets) // 2]


async def score_half(world: World) -> Worker:
    """Let a worker score the first half of the log; only that is there yet."""
    world.broker.end = half_of(world)
    worker = await world.join()
    await world.settle(world.broker.offsets[len(world.broker.offsets) // 2 - 1] + 1)
    return worker


async def score_rest(world: World) -> None:
    """Let the whole log be there, and the workers score it."""
    world.broker.end = world.broker.offsets[-1] + 1
    await world.settle()


def lost_while_idle(bundles: Bundles, seed: int) -> list[str]:
    """Lose the store's last write when nothing comes any more."""

    async def act(world: World) -> None:
        await world.join()
        await world.settle()
        world.stores.lose(1)
        await asyncio.sleep(10)

    return played(bundles, dense(60, seed=seed), act, seed, flush_ms=50)


def away_and_back(bundles: Bundles, seed: int) -> list[str]:
    """Give a partition to another worker for a while, and then back to the one that has had it."""

    async def act(world: World) -> None:
        first = await score_half(world)
        await first.engine.revoke()
        world.broker.end = world.broker.offsets[3 * len(world.broker.offsets) // 4]
        second = await world.join()
        await world.settle(world.broker.offsets[3 * len(world.broker.offsets) // 4 - 1] + 1)
        await second.leave()
        world.broker.owner = first.process.name
        await first.engine.assign([INPUT])
        await score_rest(world)

    return played(bundles, dense(100, seed=seed), act, seed, flush_ms=50)


def last_chunk_lost(bundles: Bundles, seed: int) -> list[str]:
    """Lose a chunk that no other one follows."""

    async def act(world: World) -> None:
        worker = await score_half(world)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker.engine, "submit", lambda _: None)
            world.cuts = (1000,)
            world.broker.end = world.broker.offsets[-1] + 1
            await asyncio.sleep(0.5)
        with suppress(TimeoutError):
            await world.settle(longest_s=60)

    return played(bundles, dense(60, seed=seed), act, seed, flush_ms=50)


class Coordinator:
    """A group's coordinator that is still reading the offsets when it is asked for the first times."""

    def __init__(self, world: World) -> None:
        """Begin to read."""
        self._broker, self._asked = world.broker, 0

    async def ensure_coordinator_known(self) -> None:
        """Be known."""

    async def _send_req(self, request: object) -> SimpleNamespace:
        del request
        await asyncio.sleep(0.01)
        self._asked += 1
        if self._asked <= 2:
            return SimpleNamespace(error_code=LOADING, topics=[])
        offset, metadata = self._broker.committed or (-1, "")
        return SimpleNamespace(error_code=0, topics=[("transactions", [(0, offset, metadata, 0)])])


def opened_while_loading(bundles: Bundles, seed: int) -> list[str]:
    """Open a partition while the coordinator, after a restart of the broker, is still reading the group's offsets."""

    async def act(world: World) -> None:
        world.broker.end = half_of(world)
        worker = await world.join()
        await asyncio.sleep(1)
        await worker.die()
        coordinator = Coordinator(world)

        async def committed(partition: TopicPartition) -> OffsetAndMetadata | None:
            return await offsets.committed(SimpleNamespace(_coordinator=coordinator), "foretell", partition)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Feed, "committed", lambda _, partition: committed(partition))
            await world.join()
            await score_rest(world)

    return played(bundles, dense(60, seed=seed), act, seed, flush_ms=60_000)


def topic_made_anew(bundles: Bundles, seed: int) -> list[str]:
    """Put another log in place of the one that was scored; the operator must be asked then, and nothing be put out."""
    log, shelf = dense(60, seed=seed), Shelf(bundles[0])

    async def act(world: World) -> None:
        worker = await score_half(world)
        await worker.leave()
        world.broker.records[:30] = world.broker.records[30:]
        world.broker.end = world.broker.offsets[-1] + 1
        await world.join()
        await asyncio.sleep(10)

    return differences(replayed(captured(log[:30]), shelf), seen_after(shelf, log, act, seed, flush_ms=50))


def log_too_short(bundles: Bundles, seed: int) -> list[str]:
    """Lose all rows when the log no longer has its beginning; what is put out may lack something, but not be wrong."""

    async def act(world: World) -> None:
        worker = await score_half(world)
        await worker.leave()
        world.stores.wipe()
        world.broker.first = world.broker.offsets[len(world.broker.offsets) // 4]
        world.broker.end = world.broker.offsets[-1] + 1
        await world.join()
        await asyncio.sleep(10)

    told = played(bundles, dense(100, seed=seed), act, seed, flush_ms=50)
    return [line for line in told if " missing" not in line]


def started_again(bundles: Bundles, seed: int) -> list[str]:
    """Start a worker anew after the log has put another bundle in force."""
    log = dense(60, seed=seed)
    log[20] = row({"kind": "activate", "bundle": bundles[1].sha256}, key=None)

    async def act(world: World) -> None:
        worker = await score_half(world)
        await worker.leave()
        await world.join()
        await score_rest(world)

    return played(bundles, log, act, seed, flush_ms=50)


@dataclass(frozen=True)
class Control:
    """What shows that a protection is needed.

    Attributes:
        scenario: in which it is.
        found: words of what the checker tells when it is switched off.
    """

    scenario: Scenario
    found: str


CONTROLS = {
    "marker-with-rows": Control(of(losing), "scores different"),
    "idle-probe": Control(lost_while_idle, "rows "),
    "compare-and-set": Control(of(disputed), "rows different"),
    "kept-rows": Control(away_and_back, "scores different"),
    "snapshot-at-boundary": Control(of(crashing_at_work), "scores missing"),
    "commit-before-flush": Control(of(crashing), "scores missing"),
    "rows-on-their-way": Control(of(losing), "rows different"),
    "suppression": Control(of(crashing), "repeated scores"),
    "fencing": Control(of(disputed), "repeated scores"),
    "fence-before-offset": Control(of(disputed), "repeated scores"),
    "batches-awaited": Control(of(failing("batch", REFUSED)), "scores missing"),
    "alerts-awaited": Control(of(failing("alert", REFUSED)), "alerts missing"),
    "offset-in-transaction": Control(of(crashing), "repeated scores"),
    "error-beside-offset": Control(opened_while_loading, "repeated scores"),
    "generation": Control(of(disputed), "scores different"),
    "continuity": Control(of(straying), "scores missing"),
    "lost-chunk-probe": Control(last_chunk_lost, "scores missing"),
    "fingerprint": Control(topic_made_anew, "scores unexpected"),
    "refusals": Control(log_too_short, "scores different"),
    "bundle-in-marker": Control(started_again, "scores different"),
}


BY_SERVERS = {"read-committed"}
"""What only a real server shows: ``tests/integration/test_protections.py``."""


def test_each_protection_that_can_be_switched_off_has_its_control() -> None:
    assert CONTROLS.keys() | BY_SERVERS == PROTECTIONS.keys()


@pytest.mark.parametrize("name", CONTROLS)
def test_a_protection_that_is_switched_off_is_missed(bundles: Bundles, name: str) -> None:
    control = CONTROLS[name]
    for seed in range(MOST_SEEDS):
        assert control.scenario(bundles, seed) == []
        with without(name):
            told = control.scenario(bundles, seed)
        if any(control.found in line for line in told):
            return
    pytest.fail(f"Expected `{control.found}` in one of {MOST_SEEDS} runs without {name}, found it in none.")
