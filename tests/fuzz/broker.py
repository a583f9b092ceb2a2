"""Mutated records through a real Kafka, worker and Redis: what comes out is what the replay of the same log gives."""

from pathlib import Path
from typing import Final

from stream_app import bundle
from stream_app.shelf import Shelf
from tests.fuzz.contract import NotSoError, check_alert, check_score
from tests.fuzz.judge import EACH, Finding, Judge, Tally
from tests.fuzz.stream import Entry
from tests.integration import live
from tests.kit import every_kind, evidence
from tests.kit.evidence import Evidence
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.records import Record
from tests.kit.redis import RedisServer
from tests.kit.topics import Topics

PARTITIONS: Final = 4
_SCORED_S: Final = 600.0


def through(entries: list[Entry], bundle_path: Path, folder: Path) -> Tally:
    """Publish records, let a worker score them, and return what has become of them.

    What the topic has then is also judged record by record, as without a broker, now with the times that Kafka gave.

    Args:
        entries: with any times.
        bundle_path: of the worker.
        folder: an existing one, for servers and processes.
    """
    rows = [(entry.key, entry.value) for entry in entries]
    log = every_kind.write_log(folder / "log.parquet", rows, PARTITIONS)
    with Kafka.start(folder / "kafka") as kafka, RedisServer(folder / "redis").start() as redis:
        topics = Topics.unique("fuzz", kafka.environment() | {"FORETELL_REDIS": redis.url})
        environment = topics.environment
        publisher = Foretell("publish", log, "--create", str(PARTITIONS), environment=environment, folder=folder)
        with (
            publisher.start(),
            Foretell("worker", "--bundle", bundle_path, environment=environment, folder=folder) as worker,
        ):
            assert publisher.wait(_SCORED_S) == 0, publisher.output
            worker.start()
            live.wait_until_scored(kafka, topics, _SCORED_S)
            assert worker.terminate().code == 0
        shelf = Shelf(bundle.load(bundle_path))
        records = kafka.read(topics.transactions)
        return _judged(records, topics.transactions, live.seen(kafka, topics, shelf), shelf)


def _judged(records: list[Record], topic: str, seen: Evidence, shelf: Shelf) -> Tally:
    """Judge what stands in the input topic, in the output topics and in the store."""
    log = evidence.captured(records, topic)
    tally = Tally()
    for number in range(PARTITIONS):
        judge = Judge(shelf)
        for chunk in evidence.captured([record for record in records if record.partition == number], topic).chunks(
            4096
        ):
            judge.take(chunk)
        judge.end()
        tally.records += judge.tally.records
        tally.good += judge.tally.good
        tally.outcomes += judge.tally.outcomes
        tally.findings += judge.tally.findings
    told = evidence.differences(evidence.replayed(log, shelf), seen)
    tally.findings += [Finding(f"Expected what the replay gives, found {line}", None, -1) for line in told]
    for check, kind, messages in ((check_score, "scores", seen.scores), (check_alert, "alerts", seen.alerts)):
        for number, message in enumerate(messages.values()):
            tally.messages[kind] += 1
            try:
                check(message, with_schema=number % EACH == 0)
            except NotSoError as error:
                tally.findings.append(Finding(f"Expected {error}, found {message!r}", None, -1))
    return tally
