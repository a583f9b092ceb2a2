"""Opening a partition: where it begins, what is refused and in which words, and that nothing else is."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.structs import OffsetAndMetadata

from stream_app import bundle as bundles
from stream_app.bundle import Bundle
from stream_app.engine import opening
from stream_app.engine.beginning import Beginning
from stream_app.shelf import Shelf
from tests.bundles import random_bundle
from tests.kit.evidence import Evidence, differences, replayed
from tests.kit.wire import LOST, NOTHING
from tests.kit.workers import Worker, World, play, records_of
from tests.properties.test_replay import Row, captured, dense, made, row

LOG = dense(60)
HALF = 60
"""An offset in the middle of the log, where its first half ends: offsets are 2, 4, 6, …"""
AGAIN_S = 6.0
"""After this long a refused partition has looked again."""

Act = Callable[[World], Awaitable[None]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("opening"), score_on_customer=False)


@pytest.fixture(scope="module")
def other(bundle: Bundle) -> Bundle:
    """Make another bundle of the same state layout, beside the first."""
    return random_bundle(bundle.path.parent / "other", bundle.spec, seed=7)


def opened(bundle: Bundle, act: Act, log: list[Row] = LOG, **settings: Any) -> Evidence:  # noqa: ANN401  (of any type)
    """Return what is seen after acting in a world with a log."""

    async def acted(world: World) -> Evidence:
        await act(world)
        return world.evidence()

    return play(lambda: World(Shelf(bundle), records_of(captured(log)), **settings), acted)


def replay_of(log: list[Row], bundle: Bundle) -> Evidence:
    return replayed(captured(log), Shelf(bundle))


async def work_up_to(world: World, end: int) -> None:
    """Let a worker take a part of the log and leave."""
    whole, world.broker.end = world.broker.end, end
    worker = await world.join()
    await world.settle(max(offset for offset in world.broker.offsets if offset < end) + 1)
    await worker.leave()
    world.broker.end = whole


async def refused(world: World, start: str, shelf: Shelf | None = None) -> Worker:
    """Prove that a new worker refuses the partition, and goes on refusing it, in a sentence that starts so."""
    seen = len(world.broker.visible)
    worker = await world.join(shelf)
    for _ in range(2):
        await asyncio.sleep(AGAIN_S)
        assert worker.problem[: len(start)] == start
        assert worker.problem.endswith(".")
    assert len(world.broker.visible) == seen
    return worker


# Where it begins


def test_a_first_start_scores_all_that_the_log_has(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await world.join()
        await world.settle()

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_a_first_start_from_now_takes_all_in_and_scores_what_comes_from_then_on(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.broker.end = HALF + 1
        await world.join()
        await asyncio.sleep(1)
        world.broker.end = world.broker.offsets[-1] + 1
        await world.settle()

    seen, expected = opened(bundle, act, start="now"), replay_of(LOG, bundle)
    assert {offset_of(name) for name in seen.scores} == {
        offset_of(name) for name in expected.scores if offset_of(name) > HALF
    }
    expected.scores = {name: score for name, score in expected.scores.items() if offset_of(name) > HALF}
    expected.alerts = {name: alert for name, alert in expected.alerts.items() if offset_of(name) > HALF}
    expected.letters = {name: letter for name, letter in expected.letters.items() if name[1] > HALF}
    assert differences(expected, seen) == []


def offset_of(name: tuple[int, str]) -> int:
    return int(name[1].split("-")[2].split(":")[0])


def test_a_log_that_has_lost_its_beginning_before_the_first_start_is_scored_from_what_it_has(bundle: Bundle) -> None:
    later = captured(LOG)
    later = type(later)(later.table.filter([offset > HALF for offset in later.table.column("offset").to_pylist()]))

    async def act(world: World) -> None:
        world.broker.first = HALF + 1
        await world.join()
        await world.settle()

    assert differences(replayed(later, Shelf(bundle)), opened(bundle, act)) == []


def test_it_becomes_the_only_writer_before_it_asks_how_far_the_former_one_came(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await world.join()
        await world.settle()
        order = world.wire.faults.order
        assert [kind for kind, _ in groupby(order)][:3] == ["start", "committed", "store take_over"]
        assert order.index("store take_over") < order.index("offset commit") < order.index("store write")

    opened(bundle, act)


def test_a_second_worker_begins_at_the_marker_and_looks_at_the_record_before_it(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        worker = await world.join()
        worker.feed.seeks.clear()
        await world.settle()
        assert worker.feed.seeks == [HALF]

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_it_begins_at_the_marker_where_retention_has_taken_the_record_before_it(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        world.broker.first = HALF + 1
        worker = await world.join()
        await world.settle()
        assert worker.feed.seeks == [HALF + 1]

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_an_offset_that_is_not_told_at_once_is_asked_for_again(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        asked = world.wire.faults.seen["committed"]
        world.plan({("committed", asked + k): NOTHING for k in (1, 2, 3)})
        await world.join()
        await world.settle()
        assert world.wire.faults.seen["committed"] > asked + 3

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_what_a_group_began_with_is_committed_and_read_again() -> None:
    beginning = Beginning("0" * 64, 21, 4)
    assert Beginning.of(OffsetAndMetadata(7, beginning.encode())) == beginning


@pytest.mark.parametrize("told", ["", "bundle=x", "first=1;bundle=x;partitions=2", "what an operator's tool writes"])
def test_an_offset_that_an_operator_has_set_tells_no_beginning(told: str) -> None:
    assert Beginning.of(OffsetAndMetadata(7, told)) is None


def test_no_offset_tells_no_beginning() -> None:
    assert Beginning.of(None) is None


# What is refused


async def add_partitions(world: World) -> None:
    world.broker.partitions = 2


async def add_partitions_and_lose_rows(world: World) -> None:
    world.broker.partitions = 2
    world.stores.wipe()


async def make_a_shorter_topic(world: World) -> None:
    world.broker.end = HALF // 2


async def make_a_topic_of_other_records(world: World) -> None:
    key, value, time = world.broker.records[HALF // 2 - 1]
    world.broker.records[HALF // 2 - 1] = (key, (value or b"") + b" ", time)


async def forget_the_offset(world: World) -> None:
    world.broker.committed = None


async def lose_rows_and_the_logs_beginning(world: World) -> None:
    world.stores.wipe()
    world.broker.first = 20


async def lose_the_log_beyond_the_marker(world: World) -> None:
    world.broker.first = HALF + 10


REFUSALS = {
    "partitions": (
        add_partitions,
        "Expected 1 partitions of transactions, as group foretell began with, found 2: customers have moved",
    ),
    "partitions, all rows lost": (
        add_partitions_and_lose_rows,
        "Expected 1 partitions of transactions, as group foretell began with, found 2: customers have moved",
    ),
    "shorter": (
        make_a_shorter_topic,
        f"Expected transactions-0 to reach offset {HALF + 1}, found its end at {HALF // 2}: the topic was made anew; ",
    ),
    "other record": (
        make_a_topic_of_other_records,
        f"Expected at offset {HALF} of transactions-0 the record that the rows were computed from, found another: ",
    ),
    "no offset": (
        forget_the_offset,
        (
            "Expected a committed offset of group foretell for transactions-0, found none, though rows stand at "
            f"{HALF + 1}: it has expired or was deleted, or the topic was made anew; in the first case stop all "
            "workers of the group and set it: kafka-consumer-groups.sh --bootstrap-server localhost:9092 --group "
            f"foretell --topic transactions:0 --reset-offsets --to-offset {HALF + 1} --execute; in the other, choose"
        ),
    ),
    "beginning": (
        lose_rows_and_the_logs_beginning,
        (
            "Expected the log of transactions-0 to reach back to offset 0, where the rows stand, found its first "
            "record at 20: "
        ),
    ),
    "gap": (
        lose_the_log_beyond_the_marker,
        (
            f"Expected the log of transactions-0 to reach back to offset {HALF + 1}, where the rows stand, found its "
            f"first record at {HALF + 10}"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_right_is_refused_in_one_sentence_and_nothing_leaves(bundle: Bundle, name: str) -> None:
    change, start = REFUSALS[name]

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        await change(world)
        await refused(world, start)

    opened(bundle, act)


def test_where_nothing_was_changed_nothing_is_refused(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        worker = await world.join()
        await world.settle()
        assert worker.problem == ""

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


@pytest.mark.parametrize("name", ["beginning", "gap"])
def test_without_the_refusal_the_output_would_be_wrong(
    bundle: Bundle, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_check", lambda *_: None)

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        await REFUSALS[name][0](world)
        await world.join()
        await world.settle()

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) != []


def test_a_refused_partition_is_opened_when_the_operator_has_acted(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        await forget_the_offset(world)
        worker = await refused(world, REFUSALS["no offset"][1])
        world.broker.committed = OffsetAndMetadata(world.flushed, "")
        await world.settle()
        assert worker.problem == ""

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_an_operator_may_do_without_records_that_are_gone(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        await lose_the_log_beyond_the_marker(world)
        worker = await refused(world, REFUSALS["gap"][1])
        world.broker.committed = OffsetAndMetadata(world.broker.first, "")
        await world.settle()
        assert worker.problem == ""

    seen, expected = opened(bundle, act), replay_of(LOG, bundle)
    missing = {offset_of(name) for name in expected.scores.keys() - seen.scores.keys()}
    assert {offset for offset in missing if offset < HALF + 10} == missing != set()


def test_all_rows_lost_are_made_again_from_the_log_without_a_word(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        world.stores.wipe()
        await world.join()
        await world.settle()

    assert differences(replay_of(LOG, bundle), opened(bundle, act)) == []


def test_rows_lost_are_made_again_where_the_log_began_later_than_at_0(bundle: Bundle) -> None:
    later = captured(LOG)
    later = type(later)(later.table.filter([offset > 20 for offset in later.table.column("offset").to_pylist()]))

    async def act(world: World) -> None:
        world.broker.first = 21
        await work_up_to(world, HALF + 1)
        world.stores.wipe()
        await world.join()
        await world.settle()

    assert differences(replayed(later, Shelf(bundle)), opened(bundle, act)) == []


def test_a_first_start_from_now_that_is_cut_short_begins_again(bundle: Bundle) -> None:
    async def act(world: World) -> None:
        world.broker.first = 21
        world.plan({("store write", 1): LOST})
        worker = await world.join()
        await asyncio.sleep(AGAIN_S)
        assert worker.problem == ""
        await asyncio.sleep(AGAIN_S)
        assert world.flushed == world.broker.end

    opened(bundle, act, start="now")


# Bundles


def activating(bundle: Bundle) -> list[Row]:
    """Return a log in whose middle a bundle is activated."""
    return [*LOG[:20], row({"kind": "activate", "bundle": bundle.sha256}, key=None), *LOG[20:]]


@pytest.mark.parametrize("starts", ["the same", "the activated one"])
def test_a_worker_may_start_with_the_bundle_as_before_or_with_the_one_in_force(
    bundle: Bundle, other: Bundle, starts: str
) -> None:
    log = activating(other)

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        await world.join(Shelf(bundle if starts == "the same" else other))
        await world.settle()

    assert differences(replay_of(log, bundle), opened(bundle, act, log)) == []


def test_a_worker_that_starts_with_another_bundle_than_the_one_in_force_is_told_how_to_activate_it(
    bundle: Bundle, other: Bundle
) -> None:
    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        start = (
            f"Expected FORETELL_BUNDLE to be the bundle {bundle.short} that is in force on transactions-0, found "
            f"{other.short}; start with the former, then run: foretell activate {other.path}"
        )
        worker = await world.join(Shelf(other))
        await asyncio.sleep(AGAIN_S)
        assert worker.problem == start

    opened(bundle, act)


def test_rows_lost_are_made_again_with_the_bundle_that_the_group_began_with(bundle: Bundle, other: Bundle) -> None:
    log = activating(other)

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        world.stores.wipe()
        await world.join(Shelf(other))
        await world.settle()

    assert differences(replay_of(log, bundle), opened(bundle, act, log)) == []


@pytest.mark.parametrize(("lost", "which"), [(False, "is in force"), (True, "the group began with")])
def test_a_bundle_that_is_needed_and_not_there_is_asked_for(
    bundle: Bundle, other: Bundle, tmp_path: Path, *, lost: bool, which: str
) -> None:
    log, needed = activating(other), bundle if lost else other
    shutil.copytree((other if lost else bundle).path, tmp_path / "one")

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        if lost:
            world.stores.wipe()
        start = (
            f"Expected the bundle {needed.sha256}, which {which} on transactions-0, in {tmp_path}, found it not there"
        )
        worker = await refused(world, start, Shelf(bundles.load(tmp_path / "one")))
        shutil.copytree(needed.path, tmp_path / "needed")
        await world.settle()
        assert worker.problem == ""

    assert differences(replay_of(log, bundle), opened(bundle, act, log)) == []


def test_rows_of_another_layout_are_left_alone(bundle: Bundle, tmp_path: Path) -> None:
    spec = msgspec.structs.replace(bundle.spec, rules=bundle.spec.rules[:2])
    stranger = random_bundle(tmp_path / "stranger", spec)
    assert stranger.manifest.layout != bundle.manifest.layout

    async def act(world: World) -> None:
        await work_up_to(world, HALF + 1)
        rows = world.evidence().rows
        start = (
            f"Expected the rows of transactions-0 in state layout {stranger.manifest.layout}, found "
            f"{bundle.manifest.layout}: another worker of this group has another bundle"
        )
        await refused(world, start, Shelf(stranger))
        assert world.evidence().rows == rows

    opened(bundle, act)
