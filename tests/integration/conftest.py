"""The real servers that these tests share. A test may kill one: the next test finds it running again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kit import java, require
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Give the Kafka that all tests share, without security; each test uses topics of its own (``topics``)."""
    require.need(require.KAFKA, java.missing_kafka())
    with Kafka.start(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Give the Redis that all tests share; the group of ``topics`` keeps their rows apart."""
    require.need(require.REDIS, require.missing_redis())
    with RedisServer(tmp_path_factory.mktemp("redis") / "server").start() as server:
        yield server


@pytest.fixture(autouse=True)
def revived(request: pytest.FixtureRequest) -> None:
    """Bring back a shared server that the last test left dead or paused: one failure is not all tests' failure."""
    servers = [request.getfixturevalue(name) for name in ("kafka", "redis_server") if name in request.fixturenames]
    for server in servers:
        if server.running:
            server.resume()
        else:
            server.restart() if isinstance(server, Kafka) else server.start()


@pytest.fixture
def topics(request: pytest.FixtureRequest, kafka: Kafka, redis_server: RedisServer) -> Topics:
    """Give names of topics and a group that are this test's alone."""
    return Topics.unique(request.node.name, kafka.environment() | {"FORETELL_REDIS": redis_server.url})


@pytest.fixture
def foretell(tmp_path: Path, topics: Topics) -> Iterator[Callable[..., Foretell]]:
    """Give a function that starts a verb as a process with the environment of ``topics``; the test's end kills it.

    ``foretell("worker", "--bundle", bundle, FORETELL_DELIVERY="at_least_once")``
    """
    started: list[Foretell] = []

    def start(*arguments: str | Path, module: str = "stream_app", **variables: str) -> Foretell:
        process = Foretell(*arguments, environment=topics.environment | variables, folder=tmp_path, module=module)
        started.append(process)
        process.start()
        return process

    yield start
    for process in started:
        process.kill()
