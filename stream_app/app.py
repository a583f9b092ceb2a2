"""The Faust application: a service that fetches, a channel, an agent that hands chunks to the engine.

It is the one module that imports Faust.

Faust's own Kafka is not started (``enable_kafka = False``, public): its consumer acknowledges events whose agent raised
and drops queued chunks at a rebalance, and what we promise could not be kept on it. Command line, supervision, timers,
web and sensors stay Faust's.
"""

import asyncio
import logging
import sys
import tempfile
from collections.abc import AsyncIterable
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.web import Request, Response, View

from schemas.errors import ForetellError
from stream_app import kafka, logs, settings
from stream_app.engine.ports import Fetched
from stream_app.worker import STOP_S, Worker


class _Boot(BootStrategy):
    enable_kafka = False


class _App(faust.App):
    BootStrategy = _Boot


def make(worker: Worker, log_to: logging.Handler | None = None) -> faust.App:
    """Return the application of a worker.

    Args:
        worker: whose it is.
        log_to: where Faust's command line logs; else it would log in its own way, with customers' data in tracebacks.
    """
    host, port = worker.settings.web.rsplit(":", 1)
    app = _App(
        worker.settings.group,
        broker="kafka://" + worker.settings.kafka.split(",")[0],
        store="memory://",
        web_host=host,
        web_bind=host,
        web_port=int(port),
        stream_wait_empty=False,
        datadir=tempfile.gettempdir(),
        logging_config={"version": 1, "incremental": True},  # leaves everything as it is
        loghandlers=[log_to] if log_to else [],
    )
    chunks = app.channel()

    @app.agent(chunks)
    async def score(stream: AsyncIterable[Fetched]) -> None:
        async for fetched in stream:
            worker.engine.submit(fetched)

    @app.service
    class Source(faust.Service):
        """Fetches from Kafka into the channel."""

        _fetching: asyncio.Task[Any] | None = None

        async def on_start(self) -> None:
            app.flow_control.resume()  # Faust's table recovery would do it, and there is none

        @faust.Service.task
        async def fetch(self) -> None:
            self._fetching = asyncio.current_task()
            await worker.start()
            while not self.should_stop:
                for fetched in await worker.fetch():
                    await chunks.put(fetched)  # type: ignore[arg-type]  # a channel takes any value

        async def on_stop(self) -> None:
            if self._fetching is not None:
                self._fetching.cancel()  # it may be waiting for Kafka or Redis
                await asyncio.wait([self._fetching], timeout=STOP_S)
            await worker.stop()

    _pages(app, worker)
    return app


def run(worker: Worker) -> int:
    """Run a worker's application until a signal stops it; return the exit code."""
    loop = _loop()
    asyncio.set_event_loop(loop)
    service = faust.Worker(
        make(worker), loop=loop, override_logging=False, redirect_stdouts=False, quiet=True, loglevel="WARN"
    )
    service.spinner = None
    logging.getLogger(__name__).setLevel(logging.WARNING)  # under our name Faust tells each step of its start and stop
    try:
        service.execute_from_commandline()
    except SystemExit as stopped:
        return int(stopped.code or 0)


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":  # uvloop is not made for it
        return asyncio.new_event_loop()
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop()


def _pages(app: faust.App, worker: Worker) -> None:
    @app.page("/health/live")
    async def live(view: View, request: Request) -> Response:  # noqa: ARG001  (what Faust calls)
        return view.json({"live": worker.alive}, status=200 if worker.alive else 503)

    @app.page("/health/ready")
    async def ready(view: View, request: Request) -> Response:  # noqa: ARG001  (what Faust calls)
        problems = worker.problems()
        return view.json({"ready": not problems, "problems": problems}, status=503 if problems else 200)

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:  # noqa: ARG001  (what Faust calls)
        return view.bytes(worker.metrics_page(), content_type="text/plain; version=0.0.4")


def __getattr__(name: str) -> Any:  # noqa: ANN401  (a module's attributes are of any type)
    """Make the application when ``faust -A stream_app.app`` looks for it, from the environment's settings."""
    if name != "app":
        raise AttributeError(name)
    try:
        loaded = settings.load()
        handler = logs.configure(loaded)
        kafka.quieten()
        globals()["app"] = app = make(Worker(loaded), handler)
    except ForetellError as error:
        sys.stderr.write(f"foretell: {logs.redact(str(error))}\n")
        raise SystemExit(error.exit_code) from error
    return app
