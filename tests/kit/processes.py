"""Processes that tests start, watch, stop and kill; none outlives the test run."""

import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from stream_app.embedded import ports
from stream_app.embedded.children import Child

ROOT: Final = Path(__file__).resolve().parents[2]
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 40
_INHERITED: Final = ("HOME", "NUMBA_CACHE_DIR", "PATH", "TMPDIR")


class Ended(NamedTuple):
    """How a process ended: after how many seconds, and its exit code (negative: the signal)."""

    seconds: float
    code: int


class Process:
    """A child that fails the test where it does not behave; what it prints goes to the end of a file."""

    def __init__(self, command: Sequence[str], output: Path, environment: Mapping[str, str], folder: Path) -> None:
        self.path, self.folder = output, folder
        self.environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environment)
        self._child = Child(command, output, self.environment, folder)

    def start(self) -> Self:
        """Start it, also again."""
        self._child.start()
        return self

    @property
    def pid(self) -> int:
        """Its id, which is also its group's."""
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs or before it was started."""
        return self._child.exit_code

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._child.running

    @property
    def output(self) -> str:
        """What it has printed since it was last started."""
        return self._child.output

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Wait until it has printed a text, or fail with what it printed instead."""
        self.wait_until(lambda: text in self.output, f"{text!r} in its output", seconds)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Wait until a condition holds; fail after the time, or at once where the process has ended."""
        deadline = time.monotonic() + seconds
        while True:
            code = self.exit_code  # before the condition: what it printed last counts
            if condition():
                return
            found = "still running" if code is None else f"exit code {code}"
            assert code is None and time.monotonic() < deadline, self._story(f"{what} in {seconds:g} s", found)  # noqa: PT018
            time.sleep(_POLL_S)

    def wait(self, seconds: float = 60.0) -> int:
        """Wait for its end; return its exit code."""
        code = self._child.wait(seconds)
        if code is None:
            story = self._story(f"its end in {seconds:g} s", "still running")
            self.kill()
            raise AssertionError(story)
        return code

    def terminate(self, seconds: float = 15.0) -> Ended:
        """Ask it to stop (SIGTERM) and wait; where it does not, kill it and fail."""
        start = time.monotonic()
        code = self._child.terminate(seconds)
        assert code != -signal.SIGKILL, self._story(f"its end in {seconds:g} s", "still running")
        return Ended(time.monotonic() - start, code)

    def kill(self) -> None:
        """Kill its group (SIGKILL), also where it has been paused or has ended."""
        self._child.kill()

    def pause(self) -> None:
        """Stop its group in its tracks (SIGSTOP): connections stay open, nothing answers."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its group go on after a pause (SIGCONT)."""
        self._child.signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def _story(self, expected: str, found: str) -> str:
        tail = "\n".join(self.output.splitlines()[-_TAIL_LINES:])
        return f"Expected {expected}, found {found}: {self._child.name}\n--- end of its output ---\n{tail}"


class Foretell(Process):
    """A verb of ``foretell`` as a process with its own environment; it serves health and metrics on a free port."""

    def __init__(
        self, *arguments: str | Path, environment: Mapping[str, str], folder: Path, module: str = "stream_app"
    ) -> None:
        """Take what to run.

        Args:
            arguments: the verb and what comes after it.
            environment: ``FORETELL_…`` variables, on top of a minimal environment.
            folder: where it runs, an existing folder; its output goes to a file there.
            module: what is run in place of the command, to inject faults: ``tests.kit.…``.
        """
        port = ports.free()
        minimal = {"FORETELL_WEB": f"{ports.HOST}:{port}", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-u", "-m", module, *map(str, arguments)]
        super().__init__(command, folder / f"foretell-{port}.log", minimal | dict(environment), folder)

    @property
    def web(self) -> str:
        """The URL of its health and metrics, without a slash at the end."""
        return f"http://{self.environment['FORETELL_WEB']}"

    def wait_ready(self, url: str = "", seconds: float = 60.0) -> None:
        """Wait until ``/health/ready`` says so."""
        self.wait_until(lambda: self.status("/health/ready", url) == 200, "/health/ready to answer 200", seconds)

    def status(self, path: str, url: str = "") -> int:
        """Return the HTTP status of one of its pages, 0 where nobody answers."""
        try:
            with urllib.request.urlopen((url or self.web) + path, timeout=5) as answer:  # noqa: S310  (http, ours)
                status: int = answer.status
        except urllib.error.HTTPError as error:
            error.close()
            status = error.code
        except OSError:
            status = 0
        return status

    def page(self, path: str) -> str:
        """Return the text of one of its pages, whatever its status."""
        try:
            with urllib.request.urlopen(self.web + path, timeout=5) as answer:  # noqa: S310  (http, ours)
                text: bytes = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
        return text.decode()


def gone(pid: int) -> bool:
    """Return whether a process has ended, be it that nobody has taken note of it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/status")
    with suppress(FileNotFoundError, ProcessLookupError):
        return "State:\tZ" in status.read_text(encoding="utf-8")
    return status.parents[1].is_dir()


def happens(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait until a condition holds; return whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    return condition()
