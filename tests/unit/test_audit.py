"""The audit's parts: customers alone are what they are among all, what differs is told, and what is near is near."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka import ConsumerRecord

from schemas import codec
from stream_app.audit import comparison
from stream_app.audit.findings import Findings
from stream_app.audit.rebuild import Rebuilding
from stream_app.audit.told import Kind, Name, Told, digest
from stream_app.bundle import Bundle
from stream_app.offline.log import CapturedLog
from stream_app.shelf import Shelf
from stream_app.steps.stages import Chunk, cut
from tests.bundles import random_bundle
from tests.kit.evidence import Evidence, replayed
from tests.properties.story import spiced
from tests.properties.test_replay import Row, captured, dense, made, row

NAMES = [b"c-%d" % number for number in range(12)]
PLACE = ("transactions", 0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("audit"), score_on_customer=False)


@pytest.fixture(scope="module")
def log(bundle: Bundle) -> list[Row]:
    """Make a log of all kinds of records, with activates of another bundle; some in an escaped form."""
    other = random_bundle(bundle.path.parent / "other", bundle.spec, seed=7)
    rows = spiced(dense(250, seed=3), other, 3)
    escaped = b'{"kind":"\\u0061ctivate","bundle":"' + bundle.sha256.encode() + b'"}'
    return [*rows[:100], row(escaped, key=b"nobody's"), *rows[100:]]


def chunks(log: CapturedLog, sizes: Iterable[int] = (7,)) -> Iterator[Chunk]:
    yield from log.chunks(next(iter(sizes)))


def about(expected: Evidence, customer: bytes) -> dict[Name, bytes]:
    """Return what a replay of all says of a customer."""
    found = dict[Name, bytes]()
    for kind, messages in ((Kind.SCORE, expected.scores), (Kind.ALERT, expected.alerts)):
        for message in messages.values():
            facts = codec.facts(message)
            if facts["customer_id"].encode() == customer:
                found[Name(kind, int(facts["score_id"].split("-")[2]), customer, facts.get("rule", ""))] = message
    for (_, offset), (key, value, headers) in expected.letters.items():
        if key == customer:
            found[Name(Kind.LETTER, offset, customer)] = digest(key, value, headers)
    return found


@pytest.mark.parametrize("wanted", [NAMES[:1], NAMES[2:7]])
def test_customers_alone_give_what_they_give_among_all(bundle: Bundle, log: list[Row], wanted: list[bytes]) -> None:
    shelf, whole = Shelf(bundle), captured(log)
    expected = replayed(whole, shelf)
    alone = Rebuilding(shelf, bundle, PLACE, dict.fromkeys(wanted))

    found = {name: message for chunk in chunks(whole) for name, message in alone.take(chunk)}

    assert found == {name: message for each in wanted for name, message in about(expected, each).items()}
    assert {kind: any(name.kind is kind for name in found) for kind in Kind} == dict.fromkeys(Kind, True) | {
        Kind.ROW: False
    }
    for customer in wanted:
        assert alone.row(customer).tobytes() == expected.rows.get((0, customer), bytes(alone.row(customer).nbytes))


def test_customers_go_on_from_rows_as_if_they_had_been_there_from_the_beginning(bundle: Bundle, log: list[Row]) -> None:
    shelf, whole = Shelf(bundle), captured(log)
    half = int(whole.table.column("offset")[len(log) // 2].as_py())
    first, second = list[Chunk](), list[Chunk]()
    for chunk in chunks(whole):
        for part in cut(chunk, half):
            (first if int(part.offsets[0]) < half else second).append(part)
    before = Rebuilding(shelf, bundle, PLACE, dict.fromkeys(NAMES))
    told = {name: message for part in first for name, message in before.take(part)}

    after = Rebuilding(shelf, before.bundle, PLACE, {name: before.row(name) for name in NAMES})
    told |= {name: message for part in second for name, message in after.take(part)}

    expected = replayed(whole, shelf)
    assert told == {name: message for each in NAMES for name, message in about(expected, each).items()}
    assert {(0, name): after.row(name).tobytes() for name in NAMES if after.row(name).any()} == expected.rows


def test_what_no_step_has_seen_is_passed_over(bundle: Bundle) -> None:
    whole = captured(dense(40, ticks=False))
    offset = int(whole.table.column("offset")[5].as_py())
    without = Rebuilding(Shelf(bundle), bundle, PLACE, dict.fromkeys(NAMES), [offset])

    names = [name for chunk in chunks(whole) for name, _ in without.take(chunk)]

    assert offset not in {name.offset for name in names}
    assert len(names) > 30


# What was told


def record(
    value: bytes | None, key: bytes = b"a", headers: Iterable[tuple[str, bytes]] = ()
) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("topic", 0, 5, 0, 0, key, value, None, 0, 0, tuple(headers))


def score(offset: int, customer: str = "a", **fields: object) -> bytes:
    return json.dumps({"score_id": f"transactions-0-{offset}", "customer_id": customer} | fields).encode()


def letter_headers(offset: int, reason: str = "schema", partition: int = 0) -> list[tuple[str, bytes]]:
    facts = {"reason": reason, "topic": "transactions", "partition": str(partition), "offset": str(offset)}
    return [(name, text.encode()) for name, text in facts.items()]


def test_what_was_told_of_a_customer_is_known_by_record_customer_and_rule() -> None:
    told = Told("transactions-0-", frozenset([b"a"]))
    told.take(Kind.SCORE, [record(score(3, "b"), b"b"), record(score(7)), record(score(9))])
    told.take(Kind.ALERT, [record(score(7, rule="often"))])
    told.take(Kind.LETTER, [record(b"{", headers=letter_headers(4))])

    assert set(told.messages) == {
        Name(Kind.SCORE, 7, b"a"),
        Name(Kind.SCORE, 9, b"a"),
        Name(Kind.ALERT, 7, b"a", "often"),
        Name(Kind.LETTER, 4, b"a"),
    }
    assert told.since == {Kind.SCORE: 3, Kind.ALERT: 7, Kind.LETTER: 4}
    assert (told.repeated, told.wrong) == (set(), [])


def test_repeats_and_contradictions_are_noted() -> None:
    told = Told("transactions-0-", frozenset([b"a"]))
    told.take(Kind.SCORE, [record(score(7)), record(score(7)), record(score(9)), record(score(9, late=True))])

    assert told.repeated == {Name(Kind.SCORE, 7, b"a")}
    assert told.wrong == [(Kind.SCORE, "of customer a at offset 9 is there twice with different bytes")]


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"score_id":"other-0-3"}', b'{"score_id":"transactions-0-x"}'])
def test_what_is_no_message_of_the_partition_is_wrong(value: bytes) -> None:
    told = Told("transactions-0-", frozenset([b"a"]))
    told.take(Kind.SCORE, [record(value)])

    assert [what for _, what in told.wrong] == ["at offset 5 of topic is none of transactions-0-"]


def test_a_record_that_made_a_step_fail_is_known_whoever_sent_it() -> None:
    told = Told("transactions-0-", frozenset([b"a"]))
    told.take(
        Kind.LETTER, [record(b"", b"b", letter_headers(4, "internal_error")), record(b"", b"b", letter_headers(6))]
    )

    assert (told.passed_over, told.messages, told.wrong) == ({4}, {}, [])


# Comparison


@pytest.fixture(scope="module")
def one_score(bundle: Bundle, log: list[Row]) -> bytes:
    """Give a score with all tasks."""
    messages = replayed(captured(log), Shelf(bundle)).scores.values()
    return max(messages, key=len)


def changed(message: bytes, by: float, task: str) -> bytes:
    """Return a score whose number of a task has moved."""
    facts = codec.facts(message)
    held = facts["tasks"][task]
    if "probabilities" in held:
        name = next(iter(held["probabilities"]))
        held["probabilities"][name] = round(held["probabilities"][name] + by, 6)
    else:
        held["score"] = round(held["score"] + by, 6)
    return msgspec.json.encode(facts)


@pytest.mark.parametrize("task", ["churn", "preference"])
def test_a_score_is_the_same_near_or_another(one_score: bytes, task: str) -> None:
    assert comparison.same_score(one_score, one_score, exact=True)
    near, far = changed(one_score, 1e-6, task), changed(one_score, 3e-6, task)
    assert [comparison.same_score(one_score, each, exact=True) for each in (near, far)] == [False, False]
    assert [comparison.same_score(one_score, each, exact=False) for each in (near, far)] == [True, False]


@pytest.mark.parametrize("change", [{"time": 1}, {"late": True}, {"bundle": "0"}, {"tasks": {}}, {"more": 1}])
def test_what_is_no_number_must_be_the_same_on_every_machine(one_score: bytes, change: dict[str, Any]) -> None:
    other = msgspec.json.encode(codec.facts(one_score) | change)

    assert other != one_score
    assert not comparison.same_score(one_score, other, exact=False)


def test_a_band_may_differ_only_with_its_score(one_score: bytes) -> None:
    facts = codec.facts(one_score)
    facts["tasks"]["churn"]["band"] = "another"

    assert not comparison.same_score(one_score, msgspec.json.encode(facts), exact=False)
    assert comparison.same_score(one_score, changed(msgspec.json.encode(facts), 1e-6, "churn"), exact=False)


def test_rows_are_compared_to_the_last_bit_and_without_the_memory_of_alerts_on_another_machine(bundle: Bundle) -> None:
    layout = bundle.rolling.layout
    expected = np.arange(layout.row_width, dtype=np.float32)
    for name, section in layout.sections.items():
        found = expected.copy()
        found.view(np.uint32)[section.start] ^= 1
        assert not comparison.same_row(expected, found, layout, exact=True)
        assert comparison.same_row(expected, found, layout, exact=False) == (name == "alerts")
        assert comparison.where(expected, found, layout) == name
    assert comparison.same_row(expected, expected.copy(), layout, exact=True)


# The verdict


def test_all_equal_is_said_and_counted() -> None:
    findings = Findings(customers=3, partitions=1)
    findings.compared[Kind.ROW] += 3
    findings.compared[Kind.SCORE] += 20

    assert list(findings.lines()) == [
        "compared 3 rows, 20 scores of 3 customers, byte for byte",
        "verdict: all equal",
    ]
    assert findings.exit_code == 0
    page = findings.page().decode()
    assert "foretell_audit_equal 1.0" in page
    assert 'foretell_audit_compared{kind="scores"} 20.0' in page
    assert 'foretell_audit_differences{kind="rows"} 0.0' in page


def test_differences_are_told_a_few_of_each_kind_and_counted() -> None:
    findings = Findings(customers=9, partitions=1)
    for number in range(7):
        findings.differ(Kind.SCORE, f"of customer {number}: missing")

    lines = list(findings.lines())

    assert lines[0] == "differs: scores of customer 0: missing"
    assert lines[5] == "differs: 2 more scores"
    assert lines[-1] == "verdict: 7 differences"
    assert findings.exit_code == 1
    assert 'foretell_audit_differences{kind="scores"} 7.0' in findings.page().decode()


@pytest.mark.parametrize(("near", "hinted"), [([True, True], True), ([True, False], False)])
def test_where_another_machine_would_explain_all_it_is_said(near: list[bool], *, hinted: bool) -> None:
    findings = Findings(customers=1)
    for each in near:
        findings.differ(Kind.ROW, "of customer a: alerts", near=each)

    assert ("--other-machine" in list(findings.lines())[-1]) == hinted


def test_what_could_not_be_audited_is_no_verdict() -> None:
    some, none = Findings(customers=1, partitions=1, not_audited=["Expected …"]), Findings()

    assert (some.exit_code, none.exit_code) == (2, 2)
    assert list(some.lines())[-1] == "verdict: all equal, but not all could be audited"
    assert list(none.lines())[-1] == "verdict: nothing could be audited"
    assert re.search(r"foretell_audit_complete 0\.0", none.page().decode())


def test_on_another_machine_it_is_said_what_was_left_out() -> None:
    assert "no alerts or their memory" in next(Findings(exact=False, customers=1).lines())
