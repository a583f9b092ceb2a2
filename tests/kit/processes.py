"""Processes that tests start, watch, stop and kill; none outlives the test run."""

import atexit
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from tests.kit import ports

ROOT: Final = Path(__file__).resolve().parents[2]
_POLL_S: Final = 0.05
_TAIL_LINES: Final = 40
_INHERITED: Final = ("HOME", "NUMBA_CACHE_DIR", "PATH", "TMPDIR")


class Ended(NamedTuple):
    """How a process ended: after how many seconds, and its exit code (negative: the signal)."""

    seconds: float
    code: int


class Process:
    """A process in a group of its own; what it prints goes to the end of a file."""

    def __init__(self, command: Sequence[str], output: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._command = list(command)
        self.path = output
        self.environment = {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(environment)
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._start = 0

    def start(self) -> Self:
        """Start it, also again."""
        assert not self.running, f"already running: {self._name}"
        with self.path.open("ab") as file:
            self._start = file.tell()
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        atexit.register(self.kill)
        _watchdog.watch(self._process.pid)
        return self

    @property
    def pid(self) -> int:
        """Its id, which is also its group's."""
        assert self._process, f"never started: {self._name}"
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed since it was last started."""
        with self.path.open("rb") as file:
            file.seek(self._start)
            return file.read().decode("utf-8", "replace")

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
        assert self._process, f"never started: {self._name}"
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            story = self._story(f"its end in {seconds:g} s", "still running")
            self.kill()
            raise AssertionError(story) from None
        self._forget()
        return code

    def terminate(self, seconds: float = 15.0) -> Ended:
        """Ask it to stop (SIGTERM) and wait; where it does not, kill it and fail."""
        assert self._process, f"never started: {self._name}"
        start = time.monotonic()
        self._process.terminate()
        code = self.wait(seconds)
        return Ended(time.monotonic() - start, code)

    def kill(self) -> None:
        """Kill its group (SIGKILL), also where it has been paused or has ended."""
        if self._process:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._forget()

    def pause(self) -> None:
        """Stop its group in its tracks (SIGSTOP): connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let its group go on after a pause (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def _name(self) -> str:
        return " ".join(self._command)[:200]

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(self.pid, number)

    def _forget(self) -> None:
        atexit.unregister(self.kill)
        _watchdog.forget(self.pid)

    def _story(self, expected: str, found: str) -> str:
        tail = "\n".join(self.output.splitlines()[-_TAIL_LINES:])
        return f"Expected {expected}, found {found}: {self._name}\n--- end of its output ---\n{tail}"


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


class _Watchdog:
    """The process that kills ours when this one is killed; started with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        if not self._process:
            script = Path(__file__).with_name("watchdog.py")
            command = [sys.executable, "-I", "-S", str(script)]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, bufsize=0)
            atexit.register(self._process.communicate)  # closes the pipe and waits
        assert self._process.stdin
        self._process.stdin.write(line.encode())


_watchdog = _Watchdog()
