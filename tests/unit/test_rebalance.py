"""A rebalance that gives a partition back: its rows stay in memory, if the store still has the same ones."""

from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_app.bundle import Bundle
from stream_app.engine.work import Kept
from stream_app.shelf import Shelf
from tests.kit.doubles import INPUT
from tests.kit.evidence import differences, replayed
from tests.kit.losing import Rows
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.test_replay import captured, dense, made

LOG = dense(90, seed=4)
BEFORE, MEANWHILE = 40, 60
"""Records before the rebalance, and before it ends."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("rebalance"), score_on_customer=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return whose rows the store is asked for, from now on."""
    found, read = list[bytes](), Rows.read

    async def noted(self: Rows, customers: list[bytes]) -> tuple[bytes, NDArray[np.float32]]:
        found.extend(customers)
        return await read(self, customers)

    monkeypatch.setattr(Rows, "read", noted)
    return found


def customers() -> set[bytes]:
    return {item[1] for item in LOG if item[1] is not None}


async def taken(world: World, records: int) -> None:
    """Wait until so many records are there, committed and in the store."""
    world.broker.end = world.broker.offsets[records - 1] + 1
    await world.settle(upto=world.broker.end)


async def nothing(world: World, worker: Worker) -> None:
    """Let the partition come back at once."""


async def another_works(world: World, worker: Worker) -> None:
    """Let another worker have the partition for a while."""
    await worker.engine.revoke()
    other = await world.join()
    await taken(world, MEANWHILE)
    await other.leave()


async def writes_are_lost(world: World, worker: Worker) -> None:
    """Let the store lose its last writes while nobody owns the partition."""
    await worker.engine.revoke()
    world.stores.lose(3)


async def the_store_is_wiped(world: World, worker: Worker) -> None:
    """Let the store lose everything while nobody owns the partition."""
    await worker.engine.revoke()
    world.stores.wipe()


def rebalanced(bundle: Bundle, meanwhile: Callable[[World, Worker], Awaitable[None]], asked: list[bytes]) -> list[str]:
    """Return where it goes wrong when the partition comes back after something has happened."""

    async def act(world: World) -> list[str]:
        world.broker.end = 0
        worker = await world.join()
        await taken(world, BEFORE)
        await meanwhile(world, worker)
        asked.clear()
        world.broker.owner = worker.process.name
        await worker.engine.assign([INPUT])
        await taken(world, len(LOG))
        return differences(replayed(captured(LOG), Shelf(bundle)), world.evidence())

    return play(lambda: World(Shelf(bundle), records_of(captured(LOG)), flush_ms=50), act)


def test_rows_stay_in_memory_where_the_partition_comes_back(bundle: Bundle, asked: list[bytes]) -> None:
    known = {item[1] for item in LOG[:BEFORE]}
    assert rebalanced(bundle, nothing, asked) == []
    assert set(asked) == customers() - known


@pytest.mark.parametrize("meanwhile", [another_works, writes_are_lost, the_store_is_wiped])
def test_rows_that_the_store_does_not_have_so_any_more_are_read_anew(
    bundle: Bundle, meanwhile: Callable[[World, Worker], Awaitable[None]], asked: list[bytes]
) -> None:
    assert rebalanced(bundle, meanwhile, asked) == []
    assert set(asked) >= {item[1] for item in LOG[MEANWHILE:] if item[1] is not None}


def test_rows_kept_without_a_look_at_the_marker_would_be_missed(
    bundle: Bundle, asked: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "are_of", lambda *_: True)
    assert rebalanced(bundle, another_works, asked) != []


def test_a_partition_that_does_not_come_back_leaves_no_rows_behind(bundle: Bundle) -> None:
    async def act(world: World) -> int:
        worker = await world.join()
        await world.settle()
        await worker.engine.assign([])
        return len(worker.engine._kept)  # noqa: SLF001  (memory that nobody else sees)

    assert play(lambda: World(Shelf(bundle), records_of(captured(LOG))), act) == 0
