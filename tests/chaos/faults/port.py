"""What a fault is."""

from random import Random
from typing import ClassVar, Literal, Protocol

from tests.chaos.scene import Scene

Place = Literal["workers", "redis", "broker", "log"]


class Fault(Protocol):
    """Something that goes wrong, once. Made anew for each time it strikes.

    Attributes:
        name: in options and verdicts.
        place: of two faults of one place, only one is in force at a time.
        hold_s: for how long it is in force, the least and the most.
        alone: no other fault comes at the same time.
    """

    name: ClassVar[str]
    place: ClassVar[Place]
    hold_s: ClassVar[tuple[float, float]]
    alone: ClassVar[bool]

    def strike(self, scene: Scene, rng: Random) -> None:
        """Begin."""

    def heal(self, scene: Scene) -> None:
        """End, so that all can go on."""
