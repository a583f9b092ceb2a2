"""A restore replaces all rows or leaves what nobody takes; what cannot be right is refused."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from schemas.errors import InputError
from stream_app import cli
from stream_app.commands.group import Reach
from stream_app.commands.restoring import check_reach
from stream_app.snapshot.file import SnapshotFile
from stream_app.snapshot.restoring import restore, restore_beside
from stream_app.store.memory import MemoryStores
from stream_app.store.port import LostWritesError, Marker, RowStore, UnfinishedError
from tests.kit.doubles import INPUT
from tests.kit.snapshots import (
    MARKER,
    WIDTH,
    Failing,
    row,
    written,
)


def stale_store() -> tuple[MemoryStores, RowStore, Marker]:
    """Return a store with rows that a restore must replace or remove."""
    stores = MemoryStores()
    store = stores.open(INPUT.topic, 0, "aa", WIDTH)

    async def fill() -> Marker:
        marker = await store.take_over("old")
        filled = marker._replace(flushed=3, partitions=1)
        await store.write([b"a", b"gone"], np.stack([row(7), row(8)]), marker, filled)
        return await store.take_over("me")

    return stores, store, asyncio.run(fill())


@pytest.fixture
def few(tmp_path: Path) -> SnapshotFile:
    """Write a snapshot in which a customer stands twice and one was forgotten."""
    return written(tmp_path, (b"a", 1.0), (b"b", 2.0), (b"c", 3.0), (b"b", 4.0), (b"c", 0.0))


RESTORED: Final = {b"a": row(1).tobytes(), b"b": row(4).tobytes()}


@pytest.mark.parametrize(("takeovers", "tries", "restored"), [(0, 1, True), (1, 1, False), (2, 3, True), (3, 3, False)])
def test_beside_workers_that_take_over_again_a_restore_is_tried_again(
    few: SnapshotFile,
    takeovers: int,
    tries: int,
    restored: bool,  # noqa: FBT001
) -> None:
    stores, store, _ = stale_store()
    left = [takeovers]

    async def take_over() -> Marker:
        marker = await store.take_over("restore")
        if left[0]:
            left[0] -= 1
            await store.take_over(f"worker-{left[0]}")
        return marker

    beside = restore_beside(few, store, take_over, tries)
    if restored:
        asyncio.run(beside)
        assert stores.partition(INPUT).rows["aa"] == RESTORED
    else:
        with pytest.raises(LostWritesError):
            asyncio.run(beside)
        assert stores.partition(INPUT).rows["aa"] != RESTORED


def test_a_restore_replaces_all_rows_and_the_marker(few: SnapshotFile) -> None:
    stores, store, old = stale_store()

    marker = asyncio.run(restore(few, store, old, "operator"))

    kept = stores.partition(INPUT)
    assert kept.rows["aa"] == RESTORED
    assert kept.markers["aa"] == marker.encode()
    assert marker._replace(owner="owner") == MARKER
    assert marker.owner not in {"owner", old.owner}


def test_the_owner_of_the_rows_notices_a_restore(few: SnapshotFile) -> None:
    _, store, old = stale_store()
    asyncio.run(restore(few, store, old, "operator"))

    with pytest.raises(LostWritesError):
        asyncio.run(store.write([b"a"], row(9)[None], old, old._replace(flushed=4)))


@pytest.mark.parametrize("after", range(1, 4))
def test_a_restore_that_is_cut_short_leaves_rows_that_nobody_takes_and_may_be_done_again(
    few: SnapshotFile, after: int
) -> None:
    stores, store, old = stale_store()
    failing: Any = Failing(store, after)
    with pytest.raises(ConnectionResetError):
        asyncio.run(restore(few, failing, old, "operator"))

    with pytest.raises(
        UnfinishedError, match="Expected whole rows in transactions-0, found that they are being"
    ) as left:
        asyncio.run(store.take_over("worker"))
    asyncio.run(restore(few, store, left.value.marker, "operator"))

    assert stores.partition(INPUT).rows["aa"] == RESTORED
    assert asyncio.run(store.take_over("worker")).flushed == MARKER.flushed


def test_a_restore_that_is_cut_short_before_its_first_write_changes_nothing(few: SnapshotFile) -> None:
    stores, store, old = stale_store()
    failing: Any = Failing(store, 0)
    with pytest.raises(ConnectionResetError):
        asyncio.run(restore(few, failing, old, "operator"))

    assert stores.partition(INPUT).rows["aa"] == {b"a": row(7).tobytes(), b"gone": row(8).tobytes()}
    assert asyncio.run(store.take_over("worker")).flushed == 3


def test_two_restores_at_once_do_not_mix(few: SnapshotFile) -> None:
    stores, store, old = stale_store()
    failing: Any = Failing(store, 2)
    with pytest.raises(ConnectionResetError):
        asyncio.run(restore(few, failing, old, "operator"))
    with pytest.raises(UnfinishedError) as left:
        asyncio.run(store.take_over("worker"))

    async def both() -> list[object]:
        ones = (restore(few, store, left.value.marker, "operator") for _ in range(2))
        return await asyncio.gather(*ones, return_exceptions=True)

    outcomes = asyncio.run(both())

    assert [type(outcome) for outcome in outcomes] == [Marker, LostWritesError]
    assert stores.partition(INPUT).rows["aa"] == RESTORED


CONTINUED: Final = Reach(first=0, end=100, committed=50, beginning=None)
"""What a log may be like that continues a snapshot at offset 17."""


@pytest.mark.parametrize("log", [CONTINUED, replace(CONTINUED, committed=17), replace(CONTINUED, committed=None)])
def test_a_snapshot_that_the_log_continues_may_be_restored(few: SnapshotFile, log: Reach) -> None:
    check_reach(few, log, "foretell", force=False)


@pytest.mark.parametrize(
    ("log", "told", "forced"),
    [
        (
            replace(CONTINUED, end=16),
            "to reach offset 17, where .* found its end at 16: the topic was made anew",
            False,
        ),
        (
            replace(CONTINUED, first=18),
            "to reach back to offset 17, .* found its first record at 18; take a newer",
            False,
        ),
        (replace(CONTINUED, committed=16), "to have committed offset 17 .* found 16: what lies between would", True),
    ],
)
def test_a_snapshot_that_the_log_does_not_continue_is_refused(
    few: SnapshotFile, log: Reach, told: str, *, forced: bool
) -> None:
    with pytest.raises(InputError, match=told):
        check_reach(few, log, "foretell", force=False)
    if forced:
        check_reach(few, log, "foretell", force=True)
    else:
        with pytest.raises(InputError, match=told):
            check_reach(few, log, "foretell", force=True)


# The command


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["save"], "Expected the folder for snapshots in --snapshots or FORETELL_SNAPSHOTS, found none"),
        (["save", "--snapshots", "x"], "Expected the folder of a bundle in --bundle or FORETELL_BUNDLE, found none"),
    ],
)
def test_what_a_snapshot_needs_is_asked_for(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["snapshot", *arguments]) != 0
    assert capsys.readouterr().err.startswith(f"foretell: {told}; name ")
