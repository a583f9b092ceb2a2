"""Where steps are computed: beside the loop, which goes on meanwhile."""

import asyncio
import sys
import threading

import pytest

from stream_app.engine.compute import SWITCH_S, Threads, in_place


def test_a_step_in_a_thread_leaves_the_loop_to_others() -> None:
    async def work() -> tuple[str, bool]:
        threads, met = Threads(), threading.Event()
        asyncio.get_running_loop().call_soon(met.set)
        try:
            answer = await threads(lambda what: f"{what} {met.wait(10)}", "met")
        finally:
            threads.close()
        return answer, met.is_set()

    assert asyncio.run(work()) == ("met True", True)


def test_a_step_in_place_is_done_before_anything_else() -> None:
    async def work() -> bool:
        met = threading.Event()
        asyncio.get_running_loop().call_soon(met.set)
        return await in_place(met.is_set)

    assert asyncio.run(work()) is False


def test_what_a_step_raises_comes_out() -> None:
    async def work() -> None:
        threads = Threads()
        try:
            await threads(int, "no number")
        finally:
            threads.close()

    with pytest.raises(ValueError, match="no number"):
        asyncio.run(work())


def test_threads_change_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", told.append)
    threads = Threads()
    threads.start()
    threads.close()
    assert told == [SWITCH_S]
