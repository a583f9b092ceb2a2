"""A demo's records on their way into the topic: how many leave together, how fast, and what is noted of them."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import cast

import numpy as np
import pytest

from schemas import codec
from schemas.messages import Customer, Record, Transaction
from schemas.spec_file import bank
from stream_app.commands.outgoing import Message, Outgoing
from stream_app.offline.log import FolderLog
from stream_app.offline.shipment import Part
from tests.kit import virtual_time
from tests.kit.snapshots import at_once
from tests.unit.test_demo_state import role
from training.demo import feed
from training.demo.feed import AT_ONCE, TICK_S, Feed
from training.demo.state import State

ANSWER_S = 0.004
RATE = 2500.0


class Slow:
    """A way into a topic that answers each batch after some milliseconds."""

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self.answer_s, self.settled = answer_s, False
        self.batches: list[tuple[float, int, list[Message]]] = []

    async def send(self, partition: int, messages: Iterable[Message]) -> None:
        self.batches.append((asyncio.get_running_loop().time(), partition, list(messages)))
        await asyncio.sleep(self.answer_s)

    async def settle(self) -> None:
        self.settled = True


Sent = Callable[..., tuple[Slow, Feed, State]]


def record(number: int) -> Record:
    if number % 10 == 0:
        return Customer(customer_id=f"c{number % 7}", time=number)
    return Transaction(
        transaction_id=f"t{number}", customer_id=f"c{number % 7}", time=number, amount=-1.5, type="dining"
    )


def log(records: int, each: int = 4096) -> list[Part]:
    values: list[bytes | None] = [codec.encode(record(number)) for number in range(records)]
    keys: list[bytes | None] = [f"c{number % 7}".encode() for number in range(records)]
    nowhere = np.full(records, -1, np.int64)
    whole = Part(keys, values, None, nowhere, nowhere)
    return [whole.slice(first, first + each) for first in range(0, records, each)]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Give a function that sends parts of a log in virtual time: so many records at a rate, and then perhaps all."""
    monkeypatch.setattr(asyncio, "to_thread", at_once)

    def send(
        parts: list[Part], paced: int, *, partitions: int = 1, answer_s: float = ANSWER_S, rest: bool = False
    ) -> tuple[Slow, Feed, State]:
        monkeypatch.setattr(feed, "parts", lambda _: iter(parts))
        slow, state = Slow(answer_s), State("a bank", ["one"])
        state.watch([role("c1")], sum(map(len, parts)), (0, 1))
        found = Feed(cast("Outgoing", slow), cast("FolderLog", None), partitions, bank(), state)

        async def act() -> None:
            await found.paced(paced, RATE)
            if rest:
                await found.all()

        virtual_time.run(act())
        return slow, found, state

    return send


def times(slow: Slow) -> list[float]:
    return [time_s for time_s, _, _ in slow.batches]


def sizes(slow: Slow) -> list[int]:
    return [len(messages) for _, _, messages in slow.batches]


def test_what_falls_due_within_a_tick_leaves_together_however_soon_the_broker_answers(sent: Sent) -> None:
    slow, _, state = sent(log(5000, 5000), 5000)
    together = round(RATE * TICK_S)
    assert sizes(slow) == pytest.approx([together] * (5000 // together), abs=2)
    assert min(b - a for a, b in pairwise(times(slow))) > TICK_S / 2
    assert times(slow)[-1] == pytest.approx(5000 / RATE, abs=TICK_S), "at the rate"
    assert state.sent == 5000


def test_what_a_slow_broker_has_held_up_leaves_at_once(sent: Sent) -> None:
    slow, _, state = sent(log(5000), 5000, answer_s=4 * TICK_S)
    assert max(sizes(slow)) > 3 * RATE * TICK_S
    assert times(slow)[-1] == pytest.approx(5000 / RATE, abs=5 * TICK_S), "at the rate all the same"
    assert state.sent == 5000


def test_so_many_go_at_the_pace_and_the_rest_as_fast_as_it_is_taken(sent: Sent) -> None:
    slow, _, state = sent(log(9000), 130, rest=True)
    paced = sizes(slow)[:2]
    assert sum(paced) == 130
    assert sizes(slow)[2:] == [AT_ONCE, 4096 - 130 - AT_ONCE, AT_ONCE, AT_ONCE, 4096 - 2 * AT_ONCE, 9000 - 2 * 4096]
    assert (state.sent, slow.settled) == (9000, True)


@pytest.mark.parametrize("each", [4096, 40, 1])
def test_nothing_is_lost_or_put_in_another_order_however_the_log_is_cut(each: int, sent: Sent) -> None:
    slow, _, _ = sent(log(300, each), 200, rest=True)
    values = [value for _, _, messages in slow.batches for _, value, _ in messages]
    assert values == [value for part in log(300) for value in part.values]


def test_a_log_that_ends_before_its_time_ends_the_pace(sent: Sent) -> None:
    slow, _, state = sent(log(100), 1000)
    assert (sum(sizes(slow)), state.sent) == (100, 100)


def test_of_each_record_it_is_noted_when_it_was_handed_over_by_partition_and_offset(sent: Sent) -> None:
    slow, found, _ = sent(log(1000), 1000, partitions=3)
    for number in range(3):
        batches = [(time_s, len(messages)) for time_s, place, messages in slow.batches if place == number]
        assert len(found.left_s[number]) == sum(count for _, count in batches) > 0
        offset = 0
        for time_s, count in batches:
            noted = set(found.left_s[number][offset : offset + count])
            assert len(noted) == 1
            assert 0 <= time_s - noted.pop() <= 3 * ANSWER_S + 0.01, "before the broker had it"
            offset += count


def test_the_state_is_told_what_the_watched_do_and_of_nobody_else(sent: Sent) -> None:
    _, _, state = sent(log(21), 21)
    assert [item.told for item in state.actors[0].story] == ["paid 1.50 EUR: dining"] * 3
    assert [item.time_ms for item in state.actors[0].story] == [1, 8, 15]
    assert state.now_ms == 20
