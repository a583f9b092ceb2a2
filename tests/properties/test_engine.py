"""The engine under crashes, failures, lost writes and rebalances gives what the replay of the same log gives.

The broker, the store and the time are doubles (``tests.kit``); the engine is the real one. Each protection is switched
off once, and the same comparison catches it.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka.structs import OffsetAndMetadata
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_app.bundle import Bundle
from stream_app.engine.delivery import Delivery
from stream_app.engine.ports import Fetched
from stream_app.engine.session import Session
from stream_app.engine.work import PartitionWork
from stream_app.scorer import Emission
from stream_app.shelf import Shelf
from stream_app.steps.stages import Chunk
from stream_app.store.memory import MemoryStore
from stream_app.store.port import Marker
from tests.bundles import random_bundle
from tests.kit.evidence import differences, replayed
from tests.kit.wire import LOST, REFUSED, UNANSWERED
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.test_replay import Row, captured, dense, made, row, rows

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
    """A log and all that happens while it is scored."""

    log: list[Row]
    events: Sequence[Event] = ()
    faults: Mapping[tuple[str, int], str] = field(default_factory=dict)
    seed: int = 0
    mishaps: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


class Story:
    """A schedule that happens."""

    def __init__(self, world: World, schedule: Schedule) -> None:
        """Begin with a part of the log."""
        self._world, self._schedule = world, schedule
        self._gone: list[asyncio.Task[None]] = []
        world.plan(schedule.faults)
        world.mishaps = schedule.mishaps
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


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Bundle]:
    """Make two bundles of one state layout that answer differently."""
    folder = tmp_path_factory.mktemp("engine")
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


def by_chance(seed: int, other: Bundle) -> Schedule:
    """Return a schedule of which much goes wrong."""
    chance = random.Random(seed)  # noqa: S311  (not for secrets)
    kinds = [chance.choice(list(FAULTS)) for _ in range(chance.choice([0, 3, 8]))]
    return Schedule(
        log=spiced(dense(chance.choice([20, 60, 120]), seed=seed), other, seed),
        events=[
            Event(chance.choice(PAUSES_S), chance.choice(KINDS), chance.random()) for _ in range(chance.randint(1, 8))
        ],
        faults={(kind, chance.randint(1, 25)): chance.choice(FAULTS[kind]) for kind in kinds},
        seed=seed,
        mishaps=chance.random() < 1 / 2,
        settings={
            "resident_rows": chance.choice([2, 5, 1000]),
            "flush_ms": chance.choice([50, 300, 1000]),
            "commit_ms": chance.choice([5, 50, 200]),
        },
    )


@st.composite
def schedules(draw: st.DrawFn, other: Bundle) -> Schedule:
    """Draw a log of all kinds of records, and what happens meanwhile."""
    kinds = draw(st.lists(st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(1, 12)), max_size=4))
    event = st.builds(Event, st.sampled_from(PAUSES_S), st.sampled_from(KINDS), st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    return Schedule(
        log=draw(rows(other.sha256)),
        events=draw(st.lists(event, max_size=5)),
        faults={kind: draw(st.sampled_from(FAULTS[kind[0]])) for kind in kinds},
        seed=draw(st.integers(0, 1000)),
        mishaps=draw(st.booleans()),
        settings={
            "resident_rows": draw(st.sampled_from([1, 3, 1000])),
            "flush_ms": draw(st.sampled_from([50, 1000])),
            "commit_ms": draw(st.sampled_from([5, 100])),
        },
    )


@pytest.mark.parametrize("mode", REPEATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_happens_what_comes_out_is_what_the_replay_gives(
    bundles: tuple[Bundle, Bundle], mode: str, data: st.DataObject
) -> None:
    assert wrong(bundles, data.draw(schedules(bundles[1])), mode) == []


@pytest.mark.parametrize("mode", REPEATS)
@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_to_a_longer_log_what_comes_out_is_what_the_replay_gives(
    bundles: tuple[Bundle, Bundle], seed: int, mode: str
) -> None:
    assert wrong(bundles, by_chance(seed, bundles[1]), mode) == []


# Each protection switched off


def losing(seed: int) -> Schedule:
    """Return a schedule in which the store goes back while rows have to be read from it again."""
    events = [Event(0.6, kind, 0.1 * k) for k in range(4, 10) for kind in ("more", "lose", "more")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"resident_rows": 1, "flush_ms": 100})


def crashing(seed: int) -> Schedule:
    """Return a schedule of crashes at short intervals."""
    events = [Event(0.1 * (1 + k % 3), kind, 0.1 * k) for k in range(1, 10) for kind in ("more", "crash")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"flush_ms": 50, "commit_ms": 5})


def failing(seed: int) -> Schedule:
    """Return a schedule in which batches are refused."""
    return Schedule(dense(60, seed=seed), faults={("batch", 5 + seed): REFUSED}, seed=seed)


def straying(seed: int) -> Schedule:
    """Return a schedule in which chunks get lost or come twice."""
    return Schedule(dense(100, seed=seed), seed=seed, mishaps=True)


def disputed(seed: int) -> Schedule:
    """Return a schedule in which workers believe for a while that they own what others own."""
    events = [Event(0.05, kind, 0.1 * k) for k in range(1, 10) for kind in ("more", "two owners", "zombie")]
    return Schedule(dense(100, seed=seed), events, seed=seed, settings={"flush_ms": 50, "commit_ms": 20})


def unchecked(patch: pytest.MonkeyPatch) -> None:
    """Use rows without looking at the marker that was read with them."""
    patch.setattr(PartitionWork, "_check", lambda *_: None)


def snapshot_taken_late(patch: pytest.MonkeyPatch) -> None:
    """Take what is flushed when the commit is under way, while the next chunk may change the rows."""

    def start_commit(self: Session) -> None:
        due, upto, self._deadline = self._flush_is_due(), self._progress.position, None
        alerts, self._alerts = self._alerts, []

        async def commit() -> None:
            await self._commit_upto(upto, None, alerts)
            if due:
                self._flush = asyncio.create_task(self._write(self._work.snapshot(upto)))

        self._commit = asyncio.create_task(commit())
        self._commit.add_done_callback(lambda _: self._holding.waiting.put_nowait(None))

    patch.setattr(Session, "_start_commit", start_commit)


def batches_not_awaited(patch: pytest.MonkeyPatch) -> None:
    """Commit as aiokafka does, which does not look at what became of the batches."""
    commit = Delivery.commit

    async def commit_blindly(self: Delivery, offset: OffsetAndMetadata) -> None:
        self._sent = []
        await commit(self, offset)

    patch.setattr(Delivery, "commit", commit_blindly)


def emitted_again(patch: pytest.MonkeyPatch) -> None:
    """Emit also what has been committed."""
    emit = Session._emit  # noqa: SLF001  (a protection is not public)

    async def emit_all(self: Session, part: Chunk, emission: Emission) -> None:
        committed, self._progress.committed = self._progress.committed, 0
        try:
            await emit(self, part, emission)
        finally:
            self._progress.committed = max(committed, self._progress.committed)

    patch.setattr(Session, "_emit", emit_all)


def any_chunk_taken(patch: pytest.MonkeyPatch) -> None:
    """Take chunks whether they continue the position or not."""
    take = Session._take  # noqa: SLF001  (a protection is not public)

    async def take_any(self: Session, fetched: Fetched) -> None:
        self._progress.position = fetched.start
        await take(self, fetched)

    patch.setattr(Session, "_take", take_any)


def fenced_late(patch: pytest.MonkeyPatch) -> None:
    """Ask for the committed offset before the former owner is fenced."""
    start, begin = Delivery.start, Delivery.begin

    async def start_later(self: Delivery) -> None:
        """Start with the first transaction."""

    async def start_and_begin(self: Delivery) -> None:
        if self._outbox is None:
            await start(self)
        await begin(self)

    patch.setattr(Delivery, "start", start_later)
    patch.setattr(Delivery, "begin", start_and_begin)


def anybody_writes(patch: pytest.MonkeyPatch) -> None:
    """Write rows whoever has taken over."""
    write = MemoryStore.write

    async def overwrite(
        self: MemoryStore, customers: list[bytes], matrix: NDArray[np.float32], old: Marker, new: Marker
    ) -> None:
        del old
        await write(self, customers, matrix, Marker.decode(self._marker), new)

    patch.setattr(MemoryStore, "write", overwrite)
    patch.setattr(PartitionWork, "_check", lambda *_: None)


Switch = Callable[[pytest.MonkeyPatch], None]
SWITCHES: tuple[tuple[Switch, Callable[[int], Schedule]], ...] = (
    (unchecked, losing),
    (snapshot_taken_late, crashing),
    (batches_not_awaited, failing),
    (emitted_again, crashing),
    (any_chunk_taken, straying),
    (fenced_late, disputed),
    (anybody_writes, disputed),
)
MOST_SEEDS = 12


@pytest.mark.parametrize(("switch", "story"), SWITCHES, ids=[switch.__name__ for switch, _ in SWITCHES])
def test_a_protection_that_is_switched_off_is_missed(
    bundles: tuple[Bundle, Bundle], switch: Switch, story: Callable[[int], Schedule], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wrong(bundles, story(0), "exactly_once") == []
    switch(monkeypatch)
    assert any(wrong(bundles, story(seed), "exactly_once") for seed in range(MOST_SEEDS))
