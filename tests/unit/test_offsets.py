"""Asking for offsets: what stands in the way of an answer is not taken for one."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, OffsetOutOfRangeError, RequestTimedOutError
from aiokafka.protocol.fetch import FetchRequest

from stream_app import offsets

NAME = TopicPartition("t", 2)
OUT_OF_RANGE, NOT_LEADER, LOADING, MOVED, FORBIDDEN = 1, 6, 14, 16, 30


class Coordinator:
    """Answers one request after the other: (code on top, code of the partition, offset), or an error."""

    def __init__(self, *answers: tuple[int, int, int] | KafkaError) -> None:
        self.answers, self.died = list(answers), 0

    async def ensure_coordinator_known(self) -> None:
        await asyncio.sleep(0)

    def coordinator_dead(self) -> None:
        self.died += 1

    async def _send_req(self, request: object) -> SimpleNamespace:
        assert request is not None
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaError):
            raise answer
        top, code, offset = answer
        return SimpleNamespace(error_code=top, topics=[("t", [(2, offset, "", code)])] if not top else [])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "AGAIN_S", 0.0)


def ask(coordinator: Coordinator) -> int | None:
    consumer = SimpleNamespace(_coordinator=coordinator)
    return asyncio.run(offsets.committed_offset(consumer, "g", NAME))


@pytest.mark.parametrize(("offset", "expected"), [(0, 0), (41, 41), (-1, None)])
def test_what_the_broker_has_is_told(offset: int, expected: int | None) -> None:
    assert ask(Coordinator((0, 0, offset))) == expected


@pytest.mark.parametrize(
    "first",
    [(LOADING, 0, -1), (0, LOADING, -1), RequestTimedOutError()],
    ids=["loading", "loading a part", "no answer in time"],
)
def test_a_broker_that_is_not_ready_is_asked_again(first: tuple[int, int, int] | KafkaError) -> None:
    assert ask(Coordinator(first, (0, 0, 41))) == 41


def test_a_coordinator_that_has_moved_is_looked_for() -> None:
    coordinator = Coordinator((MOVED, 0, -1), (0, 0, 41))

    assert (ask(coordinator), coordinator.died) == (41, 1)


def test_a_refusal_is_an_error() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        ask(Coordinator((FORBIDDEN, 0, -1)))


class Ends:
    """A consumer of one partition: what it is told of its end, and what a fetch from there tells."""

    def __init__(self, told: int, end: int, *codes: int, leader: int | None = 1) -> None:
        self._client = self.cluster = self
        self._told, self._end, self._codes, self._leader = told, end, list(codes), leader
        self.updates, self.idle = 0, False

    async def end_offsets(self, names: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(names, self._told)

    def leader_for_partition(self, name: TopicPartition) -> int | None:
        assert name == NAME
        return self._leader

    async def force_metadata_update(self) -> None:
        self.updates, self._leader = self.updates + 1, 1

    async def send(self, node: int, request: FetchRequest) -> SimpleNamespace:
        await asyncio.sleep(0)
        assert (node, request.topics) == (1, [("t", [(2, self._told, 1)])])
        if not self.idle:
            self.idle = True
            return SimpleNamespace(topics=[])
        code = self._codes.pop(0) if self._codes else 0
        in_transactions = self._end + 3
        return SimpleNamespace(topics=[("t", [(2, code, in_transactions, self._end, 0, None, -1, b"")])])


def ask_ends(consumer: Ends) -> dict[TopicPartition, int]:
    return asyncio.run(offsets.ends(consumer, [NAME]))


@pytest.mark.parametrize(("told", "end"), [(0, 0), (7, 7), (4037, 4937)], ids=["empty", "told", "told too little"])
def test_the_end_is_behind_the_last_committed_record_whatever_is_told(told: int, end: int) -> None:
    assert ask_ends(Ends(told, end)) == {NAME: end}


@pytest.mark.parametrize(("leader", "codes"), [(None, []), (-1, []), (1, [NOT_LEADER]), (1, [LOADING, NOT_LEADER])])
def test_a_leader_that_has_moved_is_looked_for(leader: int | None, codes: list[int]) -> None:
    consumer = Ends(5, 9, *codes, leader=leader)

    assert (ask_ends(consumer), consumer.updates) == ({NAME: 9}, 1)


def test_an_end_that_nobody_tells_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "ENDS_S", 0.1)
    with pytest.raises(TimeoutError):
        ask_ends(Ends(5, 9, *[NOT_LEADER] * 1_000_000))


def test_a_fetch_that_is_refused_is_an_error() -> None:
    with pytest.raises(OffsetOutOfRangeError):
        ask_ends(Ends(5, 9, OUT_OF_RANGE))
