"""Faults of Redis."""

from random import Random
from typing import ClassVar, Final

from tests.chaos.faults.port import Place
from tests.chaos.scene import Scene

_ROOM_BYTES: Final = 2_000_000


class LostTail:
    """Redis is killed (SIGKILL) and the tail of its file is lost, as in a power cut."""

    name: ClassVar[str] = "redis-tail"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (0.0, 3.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:
        lost = scene.redis.lose_tail(rng)
        scene.tally.redis_losses += bool(lost)
        scene.tally.lost_bytes += lost

    def heal(self, scene: Scene) -> None:
        scene.redis.primary.start()


class Flushed:
    """Somebody empties Redis."""

    name: ClassVar[str] = "redis-flushall"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (2.0, 4.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002  (nothing is left to chance)
        scene.redis.primary.flushall()
        scene.tally.redis_losses += 1

    def heal(self, scene: Scene) -> None:
        """Leave it: workers fill it from the log."""


class OutOfMemory:
    """Redis has no memory left and refuses all writes."""

    name: ClassVar[str] = "redis-memory"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (3.0, 6.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        scene.redis.primary.ask("CONFIG", "SET", "maxmemory", str(_ROOM_BYTES))

    def heal(self, scene: Scene) -> None:
        scene.redis.primary.ask("CONFIG", "SET", "maxmemory", "0")


class PausedRedis:
    """Redis does not answer (SIGSTOP), then it does."""

    name: ClassVar[str] = "redis-pause"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (10.0, 11.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        scene.redis.primary.pause()

    def heal(self, scene: Scene) -> None:
        scene.redis.primary.resume()


class FailOver:
    """Redis is killed and its replica promoted, which has not got the last writes."""

    name: ClassVar[str] = "redis-failover"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (1.0, 3.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        scene.redis.begin_copy()

    def heal(self, scene: Scene) -> None:
        lost = scene.redis.fail_over()
        scene.tally.redis_losses += bool(lost)
        scene.tally.lost_bytes += lost


class FullDisk:
    """The disk of Redis is full."""

    name: ClassVar[str] = "disk-full"
    place: ClassVar[Place] = "redis"
    hold_s: ClassVar[tuple[float, float]] = (4.0, 7.0)
    alone: ClassVar[bool] = False

    def strike(self, scene: Scene, rng: Random) -> None:  # noqa: ARG002
        if scene.redis.disk:
            scene.tally.skipped[self.name] = scene.redis.disk
        else:
            scene.redis.fill_disk()

    def heal(self, scene: Scene) -> None:
        scene.redis.empty_disk()
