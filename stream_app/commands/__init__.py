"""The verbs of `foretell` that talk to Kafka or Redis, one module each."""

from types import ModuleType
from typing import Final

from stream_app.commands import (
    activate,
    audit,
    capture,
    doctor,
    forget,
    portrait,
    publish,
    relay,
    snapshot,
    tail,
    tick,
    worker,
)

COMMANDS: Final[tuple[ModuleType, ...]] = (
    worker, publish, tail, capture, relay, tick, activate, forget, portrait, snapshot, audit, doctor,
)  # fmt: skip
"""In the order of the help text; each has ``register(verbs)``."""
