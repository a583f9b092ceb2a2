"""What comes in the log and is hard to take."""

from random import Random
from typing import ClassVar, Final

from tests.chaos.faults.port import Place
from tests.chaos.scene import SECOND, Scene
from tests.kit.processes import Foretell

_WRITTEN_S: Final = 90.0
_TRIES: Final = 3
_STORM: Final = 15_000


class Activated:
    """Another bundle is put in force while the group gives its partitions anew."""

    name: ClassVar[str] = "activate"
    place: ClassVar[Place] = "log"
    hold_s: ClassVar[tuple[float, float]] = (1.0, 3.0)
    alone: ClassVar[bool] = False

    def __init__(self) -> None:
        self._verb: Foretell | None = None
        self._bundle = ""

    def strike(self, scene: Scene, rng: Random) -> None:
        self._bundle = rng.choice(("first", SECOND))
        victim = scene.fleet.choose(rng)
        self._write(scene)
        if victim is not None:
            scene.fleet.terminate(victim)
            scene.fleet.start(victim)

    def heal(self, scene: Scene) -> None:
        for _ in range(_TRIES):
            if self._verb is not None and self._verb.wait(_WRITTEN_S) == 0:
                return
            self._write(scene)  # what its message asks for
        scene.tally.note("no activate was written")

    def _write(self, scene: Scene) -> None:
        self._verb = scene.verb("activate", scene.options.out / "bundles" / self._bundle, "--force")


class Poison:
    """Transactions come at which a step fails."""

    name: ClassVar[str] = "poison"
    place: ClassVar[Place] = "log"
    hold_s: ClassVar[tuple[float, float]] = (2.0, 3.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        scene.order(poison=rng.randrange(1, 3))

    def heal(self, scene: Scene) -> None:
        """Leave it: the records stand in the log."""


class Storm:
    """Records of many customers come at once, as from an import."""

    name: ClassVar[str] = "storm"
    place: ClassVar[Place] = "log"
    hold_s: ClassVar[tuple[float, float]] = (1.0, 3.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002  (nothing is left to chance)
        scene.order(storm=_STORM)

    def heal(self, scene: Scene) -> None:
        """Leave it: the records stand in the log."""
