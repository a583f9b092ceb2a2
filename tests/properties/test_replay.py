"""Replay: the same bytes for any cut of the log, the same answers for any interleaving of customers."""

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas import spec_file
from schemas.errors import BundleError, OutputError
from schemas.spec import Rule
from stream_app.bundle import Bundle
from stream_app.kernel.kernel import FORGET
from stream_app.offline import tables
from stream_app.offline.log import LOG_COLUMNS, CapturedLog, Log, open_log
from stream_app.offline.replay import Outputs, emissions, replay
from stream_app.scorer import Emission, Scorer
from stream_app.shelf import Shelf
from stream_app.steps import alerts
from stream_app.steps.alerts import Rules
from stream_app.steps.stages import Batch, Fired, Read
from stream_app.store.slices import slice_of
from tests.bundles import random_bundle
from tests.chunks import NOON, as_value, customer, key_of, tick, transaction

MINUTE_MS, DAY_MS = 60_000, 86_400_000
SIZES = (1, 7, 1_000, 100_000)
NAMES = ("a", "b", "é", '"\\', "x" * 256)
RULES = (
    Rule(name="often", task="churn", threshold=0.5, rearm=0.45, severity="high"),
    Rule(name="cooled", task="value", threshold=0.8, cooldown_hours=24),
    Rule(name="borrows", task="preference", class_="loan", threshold=0.2),
    Rule(name="low", task="churn", threshold=0.6, direction="below", cooldown_hours=1),
    Rule(name="busy", feature="count_1h", threshold=2.0, rearm=1.0),
    Rule(name="silent", feature="silence_h", threshold=30.0, rearm=5.0),
)
FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def made(folder: Path, *, score_on_customer: bool) -> Bundle:
    """Make a bundle of the bank's spec in which tasks are asked soon and rules fire often."""
    bank = spec_file.bank()
    tasks = tuple(msgspec.structs.replace(task, eligible=task.eligible[1:]) for task in bank.tasks)
    often = msgspec.structs.replace(bank, tasks=tasks, rules=RULES, score_on_customer=score_on_customer)
    return random_bundle(folder / "bundle", often, seed=3)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "score_on_customer"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make the bundles that do and do not score customer records."""
    return made(tmp_path_factory.mktemp("both"), score_on_customer=request.param)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make the bundle that does not score customer records."""
    return made(tmp_path_factory.mktemp("plain"), score_on_customer=False)


# Logs

Row = tuple[int, bytes | None, bytes | None, int | None]
"""Partition, key, value, record time."""


def row(record: object, key: bytes | None = b"?", partition: int = 0, record_time: int | None = None) -> Row:
    return partition, key_of(record) if key == b"?" else key, as_value(record), record_time


def captured(rows: list[Row]) -> CapturedLog:
    """Return rows as a captured topic; offsets have gaps, as a transaction's markers leave them."""
    offsets: Counter[int] = Counter()
    columns: dict[str, list[Any]] = {name: [] for name in LOG_COLUMNS}
    for partition, key, value, record_time in rows:
        offsets[partition] += 2
        found = ("transactions", partition, offsets[partition], record_time, key, value)
        for name, item in zip(LOG_COLUMNS, found, strict=True):
            columns[name].append(item)
    table = pa.table(columns, schema=pa.schema(list(LOG_COLUMNS.items())))
    return CapturedLog(table.sort_by([("partition", "ascending"), ("offset", "ascending")]))


AMOUNTS = st.sampled_from([-12.5, -0.01, 0.0, 3e3, -1e12, 1e12, 1.1e12])
TYPES = st.sampled_from(["salary", "groceries", "fee", "other", "payment"])


def records(name: str, time: int, bundle_sha256: str) -> st.SearchStrategy[object]:
    """Draw a record of a customer: mostly transactions that pass, and one of every other kind and refusal."""
    at = {"customer_id": name, "time": time}
    plain = st.builds(
        lambda number, amount, kind: transaction(**at, transaction_id=f"t-{number}", amount=amount, type=kind),
        *(st.integers(0, 30), AMOUNTS, TYPES),
    )
    others = (
        *(customer(**at, age=40, has_loan="yes"), customer(**at, age=None), customer(**at, age=200)),
        *(tick(slice_of(name.encode()), time), tick(slice_of(name.encode()), time), tick(0, time)),
        *({"kind": "forget", "customer_id": name}, None, {"kind": "activate", "bundle": bundle_sha256}),
        *(b"", b"{", b"[]", b'{"kind":"x"}', b"\xff" * 70_000, b'{"a":' * 9000),
        *(transaction(**at, currency=currency) for currency in ("", "USD", "XXX")),
        *(transaction(customer_id=name, time=wrong) for wrong in (1, "2023-11-14T22:13:20")),
    )
    return st.one_of(plain, plain, st.sampled_from(others))


@st.composite
def rows(draw: st.DrawFn, bundle_sha256: str, partitions: int = 1) -> list[Row]:
    """Draw a log of all kinds of records, good and bad, of a few customers."""
    found, time = list[Row](), NOON
    for _ in range(draw(st.integers(1, 30))):
        time += draw(st.sampled_from([0, 1, MINUTE_MS, 40 * MINUTE_MS, DAY_MS, 40 * DAY_MS, -MINUTE_MS, -2 * DAY_MS]))
        name = draw(st.sampled_from(NAMES))
        key = draw(st.sampled_from([name.encode()] * 12 + [None, b"other"]))
        value = as_value(draw(records(name, time, bundle_sha256)))
        found.append((len(name) % partitions, key, value, draw(st.sampled_from([None, time]))))
    return found


def dense(count: int, partitions: int = 1, *, ticks: bool = True, seed: int = 5) -> list[Row]:
    """Return a longer log of transactions that pass, with some that do not, customers and ticks."""
    rng, found, time = random.Random(seed), list[Row](), NOON  # noqa: S311  (not for secrets)
    names, last = [f"c-{k}" for k in range(12)], dict[str, int]()
    for k in range(count):
        time += rng.choice([0, 1000, 20 * MINUTE_MS, DAY_MS // 3])
        name = rng.choice(names)
        at = {"customer_id": name, "time": time - rng.choice([0, 0, 0, DAY_MS])}
        sort = rng.random()
        if ticks and sort < 0.15:
            record: object = tick(slice_of(name.encode()), time)
        elif sort < 0.2:
            record = customer(**at, income=rng.uniform(0, 1e5), shoe_size=43)
        elif sort < 0.22:
            record = {"kind": "forget", "customer_id": name}
        else:
            kind = rng.choice(["salary", "groceries", "fee", "unheard"])
            last[name] = last.get(name, k) if sort < 0.28 else k
            record = transaction(**at, transaction_id=f"t-{last[name]}", amount=round(rng.gauss(0, 500), 2), type=kind)
        found.append(row(record, partition=int(name[2:]) % partitions))
    return found


# What leaves


@dataclass
class Told:
    """All that leaves for a log, and the rows it ends with."""

    scores: list[bytes] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    rows: dict[int, dict[bytes, bytes]] = field(default_factory=dict)


def told(log: Log, bundle: Bundle, size: int) -> Told:
    found, scorers = Told(), dict[int, Scorer]()
    for chunk, emission, scorer in emissions(log, Shelf(bundle), size):
        found.scores += messages(emission)
        found.alerts += emission.alerts
        found.letters += emission.dead_letters
        found.unknown.update(types=emission.unknown_types, values=emission.unknown_values)
        scorers[chunk.partition] = scorer
    found.rows = {partition: states(scorer) for partition, scorer in scorers.items()}
    return found


def messages(emission: Emission) -> list[bytes]:
    return [part.messages[a:b].tobytes() for part in emission.scores for a, b in pairwise(part.starts)]


def states(scorer: Scorer) -> dict[bytes, bytes]:
    """Return each customer's row; rows that are empty need not be there."""
    slices = {slice_of(name) for name in (*(n.encode() for n in NAMES), *(b"c-%d" % k for k in range(12)))}
    names = [name for number in sorted(slices) for name in scorer.residents.slice(number)]
    places = scorer.residents.places(names)
    matrix = scorer.residents.matrix
    return {name: matrix[place].tobytes() for name, place in zip(names, places, strict=True) if matrix[place].any()}


@FEW
@given(st.data())
def test_every_cut_gives_the_same_scores_alerts_dead_letters_and_rows(bundle: Bundle, data: st.DataObject) -> None:
    log = captured(data.draw(rows(bundle.sha256, data.draw(st.integers(1, 2)))))
    whole = told(log, bundle, 100_000)
    for size in (1, 2, 7):
        assert told(log, bundle, size) == whole


@pytest.mark.parametrize("partitions", [1, 3])
def test_every_cut_of_a_longer_log_gives_the_same(plain: Bundle, partitions: int) -> None:
    log = captured(dense(600, partitions))
    whole = told(log, plain, 100_000)
    assert min(len(whole.scores), len(whole.alerts), len(whole.letters)) > 10
    for size in (1, 64, 599):
        assert told(log, plain, size) == whole


def forget_first(batch: Batch, read: Read, matrix: NDArray[np.float32], scores: NDArray[np.float64], r: Rules) -> Fired:
    """Fire as ``alerts.fire`` does, but clear what a batch forgets before all of it."""
    matrix[read.rows[batch.op == FORGET], r.memory :] = 0.0
    return FIRE(batch, read, matrix, scores, r)


def forget_every_batch(
    batch: Batch, read: Read, matrix: NDArray[np.float32], scores: NDArray[np.float64], r: Rules
) -> Fired:
    """Fire as ``alerts.fire`` does, but remember nothing from batch to batch."""
    matrix[:, r.memory :] = 0.0
    return FIRE(batch, read, matrix, scores, r)


FIRE = alerts.fire


@pytest.mark.parametrize("wrong", [forget_first, forget_every_batch])
def test_an_alert_memory_that_is_cleared_at_the_wrong_moment_would_be_caught(
    plain: Bundle, wrong: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = captured(dense(600))
    monkeypatch.setattr(alerts, "fire", wrong)
    assert told(log, plain, 1) != told(log, plain, 100_000)


# One outcome for each record


@FEW
@given(st.data())
def test_each_transaction_gives_one_score_or_one_dead_letter_and_other_records_what_they_should(
    bundle: Bundle, data: st.DataObject
) -> None:
    log = captured(data.draw(rows(bundle.sha256)))
    known: set[bytes] = set()
    for chunk, emission, scorer in emissions(log, Shelf(bundle), 1):
        scored = [msgspec.json.decode(message) for message in messages(emission)]
        place = f"transactions-0-{chunk.offsets[0]}"
        value, key = chunk.values[0], chunk.keys[0]
        if emission.dead_letters:
            assert (scored, emission.alerts, len(emission.dead_letters)) == ([], [], 1)
            continue
        fields = msgspec.json.decode(value) if value is not None else {"kind": "forget"}
        kind = fields.get("kind", "transaction")
        if kind == "tick":
            members = sorted(name for name in known if slice_of(name) == fields["slice"])
            assert [score["customer_id"].encode() for score in scored] == members
            assert [score["score_id"].encode() for score in scored] == [
                place.encode() + b"-" + name for name in members
            ]
        elif kind == "transaction" or (kind == "customer" and bundle.spec.score_on_customer):
            assert [(score["score_id"], score["kind"]) for score in scored] == [(place, kind)]
            assert scored[0].get("transaction_id") == fields.get("transaction_id")
        else:
            assert scored == []
        if kind in ("transaction", "customer"):
            known.add(key or b"")
        if kind == "forget":
            known.discard(key or b"")
        assert states(scorer).keys() == known
        assert {alert.score_id for alert in emission.alerts} <= {score["score_id"] for score in scored}


@FEW
@given(st.data())
def test_a_record_changes_its_customers_row_alone_and_a_tick_nothing_but_alert_memory(
    plain: Bundle, data: st.DataObject
) -> None:
    log = captured(data.draw(rows(plain.sha256)))
    start = 4 * plain.rolling.layout.sections["alerts"].start
    before: dict[bytes, bytes] = {}
    for chunk, emission, scorer in emissions(log, Shelf(plain), 1):
        after = states(scorer)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        value = chunk.values[0]
        if emission.dead_letters:
            assert not changed
        elif value is not None and b'"tick"' in value:
            assert {name: state[:start] for name, state in before.items()} == {
                name: state[:start] for name, state in after.items()
            }
        else:
            assert changed <= {chunk.keys[0]}
        before = after


def test_a_forgotten_customer_is_as_one_who_was_never_there(plain: Bundle) -> None:
    past = [row(transaction(transaction_id=f"p-{k}", time=NOON + k * MINUTE_MS)) for k in range(20)]
    future = [row(transaction(transaction_id=f"p-{k}", time=NOON + k * DAY_MS)) for k in range(20)]
    for forget in (row({"kind": "forget", "customer_id": "c"}), (0, b"c", None, None)):
        after, alone = told(captured([*past, forget, *future]), plain, 1000), told(captured(future), plain, 1000)
        assert [less_place(score) for score in after.scores[20:]] == [less_place(score) for score in alone.scores]
        assert after.rows == alone.rows


# Customers are independent


def less_place(message: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.json.decode(message)
    del fields["score_id"]
    return fields


def by_transaction(found: Told) -> list[Any]:
    scores = sorted((less_place(score) for score in found.scores), key=lambda fields: str(fields["transaction_id"]))
    order = {score["score_id"]: score["transaction_id"] for score in map(msgspec.json.decode, found.scores)}
    fired = [
        (order[alert.score_id], msgspec.structs.replace(alert, alert_id="", score_id="")) for alert in found.alerts
    ]
    letters = [(letter.key, letter.value, dict(letter.headers)["reason"]) for letter in found.letters]
    return [scores, sorted(fired, key=str), sorted(letters, key=str), found.unknown]


@pytest.mark.parametrize("seed", range(5))
def test_a_log_reordered_between_customers_gives_the_same_records(plain: Bundle, seed: int) -> None:
    log = dense(300, ticks=False)
    queues: dict[bytes | None, list[Row]] = {}
    for item in log:
        queues.setdefault(item[1], []).append(item)
    rng, mixed = random.Random(seed), list[Row]()  # noqa: S311  (not for secrets)
    while queues:
        key = rng.choice(list(queues))
        mixed.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    assert mixed != log
    first, second = told(captured(log), plain, 50), told(captured(mixed), plain, 70)
    assert by_transaction(first) == by_transaction(second)
    assert first.rows == second.rows


def test_the_number_of_partitions_changes_no_answer(plain: Bundle) -> None:
    one, three = (told(captured(dense(300, n, ticks=False)), plain, 64) for n in (1, 3))
    assert by_transaction(one) == by_transaction(three)


# Files


def written(log: Log, bundle: Bundle, folder: Path, size: int) -> list[bytes]:
    outputs = Outputs(folder / "scores.parquet", folder / "alerts.parquet", folder / "dead.parquet")
    replay(log, Shelf(bundle), outputs, size)
    assert sorted(item.name for item in folder.iterdir()) == ["alerts.parquet", "dead.parquet", "scores.parquet"]
    return [path.read_bytes() for path in outputs.paths]


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small interchange folder with good and bad rows."""
    folder, rng = tmp_path_factory.mktemp("log"), random.Random(1)  # noqa: S311  (not for secrets)
    count = 400
    time = sorted(NOON + rng.randrange(60 * DAY_MS) // 1000 * 1000 for _ in range(count))
    names = [rng.choice(["a", "b", 'q"\\', "é", "z\n"] * 3 + [None]) for _ in range(count)]
    table = pa.table(
        {
            "transaction_id": [None if k % 50 == 7 else f"t-{k - (k % 40 == 9)}" for k in range(count)],
            "customer_id": names,
            "time": pa.array([None if k % 97 == 5 else t for k, t in enumerate(time)], pa.timestamp("ms", tz="UTC")),
            "amount": [
                rng.choice([*[float("nan"), float("inf"), 1e13, -0.0, 0.1, -5e-324], *[-123456.789, 1e-7, 3e5] * 3])
                for _ in names
            ],
            "type": [rng.choice(["cash", "salary", "what"] * 3 + [None]) for _ in names],
            "currency": [rng.choice(["EUR", "USD", None] * 3 + ["", "XXX"]) for _ in names],
            "balance": [rng.choice([1.5, float("nan"), None]) for _ in names],
        }
    )
    pq.write_table(table, folder / "transactions.parquet")
    facts = pa.table(
        {
            "customer_id": ["a", "b", None, "é"],
            "time": pa.array([NOON, time[100], NOON, NOON], pa.timestamp("ms", tz="UTC")),
            "age": [40.0, float("nan"), 1.0, 200.0],
            "has_loan": ["yes", None, "no", "what"],
            "shoe_size": [43.0, None, 1.0, 2.0],
        }
    )
    pq.write_table(facts, folder / "customers.parquet")
    return folder


@pytest.mark.parametrize("partitions", [1, 3])
def test_files_are_the_same_bytes_for_any_cut_and_twice_in_a_row(
    plain: Bundle, log_folder: Path, partitions: int, tmp_path: Path
) -> None:
    found = []
    for turn, size in enumerate([*SIZES, SIZES[-1]]):
        (tmp_path / str(turn)).mkdir()
        found.append(written(open_log(log_folder, partitions), plain, tmp_path / str(turn), size))
    assert found[1:] == found[:-1]
    scores, fired, dead = (pq.read_table(pa.BufferReader(content)) for content in found[0])
    assert scores.num_rows + dead.num_rows >= 400
    assert min(scores.num_rows, fired.num_rows, dead.num_rows) >= 10


def test_files_are_the_same_bytes_across_groups_of_rows(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 50)
    log, found = captured(dense(300, 2)), []
    for size in (1, 7, 50, 120, 100_000):
        (tmp_path / str(size)).mkdir()
        found.append(written(log, plain, tmp_path / str(size), size))
    assert found[1:] == found[:-1]
    assert pq.ParquetFile(pa.BufferReader(found[0][0])).num_row_groups > 3


def test_a_captured_topic_is_read_from_a_file_or_from_its_folder(plain: Bundle, tmp_path: Path) -> None:
    log = captured(dense(100))
    pq.write_table(log.table, tmp_path / "log.parquet")
    whole = told(log, plain, 50)
    assert told(open_log(tmp_path / "log.parquet"), plain, 50) == whole
    assert told(open_log(tmp_path), plain, 50) == whole


def test_columns_say_what_the_messages_say(plain: Bundle, tmp_path: Path) -> None:
    content = written(captured(dense(300, 2)), plain, tmp_path, 64)
    scores, fired, dead = (pq.read_table(pa.BufferReader(part)).to_pylist() for part in content)
    for line in scores:
        fields = msgspec.json.decode(line["message"])
        for name in ("score_id", "kind", "customer_id", "late"):
            assert line[name] == fields[name]
        assert line["transaction_id"] == fields.get("transaction_id")
        assert line["time"].timestamp() * 1000 == fields["time"]
        assert fields["score_id"].startswith(f"transactions-{line['partition']}-{line['offset']}")
        for name, task in fields["tasks"].items():
            assert line[f"{name}.eligible"] == task["eligible"]
            assert line[name] == (task.get("choice") or task.get("score"))
            assert line.get(f"{name}.band") == task.get("band")
            for label, probability in task.get("probabilities", {}).items():
                assert line[f"{name}.{label}"] == probability
    known = {line["score_id"] for line in scores}
    assert all(line["score_id"] in known for line in fired)
    for line in fired:
        fields = msgspec.json.decode(line["message"])
        assert all(line[name] == value for name, value in fields.items() if name != "time")
    assert {line["reason"] for line in dead} == {"duplicate"}


def test_a_null_or_nan_attribute_is_left_out_of_the_message(log_folder: Path) -> None:
    chunk = next(open_log(log_folder).chunks(1000))
    facts = [msgspec.json.decode(value) for value in chunk.values if value and b'"customer"' in value]
    assert {"age", "has_loan"}.isdisjoint(next(fact for fact in facts if fact.get("customer_id") == "b"))


def test_an_activate_of_another_bundle_stops_and_leaves_nothing(plain: Bundle, tmp_path: Path) -> None:
    log = captured([*dense(20), row({"kind": "activate", "bundle": "0" * 64}), *dense(20)])
    refusal = r"^Expected the bundle 0{64}, which transactions-0-42 activates, in .*; put its folder there\.$"
    with pytest.raises(BundleError, match=refusal):
        written(log, plain, tmp_path, 7)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("other", ["alerts", "dead_letters"])
def test_two_results_cannot_have_one_place(plain: Bundle, tmp_path: Path, other: str) -> None:
    outputs = Outputs(tmp_path / "out", **{other: tmp_path / "sub" / ".." / "out"})
    with pytest.raises(OutputError, match=r"^Expected a file of its own for each result, found .* another result"):
        replay(captured(dense(5)), Shelf(plain), outputs)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_counts_what_was_written(plain: Bundle, tmp_path: Path) -> None:
    outputs = Outputs(tmp_path / "scores.parquet")
    log = captured(dense(300, 2))
    summary, whole = replay(log, Shelf(plain), outputs, 64), told(log, plain, 64)
    assert (summary.records, summary.first_records) == (300, 64)
    assert summary.scores == len(whole.scores) == pq.read_metadata(outputs.scores).num_rows
    assert sum(summary.alerts.values()) == len(whole.alerts)
    assert summary.dead_letters == {"duplicate": len(whole.letters)}
    assert (summary.unknown_types, summary.unknown_values) == (whole.unknown["types"], whole.unknown["values"])
