"""Several waits at once end together."""

import asyncio

import pytest

from stream_app.together import together


async def later(what: str, after_s: float = 0.01) -> str:
    await asyncio.sleep(after_s)
    return what


async def failing(_: str) -> str:
    await asyncio.sleep(0)
    message = "no"
    raise OSError(message)


def test_what_all_return_comes_in_order() -> None:
    assert asyncio.run(together([later("a", 0.02), later("b")])) == ["a", "b"]


def test_where_one_fails_the_others_are_ended_first() -> None:
    async def left() -> set[str]:
        with pytest.raises(OSError, match="no"):
            await together([later("a", 60), failing("b"), later("c", 60)])
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert asyncio.run(left()) == set()


def test_who_is_cancelled_leaves_nothing_behind() -> None:
    async def left() -> set[str]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await together([later("a", 60)])
        return {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}

    assert asyncio.run(left()) == set()
