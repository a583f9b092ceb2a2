"""Drains by the baselines, with a look whether their scores are those of the product."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from schemas import codec
from tests.bench import checking
from tests.bench.drain import rates, watch
from tests.bench.figures import Sample
from tests.bench.filling import fill
from tests.bench.generator import Workload
from tests.bench.place import Place
from tests.kit.records import Record
from tests.kit.topics import Topics

LEAST_SHARE = 0.007
"""Of the pass-through's rate; a good-engineer baseline below it was held back by something."""


def baseline(place: Place, work: Workload, way: str) -> Iterator[Sample]:
    """Yield the rate of a baseline: "tutorial" or "engineer"."""
    topics = place.topics(way)
    fill(place, topics, work)
    place.kafka.make_topic(topics.alerts, work.partitions)
    with place.run("tests.bench.baselines.app", topics, way, place.bundle.path) as process:
        looks = asyncio.run(watch(place, topics, process, work))
        process.kill()  # a stop of Faust's may take longer than all of it
    checking.scored_once(topics, work.records, work.partitions)
    _compare(place, topics, work)
    yield from rates(name_of(way), looks)
    place.drop(topics)


def name_of(way: str) -> str:
    """Return what the figures of a baseline are called."""
    return f"baseline Faust, the {way} way"


def _compare(place: Place, topics: Topics, work: Workload) -> None:
    """Fail unless the first scores are those of a replay, task for task."""
    log = checking.first(topics, topics.transactions, work.partitions)
    told = checking.replayed(place, topics, log)
    same(tasks(told.values()), tasks(_values(checking.first(topics, topics.scores, work.partitions))))


def tasks(messages: Iterable[bytes]) -> Mapping[str, object]:
    """Return the answers of scores by their transactions."""
    found = (codec.facts(message) for message in messages)
    return {str(score["transaction_id"]): score["tasks"] for score in found}


def same(told: Mapping[str, object], seen: Mapping[str, object]) -> None:
    """Fail unless the answers are the same wherever both have one, and both have most."""
    both = told.keys() & seen.keys()
    wrong = sorted(name for name in both if told[name] != seen[name])
    assert not wrong, f"Expected the product's scores, found {len(wrong)} of {len(both)} different, first {wrong[0]}."
    assert 2 * len(both) > len(told), f"Expected scores of {len(told)} transactions to compare, found {len(both)}."


def _values(records: list[Record]) -> Iterator[bytes]:
    return (record.value for record in records if record.value)
