"""Asking for a committed offset: what stands in the way of an answer is not taken for none."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, RequestTimedOutError

from stream_app import offsets

NAME = TopicPartition("t", 2)
LOADING, MOVED, FORBIDDEN = 14, 16, 30


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
