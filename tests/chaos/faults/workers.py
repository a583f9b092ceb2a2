"""Faults of workers."""

import time
from random import Random
from typing import ClassVar, Final

from tests.chaos.faults.port import Place
from tests.chaos.fencing import fenced_by
from tests.chaos.fleet import Member
from tests.chaos.scene import Scene

_TAKEN_OVER_S: Final = 25.0
_FENCED_S: Final = 6.0
_READY_S: Final = 20.0
_LOAD_S: Final = 4.0


class Kill:
    """A worker is killed (SIGKILL) and started again."""

    name: ClassVar[str] = "kill"
    place: ClassVar[Place] = "workers"
    hold_s: ClassVar[tuple[float, float]] = (0.1, 1.0)
    alone: ClassVar[bool] = False

    def __init__(self) -> None:
        self._victim: Member | None = None
        self._partitions: frozenset[int] = frozenset()

    def strike(self, scene: Scene, rng: Random) -> None:
        victim = self._victim = scene.fleet.choose(rng)
        if victim is not None:
            self._partitions = victim.partitions
            scene.fleet.kill(victim)
            scene.tally.kills += 1

    def heal(self, scene: Scene) -> None:
        scene.watch.commits.mark(self._partitions)
        if self._victim is not None and self._victim.wanted:
            scene.fleet.start(self._victim)


class Terminate:
    """A worker is told to stop (SIGTERM) and started again."""

    name: ClassVar[str] = "term"
    place: ClassVar[Place] = "workers"
    hold_s: ClassVar[tuple[float, float]] = (0.1, 1.0)
    alone: ClassVar[bool] = False

    def __init__(self) -> None:
        self._victim: Member | None = None

    def strike(self, scene: Scene, rng: Random) -> None:
        self._victim = scene.fleet.choose(rng)
        if self._victim is not None:
            scene.fleet.terminate(self._victim)

    def heal(self, scene: Scene) -> None:
        if self._victim is not None:
            scene.fleet.start(self._victim)


class Zombie:
    """A worker is paused beyond its session; others take over; it goes on with what it holds uncommitted."""

    name: ClassVar[str] = "zombie"
    place: ClassVar[Place] = "workers"
    hold_s: ClassVar[tuple[float, float]] = (5.0, 7.0)
    alone: ClassVar[bool] = True

    def __init__(self) -> None:
        self._victim: Member | None = None
        self._partitions: frozenset[int] = frozenset()
        self._log, self._paused_s = 0, 0.0

    def strike(self, scene: Scene, rng: Random) -> None:
        fleet = scene.fleet
        fleet.wait_ready(_READY_S)
        busy = [member for member in fleet.running if member.partitions]
        if not busy:
            scene.tally.note("no worker had partitions to be paused with")
            return
        victim = self._victim = rng.choice(busy)
        self._partitions = victim.partitions
        scene.order(rate=3 * scene.options.rate)  # so that it has something in its hands
        asked_s = time.monotonic()
        fleet.wait(lambda: scene.watch.commits.moved_since(self._partitions, asked_s + 0.3), _LOAD_S)
        self._log, self._paused_s = victim.process.path.stat().st_size, time.monotonic()
        fleet.pause(victim)
        scene.order(rate=scene.options.rate)

    def heal(self, scene: Scene) -> None:
        victim, fleet = self._victim, scene.fleet
        if victim is None:
            return
        session_s = scene.options.session_timeout_ms / 1000
        taken = fleet.wait(
            lambda: scene.watch.commits.moved_since(self._partitions, self._paused_s + session_s), _TAKEN_OVER_S
        )
        fleet.resume(victim)
        if not taken:
            scene.tally.note(f"nobody took over from the paused worker {victim.number} in time")
            return
        scene.tally.zombies += 1
        fleet.wait(lambda: fenced_by(_since(victim, self._log)) != "", _FENCED_S)
        fenced = fenced_by(_since(victim, self._log))
        scene.tally.fenced[fenced] += fenced != ""
        told = f"was fenced with uncommitted work by the {fenced}" if fenced else "held no uncommitted work"
        scene.tally.tell(f"zombie {victim.number} {told}")


class Scale:
    """Workers become one, then many, then one again, all under load."""

    name: ClassVar[str] = "scale"
    place: ClassVar[Place] = "workers"
    hold_s: ClassVar[tuple[float, float]] = (6.0, 8.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        scene.fleet.resize(1)
        scene.fleet.resize(3 if scene.options.short else rng.choice((3, 4)))

    def heal(self, scene: Scene) -> None:
        fleet = scene.fleet
        if not fleet.wait_ready(_READY_S):
            scene.tally.tell(f"not all of {len(fleet.running)} workers were ready after {_READY_S:g} s")
        fleet.resize(1)
        fleet.resize(scene.options.workers)


def _since(victim: Member, start: int) -> str:
    """Return what a worker has logged from a place on."""
    with victim.process.path.open("rb") as file:
        file.seek(start)
        return file.read().decode("utf-8", "replace")
