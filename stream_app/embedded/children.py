"""Child processes that never outlive us, however we end."""

import atexit
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

STOP_S: Final = 10.0
_WHEN_TOLD: Final = 'read -r _ && exec "$@" </dev/null'
"""It becomes the command once the watchdog knows of it; should we die before, it ends with the pipe that it reads."""


class Child:
    """A process in a session and a process group of its own; what it prints goes to the end of a file.

    Its group is killed when we end: by us, or where we were killed ourselves (SIGKILL too) by the watchdog. What it
    leaves behind in its group when it ends is killed as soon as its end is seen.
    """

    def __init__(self, command: Sequence[str | Path], log: Path, environment: Mapping[str, str], folder: Path) -> None:
        """Start nothing yet.

        Args:
            command: the program and its arguments.
            log: the file that its output goes to.
            environment: all that it finds in its environment.
            folder: the existing folder that it runs in.
        """
        self.command, self.log = [str(part) for part in command], log
        self.environment, self.folder = dict(environment), folder
        self._process: subprocess.Popen[bytes] | None = None
        self._watched = False
        self._begin = 0

    def start(self) -> Self:
        """Start it, also again after its end.

        Raises:
            RuntimeError: it runs already.
            OSError: the log or the folder cannot be used.
        """
        if self.running:
            message = f"already running: {self.name}"
            raise RuntimeError(message)
        with self.log.open("ab") as file:
            self._begin = file.tell()
            process = self._process = subprocess.Popen(  # noqa: S603  (the caller's own programs)
                ["/bin/sh", "-c", _WHEN_TOLD, "sh", *self.command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        self._watched = True
        _watchdog.watch(process.pid)
        atexit.register(self.kill)  # after the watchdog's own: what comes last is done first
        with suppress(BrokenPipeError), _pipe(process) as pipe:  # broken where it has been killed meanwhile
            pipe.write(b"\n")
        return self

    @property
    def name(self) -> str:
        """Return its command as one text, cut where it is very long."""
        return " ".join(self.command)[:200]

    @property
    def pid(self) -> int:
        """Return its id, which is also its group's."""
        return self._started.pid

    @property
    def exit_code(self) -> int | None:
        """Return its exit code (negative: the signal), None while it runs or before it was started."""
        if self._process is None:
            return None
        code = self._process.poll()
        if code is not None:
            self._bury()
        return code

    @property
    def running(self) -> bool:
        """Return whether it was started and has not ended."""
        return self._process is not None and self.exit_code is None

    @property
    def output(self) -> str:
        """Return what it has printed since it was last started."""
        with self.log.open("rb") as file:
            file.seek(self._begin)
            return file.read().decode("utf-8", "replace")

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end; return its exit code, None where it still runs after so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._started.wait(seconds)
        return self.exit_code

    def terminate(self, seconds: float = STOP_S) -> int:
        """Ask it to stop (SIGTERM), wait, and kill it where it does not; return its exit code."""
        self._started.terminate()
        code = self.wait(seconds)
        return self.kill() if code is None else code

    def kill(self) -> int:
        """Kill its group (SIGKILL), also where it is paused or has ended; return its exit code, 0 if never started."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
            self._process.wait()
        self._bury()
        return self._process.returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole group; to nobody where that has gone."""
        if self._watched:  # later its id may be another's
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            message = f"never started: {self.name}"
            raise RuntimeError(message)
        return self._process

    def _bury(self) -> None:
        """Kill what an ended process has left behind, and forget its group."""
        if self._watched:
            self.signal(signal.SIGKILL)
            self._watched = False
            _watchdog.forget(self.pid)
            atexit.unregister(self.kill)


class _Watchdog:
    """The process that kills our children when we are killed; started with the first of them."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._speaking = threading.Lock()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        with suppress(BrokenPipeError):  # it has been killed, and knows of none
            self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        with self._speaking:
            if self._process is None:
                script = Path(__file__).with_name("watchdog.py")
                command = [sys.executable, "-I", "-S", str(script)]
                self._process = subprocess.Popen(  # noqa: S603  (our own script)
                    command, stdin=subprocess.PIPE, start_new_session=True, bufsize=0
                )
                atexit.register(self._process.communicate)  # closes the pipe and waits
            _pipe(self._process).write(line.encode())


def _pipe(process: "subprocess.Popen[bytes]") -> IO[bytes]:
    """Return the pipe into a process."""
    if process.stdin is None:
        message = "the process was not started with a pipe"
        raise RuntimeError(message)
    return process.stdin


_watchdog: Final = _Watchdog()
