"""What tail prints: one line for each message, whatever is in it."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from aiokafka import ConsumerRecord

from schemas import codec
from schemas.messages import Alert, Score, TaskScore
from stream_app.commands import lines, tail

NOON = 1_704_110_400_000
SCORE = Score(
    score_id="transactions-0-1",
    kind="transaction",
    customer_id="c-1",
    time=NOON,
    bundle="0" * 16,
    layout="0" * 16,
    late=False,
    tasks={
        "churn": TaskScore(eligible=True, score=0.123457, band="high"),
        "credit_risk": TaskScore(eligible=False),
        "next_behaviour": TaskScore(eligible=True, score=0.5, choice="rent", probabilities={"rent": 0.5}),
        "value": TaskScore(eligible=True, score=1234567.25),
    },
)
ALERT = Alert(
    alert_id="transactions-0-1-falls",
    score_id="transactions-0-1",
    customer_id="c-1",
    time=NOON,
    rule="falls",
    task="churn",
    score=0.9,
    threshold=0.8,
    severity="high",
    suppressed=0,
    bundle="0" * 16,
)


def record(value: bytes | None, key: bytes | None = b"c-1", headers: object = ()) -> ConsumerRecord:
    return ConsumerRecord("scores", 0, 17, 0, 0, key, value, None, 0, 0, headers)


def line(message: object) -> str:
    show = lines.alert_line if isinstance(message, Alert) else lines.score_line
    return show(record(codec.encode(message)))


def test_a_score_tells_each_task_that_was_asked() -> None:
    expected = "2024-01-01T12:00:00.000Z  c-1  churn 0.123457 high  next_behaviour rent 0.5  value 1.23457e+06"

    assert line(SCORE) == expected


def test_a_score_tells_that_it_is_late_or_that_nothing_was_asked() -> None:
    late = msgspec.structs.replace(SCORE, late=True, tasks={"churn": TaskScore(eligible=False)})

    assert line(late) == "2024-01-01T12:00:00.000Z  c-1  nothing asked  late"


def test_an_alert_tells_severity_rule_and_value() -> None:
    of_class = msgspec.structs.replace(ALERT, class_="rent", suppressed=3)
    of_feature = msgspec.structs.replace(ALERT, task=None, feature="gap_days")

    assert line(ALERT) == "2024-01-01T12:00:00.000Z  c-1  high falls  churn 0.9 (threshold 0.8)"
    assert line(of_class).endswith("churn rent 0.9 (threshold 0.8)  3 suppressed")
    assert line(of_feature).endswith("gap_days 0.9 (threshold 0.8)")


def test_a_dead_letter_tells_reason_place_key_and_detail() -> None:
    headers = (
        ("reason", b"amount"),
        ("detail", b"expected less"),
        ("topic", b"transactions"),
        ("partition", b"2"),
        ("offset", b"9"),
    )

    assert lines.letter_line(record(b"{}", headers=headers)) == "amount  transactions-2-9  c-1  expected less"
    assert lines.letter_line(record(None, None, headers)) == "amount  transactions-2-9  no key  expected less"


UNREADABLE = [None, b"", b"{", b"\xff\xfe", b"[]", b"{}", b"null", b'{"score_id":1}', b"[" * 100_000]


@pytest.mark.parametrize("value", UNREADABLE)
def test_what_cannot_be_read_is_told_as_such(value: bytes | None) -> None:
    for show in (lines.score_line, lines.alert_line, lines.letter_line):
        found = show(record(value))
        assert found.startswith("unreadable  scores-0-17  ")
        assert len(found) < 1000


@pytest.mark.parametrize("value", [None, b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_told_within_json(value: bytes | None) -> None:
    found = msgspec.json.decode(lines.message_json(record(value)))

    assert (found["topic"], found["partition"], found["offset"]) == ("scores", 0, 17)
    assert "unreadable" in found


@pytest.mark.parametrize("value", [codec.encode(SCORE), '{"customer_id":"Zo\u00eb\u00a0\u2028"}'.encode(), b"1"])
def test_json_is_the_messages_own_bytes(value: bytes) -> None:
    assert lines.message_json(record(value)).encode() == value


def test_json_over_several_lines_becomes_one() -> None:
    assert lines.message_json(record(b'{\n "a": 1\n}')) == '{"a":1}'


def test_a_dead_letter_is_whole_as_json() -> None:
    found = msgspec.json.decode(lines.letter_json(record(b"\xff", None, (("reason", b"key"), ("raw", b"\xfe")))))

    assert found == {
        "topic": "scores",
        "partition": 0,
        "offset": 17,
        "headers": {"reason": "key", "raw": {"base64": "/g=="}},
        "key": None,
        "value": {"base64": "/w=="},
    }


def test_a_message_cannot_steer_the_terminal() -> None:
    evil = msgspec.structs.replace(SCORE, customer_id="c\x1b[2J\u202e\r\n", tasks={})

    assert line(evil) == "2024-01-01T12:00:00.000Z  c\\x1b[2J\\u202e\\r\\n  nothing asked"


def test_a_time_that_no_calendar_has_is_told_as_a_number() -> None:
    assert line(msgspec.structs.replace(SCORE, time=10**17, tasks={})).startswith("100000000000000000  c-1")


def options(**changes: object) -> argparse.Namespace:
    given = {"what": "scores", "json": True, "customer": None, "count": None, "idle": None}
    return argparse.Namespace(**(given | changes))


def coming(*batches: list[bytes]) -> Callable[[], Awaitable[list[ConsumerRecord]]]:
    """Return a source of batches of values, each keyed by itself; nothing comes after the last."""
    waiting = list(batches)

    async def fetch() -> list[ConsumerRecord]:
        await asyncio.sleep(0)
        return [record(value, value) for value in waiting.pop(0)] if waiting else []

    return fetch


def test_showing_ends_after_so_many_messages(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(tail.show(coming([b"1"], [], [b"2", b"3"], [b"4"]), options(count=2)))

    assert capsys.readouterr().out == "1\n2\n"


def test_showing_ends_when_nothing_comes(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(tail.show(coming([b"1"], [b"2"]), options(idle=0.01)))

    assert capsys.readouterr().out == "1\n2\n"


def test_only_one_customers_messages_count(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(tail.show(coming([b"1", b"2", b"1"], [b"3", b"1"]), options(count=3, customer="1")))

    assert capsys.readouterr().out == "1\n1\n1\n"
