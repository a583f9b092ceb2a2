"""The first stage of the life cycle: a new customer's first record is a row, and is answered alike in the stream."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from schemas import spec_file
from schemas.errors import SpecError
from schemas.messages import Score, TaskScore
from stream_app.bundle import outputs_of
from stream_app.offline.folder import Folder, read_folder
from stream_app.offline.replay import Outputs, replay_files
from stream_app.steps.numbers import six_decimals
from stream_app.steps.predict import Predictor
from tests.bundles import random_bundle
from tests.logs import HEAD, at, log_of, spec_of
from training.datasets.simulator import BankSimulator
from training.measures import roc_auc
from training.oracle import Oracle
from training.prepare import Options, sampled
from training.rows import RECORD, choose

TASK = """
[[tasks]]
name = "activation"
kind = "binary"
label = "activated"
horizon_days = 10
rows = ["record"]
"""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Simulate a bank that asks if new customers will become active."""
    out = tmp_path_factory.mktemp("activation") / "bank"
    BankSimulator(seed=3, customers=200, months=6, activation=True).write(out)
    return read_folder(out)


def test_the_first_record_of_a_new_customer_is_a_row() -> None:
    spec = spec_file.parse(f"{HEAD}\nscore_on_customer = true\n{TASK}", "a test")
    records: list[tuple[int, float, list[float]]] = [(0, 0.5, []), (1, 3, []), (1, 5, []), (2, 95, []), (3, 7, [])]
    log = log_of(spec, [(0, 1, "shop", -1.0), (3, 7, "shop", -1.0)], records=records, until=(100,) * 5)
    rows = choose(log, spec, 1)
    found = rows.take(rows.kind == RECORD)

    # Customer 0 was known before the log begins, 2 is not observed for long enough, 4 has no record.
    assert list(zip(found.customer.tolist(), found.time_ms.tolist(), strict=True)) == [(1, at(3)), (3, at(7))]
    assert found.after.tolist() == [1, 1], "what happens at the very time of the record is the future"


def test_without_such_a_task_there_is_no_such_row() -> None:
    spec = spec_of('[[tasks]]\nname = "churn"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 10\n')
    log = log_of(spec, [(0, 1, "shop", -1.0)], records=[(0, 3, [])])
    assert RECORD not in choose(log, spec, 1).kind


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEAD}\n{TASK}", "add score_on_customer = true"),
        (f"{HEAD}\nscore_on_customer = true\n{TASK.replace('record', 'tick')}", 'takes rows = ["record"] only'),
        (f"{HEAD}\nscore_on_customer = true\n{TASK.replace('activated', 'inactive')}", 'takes rows = ["record"] only'),
        (f"{HEAD}\nscore_on_customer = true\n{TASK}min_history_days = 3\n", "a first record never has"),
    ],
)
def test_a_spec_that_cannot_ask_it_is_refused(text: str, told: str) -> None:
    with pytest.raises(SpecError) as found:
        spec_file.parse(text, "a test")
    assert told in str(found.value)


def test_the_stream_answers_it_from_the_same_features(bank: Folder, tmp_path: Path) -> None:
    bundle = random_bundle(tmp_path / "bundle", bank.spec)
    prepared = sampled(bank, bank.spec, Options())
    chosen = np.flatnonzero(prepared.samples.rows.kind == RECORD)
    assert len(chosen) > 10
    output = next(item for item in bundle.manifest.outputs if item.task == "activation")
    expected = six_decimals(Predictor.of(bundle)(prepared.samples.features[chosen]))[:, output.start]

    replay_files(bank.path, bundle.path, Outputs(tmp_path / "scores"))
    found: dict[tuple[str, int], TaskScore] = {}
    others: set[str] = set()
    for text in pq.read_table(tmp_path / "scores")["message"].to_pylist():
        score = msgspec.json.decode(text, type=Score)
        if score.kind == "customer":
            found.setdefault((score.customer_id, score.time), score.tasks["activation"])
        if score.tasks["activation"].eligible:
            others |= {name for name, task in score.tasks.items() if task.eligible} - {"activation"}
            assert score.kind == "customer", "it is asked of who has just come"
    assert not others, "of whom nothing else can be told"
    rows = prepared.samples.rows
    for row, value in zip(chosen.tolist(), expected.tolist(), strict=True):
        answer = found[str(prepared.log.customers[rows.customer[row]]), int(rows.time_ms[row])]
        assert answer.eligible
        assert answer.score == value


def test_the_simulated_data_are_the_same_with_and_without_the_task(bank: Folder, tmp_path: Path) -> None:
    BankSimulator(seed=3, customers=200, months=6).write(tmp_path / "plain")
    for name in ("transactions", "customers", "outcomes"):
        assert (bank.path / f"{name}.parquet").read_bytes() == (tmp_path / "plain" / f"{name}.parquet").read_bytes()
    oracles = [pq.read_table(path / "oracle.parquet") for path in (bank.path, tmp_path / "plain")]
    others = oracles[0].filter(pc.not_equal(oracles[0]["task"], "activation"))
    assert others.equals(oracles[1])
    plain = read_folder(tmp_path / "plain").spec
    assert {task.name for task in bank.spec.tasks} - {task.name for task in plain.tasks} == {"activation"}


def test_some_new_customers_become_active_and_some_do_not(bank: Folder) -> None:
    prepared = sampled(bank, bank.spec, Options())
    index = [task.name for task in bank.spec.tasks].index("activation")
    known = prepared.samples.labels.known[:, index]
    assert set(prepared.samples.rows.kind[known].tolist()) == {RECORD}
    assert 0.1 < prepared.samples.labels.value[known, index].mean() < 0.9


def test_the_oracle_knows_best_who_will_become_active_and_says_how_likely(tmp_path: Path) -> None:
    BankSimulator(seed=5, customers=1500, months=9, activation=True).write(tmp_path / "bank")
    folder = read_folder(tmp_path / "bank")
    prepared = sampled(folder, folder.spec, Options())
    index = [task.name for task in folder.spec.tasks].index("activation")
    oracle, output = Oracle.beside(folder.path), outputs_of(folder.spec)[index]
    assert oracle is not None
    answered, chance = oracle.predictions(output, prepared.log, prepared.samples.rows)
    known = prepared.samples.labels.known[answered, index]
    truth, said = prepared.samples.labels.value[answered, index][known], chance[known, 0]

    asked = prepared.samples.labels.known[:, index]
    assert set(prepared.samples.rows.kind[answered].tolist()) == {RECORD}
    assert known.sum() == asked.sum()
    assert known.sum() > 150
    reach = 4 * np.sqrt(truth.mean() * (1 - truth.mean()) / len(truth))
    assert said.mean() == pytest.approx(truth.mean(), abs=reach + 0.05)
    rows = np.flatnonzero(asked)
    best_feature = max(
        abs(roc_auc(prepared.samples.features[rows, column].astype(np.float64), truth > 0) - 0.5)
        for column in prepared.layout.inputs
    )
    assert roc_auc(said, truth > 0) > 0.5 + best_feature
