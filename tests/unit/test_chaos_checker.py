"""The checker of a campaign finds nothing where all is right, and each single thing that is not."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from schemas import codec
from stream_app.bundle import Bundle
from stream_app.offline.capture import HEADERS
from stream_app.offline.log import LOG_COLUMNS
from stream_app.shelf import Shelf
from tests.chaos.checker import (
    ALERTS,
    KINDS,
    LETTERS,
    ROWS,
    SCORES,
    Expected,
    Found,
    Item,
    alert_item,
    compare,
    letter_item,
    replayed,
    row_item,
    score_item,
)
from tests.chaos.options import Options
from tests.chaos.stream import Stream
from tests.chaos.tally import Tally
from tests.chaos.truth import Acknowledged, misplaced, numbers_of
from tests.chaos.verdict import Checked, Verdict
from tests.kit import every_kind, evidence
from tests.kit.evidence import Evidence
from tests.kit.poisoned import POISON
from tests.kit.records import Message, Record

RECORDS = 3_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "first")


def as_records(messages: Iterable[Message]) -> list[Record]:
    return [Record(0, k, key, value, (), -1) for k, (key, value) in enumerate(messages)]


def as_table(messages: Iterable[Message]) -> pa.Table:
    return evidence.captured(as_records(messages), "transactions").table


@dataclass
class Seen:
    """What a worker has put out, as the topics and the store have it."""

    scores: list[tuple[bytes, bytes]] = field(default_factory=list)
    alerts: list[tuple[bytes, bytes]] = field(default_factory=list)
    letters: list[evidence.Letter] = field(default_factory=list)
    rows: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Evidence) -> "Seen":
        """Return the output of a worker that has made no mistake, from the kit's other replay."""
        scores, alerts = (
            [(codec.facts(content)["customer_id"].encode(), content) for content in kept.values()]
            for kept in (told.scores, told.alerts)
        )
        rows = {name: row for (_, name), row in told.rows.items()}
        return cls(scores, alerts, list(told.letters.values()), rows)

    def items(self) -> dict[str, list[Item]]:
        """Return all as the checker takes it."""
        return {
            SCORES: [score_item(*message) for message in self.scores],
            ALERTS: [alert_item(*message) for message in self.alerts],
            LETTERS: [letter_item(*letter) for letter in self.letters],
            ROWS: [row_item(name, np.frombuffer(row, np.float32)) for name, row in self.rows.items()],
        }


@pytest.fixture(scope="module")
def messages() -> list[Message]:
    return list(Stream(1, customers=50).take(RECORDS))


@pytest.fixture(scope="module")
def expected(bundle: Bundle, messages: list[Message]) -> Expected:
    return replayed(as_table(messages), Shelf(bundle), poisoned=True)


@pytest.fixture(scope="module")
def right(bundle: Bundle, messages: list[Message]) -> Seen:
    return Seen.of(evidence.replayed(evidence.captured(as_records(messages), "transactions"), Shelf(bundle)))


@pytest.fixture
def seen(right: Seen) -> Seen:
    return copy.deepcopy(right)


def verdict(expected: Expected, seen: Seen, delivery: str = "exactly_once", log: list[str] | None = None) -> Verdict:
    checked = Checked({kind: compare(expected.kinds[kind], items) for kind, items in seen.items().items()}, log or [])
    options = Options(seed=1, out=Path("nowhere"), delivery=delivery)  # type: ignore[arg-type]  # one of two texts
    return Verdict(options, "", Tally(), checked, 0.0)


def broken(found: Verdict) -> dict[str, int]:
    """Return the promises that were broken."""
    assert found.good is not any(found.violations.values())
    return {name: times for name, times in found.violations.items() if times}


def flipped(content: bytes) -> bytes:
    """Return the content with one bit of it flipped."""
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def test_nothing_is_found_where_all_is_as_it_must_be(expected: Expected, seen: Seen) -> None:
    assert all(len(expected.kinds[kind]) > 20 for kind in KINDS)
    assert broken(verdict(expected, seen)) == {}


def lose_score(seen: Seen) -> None:
    del seen.scores[700]


def lose_letter(seen: Seen) -> None:
    del seen.letters[3]


def lose_alert(seen: Seen) -> None:
    del seen.alerts[7]


def repeat_score(seen: Seen) -> None:
    seen.scores.append(seen.scores[11])


def repeat_letter(seen: Seen) -> None:
    seen.letters.append(seen.letters[0])


def alter_score(seen: Seen) -> None:
    key, value = seen.scores[9]
    seen.scores[9] = key, flipped(value)


def alter_key(seen: Seen) -> None:
    seen.scores[9] = b"another", seen.scores[9][1]


def alter_letter(seen: Seen) -> None:
    at = next(k for k, letter in enumerate(seen.letters) if letter[1] and len(letter[1]) > 20)
    key, value, headers = seen.letters[at]
    seen.letters[at] = key, flipped(value or b""), headers


def contradict(seen: Seen) -> None:
    key, value = seen.alerts[5]
    seen.alerts.append((key, flipped(value)))


def invent_alert(seen: Seen) -> None:
    key, value = seen.alerts[2]
    seen.alerts.append((key, value.replace(b'"alert_id":"', b'"alert_id":"x')))


def invent_score(seen: Seen) -> None:
    seen.scores.append((b"c", b"no score"))


def age_row(seen: Seen) -> None:
    name = next(iter(seen.rows))
    seen.rows[name] = flipped(seen.rows[name])


def lose_row(seen: Seen) -> None:
    seen.rows.popitem()


def invent_row(seen: Seen) -> None:
    seen.rows[b"nobody"] = next(iter(seen.rows.values()))


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lose_score, {"lost": 1}),
        (lose_letter, {"lost": 1}),
        (lose_alert, {"lost": 1}),
        (repeat_score, {"duplicated": 1}),
        (repeat_letter, {"duplicated": 1}),
        (alter_score, {"wrong": 1}),
        (alter_key, {"wrong": 1}),
        (alter_letter, {"wrong": 1}),
        (contradict, {"wrong": 1}),
        (invent_alert, {"invented": 1}),
        (invent_score, {"invented": 1}),
        (age_row, {"stale": 1}),
        (lose_row, {"stale": 1}),
        (invent_row, {"stale": 1}),
    ],
)
def test_each_single_mistake_is_found(
    expected: Expected, seen: Seen, spoil: Callable[[Seen], None], found: dict[str, int]
) -> None:
    spoil(seen)
    assert broken(verdict(expected, seen)) == found


def test_an_alert_may_come_again_and_at_least_once_everything_may(expected: Expected, seen: Seen) -> None:
    seen.alerts += seen.alerts[:4]
    told = verdict(expected, seen)
    assert broken(told) == {}
    assert told.as_json()["alerts_repeated"] == 4
    repeat_score(seen)
    repeat_letter(seen)
    assert broken(verdict(expected, seen)) == {"duplicated": 2}
    assert broken(verdict(expected, seen, "at_least_once")) == {}


def test_what_is_told_names_what_it_is_about(expected: Expected, seen: Seen) -> None:
    lost = score_item(*seen.scores[700])[0]
    lose_score(seen)
    assert f"{lost} is missing" in verdict(expected, seen).text()


def test_records_that_no_step_takes_are_dead_letters_of_their_own_and_leave_the_others_as_they_were(
    bundle: Bundle, messages: list[Message], expected: Expected
) -> None:
    poison = next(Stream(2, customers=50).poison(1))
    table = as_table([*messages, poison])
    told = replayed(table, Shelf(bundle), poisoned=True)
    assert told.kinds[LETTERS].keys() - expected.kinds[LETTERS].keys() == {str(RECORDS)}
    assert told.kinds[SCORES] == expected.kinds[SCORES]
    taken = replayed(table, Shelf(bundle), poisoned=False)
    assert taken.kinds[SCORES].keys() - expected.kinds[SCORES].keys() == {f"transactions-0-{RECORDS}"}
    assert POISON.decode() in taken.kinds[ROWS]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([0, 1, None, 2], ""),
        ([0, 2, None, 1], "number 1 stands at 3, behind number 2"),
        ([0, 1, None, None], "number 2 was acknowledged at 3, found at None"),
        ([0, 1, 1, 2], "number 1 stands at 1 and again at 2"),
        ([0, 1, 2, None], "number 2 was acknowledged at 3, found at 2"),
    ],
)
def test_the_log_must_have_what_was_acknowledged_once_where_it_was_and_in_order(
    numbers: list[int | None], told: str
) -> None:
    acknowledged = [Acknowledged(0, 0, 2, 0), Acknowledged(0, 2, 1, 3)]
    found = misplaced(numbers, range(4), acknowledged)
    assert (told in found) if told else (found == [])


def test_the_loaders_numbers_are_read_from_the_captured_headers() -> None:
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    headers = [[{"key": "number", "value": b"12"}], None, [{"key": "other", "value": b"x"}]]
    assert numbers_of(pa.table({HEADERS: pa.array(headers, kind)})) == [12, None, None]


def test_the_stream_is_the_same_for_the_same_seed_and_of_every_kind() -> None:
    first, again, other = (list(Stream(seed, customers=50).take(2_000)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    values = b"".join(value or b"(none)" for _, value in first)
    for part in (b'"customer"', b'"tick"', b'"forget"', b"(none)", b'"t-1999"'):
        assert part in values
    assert all(b'"customer"' in (value or b"") for _, value in Stream(1, customers=5).storm(20))


def test_figures_of_parts_add_up() -> None:
    assert Found(5, 1, 2, 3, 4, ["a"]) + Found(1, 1, 1, 1, 1, ["b"]) == Found(6, 2, 3, 4, 5, ["a", "b"])
    assert LOG_COLUMNS.keys() <= set(as_table([(b"c", b"{}")]).column_names)
