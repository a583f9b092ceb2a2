"""Faults of the broker."""

from random import Random
from typing import ClassVar, Final

from tests.chaos.faults.port import Place
from tests.chaos.fleet import JOINS
from tests.chaos.scene import Scene

_JOINS_S: Final = 20.0


class StoppedBroker:
    """The broker is stopped in good order and started again."""

    name: ClassVar[str] = "broker-restart"
    place: ClassVar[Place] = "broker"
    hold_s: ClassVar[tuple[float, float]] = (0.0, 1.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002  (nothing is left to chance)
        scene.kafka.stop()

    def heal(self, scene: Scene) -> None:
        scene.kafka.restart()


class KilledBroker:
    """The broker is killed (SIGKILL) and started again."""

    name: ClassVar[str] = "broker-kill"
    place: ClassVar[Place] = "broker"
    hold_s: ClassVar[tuple[float, float]] = (0.0, 2.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        scene.kafka.kill()

    def heal(self, scene: Scene) -> None:
        scene.kafka.restart()


class PausedBroker:
    """The broker does not answer (SIGSTOP), then it does."""

    name: ClassVar[str] = "broker-pause"
    place: ClassVar[Place] = "broker"
    hold_s: ClassVar[tuple[float, float]] = (10.0, 11.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        scene.kafka.pause()

    def heal(self, scene: Scene) -> None:
        scene.kafka.resume()


class RestartWhileOpening:
    """The broker is killed while workers open partitions: it comes back with its coordinator still loading."""

    name: ClassVar[str] = "broker-opening"
    place: ClassVar[Place] = "broker"
    hold_s: ClassVar[tuple[float, float]] = (0.0, 0.1)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        fleet = scene.fleet
        fleet.resize(scene.options.workers + 1)
        newcomer = next(member for member in reversed(fleet.members) if member.wanted)
        process = newcomer.process
        if not fleet.wait(lambda: JOINS in process.output or not process.running, _JOINS_S):
            scene.tally.note("the worker that should open partitions did not join the group in time")
        fleet.wait(lambda: "partition opened" in process.output, rng.uniform(0.0, 0.5))
        scene.kafka.kill()

    def heal(self, scene: Scene) -> None:
        scene.kafka.restart()
        scene.fleet.resize(scene.options.workers)
