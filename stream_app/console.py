"""Progress on a terminal: one line that grows; without a terminal, a plain line now and then."""

import sys
import time
from contextlib import suppress
from typing import Final, TextIO

_WIDTH: Final = 24
_REDRAW_S: Final = 0.1
_PLAIN_S: Final = 5.0


class Bar:
    """A progress bar on stderr."""

    def __init__(self, out: TextIO | None = None) -> None:
        """Draw on ``out``, stderr by default."""
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._phase = ""
        self._started = self._drawn = 0.0
        self._open = False

    def step(self, phase: str, done: int, total: int, text: str = "") -> None:
        """Take note that ``done`` of ``total`` units of ``phase`` are finished."""
        now = time.monotonic()
        if phase != self._phase:
            self.end()
            self._phase, self._started, self._drawn = phase, now, 0.0
        finished = total > 0 and done >= total
        if not finished and now - self._drawn < (_REDRAW_S if self._live else _PLAIN_S):
            return
        self._drawn = now
        self._draw(done, total, f"{text}  {now - self._started:.0f} s".strip())
        if finished:
            self.end()
            self._phase = ""

    def end(self) -> None:
        """Close a line that is still open."""
        if self._open:
            self._write("\n")
            self._open = False

    def _write(self, text: str) -> None:
        with suppress(BrokenPipeError):  # nobody looks any more; the work goes on
            self._out.write(text)
            self._out.flush()

    def _draw(self, done: int, total: int, text: str) -> None:
        part = min(done / total, 1.0) if total else 0.0
        if self._live:
            filled = round(part * _WIDTH)
            self._write(f"\r\x1b[2K{self._phase:<12} {'█' * filled}{'░' * (_WIDTH - filled)} {part:4.0%}  {text}")
        else:
            self._write(f"{self._phase} {part:.0%}  {text}")
        self._open = True
        if not self._live:
            self.end()
