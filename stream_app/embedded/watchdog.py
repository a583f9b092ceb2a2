"""Kills process groups when the process that started it has gone, however it went; run on its own, a pipe as its stdin.

Each line is the id of a group: ``+12`` to watch it, ``-12`` to forget it. The end of the pipe is the end of the other
side. A signal at a parent's death (``PR_SET_PDEATHSIG``) would not do: it comes when the thread that started a process
ends, even where the process goes on.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def watch(lines: Iterable[str]) -> None:
    """Read to the end of the pipe, then kill what is still watched."""
    groups: set[int] = set()
    for line in lines:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, and they still have to tidy up
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    watch(sys.stdin)
