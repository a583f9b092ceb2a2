"""One opening of a partition: what is committed, flushed and kept when, what is noticed, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.errors import BundleError
from stream_app.bundle import Bundle
from stream_app.engine import work
from stream_app.kernel import kernel
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.rolling import Rolling
from stream_app.shelf import Shelf
from stream_app.steps import features
from stream_app.steps.stages import Batch, Read, Whole
from stream_app.store import port
from stream_app.store.slices import slice_of
from tests.bundles import random_bundle
from tests.chunks import NOON, tick, transaction
from tests.kit.doubles import INPUT
from tests.kit.evidence import Evidence, differences, replayed
from tests.kit.wire import CANCELLED, REFUSED
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.test_replay import Row, captured, dense, made, row

LOG = dense(60)
REPEATS = {"exactly_once": ("alerts",), "at_least_once": ("alerts", "scores", "letters")}
"""What may be there twice, by delivery mode."""
MODES = tuple(REPEATS)
Act = Callable[[World], Awaitable[None]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("session"), score_on_customer=False)


def seen(bundle: Bundle, act: Act, log: list[Row] = LOG, **settings: Any) -> Evidence:  # noqa: ANN401  (of any type)
    """Return what is seen after acting in a world with a log."""

    async def acted(world: World) -> Evidence:
        await act(world)
        return world.evidence()

    return play(lambda: World(Shelf(bundle), records_of(captured(log)), **settings), acted)


def wrong(bundle: Bundle, found: Evidence, log: list[Row] = LOG) -> list[str]:
    return differences(replayed(captured(log), Shelf(bundle)), found)


def resets(worker: Worker) -> float:
    """Return how often the partition was opened again after a failure."""
    page = worker.metrics.page().decode().splitlines()
    return sum(float(line.split()[-1]) for line in page if line.startswith("foretell_resets_total"))


async def work_all(world: World) -> None:
    await world.join()
    await world.settle()


# Commit and flush


@pytest.mark.parametrize("mode", MODES)
def test_what_was_taken_is_committed_and_flushed_though_nothing_more_comes(bundle: Bundle, mode: str) -> None:
    async def act(world: World) -> None:
        await world.join()
        await world.settle(longest_s=5)

    assert wrong(bundle, seen(bundle, act, delivery=mode)) == []


@pytest.mark.parametrize(("mode", "last"), [("exactly_once", "commit"), ("at_least_once", "offset commit")])
def test_a_commit_that_fails_is_noticed_though_nothing_more_comes(bundle: Bundle, mode: str, last: str) -> None:
    async def act(world: World) -> None:
        await work_all(world)
        world.broker.end += 2
        world.broker.offsets.append(world.broker.end - 1)
        world.broker.records.append(world.broker.records[0])
        world.plan({(last, world.wire.faults.seen[last] + 1): REFUSED})
        await world.settle(longest_s=5)
        assert world.wire.faults.order.count("start") > 2

    seen(bundle, act, delivery=mode)


def test_no_row_reaches_the_store_before_its_record_is_committed(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.wire.slow_s["commit"] = 10.0
        await world.join()
        await asyncio.sleep(9)
        assert world.flushed == 0
        assert world.evidence().rows == {}
        await world.settle()

    assert wrong(bundle, seen(bundle, act, flush_ms=50)) == []


def test_rows_are_written_as_often_as_is_set_and_transactions_too(bundle: Bundle) -> None:
    async def counted(world: World) -> tuple[int, int]:
        world.cuts = (1,)
        await work_all(world)
        return world.wire.faults.seen["commit"], world.wire.faults.seen["store write"]

    def often(**settings: int) -> tuple[int, int]:
        return play(lambda: World(Shelf(bundle), records_of(captured(LOG)), **settings), counted)

    seldom, usual = often(commit_ms=2000, flush_ms=5000), often(commit_ms=50, flush_ms=100)
    assert (seldom[0] < 3, usual[0] > 5) == (True, True)
    assert (seldom[1] < 4, usual[1] > 5) == (True, True)


def test_the_next_chunk_is_computed_and_its_alerts_leave_while_a_commit_is_under_way(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.cuts = (10,)
        world.wire.slow_s["commit"] = 5.0
        worker = await world.join()
        await asyncio.sleep(4)
        left = [message.topic for message in world.broker.visible]
        assert left.count("alerts") >= 1
        assert left.count("scores") == 0
        assert worker.engine.partitions[INPUT].progress.rows > 3
        await world.settle()

    assert wrong(bundle, seen(bundle, act)) == []


@pytest.mark.parametrize("mode", MODES)
def test_no_more_rows_stay_in_memory_than_there_may_be(bundle: Bundle, mode: str) -> None:
    log = [row(transaction(transaction_id=str(k), customer_id=f"c-{k}", time=NOON + k)) for k in range(300)]

    async def act(world: World) -> None:
        world.cuts = (5,)
        worker = await world.join()
        most = 0
        while worker.engine.partitions[INPUT].progress.position < world.broker.end:
            await asyncio.sleep(0.01)
            most = max(most, worker.engine.partitions[INPUT].progress.rows)
        assert 20 < most < 100
        await world.settle()

    settings = {"resident_rows": 20, "flush_ms": 50, "commit_ms": 20}
    assert wrong(bundle, seen(bundle, act, log, delivery=mode, **settings), log) == []


def test_more_rows_than_a_write_takes_are_written_nevertheless(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "MOST_ROWS", 30)
    monkeypatch.setattr(work, "BEHIND_ROWS", 20)
    names = [f"c-{k}" for k in range(100)]
    past = [row(transaction(transaction_id=name, customer_id=name, time=NOON)) for name in names]
    ticks = [row(tick(number, NOON + 1), key=None) for number in sorted({slice_of(name.encode()) for name in names})]

    async def act(world: World) -> None:
        world.broker.end = world.broker.offsets[len(past) - 1] + 1
        world.cuts = (10,)
        await world.join()
        await world.settle(world.broker.end)
        world.cuts = (200,)
        world.broker.end = world.broker.offsets[-1] + 1
        await world.settle()

    log = [*past, *ticks]
    assert wrong(bundle, seen(bundle, act, log), log) == []


# What is noticed


def test_lost_writes_are_noticed_on_an_idle_partition_and_made_good(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_all(world)
        world.stores.lose(1)
        await asyncio.sleep(4)

    assert wrong(bundle, seen(bundle, act)) == []


def test_lost_writes_are_noticed_before_a_stale_row_is_used(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.broker.end = 80
        await world.join()
        await world.settle(79)
        world.stores.lose(1)
        world.broker.end = world.broker.offsets[-1] + 1
        await world.settle()

    assert wrong(bundle, seen(bundle, act, resident_rows=1)) == []


def test_a_chunk_that_got_lost_is_fetched_again(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        worker = await world.join()
        await asyncio.sleep(0.1)
        assert worker.feed.fetch(5, beyond=False) is not None
        await world.settle()

    assert wrong(bundle, seen(bundle, act)) == []


def test_a_last_chunk_that_got_lost_is_fetched_again(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.broker.end = 80
        worker = await world.join()
        await world.settle(79)
        world.broker.end = world.broker.offsets[-1] + 1
        assert worker.feed.fetch(1000, beyond=False) is not None
        await world.settle(longest_s=10)

    assert wrong(bundle, seen(bundle, act)) == []


def test_a_chunk_that_takes_long_is_not_a_lost_one(bundle: Bundle) -> None:
    names = [f"c-{k}" for k in range(12)]
    past = [row(transaction(transaction_id=name, customer_id=name, time=NOON)) for name in names]
    ticks = [row(tick(slice_of(name.encode()), NOON + 1), key=None) for name in names]

    async def act(world: World) -> None:
        world.broker.end = world.broker.offsets[len(past) - 1] + 1
        worker = await world.join()
        await world.settle(world.broker.end)
        world.wire.slow_s["store customers"] = 0.5
        world.cuts = (20,)
        world.broker.end = world.broker.offsets[-1] + 1
        await world.settle(longest_s=60)
        assert resets(worker) == 0

    log = [*past, *ticks]
    assert wrong(bundle, seen(bundle, act, log), log) == []


def test_a_commit_that_takes_long_is_not_a_lost_chunk(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.wire.slow_s["commit"] = 5.0
        worker = await world.join()
        await world.settle()
        assert resets(worker) == 0

    assert wrong(bundle, seen(bundle, act)) == []


@pytest.mark.parametrize("kind", ["store read", "store write", "batch", "alert", "offsets"])
def test_what_is_slow_holds_up_and_loses_nothing(bundle: Bundle, kind: str) -> None:
    async def act(world: World) -> None:
        await work_all(world)
        world.wire.slow_s[kind] = 3.0
        world.broker.end += 4
        await world.settle()

    log = LOG[:-2]
    assert wrong(bundle, seen(bundle, act, log), log) == []


def test_while_commits_fail_it_tries_less_and_less_often(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.plan({("commit", number): REFUSED for number in range(1, 1000)})
        worker = await world.join()
        await asyncio.sleep(60)
        assert 5 < resets(worker) < 20
        progress = worker.engine.partitions[INPUT].progress
        assert progress.trouble.startswith("Expected Kafka at localhost:9092 to ")
        world.plan({})
        await world.settle()
        assert progress.trouble == ""

    assert wrong(bundle, seen(bundle, act)) == []


def test_a_batch_that_somebody_cancelled_is_a_failure_like_any_other(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.plan({("batch", number): CANCELLED for number in range(1, 6)})
        await work_all(world)

    assert wrong(bundle, seen(bundle, act)) == []


# How it ends


@pytest.mark.parametrize("mode", MODES)
def test_who_leaves_has_committed_and_flushed_what_was_taken(bundle: Bundle, mode: str) -> None:
    async def act(world: World) -> None:
        worker = await world.join()
        await asyncio.sleep(0.1)
        taken = worker.engine.partitions[INPUT].progress.position
        assert 0 < taken < world.broker.end
        await worker.leave()
        assert world.broker.committed is not None
        assert taken <= world.broker.committed.offset == world.flushed
        await work_all(world)

    assert wrong(bundle, seen(bundle, act, delivery=mode)) == []


@pytest.mark.parametrize(
    "kind", ["commit", "offsets", "batch", "alert", "store write", "store read", "start", "committed"]
)
def test_who_is_told_to_leave_leaves_within_ten_seconds_whatever_does_not_answer(bundle: Bundle, kind: str) -> None:
    async def act(world: World) -> None:
        world.wire.slow_s[kind] = 1000.0
        worker = await world.join()
        await asyncio.sleep(2)
        told = asyncio.get_running_loop().time()
        await worker.leave()
        assert asyncio.get_running_loop().time() - told < 10
        del world.wire.slow_s[kind]
        await work_all(world)

    assert wrong(bundle, seen(bundle, act)) == []


# Records that cannot be taken

READ = features.read


def poisoned(*names: bytes) -> Callable[..., Read]:
    """Return a step that raises where one of some customers is in the batch."""

    def read(
        batch: Batch, rows: Whole, matrix: NDArray[np.float32], rolling: Rolling, eligibility: Eligibility
    ) -> Read:
        if not set(names).isdisjoint(batch.customers):
            matrix[rows] = np.nan  # whoever fails leaves a mess
            message = "this is a bug"
            raise ZeroDivisionError(message)
        return READ(batch, rows, matrix, rolling, eligibility)

    return read


def spoilt(at: int) -> list[Row]:
    """Return a log with a record of a customer that makes a step raise."""
    return [*LOG[:at], row(transaction(customer_id="poison", time=NOON)), *LOG[at:]]


def without(log: list[Row], bundle: Bundle, offsets: set[int]) -> Evidence:
    """Return what a log gives without some of its records."""
    whole = captured(log)
    keep = [offset not in offsets for offset in whole.table.column("offset").to_pylist()]
    return replayed(replace(whole, table=whole.table.filter(keep)), Shelf(bundle))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("at", [0, 1, 30, 60])
def test_a_record_that_makes_a_step_fail_is_found_and_its_neighbours_are_unharmed(
    bundle: Bundle, at: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "read", poisoned(b"poison"))
    log, offset = spoilt(at), 2 * (at + 1)

    async def act(world: World) -> None:
        worker = await world.join()
        await world.settle(longest_s=30)
        assert worker.problem == ""

    found = seen(bundle, act, log, delivery=mode)
    letter = found.letters.pop((0, offset))
    assert letter[:2] == (b"poison", captured(log).table.column("value")[at].as_py())
    assert dict(letter[2])["reason"] == b"internal_error"
    expected = without(log, bundle, {offset})
    assert differences(expected, found, repeats=REPEATS[mode]) == []


def test_a_worker_that_takes_over_finds_the_same_record(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "read", poisoned(b"poison"))
    log = spoilt(30)

    async def act(world: World) -> None:
        await work_all(world)
        world.stores.lose(100)
        await world.workers[0].die()
        await work_all(world)

    found = seen(bundle, act, log)
    assert dict(found.letters.pop((0, 62))[2])["reason"] == b"internal_error"
    assert differences(without(log, bundle, {62}), found) == []


def test_the_search_for_a_record_goes_on_over_rebalances(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "read", poisoned(b"poison"))
    log = spoilt(30)

    async def act(world: World) -> None:
        worker = await world.join()
        for _ in range(20):  # no search comes to its end between two of them
            await asyncio.sleep(0.35)
            await worker.engine.assign([INPUT])
        assert (0, 62) in world.evidence().letters
        await world.settle(longest_s=30)

    found = seen(bundle, act, log)
    assert dict(found.letters.pop((0, 62))[2])["reason"] == b"internal_error"
    assert differences(without(log, bundle, {62}), found) == []


@pytest.mark.parametrize("good", [0, 20])
def test_where_all_records_fail_the_partition_is_refused_and_stays_so(
    bundle: Bundle, good: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [row(transaction(customer_id="bad", transaction_id=str(k), time=NOON)) for k in range(100)]
    log = [*LOG[:good], *bad]
    monkeypatch.setattr(features, "read", poisoned(b"bad"))
    start = "Expected the steps to fail at single records, found 8 in a row that do"

    async def act(world: World) -> None:
        worker = await world.join()
        await asyncio.sleep(20)
        told = set()
        for _ in range(150):
            await asyncio.sleep(0.1)
            told.add(worker.problem[: len(start)])
        assert told == {start}
        monkeypatch.setattr(features, "read", READ)
        await world.settle()
        assert worker.problem == ""

    found, expected = seen(bundle, act, log), replayed(captured(log), Shelf(bundle))
    lost = {name for name, letter in found.letters.items() if dict(letter[2])["reason"] == b"internal_error"}
    assert len(lost) < 8
    assert expected.letters.keys() | lost == found.letters.keys()
    assert expected.scores.keys() - found.scores.keys() == {(0, f"transactions-0-{offset}") for _, offset in lost}
    assert found.repeated["scores"] + found.repeated["letters"] + len(found.contradicted) == 0


def test_a_tick_that_makes_a_step_fail_is_a_dead_letter_too(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "c-1"
    log = [
        row(transaction(customer_id=name, time=NOON)),
        row(tick(slice_of(name.encode()), NOON), key=None),
        row(transaction(customer_id=name, transaction_id="t-2", time=NOON)),
    ]

    def read(batch: Batch, *others: Any) -> Read:  # noqa: ANN401  (passed on)
        if (batch.op == kernel.TICK).any():
            message = "Expected a number as every score, found NaN from model.onnx; train the bundle again."
            raise BundleError(message)
        return READ(batch, *others)

    monkeypatch.setattr(features, "read", read)
    found = seen(bundle, work_all, log)
    assert dict(found.letters.pop((0, 4))[2])["reason"] == b"internal_error"
    assert differences(without(log, bundle, {4}), found) == []


# Bundles


@pytest.mark.parametrize("mode", MODES)
def test_an_activate_of_a_bundle_that_is_not_here_waits_for_it_and_what_is_before_it_does_not(
    bundle: Bundle, mode: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = random_bundle(tmp_path_factory.mktemp("elsewhere") / "other", bundle.spec, seed=7)
    log = [*LOG[:20], row({"kind": "activate", "bundle": other.sha256}, key=None), *LOG[20:]]

    async def act(world: World) -> None:
        worker = await world.join()
        await world.settle(41)
        place = bundle.path.parent
        start = f"Expected the bundle {other.sha256}, which transactions-0-42 activates, in {place}, found only"
        told = set()
        for _ in range(200):
            await asyncio.sleep(0.1)
            told.add(worker.problem[: len(start)])
        assert told == {start}
        assert differences(replayed(captured(LOG[:20]), Shelf(bundle)), world.evidence(), repeats=REPEATS[mode]) == []
        other.path.rename(place / "arrived")
        try:
            await world.settle()
        finally:
            (place / "arrived").rename(other.path)
        assert worker.problem == ""

    expected = Shelf(bundle, other.path.parent)
    assert (
        differences(replayed(captured(log), expected), seen(bundle, act, log, delivery=mode), repeats=REPEATS[mode])
        == []
    )


def test_an_activate_of_another_layout_is_refused(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> None:
    spec = bundle.spec
    folder = tmp_path_factory.mktemp("strangers")
    stranger = random_bundle(folder / "stranger", msgspec.structs.replace(spec, rules=spec.rules[:2]))
    log = [*LOG[:20], row({"kind": "activate", "bundle": stranger.sha256}, key=None), *LOG[20:]]
    start = (
        f"Expected state layout {bundle.manifest.layout} to stay, found {stranger.manifest.layout} in the bundle "
        f"{stranger.path}, which transactions-0-42 activates"
    )

    async def act(world: World) -> Evidence:
        worker = await world.join()
        await world.settle(41)
        await asyncio.sleep(10)
        assert worker.problem[: len(start)] == start
        return world.evidence()

    found = play(lambda: World(Shelf(bundle, folder), records_of(captured(log))), act)
    assert differences(replayed(captured(LOG[:20]), Shelf(bundle)), found) == []
