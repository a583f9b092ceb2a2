"""Over how many partitions the rows of a group are spread: each marker tells."""

import itertools
from collections.abc import Callable
from typing import Final

from stream_app.store.port import Marker, RowStore
from stream_app.together import together

_AT_ONCE: Final = 16


async def partitions_kept(opened: Callable[[int], RowStore]) -> int:
    """Return over how many partitions rows are spread, as any of their markers tells; 0 where there is none.

    Args:
        opened: gives the store of a partition.

    Raises:
        StoreError: the store holds something else, or refuses us.
    """
    for first in itertools.count(step=_AT_ONCE):
        found = await together(opened(first + number).read([]) for number in range(_AT_ONCE))
        markers = [Marker.decode(marker) for marker, _ in found]
        partitions = max(marker.partitions for marker in markers)
        if partitions or not any(marker.owner for marker in markers):
            return partitions
    raise AssertionError  # the loop has no other end
