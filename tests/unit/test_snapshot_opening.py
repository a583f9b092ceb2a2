"""A worker whose rows and log's beginning are gone begins at a snapshot, or says what to do."""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka.structs import OffsetAndMetadata

from stream_app.bundle import Bundle
from stream_app.engine.ports import Surroundings
from stream_app.shelf import Shelf
from stream_app.snapshot.file import SnapshotFile
from stream_app.snapshot.folder import Snapshots
from stream_app.snapshot.restoring import restore
from stream_app.snapshot.saving import save_standing
from stream_app.store.port import Marker, Unfinished, UnfinishedError
from tests.kit import workers
from tests.kit.doubles import INPUT
from tests.kit.evidence import Evidence, differences, replayed
from tests.kit.snapshots import (
    HALF,
    LOG,
    Failing,
    at_once,
    empty,
    snapshots_of,
    store_of,
    taken_in,
)
from tests.kit.wire import LOST
from tests.kit.workers import World, play, records_of
from tests.properties.test_replay import captured, made


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("snapshots"), score_on_customer=False)


@pytest.fixture
def snapshots(tmp_path: Path, bundle: Bundle) -> Snapshots:
    """Give a folder of snapshots of the bundle's layout."""
    return snapshots_of(tmp_path / "snapshots", bundle)


@pytest.fixture
def with_snapshots(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    """Let workers look for snapshots."""
    monkeypatch.setattr(workers, "Surroundings", partial(Surroundings, snapshots=snapshots))
    return snapshots


async def settled(world: World) -> None:
    """Wait until all rows are there; while they are restored, their marker is of another format."""
    async with asyncio.timeout(300):
        while True:
            with suppress(UnfinishedError):
                return await world.settle()
            await asyncio.sleep(0.1)


async def lose_all(world: World, snapshots: Snapshots, first: int = 201) -> None:
    """Take in half of the log, save, lose the rows and the beginning of the log."""
    await taken_in(world, first)
    assert await save_standing(store_of(world), snapshots, INPUT) is not None
    await taken_in(world, HALF)
    world.stores.wipe()
    world.broker.first = first


def opened(bundle: Bundle, act: Callable[[World], Any], **settings: Any) -> Evidence:  # noqa: ANN401  (of any type)
    """Return what is seen after acting in a world with a log."""

    async def acted(world: World) -> Evidence:
        await act(world)
        return world.evidence()

    return play(lambda: World(Shelf(bundle), records_of(captured(LOG)), **settings), acted)


def test_rows_lost_with_the_logs_beginning_come_from_a_snapshot_and_nothing_differs_from_a_full_replay(
    bundle: Bundle, with_snapshots: Snapshots
) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        worker = await world.join()
        await settled(world)
        assert worker.problem == ""

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) == []


def test_rows_that_the_log_still_gives_are_not_taken_from_a_snapshot(bundle: Bundle, with_snapshots: Snapshots) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        world.broker.first = 0
        snapshot = with_snapshots.place(INPUT, 201)
        snapshot.write_bytes(b"nobody looks at it")
        await world.join()
        await settled(world)

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) == []


@pytest.mark.parametrize("number", [1, 2, 3, 9, 14])
def test_a_worker_that_loses_a_write_while_it_restores_begins_again(
    bundle: Bundle, with_snapshots: Snapshots, number: int
) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        world.plan({("store write", world.wire.faults.seen["store write"] + number): LOST})
        await world.join()
        await settled(world)

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) == []


@pytest.mark.parametrize("after_s", [0.05, 0.2, 0.5, 1.0])
def test_a_worker_that_is_killed_while_it_restores_leaves_it_to_the_next(
    bundle: Bundle, with_snapshots: Snapshots, after_s: float
) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        worker = await world.join()
        await asyncio.sleep(after_s)
        await worker.die()
        await world.join()
        await settled(world)

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) == []


def test_half_restored_rows_under_a_usual_marker_would_be_taken_for_all(
    bundle: Bundle, with_snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unfinished, "encode", lambda self: Marker(self.owner, 201, 1).encode())

    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        world.plan({("store write", world.wire.faults.seen["store write"] + 2): LOST})
        await world.join()
        await settled(world)

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) != []


def test_rows_that_an_operator_restores_are_left_to_the_operator(bundle: Bundle, with_snapshots: Snapshots) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        store = store_of(world)
        snapshot = SnapshotFile.open(with_snapshots.place(INPUT, 201))
        failing: Any = Failing(store, 2)
        with pytest.raises(ConnectionResetError):
            await restore(snapshot, failing, await store.take_over("me"), "operator", at_once)
        worker = await world.join()
        await asyncio.sleep(3)
        assert worker.problem.startswith("Expected whole rows in transactions-0, found that they are being restored")
        with pytest.raises(UnfinishedError) as left:
            await store.take_over("me")
        await restore(snapshot, store, left.value.marker, "operator", at_once)
        await settled(world)
        assert worker.problem == ""

    assert differences(replayed(captured(LOG), Shelf(bundle)), opened(bundle, act)) == []


async def damage(world: World, snapshots: Snapshots) -> None:
    place = snapshots.place(INPUT, 201)
    content = place.read_bytes()
    place.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    del world


async def cut_the_log_further(world: World, snapshots: Snapshots) -> None:
    world.broker.first = 203
    del snapshots


async def set_the_offset_back(world: World, snapshots: Snapshots) -> None:
    assert world.broker.committed is not None
    world.broker.committed = OffsetAndMetadata(150, world.broker.committed.metadata)
    del snapshots


async def replace_by_a_strangers(world: World, snapshots: Snapshots) -> None:
    strangers = Snapshots(snapshots.folder, "strangers", snapshots.layout, snapshots.row_width)
    shutil.copy(empty(strangers, 201).path, snapshots.place(INPUT, 201))
    del world


@pytest.mark.parametrize("spoil", [damage, cut_the_log_further, set_the_offset_back, replace_by_a_strangers])
def test_a_snapshot_that_does_not_fit_is_not_taken_and_the_worker_says_what_to_do(
    bundle: Bundle, with_snapshots: Snapshots, spoil: Callable[[World, Snapshots], Any]
) -> None:
    async def act(world: World) -> None:
        await lose_all(world, with_snapshots)
        await spoil(world, with_snapshots)
        worker = await world.join()
        await asyncio.sleep(2)
        assert f"found its first record at {world.broker.first}" in worker.problem
        assert f"no snapshot in {with_snapshots.folder} is whole and as new as that" in worker.problem
        assert world.evidence().rows == {}

    opened(bundle, act)


def test_a_worker_without_a_folder_of_snapshots_says_how_to_restore_one(bundle: Bundle, snapshots: Snapshots) -> None:
    async def act(world: World) -> None:
        await lose_all(world, snapshots)
        worker = await world.join()
        await asyncio.sleep(2)
        assert "restore the store from a backup, or a snapshot with `foretell snapshot restore`" in worker.problem

    opened(bundle, act)
