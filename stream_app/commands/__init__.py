"""Verbs of `foretell`, one module each."""

from types import ModuleType
from typing import Final

from stream_app.commands import (
    activate,
    audit,
    capture,
    compare,
    doctor,
    explain,
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
"""Those that talk to Kafka or Redis, in the order of the help text; each has ``register(verbs)``."""

OFFLINE: Final[tuple[ModuleType, ...]] = (explain, compare)
"""Those that read files only, as COMMANDS."""
