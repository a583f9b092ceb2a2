"""The bank simulator: deterministic, consistent, and with an oracle of the wanted strength."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from schemas.progress import SILENT
from schemas.spec_file import bank
from stream_app.offline.folder import Folder, read_folder, read_parquet
from training.datasets.folder import ORACLE
from training.datasets.simulator import BankSimulator
from training.datasets.simulator.behaviour import World
from training.datasets.simulator.foresight import METADATA_KEY, oracle_facts
from training.datasets.simulator.kinds import BANK_TYPES, OWN_TYPES, PREFERENCES, PROFILES, Ints
from training.datasets.simulator.labels import HORIZON_DAYS, MASKED, Entries, Log, label
from training.datasets.simulator.latent import draw_latent
from training.datasets.simulator.life import Bank
from training.datasets.simulator.metrics import area_under_roc, log_loss, prior_log_loss, spearman
from training.datasets.simulator.oracle import forecast
from training.datasets.simulator.population import draw_population
from training.datasets.simulator.timeline import DAY_MS, Timeline

SMALL = BankSimulator(seed=7, customers=300, months=9)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulator") / "bank"
    SMALL.write(out, SILENT)
    return out


@pytest.fixture(scope="module")
def folder(place: Path) -> Folder:
    return read_folder(place)


@pytest.fixture(scope="module")
def oracle(place: Path) -> pa.Table:
    return read_parquet(place / ORACLE)


def own_part(table: pa.Table) -> pa.Table:
    return table.filter(pc.is_in(table["type"], pa.array(OWN_TYPES)))


def times(table: pa.Table) -> Ints:
    return np.asarray(table["time"].cast(pa.int64()).to_numpy(), dtype=np.int64)


def first_times(table: pa.Table) -> dict[str, int]:
    """Return each customer's earliest time in ms."""
    first = table.group_by("customer_id").aggregate([("time", "min")])
    return dict(zip(first["customer_id"].to_pylist(), first["time_min"].cast(pa.int64()).to_pylist(), strict=True))


def test_the_same_seed_gives_the_same_bytes(place: Path, tmp_path: Path) -> None:
    SMALL.write(tmp_path / "again", SILENT)

    names = sorted(item.name for item in place.iterdir())
    assert {name: (tmp_path / "again" / name).read_bytes() for name in names} == {
        name: (place / name).read_bytes() for name in names
    }


def test_another_seed_gives_another_bank(folder: Folder) -> None:
    other = BankSimulator(seed=8, customers=300, months=9).simulate()

    assert len(other.log().amount) != folder.transactions.num_rows


def test_the_folder_speaks_the_language_of_its_spec(folder: Folder) -> None:
    assert folder.spec == bank()
    assert (
        folder.spec.own_types,
        folder.spec.task("preference").classes,
        folder.spec.task("risk_profile").classes,
    ) == (OWN_TYPES, PREFERENCES, PROFILES)
    assert {task.name: task.horizon_days for task in folder.spec.tasks} == HORIZON_DAYS


def test_every_type_is_used(folder: Folder) -> None:
    assert set(folder.transactions["type"].unique().to_pylist()) == {*OWN_TYPES, *BANK_TYPES}


def test_transactions_are_unique_and_in_order(folder: Folder) -> None:
    ids = folder.transactions["transaction_id"]

    assert len(ids.unique()) == len(ids)
    assert (np.diff(times(folder.transactions)) >= 0).all()


def test_each_balance_is_the_one_before_plus_the_amount(folder: Folder) -> None:
    columns = ("customer_id", "amount", "balance")
    customer, amount, balance = (folder.transactions[name].to_numpy() for name in columns)
    order = np.argsort(customer, kind="stable")
    same = customer[order][1:] == customer[order][:-1]

    np.testing.assert_allclose(np.diff(balance[order])[same], amount[order][1:][same], atol=0.006)


def test_products_on_transactions_are_in_the_catalogue(folder: Folder) -> None:
    assert folder.products is not None
    bought = folder.transactions["product_id"].drop_null().unique().to_pylist()

    assert set(bought) <= set(folder.products["product_id"].to_pylist())
    assert len(bought) > 1


def test_a_customer_is_known_before_the_first_transaction(folder: Folder) -> None:
    known, acted = first_times(folder.customers), first_times(folder.transactions)

    assert all(known[customer] < first for customer, first in acted.items())


def test_some_customers_never_act(folder: Folder) -> None:
    assert set(first_times(folder.customers)) > set(first_times(own_part(folder.transactions)))


def test_the_bank_goes_on_after_a_customer_has_left(folder: Folder) -> None:
    last_own = own_part(folder.transactions).group_by("customer_id").aggregate([("time", "max")])
    last = folder.transactions.group_by("customer_id").aggregate([("time", "max")])
    both = last_own.rename_columns(["customer_id", "own"]).join(last, "customer_id")
    behind_ms = pc.subtract(both["time_max"].cast(pa.int64()), both["own"].cast(pa.int64())).to_numpy()

    assert behind_ms.max() > 30 * DAY_MS


def test_a_default_follows_a_late_fee_by_the_same_evening(folder: Folder) -> None:
    assert folder.outcomes is not None
    fees = folder.transactions.filter(
        pc.and_(pc.equal(folder.transactions["type"], "fee"), pc.equal(folder.transactions["amount"], -12.0))
    )
    paid = set(zip(fees["customer_id"].to_pylist(), (times(fees) // DAY_MS).tolist(), strict=True))
    defaults = folder.outcomes.filter(pc.equal(folder.outcomes["task"], "default"))
    days = zip(defaults["customer_id"].to_pylist(), (times(defaults) // DAY_MS).tolist(), strict=True)

    assert defaults.num_rows > 0
    assert set(days) <= paid


def test_the_loan_of_a_record_ends_with_a_default(folder: Folder) -> None:
    assert folder.outcomes is not None
    defaults = folder.outcomes.filter(pc.equal(folder.outcomes["task"], "default"))
    records = zip(folder.customers["customer_id"].to_pylist(), times(folder.customers).tolist(), strict=True)
    loan = dict(zip(records, folder.customers["has_loan"].to_pylist(), strict=True))
    ends = zip(defaults["customer_id"].to_pylist(), times(defaults).tolist(), strict=True)

    assert {loan[end] for end in ends} == {"no"}


def test_the_oracle_answers_every_task_at_every_cut(oracle: pa.Table) -> None:
    rows = oracle.group_by(["task", "time"]).aggregate([([], "count_all")])

    assert set(oracle["task"].unique().to_pylist()) == set(HORIZON_DAYS)
    assert rows.num_rows == len(HORIZON_DAYS) * SMALL.months


def test_the_oracles_chances_sum_to_one(oracle: pa.Table) -> None:
    for task, classes in (("preference", PREFERENCES), ("next_behaviour", OWN_TYPES), ("risk_profile", PROFILES)):
        values = pc.list_flatten(oracle.filter(pc.equal(oracle["task"], task))["values"]).to_numpy()
        chances = values.reshape(-1, len(classes))

        assert chances.min() >= 0.0
        np.testing.assert_allclose(chances.sum(axis=1), 1.0, atol=1e-5)


def test_the_oracle_states_its_own_measure(oracle: pa.Table) -> None:
    facts = json.loads(oracle.schema.metadata[METADATA_KEY])

    assert set(facts) == set(HORIZON_DAYS)
    assert facts["churn"]["auc"] > facts["churn"]["prior_auc"]


def test_the_oracle_does_not_look_at_the_future() -> None:
    people = draw_population(60, 120, 1.0, np.random.default_rng(1))
    world = World(people, Timeline.of_months(4), 1.0)
    latent = draw_latent(people, np.random.default_rng(2))
    before = forecast(world, latent, 0, np.random.default_rng(3))

    _, snapshot = Bank(world, latent, np.random.default_rng(4)).live().snapshots[0]
    after = forecast(world, snapshot, 0, np.random.default_rng(3))

    for task, values in before.items():
        np.testing.assert_array_equal(values, after[task])


def test_difficulty_is_a_dial() -> None:
    strength = []
    for difficulty in (0.5, 2.0):
        life = BankSimulator(seed=5, customers=400, months=10, difficulty=difficulty).simulate()
        strength.append(oracle_facts(life.log(), life.consult()))
    easy, hard = strength

    assert easy["churn"]["auc"] > hard["churn"]["auc"]
    assert easy["credit_risk"]["auc"] > hard["credit_risk"]["auc"]
    assert easy["risk_profile"]["gain"] > hard["risk_profile"]["gain"]


@pytest.mark.parametrize("difficulty", [0.001, 1000.0])
def test_no_difficulty_is_too_extreme(difficulty: float) -> None:
    life = BankSimulator(seed=5, customers=50, months=3, difficulty=difficulty).simulate()

    assert all(np.isfinite(values).all() for _, found in life.consult() for values in found.values())


def a_log(*own_days: float, end_day: int = 400) -> Log:
    """Return the log of one customer who did shopping at 100 on these days."""
    days = np.array(own_days)
    nothing = Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64))
    shopping = Entries(np.zeros(len(days), np.int64), (days * DAY_MS).astype(np.int64), np.full(len(days), 5))
    return Log(shopping, np.full(len(days), -100.0), nothing, nothing, nothing, nothing, 1, end_day * DAY_MS)


@pytest.mark.parametrize(
    ("task", "days", "expected"),
    [
        ("churn", (0, 1, 2, 3, 95), 1.0),
        ("churn", (0, 1, 2, 3, 95, 100), 0.0),
        ("churn", (0, 1, 2, 3, 95, 160), 1.0),
        ("churn", (0, 1, 2, 3), MASKED),
        ("next_behaviour", (0, 110), 5.0),
        ("next_behaviour", (0, 130), MASKED),
        ("value", (0, 100, 110), np.log1p(200.0)),
        ("preference", (0, 95), 0.0),
        ("credit_risk", (0, 95), MASKED),
        ("risk_profile", (0, 95), MASKED),
    ],
)
def test_labels_lie_in_the_horizon(task: str, days: tuple[float, ...], expected: float) -> None:
    assert label(a_log(*days), task, 100 * DAY_MS)[0] == expected


def test_a_horizon_beyond_the_log_is_masked() -> None:
    assert label(a_log(0, 1, 2, 3, 95, end_day=159), "churn", 100 * DAY_MS)[0] == MASKED


def test_measures_agree_with_hand_calculation() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0])

    assert area_under_roc(np.array([0.1, 0.4, 0.4, 0.8]), truth) == 0.875
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0])) == pytest.approx(1.0)
    assert log_loss(np.full((4, 2), 0.5), truth) == pytest.approx(np.log(2))
    assert prior_log_loss(truth, 2) == pytest.approx(np.log(2))
