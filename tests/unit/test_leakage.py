"""The future never reaches a feature; a label among the inputs is caught."""

from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import TrainingError
from stream_app.kernel.rolling import Rolling
from stream_app.offline.folder import read_folder
from tests.logs import SPEC, at, log_of, spec_of, tiny_tables
from training.arrays import Ints
from training.datasets.folder import FolderTables, write_folder
from training.labels import RULES
from training.log import Log
from training.prepare import Options, prepare
from training.rows import TICK, Rows
from training.samples import replay

KINDS = {"inactive": "binary", "activated": "binary", "spend_drop": "binary", "outcome_within": "binary",
         "outcome_next": "binary",
         "outcome_at": "binary", "next_type": "multiclass", "top_type": "multiclass", "outflow": "value"}  # fmt: skip
TASKS = "score_on_customer = true\n" + "\n".join(
    f'[[tasks]]\nname = "{rule}"\nkind = "{KINDS[rule]}"\nlabel = "{rule}"\noutcome = "o"\nhorizon_days = 10\n'
    + ('rows = ["record"]' if rule == "activated" else "")
    for rule in RULES
)
TODAY = 30.0
UNTIL = (100.0, 100.0, 100.0)

Event = tuple[int, float, str, float]
events = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 240).map(lambda quarter: quarter / 4),
        st.sampled_from(["salary", "rent", "shop", "fee", "other"]),
        st.floats(-1e6, 1e6).map(lambda amount: round(amount, 2)),
    ),
    min_size=1,
    max_size=60,
)


def read_at(log: Log, day: float) -> bytes:
    """Return the features of all customers as of a day."""
    spec = spec_of(TASKS)
    who = np.arange(len(log.customers))
    when: Ints = np.full(len(who), at(day))
    rows = Rows(who, when, np.full(len(who), TICK), log.transactions.timeline.place(who, when))
    features, scored, _ = replay(log, Rolling.of(spec), rows)
    return features[scored].tobytes() + scored.tobytes()


@given(moved=events, later=events)
def test_a_future_event_changes_no_feature(moved: list[Event], later: list[Event]) -> None:
    spec = spec_of(TASKS)
    future = [(who, TODAY + day, kind, amount) for who, day, kind, amount in later]
    past = [event for event in moved if event[1] < TODAY]

    with_it, without = (log_of(spec, log, until=UNTIL) for log in ([*past, *future], past))

    assert read_at(with_it, TODAY) == read_at(without, TODAY)


@given(moved=events, order=st.randoms(use_true_random=False), sign=st.sampled_from([-1.0, 3.0]))
def test_a_shuffled_future_changes_no_feature(moved: list[Event], order: Random, sign: float) -> None:
    spec = spec_of(TASKS)
    past, future = ([event for event in moved if (event[1] < TODAY) == before] for before in (True, False))
    days = [event[1] for event in future]
    order.shuffle(days)
    shuffled = [(who, day, "other", sign * amount) for (who, _, _, amount), day in zip(future, days, strict=True)]

    first, second = (log_of(spec, [*past, *rest], until=UNTIL) for rest in (future, shuffled))

    assert read_at(first, TODAY) == read_at(second, TODAY)


def changed(tables: FolderTables) -> FolderTables:
    """Change what happens from day 80 on: other amounts, and every second transaction missing."""
    table = tables.transactions
    late = pc.greater_equal(table["time"].cast(pa.int64()), at(80))
    amount = pc.if_else(late, pc.multiply(table["amount"], -7.0), table["amount"])
    other = table.set_column(table.column_names.index("amount"), "amount", amount)
    odd = pa.array(np.arange(table.num_rows) % 2 == 1)
    return FolderTables(
        other.filter(pc.or_(pc.invert(late), odd)), tables.customers, tables.spec_text, outcomes=tables.outcomes
    )


def test_in_a_whole_training_no_row_knows_what_comes_after_it(tmp_path: Path) -> None:
    tables = tiny_tables()
    samples = []
    for name, made in (("plain", tables), ("changed", changed(tables))):
        write_folder(tmp_path / name, made)
        folder = read_folder(tmp_path / name)
        samples.append(prepare(folder, folder.spec, Options()).samples)
    before = [sample.rows.time_ms < at(80) for sample in samples]

    assert before[0].sum() > 500
    first, second = (
        {
            (int(who), int(when), int(kind)): row.tobytes()
            for who, when, kind, row in zip(
                sample.rows.customer, sample.rows.time_ms, sample.rows.kind, sample.features, strict=True
            )
            if when < at(80)
        }
        for sample in samples
    )
    shared = first.keys() & second.keys()
    assert len(shared) > 400
    assert [key for key in shared if first[key] != second[key]] == []


def test_a_planted_label_is_caught_before_anything_is_trained(tmp_path: Path) -> None:
    tables = tiny_tables()
    assert tables.outcomes is not None
    fate = dict(zip(tables.outcomes["customer_id"].to_pylist(), tables.outcomes["value"].to_pylist(), strict=True))
    column = pa.array([float(fate[name]) for name in tables.customers["customer_id"].to_pylist()])
    spec_text = SPEC.replace("attributes = [", 'attributes = [\n  { name = "fate", kind = "number" },')
    planted = FolderTables(
        tables.transactions, tables.customers.append_column("fate", column), spec_text, outcomes=tables.outcomes
    )
    write_folder(tmp_path / "planted", planted)
    folder = read_folder(tmp_path / "planted")

    with pytest.raises(TrainingError, match=r"found 'fate', which alone tells the label of task 'loan'"):
        prepare(folder, folder.spec, Options())


def test_each_label_rule_has_a_task_here() -> None:
    assert {task.label for task in spec_of(TASKS).tasks} == set(RULES)
