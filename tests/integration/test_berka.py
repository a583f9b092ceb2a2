"""A real bank's log through Kafka and Redis: what comes out is what replays of the topic and of the folder give."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas import codec, spec_file
from schemas.progress import SILENT
from stream_app.offline.folder import SPEC
from stream_app.offline.log import open_log
from stream_app.shelf import Shelf
from tests.bundles import random_bundle
from tests.integration import live
from tests.kit import evidence
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.topics import Topics
from training.datasets.berka import Berka

PARTITIONS = 4


@pytest.mark.slow
def test_berka_gives_what_replays_of_the_topic_and_of_the_folder_give(
    kafka: Kafka,
    topics: Topics,
    foretell: Callable[..., Foretell],
    data_dir: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "berka"
    Berka(data_dir("berka")).write(folder, SILENT)
    shelf = Shelf(random_bundle(tmp_path / "bundle", spec_file.load(folder / SPEC)))
    worker = foretell("worker", "--bundle", shelf.first.path)
    assert foretell("publish", folder, "--create", str(PARTITIONS)).wait() == 0
    live.wait_until_scored(kafka, topics)
    assert worker.terminate().code == 0

    of_topic, found = live.expected(kafka, topics, shelf), live.seen(kafka, topics, shelf)
    of_folder = evidence.replayed(open_log(folder, PARTITIONS), shelf)

    assert len(found.scores) > 70_000
    assert evidence.differences(of_topic, found) == []
    assert less_ids(found.scores.values()) == less_ids(of_folder.scores.values())
    assert less_ids(found.alerts.values()) == less_ids(of_folder.alerts.values())


def less_ids(messages: Iterable[bytes]) -> Counter[str]:
    """Return messages without the ids that tell where their record stood."""
    return Counter(repr(sorted(_less_ids(codec.facts(message)).items())) for message in messages)


def _less_ids(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in {"score_id", "alert_id"}}
