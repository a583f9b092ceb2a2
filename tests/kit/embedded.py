"""The embedded broker and store for tests, with what tests look into them by."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream_app.embedded.broker import EmbeddedBroker
from stream_app.embedded.store import EmbeddedStore
from tests.kit import records
from tests.kit.records import Record


class Embedded:
    """A running broker and store; each test uses topics and a group of its own."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet."""
        self.broker, self.store = EmbeddedBroker(folder / "broker"), EmbeddedStore(folder / "store")
        self._running = ExitStack()

    @property
    def internal(self) -> dict[str, Any]:
        """What an aiokafka client needs to come in."""
        return {"bootstrap_servers": self.broker.bootstrap}

    @property
    def environment(self) -> dict[str, str]:
        """The ``FORETELL_…`` variables of a worker or a command on them."""
        return {
            "FORETELL_KAFKA": self.broker.bootstrap,
            "FORETELL_REDIS": self.store.url,
            "FORETELL_DELIVERY": "at_least_once",
            "FORETELL_SESSION_TIMEOUT_MS": "2000",
        }

    def topics(self) -> dict[str, int]:
        """Return how many partitions each topic has."""
        return asyncio.run(records.topics(self.internal))

    def read(self, topic: str, **options: Any) -> list[Record]:  # noqa: ANN401  (those of ``records.read``)
        """Return what stands in a topic."""
        return asyncio.run(records.read(self.internal, topic, **options))

    def __enter__(self) -> Self:
        self._running.enter_context(self.broker)
        self._running.enter_context(self.store)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()
