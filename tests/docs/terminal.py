"""Runs a command in a terminal of its own (tmux) and keeps what that showed, as text.

    python -m tests.docs.terminal --out demo.txt make demo

Kept are the fullest screen while it ran, and all that stood there at its end. The exit code is the command's.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

WIDTH: Final = 110
HEIGHT: Final = 35
_POLL_S: Final = 0.5
_LINES: Final = 20_000


class Terminal:
    """A tmux server of its own with one window, whose command's environment is ours."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        """Start the command; ``folder`` takes its exit code and the server's socket."""
        self._code = folder / "exit-code"
        self._tmux = ["tmux", "-u", "-f", "/dev/null", "-S", str(folder / "socket")]
        shell = f"{shlex.join(command)}; echo $? > {shlex.quote(str(self._code))}"
        options = [
            "set-option",
            "-g",
            "history-limit",
            str(_LINES),
            ";",
            "set-option",
            "-g",
            "remain-on-exit",
            "on",
            ";",
        ]
        size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
        subprocess.run([*self._tmux, *options, "new-session", "-d", *size, shell], check=True)

    def screen(self, *, whole: bool = False) -> str:
        """Return what stands on it now, or all that has come by."""
        scrolled = ["-S", "-"] if whole else []
        command = [*self._tmux, "capture-pane", "-p", *scrolled]
        return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout.rstrip()

    @property
    def exit_code(self) -> int | None:
        """Return the exit code of the command, None while it runs."""
        text = self._code.read_text() if self._code.exists() else ""
        return int(text) if text.endswith("\n") else None

    def close(self) -> None:
        """End the server, and with it what runs in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)


def shown(command: Sequence[str], seconds: float) -> tuple[int, str, str]:
    """Return a command's exit code, the fullest screen while it ran, and all at its end.

    Raises:
        TimeoutError: it did not end in time; it has been ended.
    """
    deadline, fullest = time.monotonic() + seconds, ""
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(command, Path(folder))
        try:
            while (code := terminal.exit_code) is None:
                seen = terminal.screen()
                fullest = max(fullest, seen, key=_filled)
                if time.monotonic() > deadline:
                    message = f"Expected the end of {shlex.join(command)} in {seconds:g} s, found it at:\n{seen}"
                    raise TimeoutError(message)
                time.sleep(_POLL_S)
            return code, fullest, terminal.screen(whole=True)
        finally:
            terminal.close()


def text(fullest: str, end: str) -> str:
    """Return what was shown as one text."""
    return f"== the fullest screen ==\n{fullest}\n\n== at the end ==\n{end}\n"


def artefact(name: str, default: Path) -> Path:
    """Return where a test keeps something to look at: in ``FORETELL_TEST_ARTEFACTS``, or in a folder of its own."""
    folder = Path(os.environ.get("FORETELL_TEST_ARTEFACTS") or default)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _filled(screen: str) -> int:
    """Return how many characters a screen shows while something is under way."""
    return len("".join(screen.split())) if "▸" in screen else 0


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    code, fullest, end = shown(args.command, args.seconds)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(text(fullest, end), encoding="utf-8")
    sys.stdout.write(f"{end}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
