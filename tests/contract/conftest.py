"""The stores that the contract is held against."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any

import pytest

from stream_app import settings
from stream_app.store.connect import connect
from stream_app.store.memory import MemoryStores
from stream_app.store.port import Stores
from tests.kit import require
from tests.kit.redis import RedisServer


@dataclass(frozen=True)
class Kind:
    """A kind of store: how to connect to it, and how to make it lose everything."""

    connect: Callable[[], Stores]
    wipe: Callable[[], None]


@pytest.fixture(scope="session")
def contract_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give a Redis that is the contract's alone, since it loses everything now and then."""
    require.need(require.REDIS, require.missing_redis())
    with RedisServer(tmp_path_factory.mktemp("redis")).start() as server:
        yield server


def memory(_request: pytest.FixtureRequest) -> Kind:
    """Return a store in memory; whoever connects to it finds the same rows."""
    stores = MemoryStores()
    return Kind(lambda: stores, stores.wipe)


def redis(request: pytest.FixtureRequest) -> Kind:
    """Return a store in a real Redis."""
    server: RedisServer = request.getfixturevalue("contract_redis")
    chosen = settings.load({}, {"FORETELL_REDIS": server.url})
    return Kind(lambda: connect(chosen), server.flushall)


STORES = {"memory": memory, "redis": redis}
"""A new store joins and inherits all tests."""


@pytest.fixture(params=STORES, scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    """Give each kind of store in turn."""
    return STORES[request.param](request)


@pytest.fixture
def stores(kind: Kind) -> Stores:
    """Give a connection, for ``in_loop`` to close."""
    return kind.connect()


@pytest.fixture
def topic() -> str:
    """Give a topic that no other test writes to."""
    return next(TOPICS)


TOPICS = (f"t{number}" for number in itertools.count())


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in an event loop and close its ``stores`` there."""

    async def run_closing(stores: Stores, fixtures: dict[str, Any]) -> None:
        try:
            await test(stores=stores, **fixtures)
        finally:
            await stores.close()

    @wraps(test)
    def run(stores: Stores, **fixtures: Any) -> None:  # noqa: ANN401  (whatever the test asks for)
        asyncio.run(run_closing(stores, fixtures))

    return run
