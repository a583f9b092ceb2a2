"""Computes the next item of an iterator while the present one is worked on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, cast

_Item = TypeVar("_Item")
_END: Final = object()


def one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the items of an iterator, each computed in another thread while the one before it is worked on.

    It pays where both sides leave the interpreter free: Arrow, the kernel and the network do.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending = thread.submit(next, items, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, items, _END)
            yield cast("_Item", item)
