"""Whether brokers number what a producer sends is learned from what they do, not from what they say."""

import asyncio
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final

import pytest
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import ApiVersionRequest_v0, ApiVersionResponse_v0
from aiokafka.protocol.transaction import InitProducerIdRequest_v0, InitProducerIdResponse_v0

from stream_app import abilities
from stream_app.embedded import ports
from stream_app.settings import Settings

VERSIONS, NUMBERS = ApiVersionRequest_v0.API_KEY, InitProducerIdRequest_v0.API_KEY
NO_ERROR, UNKNOWN, LOADING, FORBIDDEN, UNSUPPORTED = 0, -1, 14, 31, 35
HEAD: Final = struct.Struct(">ihhi")


class Broker:
    """A broker that says in which versions it can number, and answers as it is told when it is asked for a number."""

    def __init__(self, *codes: int, versions: tuple[int, int] | None = (0, 5)) -> None:
        self.asked, self._codes = 0, list(codes)
        self.serving: list[asyncio.Task[None] | None] = []
        known = [(VERSIONS, 0, 0)] + ([(NUMBERS, *versions)] if versions else [])
        self._versions = ApiVersionResponse_v0(NO_ERROR, known)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size, key, _, number = HEAD.unpack(await reader.readexactly(HEAD.size))
                await reader.readexactly(size + 4 - HEAD.size)
                body = struct.pack(">i", number) + self._answer(key).encode()
                writer.write(struct.pack(">i", len(body)) + body)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self, key: int) -> ApiVersionResponse_v0 | InitProducerIdResponse_v0:
        if key == VERSIONS:
            return self._versions
        self.asked += 1
        return InitProducerIdResponse_v0(0, self._codes.pop(0), 7, 0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(abilities, "_AGAIN_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(abilities, "_able", set())
        yield


def with_broker(broker: Broker, work: Callable[[Settings], Awaitable[bool]], before: str = "") -> bool:
    async def run() -> bool:
        server = await asyncio.start_server(broker.serve, ports.HOST, ports.free())
        port = server.sockets[0].getsockname()[1]
        async with server:
            able = await work(Settings(kafka=f"{before}{ports.HOST}:{port}"))
            await asyncio.gather(*filter(None, broker.serving))
        return able

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("codes", "able"),
    [
        pytest.param([NO_ERROR], True, id="gives a number"),
        pytest.param([UNKNOWN, UNKNOWN, NO_ERROR], True, id="stumbles twice"),
        pytest.param([UNKNOWN, UNKNOWN, UNKNOWN], False, id="does not know how"),
        pytest.param([UNSUPPORTED], False, id="says that it cannot"),
        pytest.param([LOADING], True, id="will be able soon"),
        pytest.param([FORBIDDEN], True, id="does not allow it, which a producer's start tells"),
    ],
)
def test_a_broker_can_what_it_does(codes: list[int], *, able: bool) -> None:
    broker = Broker(*codes)
    assert (with_broker(broker, abilities.can_number), broker.asked) == (able, len(codes))


@pytest.mark.parametrize("versions", [None, (3, 5)], ids=["in no version", "in no version of aiokafka"])
def test_a_broker_that_does_not_list_the_request_is_not_asked_for_it(versions: tuple[int, int] | None) -> None:
    broker = Broker(versions=versions)
    assert (with_broker(broker, abilities.can_number), broker.asked) == (False, 0)


@pytest.mark.parametrize(("codes", "asked"), [([NO_ERROR], 1), ([UNSUPPORTED] * 3, 3)])
def test_one_that_can_is_asked_once_and_one_that_cannot_each_time(codes: list[int], asked: int) -> None:
    broker = Broker(*codes)

    async def ask_thrice(settings: Settings) -> bool:
        return all([await abilities.can_number(settings) for _ in range(3)])

    assert with_broker(broker, ask_thrice) == (asked == 1)
    assert broker.asked == asked


def test_a_broker_that_is_away_is_passed_over() -> None:
    assert with_broker(Broker(NO_ERROR), abilities.can_number, before=f"{ports.HOST}:{ports.free()}, ")


def test_where_nobody_answers_nothing_is_known() -> None:
    nowhere = Settings(kafka=f"{ports.HOST}:{ports.free()}")
    with pytest.raises((KafkaError, OSError)):
        asyncio.run(abilities.can_number(nowhere))


def test_who_wants_transactions_without_numbers_is_told_what_to_do() -> None:
    settings = Settings(kafka="k:1")
    assert abilities.no_transactions(settings) == (
        "Expected idempotent producers and transactions at k:1, found brokers without; use Apache Kafka, or set "
        "FORETELL_DELIVERY to at_least_once, with which a restart may repeat scores."
    )
    assert abilities.no_transactions(settings, "wait").endswith("use Apache Kafka, or wait.")
