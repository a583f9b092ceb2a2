"""Samples hold what the kernel says, at the right place in the log."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
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
from training.frame import frame
from training.log import Log
from training.prepare import Options, Prepared, sampled
from training.rows import BETWEEN, EVENT, OUTCOME, TICK, choose
from training.samples import draw, load, replay, without_repeats

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


def test_a_row_between_the_cuts_knows_what_a_cut_of_its_time_would(log: Log) -> None:
    spec = spec_with_income()
    daily, between = (
        msgspec.structs.replace(spec, training=msgspec.structs.replace(spec.training, **options))
        for options in ({"cut_every": "1d"}, {"cut_every": "999d", "learn_every": "1d"})
    )
    at_cuts, others = draw(log, daily, 1), draw(log, between, 1)
    known = {
        (int(who), int(when)): row.tobytes()
        for who, when, kind, row in zip(
            at_cuts.rows.customer, at_cuts.rows.time_ms, at_cuts.rows.kind, at_cuts.features, strict=True
        )
        if kind == TICK
    }
    chosen = np.flatnonzero(others.rows.kind == BETWEEN)

    assert len(chosen) > 10
    for index in chosen.tolist():
        key = (int(others.rows.customer[index]), int(others.rows.time_ms[index]))
        assert others.features[index].tobytes() == known[key]


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


@pytest.fixture(scope="module")
def tiny_frame(tiny_prepared: Prepared) -> pd.DataFrame:
    return frame(tiny_prepared)


def test_a_frame_has_the_features_by_their_names(tiny_prepared: Prepared, tiny_frame: pd.DataFrame) -> None:
    features = tiny_frame.select_dtypes("float32")
    column = tiny_prepared.layout.column

    assert set(features.columns) == set(column)
    for name in features.columns:
        assert features[name].to_numpy().tobytes() == tiny_prepared.samples.features[:, column[name]].tobytes()


def test_a_row_of_a_frame_says_whose_when_and_of_what_kind_it_is(
    tiny_prepared: Prepared, tiny_frame: pd.DataFrame
) -> None:
    rows = tiny_prepared.samples.rows

    assert tiny_frame["customer_id"].tolist() == tiny_prepared.log.customers[rows.customer].tolist()
    assert [time.timestamp() * 1000 for time in tiny_frame["time"]] == pytest.approx(rows.time_ms)
    assert str(tiny_frame["time"].dtype) == "datetime64[ms, UTC]"
    assert tiny_frame["kind"].tolist() == ["event" if kind == EVENT else "tick" for kind in rows.kind.tolist()]


def test_labels_of_a_frame_are_readable_and_missing_where_they_are_masked(
    tiny_prepared: Prepared, tiny_frame: pd.DataFrame
) -> None:
    samples, spec = tiny_prepared.samples, tiny_prepared.spec
    for index, task in enumerate(spec.tasks):
        value, known = samples.labels.value[:, index].tolist(), samples.labels.known[:, index].tolist()
        shown = tiny_frame[f"{task.name}.label"]
        classes = spec.classes(task)
        for row in range(0, len(samples), 5):
            label = shown.iloc[row]
            if not known[row]:
                assert pd.isna(label)
            elif classes:
                assert label == classes[int(value[row])]
            else:
                assert label == pytest.approx(np.exp(value[row]) - 1 if task.kind == "value" else value[row])
        assert tiny_frame[f"{task.name}.eligible"].tolist() == samples.eligible[:, index].tolist()
        assert 0 < shown.isna().sum() < len(shown)


def test_a_frame_tells_the_side_of_each_row(tiny_prepared: Prepared, tiny_frame: pd.DataFrame) -> None:
    for side in ("train", "validation", "calibration", "test"):
        expected = getattr(tiny_prepared.split, side).any(axis=1)
        assert (tiny_frame["split.side"] == side).tolist() == expected.tolist()
        assert expected.any()


def test_labels_that_a_split_by_time_leaves_out_are_missing(tiny_folder: Path) -> None:
    later = load(str(tiny_folder), split="time")
    read = read_folder(tiny_folder)
    prepared = sampled(read, read.spec, Options(split="time"))

    serves = sum(
        getattr(prepared.split, side)[:, 0].astype(int) for side in ("train", "validation", "calibration", "test")
    )
    assert later["churn.label"].notna().tolist() == (serves == 1).tolist()
    assert serves.sum() < prepared.samples.labels.known[:, 0].sum()


def test_loading_a_folder_gives_what_training_draws_and_needs_no_tensorflow(tiny_folder: Path) -> None:
    program = (
        "import sys; from training import samples; before = {'pandas', 'tensorflow'} & set(sys.modules)\n"
        f"frame = samples.load({str(tiny_folder)!r})\n"
        "print(before, 'tensorflow' in sys.modules, len(frame), frame['churn.label'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    read = read_folder(tiny_folder)
    drawn = draw(without_repeats(read_log(read, read.spec), Rolling.of(read.spec)), read.spec, seed=1)

    assert done.stdout.split() == ["set()", "False", str(len(drawn)), str(drawn.labels.value[:, 0].sum())]
