"""What a test does where a server that it needs cannot be started: it skips, or fails where that has been demanded."""

import os
import shutil
from typing import Final

import pytest

VARIABLE: Final = "FORETELL_TEST_REQUIRE"
KAFKA: Final = "kafka"
REDIS: Final = "redis"
DEMO: Final = "demo"
_PARTS: Final = frozenset({DEMO, KAFKA, REDIS})


def need(part: str, missing: str) -> None:
    """Skip the test where a part is missing, or fail it where ``FORETELL_TEST_REQUIRE`` names the part.

    Args:
        part: ``kafka``, ``redis`` or ``demo`` (the embedded servers).
        missing: what is missing and how to get it, empty where nothing is.
    """
    required = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    if unknown := sorted(required - _PARTS):
        expected = " or ".join(sorted(_PARTS))
        pytest.fail(f"Expected {VARIABLE} to name {expected}, found {', '.join(unknown)}; correct it.", pytrace=False)
    if missing and part in required:
        pytest.fail(f"{VARIABLE} names {part}, but there is {missing}", pytrace=False)
    if missing:
        pytest.skip(missing)


def missing_redis() -> str:
    """Return why no Redis can be started, or an empty text."""
    if shutil.which("redis-server"):
        return ""
    return "no redis-server on the path; install Redis 7 (Debian: redis-server)"
