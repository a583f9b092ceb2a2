"""Between a worker's process and what serves it: requests take their time, and some go wrong.

A request leaves a worker, takes its time, is done at the other side whether the asker still waits or not, and is
answered. So a worker may be killed, or held up, at any moment: what it has sent arrives, what it has not does not.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

_T = TypeVar("_T")
LONGEST_REQUEST_S: Final = 0.02
REFUSED: Final = "refused"
"""It is not done."""
LOST: Final = "lost"
"""It is not done and not answered."""
UNANSWERED: Final = "unanswered"
"""It is done and not answered."""
CANCELLED: Final = "cancelled"
"""It is not done, and who waits for it is told that it was cancelled."""
NOTHING: Final = "nothing"
"""It is answered with None."""


@dataclass
class Faults:
    """What goes wrong: with which kind of request, and which of them, counted from 1."""

    planned: Mapping[tuple[str, int], str] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)

    def next(self, kind: str) -> str:
        """Return what goes wrong with the next request of a kind; nothing if it is empty."""
        self.seen[kind] += 1
        self.order.append(kind)
        return self.planned.get((kind, self.seen[kind]), "")


class Process:
    """A worker's process, which may be held up or killed whatever it is at."""

    def __init__(self, name: str) -> None:
        """Start it."""
        self.name, self.killed = name, False
        self._awake = asyncio.Event()
        self._awake.set()

    def hold(self) -> None:
        """Stop it as SIGSTOP does."""
        self._awake.clear()

    def go_on(self) -> None:
        """Let it go on, not knowing that it was held up."""
        self._awake.set()

    def kill(self) -> None:
        """Kill it: nothing of it reaches the outside any more."""
        self.killed = True

    async def pass_on(self) -> None:
        """Wait until the process can do something."""
        await self._awake.wait()
        if self.killed:
            await asyncio.get_running_loop().create_future()


class Wire:
    """All that processes ask of Kafka and of the store."""

    def __init__(self, faults: Faults, chance: random.Random) -> None:
        """Make faults as planned, and delays by chance but for kinds that are slow."""
        self.faults, self._chance = faults, chance
        self.slow_s: dict[str, float] = {}

    async def ask(self, process: Process, kind: str, act: Callable[[], _T]) -> _T:
        """Return what ``act`` returns at the other side."""
        await process.pass_on()
        answer = self.send(kind, act)
        await asyncio.wait([answer])  # whoever is cancelled here has sent its request
        await asyncio.sleep(self._delay_s())
        await process.pass_on()
        return answer.result()

    def send(self, kind: str, act: Callable[[], _T]) -> "asyncio.Future[_T]":
        """Send a request that nobody needs to wait for."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()
        answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        loop.call_later(self.slow_s.get(kind, self._delay_s()), self._serve, answer, kind, act)
        return answer

    def _delay_s(self) -> float:
        return self._chance.random() ** 4 * LONGEST_REQUEST_S

    def _serve(self, answer: "asyncio.Future[_T]", kind: str, act: Callable[[], _T]) -> None:
        fault, error, result = self.faults.next(kind), None, None
        if fault in {"", UNANSWERED}:
            try:
                result = act()
            except Exception as refused:  # noqa: BLE001  (handed to who asked)
                error = refused
        if fault in {LOST, UNANSWERED}:
            error = ConnectionResetError(kind) if kind.startswith("store") else KafkaTimeoutError(kind)
        if fault == REFUSED:
            error = KafkaError(kind)
        if answer.done():
            return
        if fault == CANCELLED:
            answer.cancel()
        elif error is None:
            answer.set_result(result)  # type: ignore[arg-type]  # what `act` has returned, or None where that is the fault
        else:
            answer.set_exception(error)
