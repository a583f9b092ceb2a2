"""``foretell`` without one of its protections: what the checker must then see to go wrong.

    python -m tests.kit.unprotected                                     lists the protections by name
    python -m tests.kit.unprotected idle-probe worker --bundle bundle   is `foretell worker --bundle bundle` without one

Several names are joined by commas. In a test, ``without("idle-probe")`` is a context. Nothing in the product can switch
a protection off; this does it from the outside, by putting something else in place of a function.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getdoc
from typing import Final

import pytest

from stream_app import cli
from tests.kit import switches
from tests.kit.switches import Switch

_SWITCHES: Final[tuple[Switch, ...]] = (
    switches.marker_with_rows,
    switches.idle_probe,
    switches.compare_and_set,
    switches.kept_rows,
    switches.snapshot_at_boundary,
    switches.commit_before_flush,
    switches.rows_on_their_way,
    switches.suppression,
    switches.fencing,
    switches.fence_before_offset,
    switches.batches_awaited,
    switches.alerts_awaited,
    switches.offset_in_transaction,
    switches.error_beside_offset,
    switches.read_committed,
    switches.generation,
    switches.continuity,
    switches.lost_chunk_probe,
    switches.fingerprint,
    switches.refusals,
    switches.bundle_in_marker,
)
PROTECTIONS: Final = {switch.__name__.replace("_", "-"): switch for switch in _SWITCHES}
"""What switches each protection off, by the protection's name."""


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Switch protections off for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            PROTECTIONS[name](patch)
        yield


def main(arguments: list[str]) -> int:
    """Run ``foretell`` without protections; tell their names where none is given; return the exit code."""
    if not arguments:
        width = max(map(len, PROTECTIONS))
        lines = [f"{name:{width}}  {getdoc(switch)}" for name, switch in PROTECTIONS.items()]
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    names = arguments[0].split(",")
    unknown = [name for name in names if name not in PROTECTIONS]
    if unknown:
        sys.stderr.write(
            f"Expected names of protections, joined by commas, found {', '.join(unknown)}; there are "
            f"{', '.join(PROTECTIONS)}.\n"
        )
        return 2
    with without(*names):
        return cli.main(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
