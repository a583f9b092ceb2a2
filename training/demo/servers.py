"""The processes of a demo that stay: broker, store and a worker between them."""

import asyncio
import os
import sys
import urllib.error
import urllib.request
from dataclasses import MISSING, fields
from http import HTTPStatus
from pathlib import Path
from typing import Final

from schemas.errors import ForetellError
from stream_app.embedded import ports
from stream_app.embedded.broker import EmbeddedBroker
from stream_app.embedded.children import Child
from stream_app.embedded.server import EmbeddedError, Server
from stream_app.embedded.store import EmbeddedStore
from stream_app.settings import Settings, variable
from training.demo.plan import Places

READY_S: Final = 90.0
"""How long a worker may take: the first one on a machine compiles its code."""
_POLL_S: Final = 0.1
_ANSWER_S: Final = 2.0
_STOP_S: Final = 8.0
_SESSION_MS: Final = 2_000
"""The embedded broker lets a group wait for half of it."""


class DemoError(ForetellError):
    """A part of the demo that does not start, or ends before its time; with the exit code of what went wrong there."""

    def __init__(self, message: str, exit_code: int = ForetellError.exit_code) -> None:
        """Take what went wrong, in one sentence."""
        super().__init__(message)
        self.exit_code = exit_code


class Servers:
    """Broker, store and worker; whatever has been started is stopped by ``stop``, or by the watchdog if we are killed.

    Attributes:
        settings: how to reach them; made when broker and store have started.
    """

    def __init__(self, places: Places, bundle: Path) -> None:
        """Start nothing yet."""
        self._places, self._bundle = places, bundle
        self._broker = EmbeddedBroker(places.servers / "broker")
        self._store = EmbeddedStore(places.servers / "store")
        self._up: list[tuple[Server, Path]] = []
        self._worker: Child | None = None
        self.settings = Settings()

    async def start(self) -> None:
        """Start broker and store.

        Raises:
            DemoError: one does not start.
        """
        for server, log in ((self._broker, "broker.log"), (self._store, "store.log")):
            try:
                await asyncio.to_thread(server.start)
            except EmbeddedError as error:  # it tells the end of the log as well
                raise DemoError(str(error).partition("\n")[0].rstrip(":") + ".") from error
            self._up.append((server, server.folder / log))
        self.settings = Settings(
            kafka=self._broker.bootstrap,
            redis=self._store.url,
            bundle=str(self._bundle.absolute()),
            delivery="at_least_once",
            start="earliest",
            session_timeout_ms=_SESSION_MS,
            web=f"{ports.HOST}:{ports.free()}",
        )

    async def start_worker(self) -> None:
        """Start the worker and wait until it is ready.

        Raises:
            DemoError: it ends, or does not get ready.
        """
        log = self._places.logs / "worker.log"
        command = [sys.executable, "-P", "-m", "stream_app", "worker"]
        environment = clean(os.environ) | told(self.settings)
        self._worker = Child(command, log, environment, self._places.out.absolute()).start()
        deadline = asyncio.get_running_loop().time() + READY_S
        problem = ""
        while asyncio.get_running_loop().time() < deadline:
            self.check()
            status, problem = await asyncio.to_thread(_page, f"http://{self.settings.web}/health/ready")
            if status == HTTPStatus.OK:
                return
            await asyncio.sleep(_POLL_S)
        message = f"Expected the worker to be ready within {READY_S:g} s, found: {problem}; look into {log}."
        raise DemoError(message)

    async def stop_worker(self) -> None:
        """Stop the worker as an operator would: it writes all rows to the store before it ends."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await asyncio.to_thread(worker.terminate, _STOP_S)

    def check(self) -> None:
        """Raise where one of them has ended.

        Raises:
            DemoError: one has.
        """
        if self._worker is not None and not self._worker.running:
            code, log = self._worker.exit_code, self._worker.log
            message = f"Expected the worker to run, found it ended with exit code {code}: {last(log)}; look into {log}."
            raise DemoError(message)
        for server, log in self._up:
            if not server.running:
                message = f"Expected the {log.stem} to run, found it ended: {last(log)}; look into {log}."
                raise DemoError(message)

    def stop(self) -> None:
        """Stop everything at once; what is worth keeping has been written by then."""
        if self._worker is not None:
            self._worker.kill()
        self._store.stop()
        self._broker.stop()


def clean(environment: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """Return an environment without settings: those of an operator's own servers are none of a demo's."""
    return {name: value for name, value in environment.items() if not name.startswith("FORETELL_")}


def told(settings: Settings) -> dict[str, str]:
    """Return settings as environment variables, those that are not the default."""
    values = {item.name: getattr(settings, item.name) for item in fields(settings)}
    defaults = {item.name: None if item.default is MISSING else item.default for item in fields(settings)}
    return {variable(name): str(value) for name, value in values.items() if value != defaults[name]}


def last(log: Path) -> str:
    """Return the last line that a process has printed."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def _page(url: str) -> tuple[int, str]:
    """Return the status of a page, 0 where nobody answers, and its text in one line."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:  # noqa: S310  (http, ours)
            return int(answer.status), " ".join(answer.read().decode().split())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, " ".join(error.read().decode().split())
    except OSError as error:
        return 0, str(error)
