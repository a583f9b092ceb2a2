"""Jobs done by child processes, and things that go on side by side."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from stream_app.embedded.children import Child
from training.demo import jobs
from training.demo.jobs import Failed, Job, Step
from training.demo.servers import DemoError, clean, last
from training.demo.state import State

_T = TypeVar("_T")
_POLL_S: Final = 0.05


async def do(job: Job, log: Path, state: State) -> None:
    """Do a job in a process of its own, and tell a state how far it is.

    Raises:
        DemoError: it cannot be done, in its own words and with its own exit code; or its process ends otherwise.
    """
    command = [sys.executable, "-P", "-m", "training.demo.jobs", msgspec.json.encode(job).decode()]
    child = Child(command, log, clean(os.environ), Path.cwd()).start()
    rest, failed = b"", list[Failed]()
    try:
        with log.open("rb") as output:
            while True:
                code = child.exit_code  # before the last look: what it told last counts
                *lines, rest = (rest + output.read()).split(b"\n")
                for line in lines:
                    match jobs.news(line):
                        case Step() as step:
                            state.step(step.part, step.done, step.total, step.text)
                        case Failed() as told:
                            failed.append(told)
                if code is not None:
                    break
                await asyncio.sleep(_POLL_S)
    finally:
        child.kill()
    for told in failed:
        raise DemoError(told.sentence, told.exit_code)
    if code:
        name = type(job).__name__.lower()
        message = f"Expected the job `{name}` to be done, found exit code {code}: {last(log)}; look into {log}."
        raise DemoError(message)


async def beside(work: Coroutine[Any, Any, _T], *others: Coroutine[Any, Any, None]) -> _T:
    """Return what work comes to while other things go on beside it; the first that fails ends all."""
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(each) for each in (work, *others)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in sorted(done, key=tasks.index, reverse=True):
            result = task.result()
        found: _T = result
        return found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
