"""Where the steps are computed: in place, or beside the event loop, which they would hold up.

What is compiled and the network leave the interpreter to others; so a second core serves the sockets meanwhile, and a
third one another partition.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

_T = TypeVar("_T")
MOST_THREADS: Final = 4
SWITCH_S: Final = 0.0005
"""How long the loop and the threads wait for the interpreter at most. Python's 5 ms are as long as a chunk takes."""


class Compute(Protocol):
    """Runs a step."""

    async def __call__(self, work: Callable[..., _T], /, *arguments: Any) -> _T:  # noqa: ANN401  (those of the work)
        """Return what the work returns."""


async def in_place(work: Callable[..., _T], /, *arguments: Any) -> _T:  # noqa: ANN401  (those of the work)
    """Run a step at once."""
    return work(*arguments)


class Threads:
    """A thread for each core, up to some."""

    def __init__(self) -> None:
        """Start none yet."""
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS), thread_name_prefix="compute")

    async def __call__(self, work: Callable[..., _T], /, *arguments: Any) -> _T:  # noqa: ANN401  (those of the work)
        """Run a step in a thread; what is cancelled meanwhile runs to its end, and nobody looks at it."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    def start(self) -> None:
        """Let the interpreter change between threads more often."""
        sys.setswitchinterval(SWITCH_S)

    def close(self) -> None:
        """Begin no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
