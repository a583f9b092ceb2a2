"""A Redis server of its own for a test: on a free port, in a folder of its own, with what it has written to disk."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import redis
from redis.exceptions import BusyLoadingError, RedisError

from stream_app.embedded import ports
from tests.kit.certificates import Certificates
from tests.kit.processes import Process

ADMIN: Final = ("admin", "admin-password")
START_S: Final = 20.0
_POLL_S: Final = 0.02


class RedisServer(Process):
    """A server that may be stopped, killed, paused, robbed of what it has written, and started again as it was."""

    def __init__(
        self,
        folder: Path,
        *,
        certificates: Certificates | None = None,
        users: Sequence[str] = (),
        cluster: bool = False,
        **options: str | int,
    ) -> None:
        """Write its configuration.

        Args:
            folder: for its data and output; no other server's.
            certificates: it speaks TLS only, with these.
            users: lines of an ACL file, without ``user``; nobody gets in without a password then; ``ADMIN`` is added.
            cluster: it is a Cluster of one node.
            options: its settings, ``_`` for ``-``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.port = ports.free()
        self._certificates, self._cluster, self._users = certificates, cluster, users
        self.configuration = folder / "redis.conf"
        settings = self._settings(folder) | {name.replace("_", "-"): value for name, value in options.items()}
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        self.configuration.write_text(text, encoding="utf-8")
        super().__init__(["redis-server", str(self.configuration)], folder / "redis.log", {}, folder)

    def _settings(self, folder: Path) -> dict[str, object]:
        settings: dict[str, object] = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "auto-aof-rewrite-percentage": 0,
            "bind": ports.HOST,
            "port": 0 if self._certificates else self.port,
            "save": '""',
        }
        if self._certificates:
            settings |= {
                "tls-port": self.port,
                "tls-auth-clients": "no",
                "tls-ca-cert-file": self._certificates.ca,
                "tls-cert-file": self._certificates.certificate,
                "tls-key-file": self._certificates.key,
            }
        if self._cluster:
            settings |= {"cluster-enabled": "yes", "cluster-port": ports.free()}
        if self._users:
            lines = ["default off", f"{ADMIN[0]} on >{ADMIN[1]} ~* &* +@all", *self._users]
            folder.joinpath("users.acl").write_text("".join(f"user {line}\n" for line in lines), encoding="utf-8")
            settings |= {"aclfile": folder / "users.acl"}
        return settings

    @property
    def url(self) -> str:
        """Its URL, without user and password."""
        return f"{'rediss' if self._certificates else 'redis'}://{ports.HOST}:{self.port}/0"

    def start(self) -> Self:
        """Start it, also again on the same port and data, and wait until it has read them."""
        super().start()
        self.wait_until(self._answers, "an answer to PING", START_S)
        if self._cluster:
            self._serve_all_slots()
        return self

    def stop(self) -> None:
        """Stop it in good order: nothing is lost."""
        if self.running:
            self.terminate()

    def cut_aof(self, size: int) -> None:
        """Cut so many bytes from the end of the newest append-only file, as a power cut does. It must not run.

        Killing it hardly loses any: what it has handed over, the operating system writes. With ``appendfsync="always"``
        that is all it has ever answered; with ``everysec`` it holds writes back as long as the disk is busy.
        """
        assert not self.running, "it would go on writing behind the cut"
        newest = max(self.folder.glob("appendonlydir/*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
        length = newest.stat().st_size
        assert 0 < size <= length, f"{newest} has {length} bytes"
        with newest.open("r+b") as file:
            file.truncate(length - size)

    @property
    def written(self) -> int:
        """How many bytes the append-only files have."""
        return sum(path.stat().st_size for path in self.folder.glob("appendonlydir/*.aof"))

    def ask(self, *arguments: str | bytes | int) -> Any:  # noqa: ANN401  (whatever it answers)
        """Return its answer to a command of its administrator."""
        with self._client() as client:
            return client.execute_command(*arguments)  # type: ignore[no-untyped-call]

    def flushall(self) -> None:
        """Lose everything."""
        self.ask("FLUSHALL")

    @contextmanager
    def _client(self) -> Iterator["redis.Redis"]:
        user, password = ADMIN if self._users else (None, None)
        client = redis.Redis(
            host=ports.HOST,
            port=self.port,
            username=user,
            password=password,
            socket_timeout=5.0,
            protocol=2,
            ssl=self._certificates is not None,
            ssl_ca_certs=str(self._certificates.ca) if self._certificates else None,
        )
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except (BusyLoadingError, RedisError, OSError):
            return False

    def _serve_all_slots(self) -> None:
        if b"cluster_slots_assigned:16384" not in self.ask("CLUSTER", "INFO"):
            self.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        deadline = time.monotonic() + START_S
        while b"cluster_state:ok" not in self.ask("CLUSTER", "INFO"):
            assert time.monotonic() < deadline, "the Cluster does not become ready"
            time.sleep(_POLL_S)
