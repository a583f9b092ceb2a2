"""Names of topics and a group that belong to one test, on servers that all tests share."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Topics:
    """Where one test reads and writes. No topic exists at first: the test makes what it needs."""

    transactions: str
    scores: str
    alerts: str
    dlq: str
    group: str
    environment: dict[str, str]
    """``FORETELL_…`` variables for a worker or a command: the servers and these names."""

    @classmethod
    def unique(cls, test: str, servers: Mapping[str, str]) -> Self:
        """Make names that no other test has.

        Args:
            test: its name, to find its topics again in a log.
            servers: the variables that say where the servers are.
        """
        stem = f"{re.sub('[^A-Za-z0-9]+', '-', test)[:60].strip('-')}-{uuid.uuid4().hex[:8]}"
        names = {name: f"{stem}.{name}" for name in ("transactions", "scores", "alerts", "dlq")}
        environment = dict(servers) | {f"FORETELL_{name.upper()}_TOPIC": topic for name, topic in names.items()}
        return cls(**names, group=stem, environment=environment | {"FORETELL_GROUP": stem})
