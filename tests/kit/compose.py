"""What the Dockerfile and the compose file say, so that tests can start a worker with exactly that."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

ROOT: Final = Path(__file__).resolve().parents[2]
COMPOSE: Final = ROOT / "docker-compose.yml"
DOCKERFILE: Final = ROOT / "Dockerfile"


def compose() -> dict[str, Any]:
    """Return the compose file."""
    found: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text(encoding="utf-8"))
    return found


def instructions(text: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile (this project's if none is given) with their arguments on one line."""
    text = DOCKERFILE.read_text(encoding="utf-8") if text is None else text
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            yield name.upper(), re.sub(r"\s+", " ", arguments.strip())


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets, but for the path."""
    found: dict[str, str] = {}
    for name, arguments in instructions():
        if name == "FROM":
            found = {}
        elif name == "ENV":
            found |= dict(pair.split("=", 1) for pair in shlex.split(arguments))
    return {name: value for name, value in found.items() if name != "PATH"}


def health_check() -> list[str]:
    """Return the command by which the image asks a worker for its health."""
    arguments = dict(instructions())["HEALTHCHECK"]
    command: list[str] = json.loads(arguments.partition("CMD ")[2])
    return command


def worker_environment(**changes: str | None) -> dict[str, str]:
    """Return a worker's variables ``FORETELL_…`` as image and compose file set them.

    Args:
        changes: what is elsewhere in a test (brokers, store, bundle, port); None removes a variable.
    """
    given: dict[str, str | None] = {**image_environment(), **compose()["services"]["worker"]["environment"], **changes}
    return {name: value for name, value in given.items() if name.startswith("FORETELL_") and value is not None}
