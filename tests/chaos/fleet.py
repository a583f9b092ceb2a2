"""The workers of a campaign: started, killed, stopped, paused, and more or fewer of them."""

import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.chaos.tally import Tally
from tests.kit.processes import Foretell

JOINS: Final = "joins the group"
"""What a worker logs once it has loaded all; before that a signal just ends it."""
_STOP_S: Final = 25.0
_POLL_S: Final = 0.1
_LAG: Final = re.compile(r'^foretell_lag\{partition="(\d+)"\}', re.MULTILINE)


@dataclass
class Member:
    """A worker's place in the fleet.

    Attributes:
        number: of the place.
        process: that runs there, or ran last.
        wanted: whether one should run there.
        paused: whether it has been stopped in its tracks.
    """

    number: int
    process: Foretell
    wanted: bool = False
    paused: bool = False

    @property
    def partitions(self) -> frozenset[int]:
        """Return which partitions it has, as it says itself; none where it does not answer."""
        try:
            return frozenset(int(number) for number in _LAG.findall(self.process.page("/metrics")))
        except OSError:
            return frozenset()

    @property
    def ready(self) -> bool:
        """Return whether it says that it is."""
        return self.process.status("/health/ready") == 200


@dataclass
class Fleet:
    """All workers.

    Attributes:
        command: what each runs: module, then arguments.
        environment: of each.
        folder: for their logs.
        tally: what happened.
        named: whether every other worker is a static member of the group.
        members: by place.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    tally: Tally
    named: bool = True
    members: list[Member] = field(default_factory=list)

    @property
    def running(self) -> list[Member]:
        """Return the workers that run and are not paused."""
        return [member for member in self.members if member.process.running and not member.paused]

    def resize(self, workers: int) -> None:
        """Start or stop (SIGTERM) workers until there are so many."""
        for member in self._wanted[workers:]:
            self.terminate(member)
        while len(self._wanted) < workers:
            self.start(next((member for member in self.members if not member.wanted), None) or self._place())

    def start(self, member: Member) -> None:
        """Start a worker where none runs."""
        member.wanted = True
        if not member.process.running:
            member.process.start()

    def kill(self, member: Member) -> None:
        """Kill a worker (SIGKILL)."""
        member.process.kill()
        member.paused = False

    def terminate(self, member: Member) -> None:
        """Stop a worker (SIGTERM); one that does not stop in time, or not well, is told of."""
        member.wanted = False
        if not member.process.running:
            return
        try:
            ended = member.process.terminate(_STOP_S)
        except AssertionError:
            self.tally.note(f"worker {member.number} did not stop within {_STOP_S:g} s of SIGTERM")
        else:
            self.tally.stop_s.append(ended.seconds)
            importing = ended.code == -signal.SIGTERM and JOINS not in member.process.output
            if ended.code != 0 and not importing:
                self.tally.note(f"worker {member.number} ended with {ended.code} after SIGTERM")

    def pause(self, member: Member) -> None:
        """Stop a worker in its tracks (SIGSTOP)."""
        member.process.pause()
        member.paused = True

    def resume(self, member: Member) -> None:
        """Let it go on (SIGCONT)."""
        member.process.resume()
        member.paused = False

    def choose(self, rng: Random) -> Member | None:
        """Return a worker that runs; None where none does."""
        return rng.choice(self.running) if self.running else None

    def tend(self) -> None:
        """Start the workers again that have ended by themselves, which none should."""
        for member in self._wanted:
            if not member.process.running and not member.paused:
                self.tally.ended += 1
                self.tally.note(f"worker {member.number} ended by itself with {member.process.exit_code}")
                self.start(member)

    def wait_ready(self, seconds: float) -> bool:
        """Wait until all workers run and say that they are ready; return whether they did in time."""
        return self.wait(lambda: all(member.process.running and member.ready for member in self._wanted), seconds)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait for a condition; return whether it held in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_S)
        return True

    def kill_all(self) -> None:
        """End all, whatever they do."""
        for member in self.members:
            member.process.kill()

    @property
    def _wanted(self) -> list[Member]:
        return [member for member in self.members if member.wanted]

    def _place(self) -> Member:
        """Make a place; a worker with a name takes up where it was when it is started again."""
        number = len(self.members)
        names = {"FORETELL_INSTANCE": f"worker-{number}"} if self.named and number % 2 else {}
        module, *arguments = self.command
        process = Foretell(*arguments, environment=dict(self.environment) | names, folder=self.folder, module=module)
        self.members.append(Member(number, process))
        return self.members[-1]
