"""Where a demo is shown: live on a terminal, or as plain lines; and a picture of its busiest moment."""

import io
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from schemas.atomic import atomic_file
from training.demo import plain, view
from training.demo.state import State

DRAW_S: Final = 0.25
_PICTURE: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own loads a font from the network; this one takes what is there."""


class Screen(Protocol):
    """Shows a state."""

    def draw(self, state: State, now_s: float) -> None:
        """Show it as it is at a moment."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End with the last state standing."""


class PlainScreen:
    """Prints lines."""

    def __init__(self) -> None:
        """Print nothing yet."""
        self._lines = plain.Lines()

    def draw(self, state: State, now_s: float) -> None:
        """Print what is new."""
        for line in self._lines.of(state, now_s):
            print(line, flush=True)  # noqa: T201  (a command prints)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass


class LiveScreen:
    """Draws on a terminal, in place."""

    def __init__(self, console: Console) -> None:
        """Take the terminal."""
        self._console = console
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)

    def draw(self, state: State, now_s: float) -> None:
        """Draw the state."""
        width, height = self._console.size
        drawn = view.render(state, now_s, min(width, 2 * view.WIDTH), min(height - 1, view.HEIGHT))
        self._live.update(drawn, refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()


class Recorder:
    """Keeps the picture of the busiest moment: when the scores of those who are watched were highest together."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._best = -1.0
        self._picture: RenderableType = ""

    def look(self, state: State, now_s: float) -> None:
        """Keep the state's picture where it is busier than the one that is kept."""
        shares = [(actor.score or 0.0) for actor in state.actors if actor.role.kind != "value"]
        busy = sum(shares) if state.scored else -1.0
        if busy >= self._best:
            self._best, self._picture = busy, view.render(state, now_s)

    def write(self, out: Path) -> None:
        """Write the picture as SVG.

        Raises:
            OutputError: it cannot be written.
        """
        console = Console(
            record=True, width=view.WIDTH, height=view.HEIGHT, file=io.StringIO(), force_terminal=True,
            color_system="truecolor", legacy_windows=False,
        )  # fmt: skip
        console.print(self._picture)
        with atomic_file(out) as part:
            part.write_text(console.export_svg(title="foretell demo", code_format=_PICTURE), encoding="utf-8")


def screen(*, as_lines: bool) -> Screen:
    """Return the terminal where there is one that can be drawn on, else plain lines."""
    console = Console()
    width, height = console.size
    fits = width >= view.NARROWEST and height >= view.LOWEST
    encoded = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    drawable = console.is_terminal and not console.is_dumb_terminal and fits and encoded
    return LiveScreen(console) if drawable and not as_lines else PlainScreen()
