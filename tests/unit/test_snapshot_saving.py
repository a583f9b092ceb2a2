"""What is saved while a worker writes is what a replay gives up to there."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.errors import InputError
from stream_app.bundle import Bundle
from stream_app.engine.work import PartitionWork, Snapshot
from stream_app.metrics import Metrics
from stream_app.shelf import Shelf
from stream_app.snapshot import saving
from stream_app.snapshot.file import SnapshotFile
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.keeper import Keeper
from stream_app.snapshot.saving import GoneError, Moving, save_moving, save_standing
from stream_app.store.memory import MemoryStores
from stream_app.store.port import Marker, RowStore
from stream_app.store.spread import partitions_kept
from tests.kit import virtual_time, workers
from tests.kit.doubles import INPUT
from tests.kit.evidence import Evidence, replayed
from tests.kit.losing import Rows
from tests.kit.snapshots import (
    END,
    HALF,
    LOG,
    WIDTH,
    row,
    rows_of,
    snapshots_of,
    store_of,
    taken_in,
)
from tests.kit.workers import World, play, records_of
from tests.properties.test_replay import Row, captured, made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("snapshots"), score_on_customer=False)


@pytest.fixture
def snapshots(tmp_path: Path, bundle: Bundle) -> Snapshots:
    """Give a folder of snapshots of the bundle's layout."""
    return snapshots_of(tmp_path / "snapshots", bundle)


# Saving while a worker writes


def replay_up_to(log: list[Row], flushed: int, bundle: Bundle) -> Evidence:
    """Return what the records before an offset give."""
    whole = captured(log)
    before = [offset < flushed for offset in whole.table.column("offset").to_pylist()]
    return replayed(type(whole)(whole.table.filter(before)), Shelf(bundle))


def saved_rows(snapshot: SnapshotFile) -> dict[tuple[int, bytes], bytes]:
    return {(0, name): line for name, line in rows_of(snapshot).items()}


def save_under_load(bundle: Bundle, snapshots: Snapshots, seed: int = 0) -> list[SnapshotFile]:
    """Save again and again while a worker takes in a log that grows, and writes twenty times a second."""
    found = list[SnapshotFile]()

    async def grow(world: World) -> None:
        while world.broker.end < END:
            await asyncio.sleep(0.1)
            world.broker.end += 2

    async def act(world: World) -> None:
        world.broker.end = 5
        worker = await world.join()
        growing = asyncio.create_task(grow(world))
        while not growing.done():
            await asyncio.sleep(0.01)
            work = worker.engine.partitions[INPUT].work
            if work is not None and work.marker.flushed:
                found.append(await save_moving(work, lambda: True, snapshots, INPUT))
        await growing

    options = {"flush_ms": 50, "resident_rows": 1_000, "commit_ms": 5}
    play(lambda: World(Shelf(bundle), records_of(captured(LOG)), seed, **options), act)
    return found


class LateAnswers(Rows):
    """A store that has written long before it says so."""

    async def write(self, customers: list[bytes], rows: NDArray[np.float32], old: Marker, new: Marker) -> None:
        await super().write(customers, rows, old, new)
        await asyncio.sleep(0.2)


@pytest.mark.parametrize("kind", [Rows, LateAnswers])
@pytest.mark.parametrize("seed", range(2))
def test_what_is_saved_under_load_is_what_the_replay_gives_up_to_there(
    bundle: Bundle, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, seed: int, kind: type[Rows]
) -> None:
    monkeypatch.setattr(workers, "Rows", kind)
    found = save_under_load(bundle, snapshots, seed)

    flushed = [each.stamp.flushed for each in found]
    assert len(set(flushed)) > 3
    for each in found:
        opened = SnapshotFile.open(each.path)
        assert saved_rows(opened) == replay_up_to(LOG, opened.stamp.flushed, bundle).rows


def test_without_the_writes_that_came_meanwhile_the_rows_would_be_wrong(
    bundle: Bundle, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moving, "_note", lambda self, write: self._markers.add(write.marker.encode()))

    found = [SnapshotFile.open(each.path) for each in save_under_load(bundle, snapshots)]

    assert any(saved_rows(each) != replay_up_to(LOG, each.stamp.flushed, bundle).rows for each in found)


class Held:
    """A store that has done a write and does not say so before it is let."""

    def __init__(self, store: RowStore) -> None:
        self._store, self.let = store, asyncio.Event()

    async def write(self, *arguments: Any) -> None:  # noqa: ANN401  (as the store's)
        await self._store.write(*arguments)
        await self.let.wait()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the store has)
        return getattr(self._store, name)


def saved_during_a_write(snapshots: Snapshots) -> SnapshotFile:
    """Save while the worker waits to hear that the store has done its write, to offset 20, of a row of 2s."""
    snapshots = replace(snapshots, layout="aa", row_width=WIDTH)

    async def act() -> SnapshotFile:
        held: Any = Held(MemoryStores().open(INPUT.topic, 0, "aa", WIDTH))
        scorer: Any = None
        marker = await held.take_over("owner")
        work = PartitionWork(scorer, held, marker)
        flushing = asyncio.create_task(work.flush(Snapshot([b"a"], row(2)[None], marker._replace(flushed=20))))
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().call_later(5.0, held.let.set)
        saved = await save_moving(work, lambda: True, snapshots, INPUT)
        await flushing
        return saved

    return virtual_time.run(act())


def test_a_write_that_is_under_way_is_waited_for_since_rows_may_be_of_it(snapshots: Snapshots) -> None:
    found = saved_during_a_write(snapshots)

    assert (found.stamp.flushed, rows_of(found)) == (20, {b"a": row(2).tobytes()})


def test_without_waiting_for_the_write_under_way_the_marker_would_be_too_old(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def settled(self: Moving) -> Marker:
        return self._work.marker

    monkeypatch.setattr(Moving, "settled", settled)

    found = saved_during_a_write(snapshots)

    assert (found.stamp.flushed, rows_of(found)) == (0, {b"a": row(2).tobytes()})


def test_a_partition_that_is_let_go_while_it_is_saved_leaves_no_snapshot(bundle: Bundle, snapshots: Snapshots) -> None:
    async def act(world: World) -> None:
        worker = await world.join()
        await world.settle()
        work = worker.engine.partitions[INPUT].work
        assert work is not None
        world.wire.slow_s["store customers"] = 0.5
        saving_ = asyncio.create_task(save_moving(work, lambda: INPUT in worker.engine.partitions, snapshots, INPUT))
        await asyncio.sleep(0.7)
        await worker.leave()
        with pytest.raises(GoneError):
            await saving_

    play(lambda: World(Shelf(bundle), records_of(captured(LOG))), act)
    assert snapshots.offsets(INPUT) == []
    assert list(snapshots.home(INPUT).iterdir()) == []


# Saving from the store alone


def each(stores: MemoryStores, snapshots: Snapshots) -> Callable[[int], RowStore]:
    return lambda number: stores.open(INPUT.topic, number, snapshots.layout, snapshots.row_width)


def test_rows_that_stand_still_are_saved_from_the_store(bundle: Bundle, snapshots: Snapshots) -> None:
    async def act(world: World) -> SnapshotFile | None:
        await taken_in(world, HALF)
        assert await partitions_kept(each(world.stores, snapshots)) == 1
        return await save_standing(store_of(world), snapshots, INPUT)

    found = play(lambda: World(Shelf(bundle), records_of(captured(LOG))), act)

    assert found is not None
    opened = SnapshotFile.open(found.path)
    assert opened.stamp.flushed == HALF
    assert saved_rows(opened) == replay_up_to(LOG, HALF, bundle).rows != {}


def test_nothing_is_saved_where_nothing_is_known(snapshots: Snapshots) -> None:
    stores = MemoryStores()
    store = stores.open(INPUT.topic, 0, snapshots.layout, snapshots.row_width)

    assert asyncio.run(save_standing(store, snapshots, INPUT)) is None
    assert asyncio.run(partitions_kept(each(stores, snapshots))) == 0


class Busy:
    """A store to which somebody writes after every so many questions, some times."""

    def __init__(self, store: RowStore, every: int, times: int) -> None:
        self._store, self._every, self._times, self._asked = store, every, times, 0

    async def customers(self, slice_number: int) -> tuple[bytes, list[bytes]]:
        self._asked += 1
        if self._asked % self._every == 0 and self._times:
            self._times -= 1
            await self._store.take_over(f"owner{self._asked}")
        return await self._store.customers(slice_number)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the store has)
        return getattr(self._store, name)


@pytest.mark.parametrize(("times", "saved"), [(saving.ATTEMPTS - 1, True), (99, False)])
def test_a_worker_that_writes_in_between_makes_it_begin_again_a_few_times(
    bundle: Bundle, snapshots: Snapshots, *, times: int, saved: bool
) -> None:
    async def act(world: World) -> None:
        await taken_in(world, HALF)
        busy: Any = Busy(store_of(world), 900, times)
        if saved:
            assert await save_standing(busy, snapshots, INPUT) is not None
        else:
            with pytest.raises(InputError, match="to stand still while they are read, found that a worker wrote"):
                await save_standing(busy, snapshots, INPUT)

    play(lambda: World(Shelf(bundle), records_of(captured(LOG))), act)
    assert len(snapshots.offsets(INPUT)) == saved


# Now and then


def test_a_worker_saves_its_partitions_now_and_then_and_keeps_the_newest(
    bundle: Bundle, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, offsets = Metrics(), list[list[int]]()
    monkeypatch.setattr(Snapshots, "age_s", lambda *_: None)

    async def act(world: World) -> None:
        worker = await world.join()
        keeper = Keeper(snapshots, 10.0, 2, metrics)
        keeper.start(lambda: worker.engine.partitions)
        for end in (101, 201, 301, END, END):
            world.broker.end = end
            await asyncio.sleep(30)
            offsets.append(snapshots.offsets(INPUT))
        await keeper.stop()

    def world() -> World:
        made_ = World(Shelf(bundle), records_of(captured(LOG)))
        made_.broker.end = 0
        return made_

    play(world, act)

    assert offsets == [[101], [201, 101], [301, 201], [END, 301], [END, 301]]
    assert b'foretell_snapshots_total{outcome="saved"} 4.0' in metrics.page()


def test_a_folder_that_cannot_be_written_to_is_told_of_and_tried_again(
    bundle: Bundle, snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    snapshots.folder.mkdir()
    obstacle = snapshots.folder / "foretell"
    obstacle.write_text("in the way", encoding="utf-8")

    async def act(world: World) -> None:
        worker = await world.join()
        keeper = Keeper(snapshots, 3600.0, 2, metrics)
        keeper.start(lambda: worker.engine.partitions)
        await asyncio.sleep(20)
        obstacle.unlink()
        await asyncio.sleep(60)
        await keeper.stop()
        assert worker.problem == ""

    play(lambda: World(Shelf(bundle), records_of(captured(LOG))), act)

    assert "Expected to write a snapshot to" in caplog.text
    assert snapshots.offsets(INPUT) == [END]
    assert b'foretell_snapshots_total{outcome="failed"} 1.0' in metrics.page()
