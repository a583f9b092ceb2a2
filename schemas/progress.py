"""How long work tells how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """A listener to the progress of long work."""

    def step(self, phase: str, done: int, total: int, text: str = "") -> None:
        """Take note that ``done`` of ``total`` units of ``phase`` are finished; ``text`` adds a figure or two."""


class Silent:
    """A listener that does not listen."""

    def step(self, phase: str, done: int, total: int, text: str = "") -> None:
        """Ignore the news."""


SILENT: Progress = Silent()
