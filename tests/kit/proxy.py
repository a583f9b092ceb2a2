"""A network between a client and a server of this machine, which a test may cut, hold up and lead elsewhere."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from stream_app.embedded import ports

_CHUNK: Final = 1 << 16
_ANSWER_S: Final = 10.0
_T = TypeVar("_T")


class Proxy:
    """A port that leads to another one. Its loop turns in a thread of its own; its methods are plain calls.

    Attributes:
        port: where clients come in; it stays the same.
    """

    def __init__(self, target: int) -> None:
        """Lead to a port of this machine; nothing listens before ``start``."""
        self.port = ports.free()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy to {target}", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._flowing: asyncio.Event | None = None
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """Where clients come in, host:port."""
        return f"{ports.HOST}:{self.port}"

    def start(self) -> Self:
        """Listen."""
        self._thread.start()
        self._do(self._listen())
        return self

    def stop(self) -> None:
        """End all connections and the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_S)
        self._loop.close()

    def cut(self) -> None:
        """Break all connections, and each new one at once, until ``heal``: what is under way is lost."""
        self._call(self._break)

    def hold(self) -> None:
        """Let nothing pass until ``heal``: connections stay open and nobody is told, as where packets are dropped."""
        self._call(self._stop_flow)

    def heal(self) -> None:
        """Let all pass again, what was held up first."""
        self._call(self._flow)

    def lead_to(self, target: int) -> None:
        """Break all connections, and lead new ones to another port: a service's address after a fail-over."""
        self._call(lambda: self._turn(target))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    # -- in the loop ---------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._connected, ports.HOST, self.port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._cut:
            writer.transport.abort()
            return
        self._connections.add(task)
        self._writers.add(writer)
        try:
            with suppress(asyncio.CancelledError):  # only we cancel it, and asyncio complains of a callback's
                await self._between(reader, writer)
        finally:
            self._connections.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes from either side until one of them ends."""
        try:
            there, back = await asyncio.open_connection(ports.HOST, self._target)
        except OSError:
            return
        self._writers.add(back)
        ways = [asyncio.ensure_future(self._pass(reader, back)), asyncio.ensure_future(self._pass(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(back)
            back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while content := await reader.read(_CHUNK):
                if self._flowing is not None:
                    await self._flowing.wait()
                writer.write(content)
                await writer.drain()
            writer.write_eof()

    def _break(self) -> None:
        self._cut = True
        self._abort()

    def _abort(self) -> None:
        for task in self._connections:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()

    def _stop_flow(self) -> None:
        if self._flowing is not None:
            self._flowing.clear()

    def _flow(self) -> None:
        self._cut = False
        if self._flowing is not None:
            self._flowing.set()

    def _turn(self, target: int) -> None:
        self._target = target
        self._abort()

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        self._abort()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted says so in the next turn

    def _call(self, change: Callable[[], None]) -> None:
        async def do() -> None:
            change()

        self._do(do())

    def _do(self, action: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(_ANSWER_S)
