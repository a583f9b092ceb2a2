"""The verbs of `foretell` that talk to Kafka and Redis, one module each."""

from types import ModuleType
from typing import Final

from stream_app.commands import activate, capture, doctor, forget, publish, relay, tail, tick, worker

COMMANDS: Final[tuple[ModuleType, ...]] = (worker, publish, tail, capture, relay, tick, activate, forget, doctor)
"""In the order of the help text; each has ``register(verbs)``."""
