"""What there is to say about the rows that stand in the store: they must belong to the bundle and the topic."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from schemas.errors import ForetellError
from stream_app import bundle
from stream_app.bundle import SHORT, Bundle
from stream_app.checkup.finding import Finding, fail, ok
from stream_app.settings import Settings, variable
from stream_app.store.connect import connect
from stream_app.store.port import Marker

LOOK_S: Final = 6.0
_SUBJECT: Final = "rows"


async def row_findings(settings: Settings, partitions: int) -> AsyncIterator[Finding]:
    """Yield what is to be said about the rows of a group; nothing where bundle or store cannot be used.

    Args:
        settings: of the worker.
        partitions: of the input; 0 where they are not known.
    """
    if not settings.bundle or not partitions:
        return
    stores = None
    try:
        loaded = bundle.load(Path(settings.bundle))
        stores = connect(settings)
        layout = loaded.rolling.layout
        markers = []
        async with asyncio.timeout(LOOK_S):
            for number in range(partitions):
                rows = stores.open(settings.transactions_topic, number, layout.hash, layout.row_width)
                markers.append(Marker.decode((await rows.read([]))[0]))
    except (ForetellError, TimeoutError):  # told where bundle and store are looked at
        return
    finally:
        if stores is not None:
            await stores.close()
    for finding in of_markers(markers, loaded):
        yield finding


def of_markers(markers: Sequence[Marker], loaded: Bundle) -> list[Finding]:
    """Return what follows from the markers of all partitions."""
    found = []
    begun = [marker for marker in markers if marker.flushed]
    if not begun:
        return [ok(_SUBJECT, f"none yet in state layout {loaded.manifest.layout}")]
    others = {marker.bundle for marker in begun if loaded.sha256 not in {marker.bundle, marker.started}} - {""}
    if others:
        found.append(
            fail(
                _SUBJECT,
                f"Expected {variable('bundle')} to be the bundle that is in force, found {loaded.short} beside "
                f"{', '.join(sorted(name[:SHORT] for name in others))}; start with that one, then: foretell activate "
                f"{loaded.path}",
            )
        )
    counts = {marker.partitions for marker in begun} - {0, len(markers)}
    if counts:
        found.append(
            fail(
                _SUBJECT,
                f"Expected as many partitions as when the rows were written, {', '.join(map(str, sorted(counts)))}, "
                f"found {len(markers)}: customers have moved between them; choose another {variable('group')}, "
                "which takes the log in anew.",
            )
        )
    return found or [ok(_SUBJECT, f"of {len(begun)} of {len(markers)} partitions, in the bundle's layout")]
