"""An event loop whose clock jumps to the next timer: what takes minutes in life takes none in a test."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
TURN_S: Final = 1e-6
"""A turn of the loop takes a little time, as in life: who waits for a moment that rounding has put off sees it come."""
LONGEST_S: Final = 3_600.0
"""By this time a coroutine has ended or will never do so."""


class StuckError(AssertionError):
    """Everything waits for something that nobody is going to do."""


class _Jumping(selectors.DefaultSelector):
    """A selector that does not wait for timers but puts the clock forward."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready; if nothing is, it is the time of the next timer now."""
        ready = super().select(0)
        if not ready:
            if timeout is None:
                message = "every task waits and there is no timer: nothing will ever happen"
                raise StuckError(message)
            self.now_s += timeout
        self.now_s += TURN_S
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time, beginning at 0. It is not for threads or sockets: it does not wait for them."""

    def __init__(self) -> None:
        """Start at 0."""
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._jumping.now_s


def run(work: Coroutine[Any, Any, _T], longest_s: float = LONGEST_S) -> _T:
    """Return what a coroutine returns, run in virtual time.

    Raises:
        StuckError: it can never end.
        TimeoutError: it has not ended by ``longest_s`` of virtual time.
    """

    async def bounded() -> _T:
        async with asyncio.timeout(longest_s):
            return await work

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(bounded())
