"""Faults of the network."""

from random import Random
from typing import ClassVar

from tests.chaos.faults.port import Place
from tests.chaos.scene import Scene
from tests.kit.proxy import Proxy


class CutFromBroker:
    """Workers cannot reach the broker: connections are refused, or nothing passes."""

    name: ClassVar[str] = "cut-broker"
    place: ClassVar[Place] = "broker"
    hold_s: ClassVar[tuple[float, float]] = (2.0, 8.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        _interrupt(scene.network, rng)

    def heal(self, scene: Scene) -> None:
        scene.network.heal()


class CutFromRedis:
    """Workers cannot reach Redis: connections are refused, or nothing passes."""

    name: ClassVar[str] = "cut-redis"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (2.0, 8.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        _interrupt(scene.redis.gate, rng)

    def heal(self, scene: Scene) -> None:
        scene.redis.gate.heal()


def _interrupt(proxy: Proxy, rng: Random) -> None:
    rng.choice((proxy.cut, proxy.hold))()
