"""The store of rows on real Redis servers: with TLS and users, in a Cluster, killed, cut, paused, full, demoted."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from stream_app import settings
from stream_app.embedded import ports
from stream_app.store import redis as adapter
from stream_app.store.connect import connect
from stream_app.store.port import LostWritesError, Marker, RowStore, StoreError, Stores, store_problems, store_warnings
from stream_app.store.redis import RedisStores
from stream_app.store.slices import slice_of
from tests.kit import require
from tests.kit.certificates import Certificates
from tests.kit.redis import RedisServer

WIDTH = 32
LAYOUT = "0123abcd"
NAMES = [b"c-%d" % number for number in range(50)]
PREFIX = b"{t-0}:foretell:"
T = TypeVar("T")
Make = Callable[..., RedisServer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Give a function that starts a server, which the test's end kills."""
    require.need(require.REDIS, require.missing_redis())
    started: list[RedisServer] = []

    def start(**options: Any) -> RedisServer:  # noqa: ANN401  (as `RedisServer`)
        server = RedisServer(tmp_path / f"redis-{len(started)}", **options)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a paused server be noticed soon."""
    monkeypatch.setattr(adapter, "ANSWER_S", 0.3)


@asynccontextmanager
async def connected(url: str, **variables: str) -> AsyncIterator[Stores]:
    """Give a connection."""
    stores = connect(settings.load({}, {"FORETELL_REDIS": url} | variables))
    try:
        yield stores
    finally:
        await stores.close()
        transports = asyncio.get_running_loop()._transports  # type: ignore[attr-defined]  # noqa: SLF001
        # The goodbyes of TLS take a moment, and the loop must not end before.
        await soon(lambda: all(transport._sock is None for transport in transports.values()))  # noqa: SLF001


def opened(stores: Stores, width: int = WIDTH) -> RowStore:
    return stores.open("t", 0, LAYOUT, width)


def rows(first: float, count: int = len(NAMES)) -> NDArray[np.float32]:
    return np.full((count, WIDTH), first, np.float32)


def after(marker: Marker, records: int = 1) -> Marker:
    return marker._replace(flushed=marker.flushed + records)


async def soon(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (what it looks at tells nobody)
            await asyncio.sleep(0.01)


async def in_vain(ask: Awaitable[T]) -> "asyncio.Task[T]":
    """Start something and prove that it waits."""
    task = asyncio.ensure_future(ask)
    done, _ = await asyncio.wait([task], timeout=1.0)
    assert not done
    assert isinstance(task, asyncio.Task)
    return task


async def full_round(stores: Stores) -> None:
    """Use everything that a worker uses: take over, write, read, enumerate, forget."""
    assert store_problems(await stores.facts()) == []
    store = opened(stores)
    marker = await store.take_over("one")
    await store.write(NAMES, rows(1), marker, after(marker))
    await store.write(NAMES[:1], rows(0, 1), after(marker), after(marker, 2))
    found, content = await store.read(NAMES)
    assert found == after(marker, 2).encode()
    assert content[:, 0].tolist() == [0] + [1] * (len(NAMES) - 1)
    assert NAMES[1] in (await store.customers(slice_of(NAMES[1])))[1]
    assert stores.problem == ""


# -- getting in --------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates.make(tmp_path / "certificates")


def test_tls_and_a_user_with_the_rights_that_the_refusal_names_are_enough(
    make: Make, certificates: Certificates
) -> None:
    server = make(certificates=certificates, users=["worker on >p@ss:word/1"])
    variables = {"FORETELL_REDIS_CA": str(certificates.ca), "FORETELL_REDIS_PASSWORD": "p@ss:word/1"}

    async def be_refused_and_let_in() -> None:
        url = server.url.replace("//", "//worker@")
        async with connected(url, **variables) as stores:
            with pytest.raises(StoreError, match=r"NOPERM .*; give its user the rights .*, on a Cluster ") as refused:
                await stores.facts()
            rights = re.findall(r"[~+]\S+", str(refused.value).split(", on a Cluster")[0])
            assert len(rights) > 5
            server.ask("ACL", "SETUSER", "worker", *rights)
            await full_round(stores)

    asyncio.run(be_refused_and_let_in())


def test_a_password_may_stand_in_the_url(make: Make) -> None:
    server = make(users=["worker on >p@ss:word/1 ~* +@all"])

    async def use() -> None:
        async with connected(server.url.replace("//", "//worker:p%40ss%3Aword%2F1@")) as stores:
            await full_round(stores)

    asyncio.run(use())


@pytest.mark.parametrize(
    ("url", "variables", "told"),
    [
        ("rediss://worker@{}/0", {"FORETELL_REDIS_PASSWORD": "wrong"}, "WRONGPASS .*; correct FORETELL_REDIS_PASSWORD"),
        ("rediss://{}/0", {}, "NOAUTH .*; correct FORETELL_REDIS_PASSWORD"),
        ("rediss://worker@{}/0", {"FORETELL_REDIS_CA": ""}, "certificate verify failed.*; correct FORETELL_REDIS_CA"),
    ],
)
def test_who_is_not_let_in_at_the_start_is_told_what_to_correct(
    make: Make, certificates: Certificates, url: str, variables: dict[str, str], told: str
) -> None:
    server = make(certificates=certificates, users=["worker on >secret-word ~* +@all"])
    given = {"FORETELL_REDIS_CA": str(certificates.ca)} | variables

    async def ask() -> None:
        async with connected(url.format(f"{ports.HOST}:{server.port}"), **given) as stores:
            with pytest.raises(StoreError, match=f"Redis at {ports.HOST}:{server.port}, found: .*{told}"):
                await stores.facts()
            with pytest.raises(StoreError, match=told):
                await opened(stores).take_over("one")

    asyncio.run(ask())


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_speaks_tls_or_not_is_told_from_one_that_is_down(
    make: Make,
    certificates: Certificates,
    tls: bool,  # noqa: FBT001
) -> None:
    server = make(certificates=certificates if tls else None)

    async def ask() -> None:
        async with connected(f"{'redis' if tls else 'rediss'}://{ports.HOST}:{server.port}") as stores:
            facts = await in_vain(stores.facts())
            assert "whether FORETELL_REDIS is rediss:// if it speaks TLS and redis:// if not" in stores.problem
            facts.cancel()
            await asyncio.gather(facts, return_exceptions=True)

    asyncio.run(ask())


def test_who_is_shut_out_at_work_waits_and_goes_on_when_he_is_let_in_again(make: Make) -> None:
    server = make(users=["worker on >one ~* +@all"])

    async def be_shut_out() -> None:
        async with connected(server.url.replace("//", "//worker:one@")) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            server.ask("ACL", "SETUSER", "worker", "resetpass", ">two")
            server.ask("CLIENT", "KILL", "USER", "worker")
            write = await in_vain(store.write(NAMES, rows(1), marker, after(marker)))
            assert "WRONGPASS" in stores.problem
            assert "correct FORETELL_REDIS_PASSWORD" in stores.problem
            server.ask("ACL", "SETUSER", "worker", ">one")
            await write
            assert stores.problem == ""
            assert (await store.read(NAMES[:1]))[1][0, 0] == 1

    asyncio.run(be_shut_out())


@pytest.mark.parametrize("missing", ["hset", "hdel"])
def test_a_write_that_lacks_a_right_changes_nothing_until_it_is_given(make: Make, missing: str) -> None:
    server = make(users=[f"worker on >one ~* +@all -{missing}"])

    async def lack_a_right() -> None:
        async with connected(server.url.replace("//", "//worker:one@")) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            before = everything(server)
            write = await in_vain(store.write(NAMES, rows(1), marker, after(marker)))
            assert "give its user the rights" in stores.problem
            assert everything(server) == before
            server.ask("ACL", "SETUSER", "worker", f"+{missing}")
            await write
            assert (await store.read(NAMES))[1].tolist() == rows(1).tolist()

    asyncio.run(lack_a_right())


def everything(server: RedisServer) -> dict[bytes, bytes]:
    """Return all keys with what they hold."""
    return {key: server.ask("DUMP", key) for key in server.ask("KEYS", "*")}


# -- what it says of itself --------------------------------------------------------------------------------------------


def test_a_redis_that_evicts_is_a_problem_and_one_without_a_file_a_warning(make: Make) -> None:
    server = make(maxmemory="50mb", maxmemory_policy="allkeys-lru", appendonly="no")

    async def look() -> None:
        async with connected(server.url) as stores:
            facts = await stores.facts()
            assert (facts.server, facts.cluster, facts.primary) == ("Redis", False, True)
            assert (facts.maxmemory_bytes, facts.appendonly) == (50 * 2**20, False)
            assert ["allkeys-lru" in problem for problem in store_problems(facts)] == [True]
            assert ["appendonly" in warning for warning in store_warnings(facts)] == [True]

    asyncio.run(look())


# -- in a Cluster ------------------------------------------------------------------------------------------------------


def test_a_cluster_does_as_well(make: Make) -> None:
    server = make(cluster=True)

    async def use() -> None:
        async with connected(server.url, FORETELL_REDIS_CLUSTER="true") as stores:
            await full_round(stores)
            assert (await stores.facts()).cluster

    asyncio.run(use())
    slots = {server.ask("CLUSTER", "KEYSLOT", key) for key in server.ask("KEYS", "*")}
    assert len(slots) == 1
    assert len(server.ask("KEYS", "*")) > 40


def test_a_cluster_behind_tls_and_users_needs_the_rights_that_the_refusal_names(
    make: Make, certificates: Certificates
) -> None:
    server = make(cluster=True, certificates=certificates, users=["worker on >one"], tls_cluster="yes")
    variables = {"FORETELL_REDIS_CA": str(certificates.ca), "FORETELL_REDIS_CLUSTER": "true"}

    async def be_refused_and_let_in() -> None:
        async with connected(server.url.replace("//", "//worker:one@"), **variables) as stores:
            with pytest.raises(StoreError, match="give its user the rights") as refused:
                await stores.facts()
            server.ask("ACL", "SETUSER", "worker", *re.findall(r"[~+][^\s,;.]+", str(refused.value)))
            await full_round(stores)

    asyncio.run(be_refused_and_let_in())


@pytest.mark.parametrize(
    ("cluster", "told"), [(False, "FORETELL_REDIS_CLUSTER=false"), (True, "SELECT is not allowed")]
)
def test_a_cluster_is_not_taken_for_something_else(make: Make, cluster: bool, told: str) -> None:  # noqa: FBT001
    server = make(cluster=cluster)
    url, variables = (server.url[:-1] + "1", {}) if cluster else (server.url, {"FORETELL_REDIS_CLUSTER": "true"})

    async def ask() -> None:
        async with connected(url, **variables) as stores:
            with pytest.raises(StoreError, match=told):
                await stores.facts()

    asyncio.run(ask())


# -- lost writes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut_bytes", [0, 40], ids=["only killed", "killed, and the end of its file is cut"])
def test_writes_that_a_killed_redis_has_lost_are_noticed(make: Make, cut_bytes: int) -> None:
    server = make(appendfsync="always")

    async def lose_a_write() -> None:
        async with connected(server.url) as stores:
            store = opened(stores)
            first = await store.take_over("one")
            await store.write(NAMES, rows(1), first, second := after(first))
            await store.write(NAMES, rows(2), second, third := after(second))
            server.kill()
            if cut_bytes:
                server.cut_aof(cut_bytes)
            server.start()
            marker, content = await store.read(NAMES)
            if cut_bytes:
                assert marker == second.encode()
                assert content.tolist() == rows(1).tolist()  # the whole write is lost, not a part of it
                with pytest.raises(LostWritesError):
                    await store.write(NAMES, rows(3), third, after(third))
            else:
                assert marker == third.encode()
                assert content.tolist() == rows(2).tolist()
                await store.write(NAMES, rows(3), third, after(third))

    asyncio.run(lose_a_write())


def test_a_marker_of_another_version_is_refused_and_stays(make: Make) -> None:
    server = make()
    key = PREFIX + LAYOUT.encode() + b":marker"
    server.ask("SET", key, "2:somebody:5:else")

    async def take_over() -> None:
        async with connected(server.url) as stores:
            with pytest.raises(
                StoreError, match=r"marker of format 1 in \{t-0\}:foretell:0123abcd:marker, found b'2:some"
            ):
                await opened(stores).take_over("one")

    asyncio.run(take_over())
    assert server.ask("KEYS", "*") == [key]
    assert server.ask("GET", key) == b"2:somebody:5:else"


def test_keys_are_what_the_documentation_says(make: Make) -> None:
    server = make()

    async def write() -> None:
        async with connected(server.url) as stores:
            marker = await opened(stores).take_over("one")
            await opened(stores).write([b"a"], rows(1, 1), marker, after(marker))

    asyncio.run(write())
    prefix = PREFIX + LAYOUT.encode()
    assert set(server.ask("KEYS", "*")) == {PREFIX + b"layout", prefix + b":marker", prefix + b":%d" % slice_of(b"a")}
    assert server.ask("GET", PREFIX + b"layout") == LAYOUT.encode()
    assert server.ask("GET", prefix + b":marker") == b"1:one:1:0:-1:::"
    assert server.ask("HGETALL", prefix + b":%d" % slice_of(b"a")) == {b"a": rows(1, 1).tobytes()}


def test_a_row_that_somebody_else_has_written_is_refused_with_its_key(make: Make) -> None:
    server = make()
    server.ask("HSET", PREFIX + LAYOUT.encode() + b":%d" % slice_of(b"a"), "a", "something")

    async def read() -> None:
        async with connected(server.url) as stores:
            with pytest.raises(
                StoreError, match=r"in \{t-0\}:foretell:0123abcd:\*, found one of 9: .* remove the keys"
            ):
                await opened(stores).read([b"a"])

    asyncio.run(read())


def test_a_write_to_a_key_that_is_no_hash_changes_nothing(make: Make) -> None:
    server = make()

    async def write() -> None:
        async with connected(server.url) as stores:
            marker = await opened(stores).take_over("one")
            last = max(slice_of(name) for name in NAMES)
            server.ask("SET", PREFIX + LAYOUT.encode() + b":%d" % last, "something")
            before = everything(server)
            with pytest.raises(StoreError, match=r"WRONGTYPE .*; something else uses the same keys"):
                await opened(stores).write(NAMES, rows(1), marker, after(marker))
            assert everything(server) == before

    asyncio.run(write())


def test_scripts_that_redis_has_forgotten_are_sent_again(make: Make) -> None:
    server = make()

    async def forget() -> None:
        async with connected(server.url) as stores:
            await full_round(stores)
            server.ask("SCRIPT", "FLUSH")
            await full_round(stores)

    asyncio.run(forget())


# -- away for a while --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cluster", [False, True], ids=["alone", "cluster"])
def test_calls_go_on_over_restarts_and_each_is_told_about_once(
    make: Make,
    caplog: pytest.LogCaptureFixture,
    cluster: bool,  # noqa: FBT001
) -> None:
    server = make(cluster=cluster, appendfsync="always")

    async def work(stores: Stores, partition: int, stop: asyncio.Event) -> int:
        store = stores.open("t", partition, LAYOUT, WIDTH)
        marker = await store.take_over("one")
        while not stop.is_set():
            await store.write(NAMES, rows(marker.flushed + 1), marker, marker := after(marker))
            found, content = await store.read(NAMES)
            assert found == marker.encode()
            assert content.tolist() == rows(marker.flushed).tolist()
        return marker.flushed

    async def work_over_restarts() -> None:
        async with connected(server.url, FORETELL_REDIS_CLUSTER=str(cluster).lower()) as stores:
            stop = asyncio.Event()
            workers = [asyncio.create_task(work(stores, partition, stop)) for partition in range(4)]
            await asyncio.sleep(0.3)
            for stop_it in (server.kill, server.stop):
                await asyncio.to_thread(stop_it)
                await soon(lambda: bool(stores.problem))
                await asyncio.to_thread(server.start)
                await soon(lambda: not stores.problem)
            stop.set()
            assert min(await asyncio.gather(*workers)) > 1

    with caplog.at_level(logging.WARNING):
        asyncio.run(work_over_restarts())
    told = [record.getMessage() for record in caplog.records if record.name.startswith("stream_app")]
    assert len([line for line in told if line.endswith("answers again.")]) == 2
    assert (
        4 <= len(told) <= 8
    )  # away and back, twice; while it goes down or comes up it may have another reason for once


def test_a_redis_that_is_away_at_the_start_is_waited_for(make: Make) -> None:
    server = make()
    server.stop()

    async def wait() -> None:
        async with connected(server.url) as stores:
            facts = await in_vain(stores.facts())
            assert re.search(
                f"Redis at .*{server.port}.* failed .*; start it, or correct FORETELL_REDIS", stores.problem
            )
            await asyncio.to_thread(server.start)
            assert (await facts).server == "Redis"
            assert stores.problem == ""

    asyncio.run(wait())


@pytest.mark.usefixtures("impatient")
def test_a_paused_redis_is_noticed_and_waited_for(make: Make) -> None:
    server = make()

    async def wait() -> None:
        async with connected(server.url) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            server.pause()
            read = await in_vain(store.read(NAMES))
            write = await in_vain(store.write(NAMES, rows(1), marker, after(marker)))
            assert "no answer in time" in stores.problem
            read.cancel()
            with pytest.raises(asyncio.CancelledError):
                await read
            server.resume()
            await write
            assert (await store.read(NAMES))[1].tolist() == rows(1).tolist()
            assert stores.problem == ""

    asyncio.run(wait())


@pytest.mark.usefixtures("impatient")
def test_a_write_that_was_given_up_is_not_done_after_a_take_over(make: Make) -> None:
    server = make()

    async def give_up() -> None:
        async with connected(server.url) as stores, connected(server.url) as others:
            store, other = opened(stores), opened(others)
            marker = await store.take_over("one")
            await other.read([])  # it has a connection
            server.pause()
            take_over = asyncio.create_task(other.take_over("two"))
            await asyncio.sleep(0.1)
            write = await in_vain(store.write(NAMES, rows(1), marker, after(marker)))
            write.cancel()
            await asyncio.gather(write, return_exceptions=True)
            server.resume()  # it reads all that it was sent, also on connections that are closed by now
            taken = await take_over
            await asyncio.sleep(0.3)
            found, content = await other.read(NAMES)
            assert found == taken.encode()
            assert content.tolist() == rows(taken.flushed).tolist()

    asyncio.run(give_up())


def test_a_full_redis_is_waited_for_and_nothing_is_half_written(make: Make) -> None:
    server = make(maxmemory="100mb")
    names = [b"c-%d" % number for number in range(2000)]

    async def fill() -> None:
        async with connected(server.url) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            server.ask("CONFIG", "SET", "maxmemory", 1)
            before = everything(server)
            write = await in_vain(store.write(names, rows(1, 2000), marker, after(marker)))
            assert re.search("OOM .*; raise its maxmemory", stores.problem)
            assert everything(server) == before
            assert (await store.read(names[:1]))[0] == marker.encode()  # reading goes on
            server.ask("CONFIG", "SET", "maxmemory", "100mb")
            await write
            assert (await store.read(names))[1].tolist() == rows(1, 2000).tolist()

    asyncio.run(fill())


def test_a_demoted_redis_is_waited_for_on_new_connections(make: Make) -> None:
    server = make()

    async def demote() -> None:
        async with connected(server.url) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            before = connections(server)
            server.ask("REPLICAOF", ports.HOST, ports.free())
            write = await in_vain(store.write(NAMES, rows(1), marker, after(marker)))
            assert re.search("READONLY .*; it is a replica; promote it", stores.problem)
            assert not before & connections(server)
            assert not (await stores.facts()).primary
            server.ask("REPLICAOF", "NO", "ONE")
            await write
            assert (await store.read(NAMES))[1].tolist() == rows(1).tolist()

    asyncio.run(demote())


def connections(server: RedisServer) -> set[bytes]:
    """Return the ids of all connections but the one that asks."""
    lines = server.ask("CLIENT", "LIST").splitlines()
    return {line.split()[0] for line in lines if b"cmd=client" not in line}


def test_a_redis_that_is_still_reading_its_data_is_waited_for(make: Make) -> None:
    server = make(key_load_delay=0, loading_process_events_interval_bytes=1024)

    async def wait() -> None:
        async with connected(server.url) as stores:
            store = opened(stores)
            marker = await store.take_over("one")
            await store.write(NAMES, rows(1), marker, after(marker))
            server.ask("BGREWRITEAOF")
            await soon(lambda: not server.ask("INFO", "persistence")["aof_rewrite_in_progress"])
            server.stop()
            text = server.configuration.read_text(encoding="utf-8")
            server.configuration.write_text(text.replace("key-load-delay 0", "key-load-delay 30000"), encoding="utf-8")
            starting = asyncio.create_task(asyncio.to_thread(server.start))
            reading = asyncio.create_task(store.read(NAMES))
            await soon(lambda: "LOADING" in stores.problem)
            assert "; it is reading its data from disk" in stores.problem
            await starting
            assert (await reading)[1].tolist() == rows(1).tolist()

    asyncio.run(wait())


# -- given up at any point ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["alone", "tls", "cluster"])
def test_a_call_may_be_cancelled_at_any_point(make: Make, certificates: Certificates, kind: str) -> None:
    server = make(certificates=certificates if kind == "tls" else None, cluster=kind == "cluster")
    variables = {
        "tls": {"FORETELL_REDIS_CA": str(certificates.ca)},
        "cluster": {"FORETELL_REDIS_CLUSTER": "true"},
    }.get(kind, {})

    async def cancel_everywhere() -> None:
        cancelled = 0
        for turns in (*range(25), 35, 50, 75, 100, 150, 250, 400):
            async with connected(server.url, **variables) as stores:
                cancelled += await cancelled_after(stores, turns)
                assert in_use(stores) == 0
        assert cancelled > 10  # a negative control: it does not end before it is cancelled

    asyncio.run(cancel_everywhere())


async def cancelled_after(stores: Stores, turns: int) -> bool:
    """Cancel a first call and a later one after so many turns of the loop; return whether one was still under way."""
    store = opened(stores)
    taking = asyncio.create_task(store.take_over("one"))
    early = await cancel(taking, turns)
    marker = await store.take_over("two")
    await store.write(NAMES, rows(1), marker, marker := after(marker))
    late = await cancel(asyncio.create_task(store.write(NAMES, rows(2), marker, after(marker))), turns)
    found, content = await store.read(NAMES)
    assert found in {marker.encode(), after(marker).encode()}
    assert content.tolist() == rows(1 if found == marker.encode() else 2).tolist()
    return early or late


async def cancel(task: "asyncio.Task[Any]", turns: int) -> bool:
    for _ in range(turns):
        await asyncio.sleep(0)
    running = not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() or not running or task.exception() is None
    return running


def in_use(stores: Stores) -> int:
    """Return how many connections are neither closed nor in the pool."""
    assert isinstance(stores, RedisStores)
    client = stores._client  # noqa: SLF001  (what nobody else needs to know)
    if isinstance(client, RedisCluster):
        nodes = client.nodes_manager.nodes_cache.values()
        return sum(len(node._connections) - len(node._free) for node in nodes)  # noqa: SLF001
    assert isinstance(client, Redis)
    return len(client.connection_pool._in_use_connections)  # noqa: SLF001
