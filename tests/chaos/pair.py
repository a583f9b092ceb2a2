"""A Redis and its replica, which workers reach at one address; either may be the primary."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from stream_app.embedded import ports
from tests.kit.proxy import Proxy
from tests.kit.redis import RedisServer

_DISK_MIB: Final = 400
_BLOCKS: Final = (1 << 20, 1 << 12)
_SYNC_S: Final = 20.0
_POLL_S: Final = 0.05
_SETTINGS: Final[dict[str, Any]] = {
    "auto_aof_rewrite_percentage": 100,  # Redis's defaults, which the kit switches off
    "auto_aof_rewrite_min_size": "64mb",
    "repl_diskless_sync_delay": 0,
}


class Pair:
    """Two servers behind one address.

    Attributes:
        gate: where workers come in.
        primary: where it leads.
        disk: why the servers' disk cannot be filled; empty if it can.
    """

    def __init__(self, folder: Path, gate: Proxy, replication: Proxy) -> None:
        """Make two servers, each in a folder of its own."""
        self.gate, self._replication = gate, replication
        self._folders = [folder / name for name in ("one", "two")]
        for path in self._folders:
            path.mkdir(parents=True, exist_ok=True)
        self.disk = ""
        self.primary, self._standby = (RedisServer(path / "redis", **_SETTINGS) for path in self._folders)

    @contextmanager
    def running(self) -> Iterator["Pair"]:
        """Run the primary, on a small disk where that can be had."""
        with ExitStack() as undo:
            self.disk = next(filter(None, [_mount(path, undo) for path in self._folders]), "")
            self.primary, self._standby = (RedisServer(path / "redis", **_SETTINGS) for path in self._folders)
            for server in (self.primary, self._standby):
                undo.callback(server.kill)
            self.primary.start()
            self.gate.lead_to(self.primary.port)
            yield self

    def lose_tail(self, rng: Random) -> int:
        """Kill the primary and cut the tail of what it has written; return how many bytes."""
        server = self.primary
        server.kill()
        newest = max(server.folder.glob("appendonlydir/*.incr.aof"), key=lambda path: int(path.name.split(".")[-3]))
        length = newest.stat().st_size
        size = min(length, rng.randrange(10_000, 3_000_000))
        if size:
            server.cut_aof(size)
        return size

    def begin_copy(self) -> None:
        """Start the replica and let it catch up; from then on it gets nothing any more."""
        server, source = self._standby, self._replication
        shutil.rmtree(server.folder / "appendonlydir", ignore_errors=True)
        source.heal()
        source.lead_to(self.primary.port)
        server.start()
        server.ask("REPLICAOF", ports.HOST, source.port)
        end = time.monotonic() + _SYNC_S
        while _told(server)["master_link_status"] != "up":
            assert time.monotonic() < end, f"the replica does not catch up: {server.output[-2000:]}"
            time.sleep(_POLL_S)
        source.hold()

    def fail_over(self) -> int:
        """Kill the primary and promote the replica; return how many bytes of its writes the latter never got."""
        behind = int(_told(self.primary)["master_repl_offset"]) - int(_told(self._standby)["slave_repl_offset"])
        self.primary.kill()
        self._replication.cut()
        self._standby.ask("REPLICAOF", "NO", "ONE")
        self.gate.lead_to(self._standby.port)
        self.primary, self._standby = self._standby, self.primary
        return behind

    def fill_disk(self) -> None:
        """Leave no room for what the primary writes."""
        with self._ballast.open("wb", buffering=0) as file:
            for size in _BLOCKS:
                with suppress(OSError):  # there is no room for more
                    while True:
                        file.write(bytes(size))

    def empty_disk(self) -> None:
        """Give the room back."""
        for path in self._folders:
            (path / "ballast").unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.primary.folder.parent / "ballast"


def _told(server: RedisServer) -> dict[str, Any]:
    """Return what a server says of its replication."""
    found: dict[str, Any] = server.ask("INFO", "replication")
    return found


def _mount(path: Path, undo: ExitStack) -> str:
    """Put a small disk in memory there; return why not, or an empty text."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "foretell-chaos", str(path)]
    if os.geteuid() != 0 or not shutil.which("mount"):
        return "only root may mount the small disk that it fills"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no small disk could be mounted: {done.stderr.strip()}"
    undo.callback(lambda: subprocess.run(["umount", "-l", str(path)], check=False))
    return ""
