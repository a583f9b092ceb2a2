"""The store's parts that need no server: markers, what facts mean, what errors mean, and waiting."""

import asyncio
import logging
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisClusterException

from stream_app import settings
from stream_app.settings import SettingsError
from stream_app.store.connect import connect
from stream_app.store.hashes import Argument, RedisStore
from stream_app.store.memory import MemoryStores
from stream_app.store.packed import pack
from stream_app.store.patience import Kind, Patience, Verdict
from stream_app.store.port import Marker, StoreError, StoreFacts, store_problems, store_warnings
from stream_app.store.redis import judge
from stream_app.store.scripts import READ, Script
from stream_app.store.slices import slice_of

HEX = st.text("0123456789abcdef", max_size=64)
NUMBERS = st.integers(0, 2**63 - 1)


# -- markers -----------------------------------------------------------------------------------------------------------


@given(marker=st.builds(Marker, HEX, NUMBERS, NUMBERS, st.integers(-1, 2**63 - 1), HEX, HEX, HEX))
def test_a_marker_comes_back_as_it_was_written(marker: Marker) -> None:
    assert Marker.decode(marker.encode()) == marker


@pytest.mark.parametrize("text", [None, b""])
def test_no_marker_is_that_of_a_partition_never_seen(text: bytes | None) -> None:
    assert Marker.decode(text) == Marker("", 0, 0, -1, "", "", "")


@pytest.mark.parametrize(
    "text", [b"2:a:0:0:-1:::", b"a:0:0:-1:::", b"1:a:0:0:-1::::", b"1:a:x:0:-1:::", b"1:\xff:0:0:-1:::", b"\x00", b"1"]
)
def test_a_marker_of_another_format_is_refused_with_what_to_do(text: bytes) -> None:
    with pytest.raises(StoreError, match=r"Expected a marker of format 1 in there, found .*FORETELL_GROUP"):
        Marker.decode(text, "there")


# -- facts -------------------------------------------------------------------------------------------------------------

GOOD = StoreFacts(server="Redis", version="7.0.15", maxmemory_bytes=1000)


@pytest.mark.parametrize(
    "facts",
    [
        GOOD,
        replace(GOOD, version="6.0.0"),
        replace(GOOD, server="Valkey", version="8.0.1"),
        replace(GOOD, maxmemory_bytes=0, maxmemory_policy="allkeys-lru"),
        replace(GOOD, appendonly=False, primary=False, saved=False),
        StoreFacts(server="memory", version="", appendonly=False),
    ],
)
def test_a_store_that_keeps_all_rows_has_no_problem(facts: StoreFacts) -> None:
    assert store_problems(facts) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
def test_a_store_that_removes_rows_is_refused_with_what_to_do(policy: str) -> None:
    (problem,) = store_problems(replace(GOOD, maxmemory_policy=policy))
    assert problem.startswith(f"Expected Redis to keep all rows, found maxmemory-policy {policy} and maxmemory 1000")
    assert problem.endswith("set maxmemory-policy noeviction.")


def test_an_old_redis_is_refused_with_what_to_do() -> None:
    assert store_problems(replace(GOOD, version="5.0.14")) == [
        "Expected Redis 6 or later, or Valkey, found 5.0.14; upgrade it."
    ]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (GOOD, []),
        (StoreFacts(server="memory", version="", appendonly=False), []),
        (replace(GOOD, appendonly=False), ["set appendonly yes."]),
        (replace(GOOD, saved=False), ["the room on its disk."]),
        (replace(GOOD, primary=False), ["name the primary in FORETELL_REDIS."]),
        (replace(GOOD, maxmemory_bytes=0, maxmemory_policy="allkeys-lru"), ["set noeviction."]),
        (
            replace(GOOD, appendonly=False, primary=False),
            ["set appendonly yes.", "name the primary in FORETELL_REDIS."],
        ),
    ],
)
def test_what_may_cost_something_is_a_warning_with_what_to_do(facts: StoreFacts, told: list[str]) -> None:
    warnings = store_warnings(facts)
    assert len(warnings) == len(told)
    assert all(warning.endswith(end) for warning, end in zip(warnings, told, strict=True))


# -- what errors mean --------------------------------------------------------------------------------------------------

WRAPPED = "ERR Error running script (call to f_0123abcd): @user_script:5: @user_script: 5: -{} "


@pytest.mark.parametrize(
    ("answer", "kind", "advice"),
    [
        (
            "OOM command not allowed when used memory > 'maxmemory'. script: 01, on @user_script:5.",
            Kind.AWAY,
            "maxmemory",
        ),
        (WRAPPED.format("OOM") + "command not allowed", Kind.AWAY, "maxmemory"),
        ("READONLY You can't write against a read only replica. script: 01", Kind.AWAY, "promote it"),
        (WRAPPED.format("READONLY") + "You can't write", Kind.AWAY, "promote it"),
        ("LOADING Redis is loading the dataset in memory", Kind.AWAY, "takes a while"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL", Kind.AWAY, "SCRIPT KILL"),
        ("MISCONF Redis is configured to save RDB snapshots, but", Kind.AWAY, "disk"),
        ("NOREPLICAS Not enough good replicas to write. script: 01", Kind.AWAY, "replicas"),
        ("MASTERDOWN Link with MASTER is down", Kind.AWAY, "name the primary"),
        ("CLUSTERDOWN Hash slot not served", Kind.AWAY, "nodes of the Cluster"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Kind.AWAY, "being moved"),
        ("ERR max number of clients reached", Kind.AWAY, "maxclients"),
        ("WRONGPASS invalid username-password pair or user is disabled.", Kind.DENIED, "FORETELL_REDIS_PASSWORD"),
        ("NOAUTH Authentication required.", Kind.DENIED, "FORETELL_REDIS_PASSWORD"),
        (
            "ERR AUTH <password> called without any password configured for the default user. Are you sure",
            Kind.DENIED,
            "",
        ),
        ("NOPERM this user has no permissions to run the 'evalsha' command", Kind.DENIED, "+evalsha"),
        ("ERR The user executing the script can't run this command or subcommand script: 01", Kind.DENIED, "+hdel"),
        ("ERR ACL failure in script: User bob has no permissions", Kind.DENIED, "+hdel"),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Kind.WRONG, "a Redis of its own"),
        ("MOVED 42 10.0.0.1:6379", Kind.WRONG, "FORETELL_REDIS_CLUSTER=true"),
        ("ERR unknown command 'eval', with args beginning with: ", Kind.WRONG, "FORETELL_REDIS"),
    ],
)
def test_an_answer_of_redis_is_waited_for_or_refused(answer: str, kind: Kind, advice: str) -> None:
    found = judge(BaseParser.parse_error(answer))  # type: ignore[no-untyped-call]
    assert found.kind is kind
    assert advice in found.advice


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNREACHED = "Redis Cluster cannot be connected"


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (RedisConnectionError("Error 111 connecting to there. Connection refused."), Kind.AWAY, "Connection refused"),
        (ConnectionResetError(104, "Connection reset by peer"), Kind.AWAY, "Connection reset by peer"),
        (TimeoutError(), Kind.AWAY, "no answer in time"),
        (InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), Kind.DENIED, "HTTP"),
        (caused(RedisConnectionError("Error 1 connecting"), UNTRUSTED), Kind.DENIED, "Error 1 connecting"),
        (caused(RedisClusterException(UNREACHED), RedisConnectionError("refused")), Kind.AWAY, "refused"),
        (caused(RedisClusterException(UNREACHED), UNTRUSTED), Kind.DENIED, "certificate verify failed"),
        (RedisClusterException("All slots are not covered"), Kind.AWAY, "All slots are not covered"),
    ],
)
def test_an_error_on_the_way_is_waited_for_or_refused(error: Exception, kind: Kind, reason: str) -> None:
    found = judge(error)
    assert found.kind is kind
    assert reason in found.reason


# -- waiting -----------------------------------------------------------------------------------------------------------


class Awry(Exception):  # noqa: N818  (a stand-in)
    """An error of a store, with what it means."""

    def __init__(self, kind: Kind, advice: str = "start it") -> None:
        super().__init__(kind.name)
        self.verdict = Verdict(kind, "it broke", advice)


def patience() -> Patience:
    def verdict(error: Exception) -> Verdict:
        return error.verdict if isinstance(error, Awry) else Verdict(Kind.AWAY, "no answer in time", "start it")

    return Patience("the store", (Awry, TimeoutError), verdict, pauses_s=(0.0,))


class Asked:
    """Something that fails as it is told, and answers when there is nothing left to fail with."""

    def __init__(self, *failures: Exception) -> None:
        self._failures: Iterator[Exception] = iter(failures)
        self.times = 0

    async def __call__(self) -> str:
        self.times += 1
        failure = next(self._failures, None)
        if failure:
            raise failure
        return "answer"


def test_an_answer_is_an_answer() -> None:
    asked = Asked()
    assert asyncio.run(patience().call(asked, 1.0)) == "answer"
    assert asked.times == 1


def test_a_store_that_is_away_is_asked_until_it_answers_and_told_about_once(caplog: pytest.LogCaptureFixture) -> None:
    waiting, asked = patience(), Asked(*[Awry(Kind.AWAY)] * 50)
    assert asyncio.run(waiting.call(asked, 1.0)) == "answer"
    assert asked.times == 51
    assert waiting.problem == ""
    assert [record.getMessage() for record in caplog.records] == [
        "Expected an answer of the store, found: it broke; start it. Waiting for it.",
        "the store answers again.",
    ]


def test_each_cause_is_told_about_once_each_time_that_the_store_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    causes = [Awry(Kind.AWAY), Awry(Kind.AWAY, "wait"), Awry(Kind.AWAY), Awry(Kind.AWAY, "wait")]

    async def go_away_twice() -> None:
        waiting = patience()
        await waiting.call(Asked(*causes), 1.0)
        await waiting.call(Asked(*causes), 1.0)

    with caplog.at_level(logging.WARNING):
        asyncio.run(go_away_twice())
    assert [record.getMessage().rpartition("; ")[2] for record in caplog.records] == [
        "start it. Waiting for it.",
        "wait. Waiting for it.",
        "the store answers again.",
    ] * 2


def test_a_store_that_does_not_answer_in_time_is_asked_again() -> None:
    times = 0

    async def ask() -> str:
        nonlocal times
        times += 1
        if times == 1:
            await asyncio.Event().wait()
        return "answer"

    assert asyncio.run(patience().call(ask, 0.01)) == "answer"
    assert times == 2


def test_a_refusal_is_raised_at_once_with_what_to_do() -> None:
    asked = Asked(Awry(Kind.WRONG, "repair it"))
    with pytest.raises(StoreError, match="Expected an answer of the store, found: it broke; repair it"):
        asyncio.run(patience().call(asked, 1.0))
    assert asked.times == 1


def test_a_store_that_lets_nobody_in_is_refused_at_the_start_and_waited_for_later() -> None:
    waiting = patience()

    async def let_in_and_shut_out() -> int:
        with pytest.raises(StoreError, match="correct the password"):
            await waiting.call(Asked(Awry(Kind.AWAY), Awry(Kind.DENIED, "correct the password")), 1.0)
        await waiting.call(Asked(), 1.0)
        asked = Asked(*[Awry(Kind.DENIED, "correct the password")] * 3)
        await waiting.call(asked, 1.0)
        return asked.times

    assert asyncio.run(let_in_and_shut_out()) == 4


def test_a_problem_stays_while_anybody_waits_and_when_who_waited_is_cancelled() -> None:
    async def wait_twice() -> list[str]:
        waiting, asked = patience(), Asked(*[Awry(Kind.AWAY)] * 1000)
        call = asyncio.create_task(waiting.call(asked, 1.0))
        for _ in range(20):
            await asyncio.sleep(0)
        found = [waiting.problem]
        await waiting.call(Asked(), 1.0)  # of another node, perhaps
        found.append(waiting.problem)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        found.append(waiting.problem)
        await waiting.call(Asked(), 1.0)
        return [*found, waiting.problem]

    sentence = "Expected an answer of the store, found: it broke; start it."
    assert asyncio.run(wait_twice()) == [sentence, sentence, sentence, ""]


# -- many rows ---------------------------------------------------------------------------------------------------------


class Moving:
    """A server whose rows all have the number of its marker, which moves on after so many calls."""

    def __init__(self, moves_after: set[int]) -> None:
        self.calls, self._number, self._moves_after = 0, 1, moves_after

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument], size: int) -> list[bytes]:
        assert script is READ
        assert size >= 0
        number, self.calls = self._number, self.calls + 1
        self._number += self.calls in self._moves_after
        customers = len(arguments) - len(keys) + 1
        return [Marker(flushed=number).encode(), *[np.full(16, number, np.float32).tobytes()] * customers]


@pytest.mark.parametrize(
    ("moves_after", "calls", "number"), [(set(), 3, 1), ({3}, 3, 1), ({1}, 5, 2), ({2}, 6, 2), ({1, 3}, 7, 3)]
)
def test_many_rows_are_all_read_under_one_marker(moves_after: set[int], calls: int, number: int) -> None:
    server, names = Moving(moves_after), [b"c-%d" % name for name in range(4500)]
    marker, rows = asyncio.run(RedisStore(server, "{t-0}:group:", "layout", 16).read(names))
    assert Marker.decode(marker).flushed == number
    assert (rows.shape, rows.min(), rows.max()) == ((4500, 16), number, number)
    assert server.calls == calls


@given(st.dictionaries(st.binary(min_size=1, max_size=30), st.booleans(), max_size=60))
def test_packed_rows_are_the_arguments_of_the_script_and_what_redis_reads(keep: dict[bytes, bool]) -> None:
    names = list(keep)
    rows = np.arange(16 * len(names), dtype=np.float32).reshape(-1, 16)
    expected: list[bytes] = []
    slices = sorted({slice_of(name) for name in names})
    for number in slices:
        stay, go = (
            [k for k, name in enumerate(names) if slice_of(name) == number and keep[name] is kept]
            for kept in (True, False)
        )
        expected += [b"%d" % len(stay), b"%d" % len(go)]
        expected += [part for k in stay for part in (names[k], rows[k].tobytes())] + [names[k] for k in go]
    numbers, packed = pack(names, rows, np.array(list(keep.values()), np.bool_))
    assert numbers == slices
    assert list(packed) == expected
    assert len(expected) == packed.count
    assert packed.content == b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in expected)


# -- which store -------------------------------------------------------------------------------------------------------


def test_a_memory_url_names_a_store_in_memory() -> None:
    assert isinstance(connect(settings.load({}, {"FORETELL_REDIS": "memory://"})), MemoryStores)


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("no certificate", "found: ")])
def test_certificates_that_cannot_be_read_are_refused_at_the_start(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    chosen = settings.load({}, {"FORETELL_REDIS": "rediss://somewhere:6379", "FORETELL_REDIS_CA": str(path)})
    with pytest.raises(SettingsError, match=f"FORETELL_REDIS_CA names, {path}, .*{reason}"):
        connect(chosen)
