"""Redis or Valkey, alone or as a Cluster: connections, and what errors mean. The one module that imports the client."""

import re
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from redis.asyncio import Connection, Redis, SSLConnection
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    AuthorizationError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from stream_app.settings import Settings, SettingsError, variable
from stream_app.store.hashes import Argument, RedisStore
from stream_app.store.packed import Packed
from stream_app.store.patience import Kind, Patience, Verdict
from stream_app.store.port import RowStore, StoreFacts, store_problems, store_warnings
from stream_app.store.scripts import Script

Client = Redis | RedisCluster
ANSWER_S: Final = 5.0
"""A Redis that is paused or cut off is noticed after so long."""
BYTES_PER_S: Final = 2_000_000
"""Slower than any network that will do; large reads and writes are given time for their size."""
_CONNECTIONS: Final = 1_024
_DEFAULT_PORT: Final = 6379
_URL, _PASSWORD, _CLUSTER, _CA = (variable(name) for name in ("redis", "redis_password", "redis_cluster", "redis_ca"))
_RIGHTS: Final = (
    "~{* +eval +evalsha +get +set +hmget +hset +hdel +hkeys +info +time +select, on a Cluster +cluster|slots +command"
)
_AWAY, _SILENT, _REFUSED = "away", "silent", "refused"
_MEANING: Final = {
    _AWAY: (Kind.AWAY, f"start it, or correct {_URL}"),
    _SILENT: (Kind.AWAY, f"look whether it runs, and whether {_URL} is rediss:// if it speaks TLS and redis:// if not"),
    "OOM": (Kind.AWAY, "raise its maxmemory, or take other data out of it"),
    "READONLY": (Kind.AWAY, f"it is a replica; promote it, or name the primary in {_URL}"),
    "MASTERDOWN": (Kind.AWAY, f"it is a replica without its primary; name the primary in {_URL}"),
    "LOADING": (Kind.AWAY, "it is reading its data from disk, which takes a while"),
    "BUSY": (Kind.AWAY, "somebody's script holds it up; SCRIPT KILL stops that"),
    "CLIENTS": (Kind.AWAY, "raise its maxclients, or close other connections"),
    "MISCONF": (Kind.AWAY, "it cannot save its data; look at its log and the room on its disk"),
    "NOREPLICAS": (Kind.AWAY, "it has fewer replicas than it must have; start them"),
    "CLUSTERDOWN": (Kind.AWAY, "nodes of the Cluster are missing; start them"),
    "TRYAGAIN": (Kind.AWAY, "slots of the Cluster are being moved, which takes a while"),
    "AUTH": (Kind.DENIED, f"correct {_PASSWORD}, or the user in {_URL}"),
    "ACL": (Kind.DENIED, f"give its user the rights {_RIGHTS}"),
    "TLS": (Kind.DENIED, f"correct {_CA}, or scheme and host in {_URL}"),
    "NO REDIS": (Kind.DENIED, f"something else listens there; correct {_URL}"),
    "CLUSTER": (Kind.WRONG, f"it is a node of a Cluster; set {_CLUSTER}=true"),
    "NO CLUSTER": (Kind.WRONG, f"it is no node of a Cluster; set {_CLUSTER}=false"),
    "WRONGTYPE": (Kind.WRONG, "something else uses the same keys; give each a Redis of its own"),
    _REFUSED: (Kind.WRONG, f"name a Redis that allows it in {_URL}"),
}
"""What is done about an error, and what an operator can do; by Redis's code where it has one."""
_CODE: Final = re.compile(r"(?:^|-)([A-Z]+) ")
"""Redis before 7 wraps the error of a script's command in one of its own."""


def client(settings: Settings) -> Client:
    """Return a client of the Redis that the settings name; it connects when it is first used.

    Raises:
        SettingsError: the certificates to trust cannot be read.
    """
    url = urlsplit(settings.redis)
    options: dict[str, Any] = {
        "host": url.hostname or "localhost",
        "port": url.port or _DEFAULT_PORT,
        "username": unquote(url.username or "") or None,
        "password": settings.redis_password or unquote(url.password or "") or None,
        "protocol": 2,
        "max_connections": _CONNECTIONS,
        "socket_connect_timeout": ANSWER_S,
        "socket_timeout": None,  # `Patience` does it; and the client's `wait_for` may swallow a cancellation (3.11)
        "retry": Retry(NoBackoff(), 0),  # `Patience` does it
    }
    if url.scheme == "rediss":
        options |= {"ssl": True, "ssl_ca_certs": _certificates(settings.redis_ca)}
    if settings.redis_cluster:
        return RedisCluster(**options)
    alone = Redis(db=int(url.path.strip("/") or 0), **options)
    alone.connection_pool.connection_class = _PackedTls if "ssl" in options else _Packed
    return alone


class _Packed(Connection):
    """A connection that takes packed arguments as they are."""

    def pack_command(self, *args: Any) -> list[bytes]:  # noqa: ANN401  (whatever Redis takes)
        """Return a command as it goes to Redis."""
        if not isinstance(args[-1], Packed):
            return super().pack_command(*args)
        *rest, packed = args
        first, *head = super().pack_command(*rest)
        count, begin = first.split(b"\r\n", 1)
        return [b"*%d\r\n" % (int(count[1:]) + packed.count) + begin, *head, packed.content]


class _PackedTls(_Packed, SSLConnection):
    pass


class RedisStores:
    """A connection to Redis, alone or a Cluster."""

    def __init__(self, connected: Client, group: str) -> None:
        """Keep the rows of a consumer group behind a client."""
        self._client, self._group = connected, group
        errors = (RedisError, RedisClusterException, OSError)
        self._patience = Patience(f"Redis at {_place(connected)}", errors, judge)

    @property
    def problem(self) -> str:
        """Return why Redis does not answer just now and what to do; empty if it does."""
        return self._patience.problem

    def open(self, topic: str, partition: int, layout: str, row_width: int) -> RowStore:
        """Return the store of a partition's rows in a state layout."""
        return RedisStore(self, f"{{{topic}-{partition}}}:{self._group}:", layout, row_width)

    async def facts(self) -> StoreFacts:
        """Return what Redis says of itself; of a Cluster, what the primary says that there is most to say about.

        Raises:
            StoreError: it refuses this user.
        """
        found = await self._patience.call(self._facts, ANSWER_S)
        return max(found, key=lambda facts: (len(store_problems(facts)), len(store_warnings(facts)), abs(facts.skew_s)))

    async def close(self) -> None:
        """Close all connections."""
        with suppress(RedisError, OSError):  # of no use any more
            await self._client.aclose()

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument], size: int) -> Any:  # noqa: ANN401  (whatever it answers)
        """Return what a script answers, however long it takes."""
        return await self._patience.call(lambda: self._run(script, keys, arguments), ANSWER_S + size / BYTES_PER_S)

    async def _run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401  (as above)
        if isinstance(self._client, RedisCluster):
            _ = await self._client.initialize()  # to know its nodes, also after they have changed
            arguments = [each for arg in arguments for each in (arg if isinstance(arg, Packed) else (arg,))]
        given: Sequence[Any] = arguments  # a connection of ours takes what is packed
        try:
            try:
                return await self._client.execute_command("EVALSHA", script.sha, len(keys), *keys, *given)
            except NoScriptError:  # not seen since Redis was started
                return await self._client.execute_command("EVAL", script.text, len(keys), *keys, *given)
        except ResponseError as error:
            if isinstance(self._client, Redis) and _cause(error) == "READONLY":
                # After a fail-over: the connections lead to what is a replica now, the same address to another server.
                await self._client.connection_pool.disconnect(inuse_connections=False)
            raise

    async def _facts(self) -> list[StoreFacts]:
        if isinstance(self._client, Redis):
            return [await _facts_of(self._client, {})]
        _ = await self._client.initialize()
        return [await _facts_of(self._client, {"target_nodes": node}) for node in self._client.get_primaries()]


def judge(error: Exception) -> Verdict:
    """Return what an error of the client means."""
    error = _root(error)
    kind, advice = _MEANING[_cause(error)]
    return Verdict(kind, _words(error), advice)


def _root(error: Exception) -> Exception:
    """Return why no node of a Cluster could be asked; the error itself where it says all."""
    cause = error.__cause__ or error.__context__
    if not isinstance(error, RedisClusterException) or not isinstance(cause, Exception):
        return error
    does_not_know = isinstance(cause, ResponseError) and not isinstance(cause, NoPermissionError)
    return error if does_not_know else _root(cause)


def _cause(error: Exception) -> str:
    if isinstance(error, AuthenticationError | AuthenticationWrongNumberOfArgsError | AuthorizationError):
        return "AUTH"
    if isinstance(error, RedisClusterException):
        return "NO CLUSTER" if isinstance(error.__context__, ResponseError) else "CLUSTERDOWN"
    if isinstance(error, InvalidResponse):
        return "NO REDIS"
    if isinstance(error, ResponseError | RedisConnectionError):
        return _cause_told(error)
    return "TLS" if _tls_mistake(error) else _SILENT if isinstance(error, TimeoutError) else _AWAY


def _cause_told(error: ResponseError | RedisConnectionError) -> str:
    """Return what Redis itself says is the cause."""
    text = _words(error)
    if isinstance(error, NoPermissionError) or "executing the script can't" in text or "ACL failure" in text:
        return "ACL"
    if isinstance(error, MovedError):
        return "CLUSTER"
    if text.startswith("max number of clients"):
        return "CLIENTS"
    code = next((code for code in _CODE.findall(text) if code in _MEANING), "")
    if code or isinstance(error, ResponseError):
        return code or _REFUSED
    return "TLS" if _tls_mistake(error) else _AWAY if " connecting to " in text else _SILENT


def _tls_mistake(error: Exception) -> bool:
    """Return whether the other side has no certificate that we trust, or does not speak TLS at all."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, ssl.SSLError) and cause.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _words(error: Exception) -> str:
    text, code = str(error).strip().rstrip("."), getattr(error, "status_code", None)
    if code and code != "ERR" and not text.startswith(code):
        return f"{code} {text}"
    return text or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _certificates(path: str) -> str | None:
    """Return the file with the certificates to trust, proven readable; None for the system's."""
    if not path:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # `ssl.SSLError` is one
        reason = error.strerror or str(error)
        message = (
            f"Expected certificates in the file that {variable('redis_ca')} names, {path}, found: {reason}; correct it."
        )
        raise SettingsError(message) from error
    return path


def _place(connected: Client) -> str:
    """Return where a client connects to, without user and password."""
    if isinstance(connected, RedisCluster):
        return ", ".join(f"{node.host}:{node.port}" for node in connected.startup_nodes)
    options = connected.connection_pool.connection_kwargs
    return f"{options['host']}:{options['port']}"


async def _facts_of(connected: Client, target: dict[str, Any]) -> StoreFacts:
    info = await connected.info(**target)  # first: the clock is asked for when the connection stands
    asked = time.time()
    seconds, micros = await connected.time(**target)
    skew_s = seconds + micros / 1e6 - (asked + time.time()) / 2
    valkey = info.get("valkey_version")
    return StoreFacts(
        server="Valkey" if valkey else "Redis",
        version=str(valkey or info.get("redis_version", "")),
        cluster=bool(info.get("cluster_enabled", 0)),
        primary=info.get("role", "master") == "master",
        maxmemory_bytes=int(info.get("maxmemory", 0)),
        maxmemory_policy=str(info.get("maxmemory_policy", "noeviction")),
        appendonly=bool(info.get("aof_enabled", 0)),
        saved="err" not in {info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")},
        skew_s=skew_s,
    )
