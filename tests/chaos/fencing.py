"""Whether a worker's log tells that it was fenced with uncommitted work."""

import re
from typing import Final

BROKER, MARKER = "broker", "marker"
_ENDED: Final = re.compile(
    r"partition starts again .*committed=(?P<committed>\d+) position=(?P<position>\d+) .*error=\"?(?P<error>\w+)"
)
"""What the worker logs where it has to open a partition again; it held work where position > committed."""
_BY: Final = {
    "ProducerFenced": BROKER,
    "InvalidProducerEpoch": BROKER,
    "InvalidProducerIdMapping": BROKER,
    "LostWritesError": MARKER,
}


def fenced_by(text: str) -> str:
    """Return who has fenced a worker that held uncommitted work; empty if nobody.

    It is the broker, which knows of a newer producer of its name, or the marker in Redis, which has a newer owner.
    """
    held = [found["error"] for found in _ENDED.finditer(text) if int(found["position"]) > int(found["committed"])]
    return next((_BY[error] for error in held if error in _BY), "")
