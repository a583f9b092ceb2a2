"""Messages of the output topics are shown as they are committed."""

from collections.abc import Callable

import msgspec

from schemas import codec
from schemas.messages import Score, TaskScore
from tests.integration.moved import NOON, ended
from tests.kit.kafka import Kafka
from tests.kit.processes import Foretell
from tests.kit.topics import Topics

Start = Callable[..., Foretell]
PARTITIONS = 3


def score(number: int, **changes: object) -> bytes:
    fields = {
        "score_id": f"transactions-0-{number}",
        "kind": "transaction",
        "customer_id": f"c-{number}",
        "time": NOON,
        "bundle": "0" * 16,
        "layout": "0" * 16,
        "late": False,
        "tasks": {
            "churn": TaskScore(eligible=True, score=0.25, band="high"),
            "credit_risk": TaskScore(eligible=False),
            "next_behaviour": TaskScore(eligible=True, score=0.5, choice="rent", probabilities={"rent": 0.5}),
        },
    }
    return codec.encode(msgspec.convert(msgspec.to_builtins(fields | changes), Score))


def test_scores_are_shown_as_they_come(kafka: Kafka, topics: Topics, foretell: Start) -> None:
    kafka.make_topic(topics.scores, PARTITIONS)
    kafka.produce(topics.scores, [(b"c-0", score(0))], partition=0)
    process = foretell("tail", "scores", "--count", "2")
    process.wait_for("from now on")
    kafka.produce(topics.scores, [(b"c-1", score(1))], partition=0, transactional_id=topics.group)
    kafka.produce(topics.scores, [(b"c-2", b"\xff not ours")], partition=2)

    lines = [line for line in ended(process).splitlines() if not line.startswith("foretell:")]

    assert sorted(lines) == [
        "2024-01-01T12:00:00.000Z  c-1  churn 0.25 high  next_behaviour rent 0.5",
        f"unreadable  {topics.scores}-2-0  \N{REPLACEMENT CHARACTER} not ours",
    ]


def test_one_customers_messages_are_shown_as_json(kafka: Kafka, topics: Topics, foretell: Start) -> None:
    kafka.make_topic(topics.scores, PARTITIONS)
    kafka.make_topic(topics.dlq, 1)
    kafka.produce(topics.scores, [(b"c-%d" % (k % 3), score(k)) for k in range(9)])
    kafka.produce(topics.dlq, [(b"\xfe", b"{")], headers=[("reason", b"malformed"), ("topic", b"transactions")])

    scores = foretell("tail", "scores", "--from", "beginning", "--idle", "1", "--json", "--customer", "c-1")
    letters = foretell("tail", "dlq", "--from", "beginning", "--count", "1", "--json")

    assert ended(scores).splitlines()[1:] == [score(k).decode() for k in (1, 4, 7)]
    assert msgspec.json.decode(ended(letters).splitlines()[-1]) == {
        "topic": topics.dlq,
        "partition": 0,
        "offset": 0,
        "headers": {"reason": "malformed", "topic": "transactions"},
        "key": {"base64": "/g=="},
        "value": "{",
    }
