"""The README's subscriber runs as it stands there: it sees what is committed, and each message once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import codec
from tests.kit import java, require
from tests.kit.compose import ROOT
from tests.kit.kafka import Kafka
from tests.kit.processes import Process

SUBSCRIBER = Path(__file__).with_name("subscriber.py")
pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Kafka]:
    """Give a Kafka of its own, since the subscriber reads topics of fixed names."""
    require.need(require.KAFKA, java.missing_kafka())
    with Kafka.start(tmp_path / "kafka") as server:
        yield server


def test_readme_quotes_the_subscriber() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert f"```python\n{SUBSCRIBER.read_text(encoding='utf-8')}```\n" in readme


def test_the_subscriber_prints_what_is_committed_once(broker: Kafka, tmp_path: Path) -> None:
    score = codec.encode({"score_id": "transactions-0-1", "customer_id": "c-1"})
    alert = codec.encode({"alert_id": "transactions-0-1-falls", "score_id": "transactions-0-1", "customer_id": "c-1"})
    last = codec.encode({"score_id": "transactions-0-2", "customer_id": "c-2"})
    for topic in ("scores", "alerts"):
        broker.make_topic(topic)
    command = [sys.executable, str(SUBSCRIBER)]
    environment = {"FORETELL_KAFKA": broker.bootstrap}

    with Process(command, tmp_path / "output", environment, tmp_path).start() as process:
        broker.produce("alerts", [(b"c-1", alert)] * 2)
        process.wait_for("falls c-1\n")
        broker.produce("scores", [(b"c-1", score)] * 2, transactional_id="worker")
        broker.produce("scores", [(b"c-2", last)])
        process.wait_for("transactions-0-2 c-2\n")
        lines = process.output.splitlines()

    assert lines == [
        "alerts transactions-0-1-falls c-1",
        "scores transactions-0-1 c-1",
        "scores transactions-0-2 c-2",
    ]
