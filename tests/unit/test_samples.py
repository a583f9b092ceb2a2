"""Samples hold what the kernel says, at the right place in the log."""

import numpy as np
import pytest

from schemas.spec import Spec
from stream_app.kernel import kernel
from stream_app.kernel.plan import split_time
from stream_app.kernel.rolling import Rolling
from stream_app.offline.folder import read_folder
from tests.logs import log_of, spec_of, tiny_tables
from training import samples
from training.arrays import Singles
from training.datasets.folder import write_folder
from training.events import read_log
from training.log import Log
from training.prepare import Prepared
from training.rows import EVENT, OUTCOME, TICK, choose
from training.samples import draw, replay, without_repeats

TASKS = """
[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = 10
[[tasks]]
name = "loan"
kind = "binary"
label = "outcome_at"
horizon_days = 10
"""


def spec_with_income() -> Spec:
    text = '[[attributes]]\nname = "income"\nkind = "number"\n'
    return spec_of(TASKS + text)


def one_by_one(log: Log, spec: Spec, customer: int, time_ms: int, *, kind: int, after: int) -> Singles:
    """Replay one customer up to one row, an item at a time, and read there."""
    rolling = Rolling.of(spec)
    state = rolling.empty(1)
    mine = [index for index in range(after) if log.transactions.customer[index] == customer]
    items = [(int(log.transactions.time_ms[index]), 3, kernel.TRANSACTION, index) for index in mine]
    known = [index for index in range(len(log.records.customer)) if log.records.customer[index] == customer]
    items += [
        (when, 1, kernel.CUSTOMER, index)
        for index, when in zip(known, log.records.time_ms[known].tolist(), strict=True)
        if when < time_ms or (when == time_ms and kind != TICK)
    ]
    items += [(time_ms, 9, kernel.TICK, 0)] if kind != EVENT else []
    features = np.zeros((1, 1), np.float32)
    for when, _, op, index in sorted(items):
        hour, ms = split_time(np.array([when]), spec.utc_offset_minutes)
        is_transaction, is_record = op == kernel.TRANSACTION, op == kernel.CUSTOMER
        one = log.transactions.take(np.array([index if is_transaction else 0]))
        features, _ = rolling.step(
            state,
            kernel.Items(
                op=np.array([op]),
                row=np.zeros(1, np.int64),
                hour=hour,
                ms=ms,
                kind=one.kind,
                amount=one.amount,
                balance=one.balance,
                id_hash=one.id_hash,
                attributes=log.records.values[[index] if is_record else []],
                read_customers=np.zeros(1, np.int64),
            ),
        )
    row: Singles = features[0]
    return row


@pytest.fixture
def log() -> Log:
    rng = np.random.default_rng(3)
    events = [
        (customer, float(day), kind, float(amount))
        for customer in range(4)
        for day, kind, amount in zip(
            np.sort(rng.integers(0, 160, 60) / 4),
            rng.choice(["shop", "salary", "fee", "rent"], 60),
            rng.normal(0, 99, 60),
            strict=True,
        )
    ]
    records = [(customer, day, (float(rng.integers(1000, 9000)),)) for customer in range(4) for day in (0.5, 10, 20)]
    outcomes = [(customer, 20.0, "loan", str(customer % 2)) for customer in range(4)]
    return log_of(spec_with_income(), events, outcomes, records, until=(50,) * 4)


def test_features_are_those_of_the_customer_alone_up_to_the_row(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "CHUNK", 37)
    spec = spec_with_income()

    drawn = draw(log, spec, 1)

    assert set(drawn.rows.kind.tolist()) == {EVENT, TICK, OUTCOME}
    for index in range(0, len(drawn), 7):
        rows = drawn.rows
        expected = one_by_one(
            log,
            spec,
            int(rows.customer[index]),
            int(rows.time_ms[index]),
            kind=int(rows.kind[index]),
            after=int(rows.after[index]),
        )
        assert drawn.features[index].tobytes() == expected.tobytes()


def test_a_tick_does_not_know_the_customer_record_of_its_time_and_an_outcome_row_does() -> None:
    spec = spec_with_income()
    log = log_of(spec, [(0, 1, "shop", -1.0)], [(0, 20, "loan", "1")], [(0, 20, (5000.0,))], until=(50,))

    drawn = draw(log, spec, 1)
    income = drawn.features[:, Rolling.of(spec).layout.column["income"]]

    at_20 = drawn.rows.time_ms == drawn.rows.time_ms[drawn.rows.kind == OUTCOME]
    assert dict(zip(drawn.rows.kind[at_20].tolist(), income[at_20].tolist(), strict=True)) == {
        TICK: 0.0,
        OUTCOME: 5000.0,
    }


@pytest.mark.parametrize("chunk", [1, 2, 5, 100_000])
def test_the_size_of_chunks_changes_no_byte(log: Log, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    spec = spec_with_income()
    rows = choose(log, spec, 1)
    whole, _, _ = replay(log, Rolling.of(spec), rows)

    monkeypatch.setattr(samples, "CHUNK", chunk)
    found, scored, _ = replay(log, Rolling.of(spec), rows)

    assert scored.all()
    assert found.tobytes() == whole.tobytes()


def test_repeated_transactions_are_left_out_and_counted(log: Log) -> None:
    twice = log.transactions.take(np.r_[0, 0, 1 : len(log.transactions.kind)])
    repeated = type(log)(**{**log.__dict__, "transactions": twice})

    cleaned = without_repeats(repeated, Rolling.of(spec_with_income()))

    assert cleaned.refused == {"duplicate": 1}
    assert cleaned.transactions.id_hash.tolist() == log.transactions.id_hash.tolist()


def test_features_of_accepted_samples_are_finite(tiny_prepared: Prepared) -> None:
    assert np.isfinite(tiny_prepared.samples.features).all()
    assert set(tiny_prepared.samples.rows.kind.tolist()) == {EVENT, TICK, OUTCOME}


def test_two_draws_of_one_folder_are_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("twice") / "tiny"
    write_folder(folder, tiny_tables(customers=20))
    read = read_folder(folder)
    first, second = (draw(read_log(read, read.spec), read.spec, seed=4) for _ in range(2))

    assert first.features.tobytes() == second.features.tobytes()
    assert first.labels.value.tobytes() == second.labels.value.tobytes()
