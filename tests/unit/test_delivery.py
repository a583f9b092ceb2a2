"""How messages leave: what is visible when, what happens to what is refused, and that nothing is left running."""

import asyncio
import gc
import random
from collections.abc import Awaitable
from typing import Any

import numpy as np
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from schemas import codec
from schemas.messages import Alert
from stream_app import abilities, kafka
from stream_app.engine.delivery import MOST_HELD, STOP_S, AlertDelivery, Delivery, Message, Outbox
from stream_app.settings import Settings
from stream_app.steps.encode import DeadLetter, Scores
from stream_app.steps.texts import Texts
from tests.kit import virtual_time
from tests.kit.doubles import INPUT, LARGEST_BATCH, Broker, Producer
from tests.kit.wire import CANCELLED, LOST, REFUSED, UNANSWERED, Faults, Process, Wire

LETTER = DeadLetter(b"k", None, (("reason", b"json"),))


class Place:
    """A broker, a process and all producers that were made for it."""

    def __init__(self, patch: pytest.MonkeyPatch, *, numbered: bool = True, **settings: Any) -> None:  # noqa: ANN401  (of any type)
        """Let the engine make doubles of producers, for a broker that numbers what they send or does not."""
        self.broker, self.process, self.made = Broker([], []), Process("w"), list[Producer]()
        self.broker.owner = "w"
        self.faults = Faults()
        self.wire = Wire(self.faults, _NoDelay())
        self.settings = Settings(**settings)
        self.numbered = numbered
        patch.setattr(abilities, "can_number", self._can_number)
        patch.setattr(kafka, "transactional_producer", self._make)
        patch.setattr(kafka, "idempotent_producer", self._make)

    async def commit(self, partition: TopicPartition, offset: OffsetAndMetadata) -> None:
        """Commit as a source does."""
        assert partition == INPUT
        self.broker.commit(self.process, offset)

    async def delivery(self) -> Delivery:
        """Return a started delivery."""
        delivery = Delivery(self.settings, INPUT, self.commit)
        await delivery.start()
        return delivery

    async def _can_number(self, settings: Settings) -> bool:
        assert settings is self.settings
        return self.numbered

    def _make(self, settings: Settings, name: str = "", *, idempotent: bool = True) -> Producer:
        assert settings is self.settings
        self.made.append(Producer(self.broker, self.wire, self.process, name, idempotent=idempotent))
        return self.made[-1]


class _NoDelay(random.Random):
    """Chance that always gives the least."""

    def random(self) -> float:
        return 0.0


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give a broker and settings for exactly_once."""
    return Place(monkeypatch, delivery="exactly_once")


@pytest.fixture
def simple(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Give a broker and settings for at_least_once."""
    return Place(monkeypatch, delivery="at_least_once")


def scores(*messages: bytes) -> Scores:
    """Return scores of customers 0, 1, … with some messages."""
    starts = np.cumsum([0, *map(len, messages)])
    nobody: Any = None
    return Scores(
        bundle=nobody,
        record=np.arange(len(messages)),
        customers=Texts.of([b"%d" % k for k in range(len(messages))]),
        transaction_ids=Texts.of([]),
        kind=nobody,
        time_ms=nobody,
        late=nobody,
        eligible=nobody,
        values=nobody,
        band=nobody,
        messages=np.frombuffer(b"".join(messages), np.uint8),
        starts=starts,
    )


def alert(number: int) -> Alert:
    return Alert(
        alert_id=f"a-{number}",
        score_id="s",
        customer_id="é",
        time=0,
        rule="r",
        score=0.5,
        threshold=0.4,
        severity="info",
        suppressed=0,
        bundle="b",
    )


def visible(place: Place) -> list[tuple[str, bytes | None]]:
    return [(message.topic, message.value) for message in place.broker.visible]


def upto(offset: int) -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, "told")


async def gone(work: Awaitable[object], seconds: float = 60.0) -> BaseException | None:
    """Return what a coroutine raises; it must end."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except (KafkaError, OSError) as error:
        return error
    return None


# Batches


@pytest.mark.parametrize("count", [0, 1, LARGEST_BATCH, LARGEST_BATCH + 1, 3 * LARGEST_BATCH])
def test_messages_go_in_as_few_batches_as_they_fit_in_and_keep_their_order(place: Place, count: int) -> None:
    async def work() -> int:
        outbox = Outbox(kafka.idempotent_producer(place.settings))
        await outbox.start()
        sent = await outbox.send("alerts", 0, [(b"k", b"%d" % k, [("h", b"v")]) for k in range(count)])
        await asyncio.gather(*sent)
        await outbox.close()
        return len(sent)

    assert virtual_time.run(work()) == -(-count // LARGEST_BATCH)
    assert [tuple(message) for message in place.broker.visible] == [
        ("alerts", b"k", b"%d" % k, (("h", b"v"),)) for k in range(count)
    ]


def test_each_score_is_a_message_with_its_customer_as_key(place: Place) -> None:
    async def work() -> list[int]:
        outbox = Outbox(kafka.idempotent_producer(place.settings))
        await outbox.start()
        counts = []
        for part in (scores(b"one", b"", b"three"), scores()):
            sent = await outbox.send_scores("scores", 0, [part])
            await asyncio.gather(*sent)
            counts.append(len(sent))
        await outbox.close()
        return counts

    assert virtual_time.run(work()) == [1, 0]
    assert [tuple(message) for message in place.broker.visible] == [
        ("scores", b"0", b"one", ()),
        ("scores", b"1", b"", ()),
        ("scores", b"2", b"three", ()),
    ]


def test_a_batch_that_fails_and_nobody_waits_for_is_no_error_of_the_loop(place: Place) -> None:
    place.faults.planned = {("alert", 1): REFUSED, ("alert", 2): CANCELLED, ("alert", 3): REFUSED}
    told: list[dict[str, Any]] = []

    async def work() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        for count in (1, 1, 3):
            outbox = Outbox(kafka.idempotent_producer(place.settings))
            await outbox.start()
            for _ in range(count):
                await outbox.send("alerts", 0, [(b"k", b"v", [])])
            await asyncio.sleep(1)
            await outbox.close()
        gc.collect()

    virtual_time.run(work())
    assert told == []


def test_a_producer_that_does_not_stop_is_given_up(place: Place) -> None:
    place.wire.slow_s["alert"] = 1000.0

    async def work() -> float:
        outbox = Outbox(kafka.idempotent_producer(place.settings))
        await outbox.start()
        await outbox.send("alerts", 0, [(b"k", b"v", [])])
        before = asyncio.get_running_loop().time()
        await outbox.close()
        return asyncio.get_running_loop().time() - before

    assert virtual_time.run(work()) <= STOP_S + 0.5
    assert [producer.open for producer in place.made] == [False]


# Scores and dead letters


def test_in_transactions_nothing_is_visible_before_the_commit_and_with_it_all_and_the_offset(place: Place) -> None:
    async def work() -> None:
        delivery = await place.delivery()
        await delivery.begin()
        await delivery.send([scores(b"one", b"two")], [LETTER])
        await asyncio.sleep(1)
        assert visible(place) == []
        await delivery.commit(upto(7))
        assert sorted(visible(place), key=str) == [("scores", b"one"), ("scores", b"two"), ("transactions.dlq", None)]
        assert place.broker.committed == upto(7)
        await delivery.close()

    virtual_time.run(work())


def test_without_transactions_messages_are_visible_at_once_and_the_offset_with_the_commit(simple: Place) -> None:
    async def work() -> None:
        delivery = await simple.delivery()
        await delivery.begin()
        await delivery.send([scores(b"one")], [LETTER])
        await asyncio.sleep(1)
        assert visible(simple) == [("scores", b"one"), ("transactions.dlq", None)]
        assert simple.broker.committed is None
        await delivery.commit(upto(7))
        assert simple.broker.committed == upto(7)
        await delivery.close()

    virtual_time.run(work())


@pytest.mark.parametrize("fault", [REFUSED, LOST])
@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("mode", ["exactly_once", "at_least_once"])
def test_nothing_is_committed_where_one_batch_has_failed(
    mode: str, batch: int, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(monkeypatch, delivery=mode)
    place.faults.planned = {("batch", batch): fault}

    async def work() -> None:
        delivery = await place.delivery()
        await delivery.begin()
        await delivery.send([scores(b"x")], [])
        await delivery.send([scores(b"y")], [LETTER])
        assert isinstance(await gone(delivery.commit(upto(7))), KafkaError)
        await delivery.close()

    virtual_time.run(work())
    assert place.broker.committed is None
    if mode == "exactly_once":
        assert visible(place) == []


def sent_batches(place: Place) -> list[int]:
    """Return how many records each batch of scores had that the first producer has sent."""
    return [records for topic, records in place.made[0].sent if topic == "scores"]


def test_scores_of_small_chunks_of_a_transaction_leave_in_two_batches(place: Place) -> None:
    async def work() -> None:
        delivery = await place.delivery()
        for first in (0, 10):
            await delivery.begin()
            for k in range(first, first + 5):
                await delivery.send([scores(b"%d" % k, b"%d+" % k)], [])
            await delivery.commit(upto(first + 5))
        await delivery.close()

    virtual_time.run(work())
    expected = [b"%d%s" % (k, more) for k in (*range(5), *range(10, 15)) for more in (b"", b"+")]
    assert [value for _, value in visible(place)] == expected
    assert [message.key for message in place.broker.visible] == [b"0", b"1"] * 10
    assert sent_batches(place) == [2, 8, 2, 8]


def test_many_bytes_of_scores_do_not_wait_for_the_commit(place: Place) -> None:
    async def work() -> None:
        delivery = await place.delivery()
        await delivery.begin()
        for _ in range(3):
            await delivery.send([scores(bytes(MOST_HELD // 2))], [])
        await delivery.commit(upto(7))
        await delivery.close()

    virtual_time.run(work())
    assert sent_batches(place) == [1, 2]


def test_without_transactions_no_score_waits_for_another(simple: Place) -> None:
    async def work() -> None:
        delivery = await simple.delivery()
        await delivery.begin()
        for k in range(3):
            await delivery.send([scores(b"%d" % k)], [])
        await asyncio.sleep(1)
        assert sent_batches(simple) == [1, 1, 1]
        await delivery.close()

    virtual_time.run(work())


def test_what_was_sent_long_before_the_commit_counts_too(place: Place) -> None:
    place.faults.planned = {("batch", 1): REFUSED}

    async def work() -> None:
        delivery = await place.delivery()
        await delivery.begin()
        await delivery.send([scores(b"x")], [])
        await asyncio.sleep(10)
        assert isinstance(await gone(delivery.commit(upto(7))), KafkaError)
        await delivery.close()

    virtual_time.run(work())


def test_who_is_fenced_can_commit_nothing_more(place: Place) -> None:
    async def work() -> None:
        former = await place.delivery()
        await former.begin()
        await former.send([scores(b"old")], [])
        later = await place.delivery()
        assert isinstance(await gone(former.commit(upto(7))), ProducerFenced)
        await later.begin()
        await later.send([scores(b"new")], [])
        await later.commit(upto(8))
        for delivery in (former, later):
            await delivery.close()

    virtual_time.run(work())
    assert visible(place) == [("scores", b"new")]


def test_one_partition_of_one_group_has_one_transactional_id(place: Place) -> None:
    async def work() -> None:
        for number in range(2):
            delivery = Delivery(place.settings, TopicPartition("transactions", number), place.commit)
            await delivery.start()
            await delivery.close()

    virtual_time.run(work())
    assert [producer.name for producer in place.made] == ["foretell-transactions-0", "foretell-transactions-1"]


def test_a_delivery_that_was_never_started_is_closed_without_a_producer(place: Place) -> None:
    virtual_time.run(Delivery(place.settings, INPUT, place.commit).close())
    assert place.made == []


# Brokers that do not number what comes


def sent_after_a_failure(place: Place, *, numbered: bool) -> list[bytes | None]:
    """Send three batches of which the first fails; return what has arrived."""
    place.faults.planned = {("batch", 1): REFUSED}

    async def work() -> None:
        outbox = Outbox(kafka.idempotent_producer(place.settings, idempotent=False), numbered=numbered)
        await outbox.start()
        messages: list[Message] = [(b"k", b"%d" % k, []) for k in range(3 * LARGEST_BATCH)]
        assert (await gone(outbox.send("scores", 0, messages)) is None) == numbered
        await asyncio.sleep(1)
        await outbox.close()

    virtual_time.run(work())
    return [message.value for message in place.broker.visible]


def test_without_numbers_nothing_arrives_after_a_batch_that_failed(simple: Place) -> None:
    assert sent_after_a_failure(simple, numbered=False) == []


def test_to_hand_over_the_next_batch_at_once_would_let_it_arrive_before_the_one_that_failed(simple: Place) -> None:
    assert sent_after_a_failure(simple, numbered=True) == [b"%d" % k for k in range(LARGEST_BATCH, 3 * LARGEST_BATCH)]


def test_without_numbers_one_partition_does_not_wait_for_another(simple: Place) -> None:
    async def work() -> None:
        outbox = Outbox(kafka.idempotent_producer(simple.settings, idempotent=False), numbered=False)
        await outbox.start()
        simple.wire.slow_s["alert"] = 1000.0
        await outbox.send("alerts", 0, [(b"k", b"waits", [])])
        del simple.wire.slow_s["alert"]
        (sent,) = await outbox.send("alerts", 1, [(b"k", b"leaves", [])])
        await sent
        await outbox.close()

    virtual_time.run(work())
    assert [message.value for message in simple.broker.visible] == [b"leaves"]


@pytest.mark.parametrize("numbered", [True, False])
def test_without_transactions_producers_are_what_the_broker_can_have(
    monkeypatch: pytest.MonkeyPatch, *, numbered: bool
) -> None:
    place = Place(monkeypatch, numbered=numbered, delivery="at_least_once")

    async def work() -> None:
        alerts, delivery = AlertDelivery(place.settings), await place.delivery()
        await alerts.settle(await alerts.send(0, [alert(1)]))
        await delivery.close()
        await alerts.close()

    virtual_time.run(work())
    assert [producer.idempotent for producer in place.made] == [numbered, numbered]


# Alerts


def send_and_settle(delivery: AlertDelivery, number: int) -> Awaitable[None]:
    async def work() -> None:
        await delivery.settle(await delivery.send(0, [alert(number)]))

    return work()


def ids(place: Place) -> list[str]:
    return [codec.facts(value or b"")["alert_id"] for _, value in visible(place)]


def test_alerts_of_all_partitions_leave_at_once_by_one_producer(place: Place) -> None:
    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        await asyncio.gather(*(delivery.send(number, [alert(number)]) for number in range(5)))
        await asyncio.sleep(1)
        assert sorted(ids(place)) == [f"a-{k}" for k in range(5)]
        await delivery.close()

    virtual_time.run(work())
    assert [producer.open for producer in place.made] == [False]
    assert {message.key for message in place.broker.visible} == {"é".encode()}


def test_no_alerts_need_no_producer(place: Place) -> None:
    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        assert await delivery.send(0, []) == []
        await delivery.settle([])
        await delivery.close()

    virtual_time.run(work())
    assert place.made == []


@pytest.mark.parametrize("fault", [REFUSED, LOST, UNANSWERED])
def test_after_a_refused_alert_the_next_goes_by_another_producer(place: Place, fault: str) -> None:
    place.faults.planned = {("alert", 1): fault}

    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        assert isinstance(await gone(send_and_settle(delivery, 1)), KafkaError)
        assert await gone(send_and_settle(delivery, 2)) is None
        await delivery.close()

    virtual_time.run(work())
    assert ids(place)[-1] == "a-2"
    assert [producer.open for producer in place.made] == [False, False]


@pytest.mark.parametrize("fault", [REFUSED, LOST])
def test_a_producer_of_alerts_that_does_not_start_is_stopped_and_made_anew(place: Place, fault: str) -> None:
    place.faults.planned = {("start", 1): fault}

    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        assert isinstance(await gone(send_and_settle(delivery, 1)), KafkaError)
        assert await gone(send_and_settle(delivery, 2)) is None
        await delivery.close()

    virtual_time.run(work())
    assert ids(place) == ["a-2"]
    assert [producer.open for producer in place.made] == [False, False]


def test_a_partition_that_is_taken_away_while_the_producer_starts_leaves_nothing_running(place: Place) -> None:
    place.wire.slow_s["start"] = 5.0

    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        first, second = (asyncio.create_task(delivery.send(number, [alert(number)])) for number in (1, 2))
        await asyncio.sleep(1)
        first.cancel()
        await asyncio.wait([first])
        await delivery.settle(await second)
        await delivery.close()

    virtual_time.run(work())
    assert ids(place) == ["a-2"]
    assert [producer.open for producer in place.made] == [False, False]


def test_who_waits_for_an_alert_is_told_when_its_producer_is_given_up_for_anothers_sake(place: Place) -> None:
    place.faults.planned = {("alert", 2): REFUSED}

    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        place.wire.slow_s["alert"] = 1000.0
        waits = await delivery.send(1, [alert(1)])
        del place.wire.slow_s["alert"]
        place.faults.seen["alert"] = 1  # the first one will not be there for long
        fails = await delivery.send(2, [alert(2)])
        assert isinstance(await gone(delivery.settle(fails)), KafkaError)
        assert await gone(send_and_settle(delivery, 3)) is None
        assert isinstance(await gone(delivery.settle(waits)), KafkaError)
        await delivery.close()

    virtual_time.run(work())


def test_a_failure_of_a_former_producer_leaves_the_present_one_at_work(place: Place) -> None:
    place.faults.planned = {("alert", 1): REFUSED, ("alert", 2): REFUSED}

    async def work() -> None:
        delivery = AlertDelivery(place.settings)
        sent = [await delivery.send(number, [alert(number)]) for number in (1, 2)]
        assert isinstance(await gone(delivery.settle(sent[0])), KafkaError)
        assert await gone(send_and_settle(delivery, 3)) is None
        assert isinstance(await gone(delivery.settle(sent[1])), KafkaError)
        assert await gone(send_and_settle(delivery, 4)) is None
        await delivery.close()

    virtual_time.run(work())
    assert len(place.made) == 2
