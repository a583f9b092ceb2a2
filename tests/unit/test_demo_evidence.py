"""What came live, as tables and against a replay: every difference is noticed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import spec_file
from stream_app.bundle import Bundle
from stream_app.offline.folder import read_folder
from stream_app.offline.log import FolderLog
from stream_app.offline.replay import Outputs, replay
from stream_app.shelf import Shelf
from stream_app.steps.encode import DeadLetter
from tests.bundles import random_bundle
from tests.logs import SPEC, write_tiny
from training.demo.evidence import Agreement, write_others, write_scores

PARTITIONS = 2
DOTTED = """
[[tasks]]
name = "wish"
kind = "multiclass"
label = "outcome_within"
classes = ["none", "a.loan", "Ä fund"]
horizon_days = 14
[[rules]]
name = "often"
task = "wish"
class = "a.loan"
threshold = 0.2
severity = "high"
[training]
"""
Lines = dict[int, list[bytes]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    spec = spec_file.parse(SPEC.replace("[training]", DOTTED), "a test")
    return random_bundle(tmp_path_factory.mktemp("bundle") / "b", spec)


@pytest.fixture(scope="module")
def replayed(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Replay a tiny log in which every fiftieth transaction is refused."""
    place = tmp_path_factory.mktemp("replay")
    write_tiny(place / "log", customers=40)
    path = place / "log" / "transactions.parquet"
    table = pq.read_table(path)
    amount = table["amount"].to_numpy().copy()
    amount[::50] = 1e15
    pq.write_table(table.set_column(table.column_names.index("amount"), "amount", pa.array(amount)), path)
    outputs = Outputs(place / "scores.parquet", place / "alerts.parquet", place / "dead-letters.parquet")
    replay(FolderLog(read_folder(place / "log"), PARTITIONS), Shelf(bundle), outputs)
    return place


def live(replayed: Path) -> Lines:
    """Return the scores of each partition as a topic would give them."""
    table = pq.read_table(replayed / "scores.parquet", columns=["partition", "message"]).to_pylist()
    return {
        number: [row["message"].encode() for row in table if row["partition"] == number] for number in range(PARTITIONS)
    }


def compared(lines: Lines, replayed: Path, bundle: Bundle, out: Path) -> Agreement:
    files = []
    for number, messages in lines.items():
        files.append(out / f"{number}.ndjson")
        files[-1].write_bytes(b"".join(message + b"\n" for message in messages))
    return write_scores(files, replayed / "scores.parquet", bundle.manifest.outputs, out / "scores.parquet")


def test_the_same_scores_give_the_very_table_of_the_replay(bundle: Bundle, replayed: Path, tmp_path: Path) -> None:
    expected = pq.read_table(replayed / "scores.parquet")
    found = compared(live(replayed), replayed, bundle, tmp_path)
    assert found == Agreement(len(expected), len(expected), 0)
    assert found.complete
    assert pq.read_table(tmp_path / "scores.parquet").equals(expected)
    assert len(expected) > 1000
    assert {"wish.a.loan", "wish.Ä fund", "churn.band"} <= set(expected.column_names)


def test_pieces_of_a_file_give_the_same(
    bundle: Bundle, replayed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.demo.evidence._PIECE_BYTES", 5000)
    assert compared(live(replayed), replayed, bundle, tmp_path).complete
    assert pq.read_table(tmp_path / "scores.parquet").equals(pq.read_table(replayed / "scores.parquet"))


def lose(lines: Lines) -> Lines:
    return lines | {0: lines[0][:7] + lines[0][8:]}


def change(lines: Lines) -> Lines:
    first = lines[1][3]
    changed = first.replace(b'"late":false', b'"late":true')
    assert changed != first
    return lines | {1: [*lines[1][:3], changed, *lines[1][4:]]}


def repeat(lines: Lines) -> Lines:
    return lines | {0: [*lines[0], *lines[0][5:9]]}


def invent(lines: Lines) -> Lines:
    return lines | {0: [*lines[0], lines[0][-1].replace(b"transactions-0-", b"transactions-0-9")]}


def leave_nothing(lines: Lines) -> Lines:
    return {number: [] for number in lines}


@pytest.mark.parametrize(
    ("happen", "differences"), [(lose, (1, 0, -1)), (change, (1, 1, 0)), (repeat, (0, 0, 0)), (invent, (0, 1, 1))]
)
def test_what_is_lost_changed_repeated_or_invented_is_noticed(
    happen: Callable[[Lines], Lines],
    differences: tuple[int, int, int],
    bundle: Bundle,
    replayed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.demo.evidence._PIECE_BYTES", 5000)
    missing, strange, written = differences
    expected = sum(len(messages) for messages in live(replayed).values())
    found = compared(happen(live(replayed)), replayed, bundle, tmp_path)
    assert found == Agreement(expected - missing, expected, strange)
    assert found.complete == (happen is repeat)
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == expected + written


def test_no_score_at_all_is_noticed(bundle: Bundle, replayed: Path, tmp_path: Path) -> None:
    found = compared(leave_nothing(live(replayed)), replayed, bundle, tmp_path)
    assert (found.same, found.strange, found.complete) == (0, 0, False)


def others(replayed: Path) -> tuple[list[bytes], list[DeadLetter]]:
    """Return alerts and dead letters as the topics would give them, in another order."""
    alerts = [text.encode() for text in pq.read_table(replayed / "alerts.parquet")["message"].to_pylist()]
    letters = []
    for row in pq.read_table(replayed / "dead-letters.parquet").to_pylist():
        names = ("reason", "detail", "topic", "partition", "offset")
        letters.append(DeadLetter(row["key"], row["value"], tuple((name, str(row[name]).encode()) for name in names)))
    order = np.random.default_rng(0).permutation(len(alerts))
    return [alerts[k] for k in order], letters[::-1]


def test_alerts_and_dead_letters_are_written_as_the_replay_writes_them(replayed: Path, tmp_path: Path) -> None:
    alerts, letters = others(replayed)
    found = write_others([*alerts, alerts[0]], [*letters, letters[0]], replayed, tmp_path)
    assert [item.complete for item in found] == [True, True]
    assert [item.expected for item in found] == [len(alerts), len(letters)]
    assert min(len(alerts), len(letters)) > 10
    for name in ("alerts.parquet", "dead-letters.parquet"):
        assert pq.read_table(tmp_path / name).equals(pq.read_table(replayed / name))


def test_an_alert_or_dead_letter_that_is_lost_or_changed_is_noticed(replayed: Path, tmp_path: Path) -> None:
    alerts, letters = others(replayed)
    changed = alerts[0].replace(b'"severity":"high"', b'"severity":"info"')
    moved = DeadLetter(b"another key", letters[0].value, letters[0].headers)
    found = write_others([changed, *alerts[1:]], [moved, *letters[1:]], replayed, tmp_path)
    assert [(item.same - item.expected, item.strange) for item in found] == [(-1, 1), (-1, 1)]
    found = write_others(alerts[1:], letters[1:], replayed, tmp_path)
    assert [(item.same - item.expected, item.strange) for item in found] == [(-1, 0), (-1, 0)]


def test_the_detail_of_a_dead_letter_may_tell_another_time(replayed: Path, tmp_path: Path) -> None:
    alerts, letters = others(replayed)
    told = [
        DeadLetter(item.key, item.value, (*item.headers[:1], ("detail", b"later"), *item.headers[2:]))
        for item in letters
    ]
    assert write_others(alerts, told, replayed, tmp_path)[1].complete
