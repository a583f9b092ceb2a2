"""A portrait is a pure function of a row: what it says is what the row knows, and nothing is changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import codec, documents, spec_file
from schemas.errors import InputError
from schemas.portrait import Fact, OpenAlert, Portrait, Product, Window
from stream_app.bundle import MANIFEST, Bundle, load
from stream_app.pipeline import score
from stream_app.portrait.portrait import portrait
from stream_app.portrait.preferences import read_catalogue
from stream_app.portrait.served import Served
from stream_app.portrait.standing import compared
from stream_app.residents import Residents
from stream_app.scorer import Scorer
from stream_app.shelf import Shelf
from stream_app.steps.decode import decode
from stream_app.steps.predict import Predictor
from stream_app.store.slices import slice_of
from tests.bundles import random_bundle
from tests.chunks import chunk, customer, tick, transaction
from tests.kit import every_kind
from tests.portraits import (
    CHURN,
    HEAD,
    PREFERENCE,
    RULES,
    VALUE,
    Row,
    answering,
    at,
    bundle_of,
    daily,
    drawn,
    life,
    row_of,
    spec_of,
)

FULL = bundle_of(spec_of(CHURN, VALUE, PREFERENCE, RULES))
CATALOGUE = (
    Product(product_id="l1", name="Loan", type="loan", price=21.5),
    Product(product_id="c1", name="Card", type="card"),
    Product(product_id="c2", name="Gold card", type="card", price=4.9),
    Product(product_id="f1", name="Fund", type="fund"),
)
LIFE = [
    customer(time=at(0), age=41, income=2400.55, segment="gold"),
    *life((0.1, "pay", 100.0), (10, "shop", -12.34), (10.5, "fee", -1.0), (28, "rent", -40.0), (29.9, "shop", -7.0)),
]


# -- purity ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle of the built-in bank with a network and rules that fire often."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "bank")


def scored(bundle: Bundle, records: list[tuple[bytes | None, bytes | None]]) -> Scorer:
    """Return what scores a partition, after these records."""
    scorer = Scorer(Shelf(bundle), Residents(bundle.rolling.layout.row_width), "transactions", 0)
    part = chunk(*(value for _, value in records), keys=[key for key, _ in records])
    score(decode(part, scorer.vocabulary), part, scorer)
    return scorer


def test_the_row_stays_as_it_is_and_the_same_row_gives_the_same_bytes(bank: Bundle) -> None:
    scorer, predict = scored(bank, every_kind.records(1_500, customers=20)), Predictor.of(bank)
    names = [
        name for name in scorer.residents.customers if scorer.residents.matrix[scorer.residents.places([name])].any()
    ]
    assert len(names) > 10
    for name in names:
        row = scorer.residents.matrix[scorer.residents.places([name])[0]].copy()
        row.setflags(write=False)
        before = row.tobytes()
        found = [codec.encode(portrait(name.decode(), row, at(3), Served(bank, predict))) for _ in range(2)]
        assert row.tobytes() == before
        assert found[0] == found[1]


def ticked(bundle: Bundle, scorer: Scorer, names: list[bytes], time_ms: int) -> dict[bytes, dict[str, Any]]:
    """Return the tasks of the score that a tick of each customer's slice emits."""
    part = chunk(*(tick(number, time_ms) for number in sorted({slice_of(name) for name in names})))
    emission = score(decode(part, scorer.vocabulary), part, scorer)
    found = {}
    for scores in emission.scores:
        for k, name in enumerate(scores.customers.words()):
            message = scores.messages[scores.starts[k] : scores.starts[k + 1]].tobytes()
            found[name] = json.loads(message)["tasks"]
    assert bundle.spec.tasks
    return found


@pytest.mark.parametrize("after_days", [0.0, 2.5, 45.0, 400.0])
def test_the_answers_are_those_of_a_tick_as_of_the_same_time(bank: Bundle, after_days: float) -> None:
    scorer, predict = scored(bank, every_kind.records(2_000, customers=40)), Predictor.of(bank)
    names, time_ms = list(scorer.residents.customers), at(1 + after_days)
    rows = {
        name: scorer.residents.matrix[place].copy()
        for name, place in zip(names, scorer.residents.places(names), strict=True)
    }
    expected = ticked(bank, scorer, names, time_ms)
    assert len(expected) > 30
    for name, tasks in expected.items():
        found = portrait(name.decode(), rows[name], time_ms, Served(bank, predict))
        assert {task: msgspec.to_builtins(answer.score) for task, answer in found.tasks.items()} == tasks


def test_a_wrong_time_or_a_later_row_would_be_noticed(bank: Bundle) -> None:
    scorer, predict = scored(bank, every_kind.records(2_000, customers=40)), Predictor.of(bank)
    names = list(scorer.residents.customers)
    expected = ticked(bank, scorer, names, at(40))
    name = next(iter(expected))
    row = scorer.residents.matrix[scorer.residents.places([name])[0]]
    found = portrait(name.decode(), row, at(80), Served(bank, predict))
    assert {task: msgspec.to_builtins(answer.score) for task, answer in found.tasks.items()} != expected[name]


def test_a_portrait_is_not_of_a_time_before_the_newest_transaction() -> None:
    assert drawn(FULL, LIFE, 5).time == at(29.9)
    assert drawn(FULL, LIFE, 29.95).time == at(29.95)


@pytest.mark.parametrize("offset", [330, -480])
def test_the_newest_transaction_is_told_in_the_time_of_the_log_whatever_the_local_time(offset: int) -> None:
    local = bundle_of(msgspec.structs.replace(spec_of(), utc_offset_minutes=offset))
    assert drawn(local, LIFE, 5).time == at(29.9)


def test_of_an_empty_row_there_is_no_portrait() -> None:
    with pytest.raises(InputError, match="Expected a customer of whom something is known, found an empty row"):
        portrait("c", np.zeros(FULL.rolling.layout.row_width, np.float32), at(0), Served(FULL, answering(FULL)))
    forgotten = [*LIFE, {"kind": "forget", "customer_id": "c"}]
    with pytest.raises(InputError):
        drawn(FULL, forgotten, 40)


def test_a_portrait_is_what_its_schema_says(bank: Bundle) -> None:
    schema = json.loads(documents.documents()["portrait.schema.json"])
    scorer, predict = scored(bank, every_kind.records(800, customers=10)), Predictor.of(bank)
    for name in scorer.residents.customers:
        row = scorer.residents.matrix[scorer.residents.places([name])[0]]
        if row.any():
            found = portrait(name.decode(), row, at(9), Served(bank, predict), CATALOGUE)
            jsonschema.validate(json.loads(codec.encode(found)), schema)
            assert msgspec.json.decode(codec.encode(found), type=Portrait) == found


# -- money -------------------------------------------------------------------------------------------------------------


def test_windows_tell_what_moved_and_hours_stand_before_days() -> None:
    found = drawn(FULL, LIFE, 29.95)
    assert found.windows == (
        Window(unit="h", size=24, count=1, inflow=0.0, outflow=7.0),
        Window(unit="d", size=7, count=2, inflow=0.0, outflow=47.0, largest=40.0),
        Window(unit="d", size=30, count=5, inflow=100.0, outflow=60.34, largest=100.0),
    )


def test_types_are_told_with_their_faded_sums_the_largest_of_late_first() -> None:
    found = drawn(FULL, LIFE, 29.95)
    assert [item.type for item in found.turnover] == ["rent", "pay", "shop", "fee"]
    shop = next(item for item in found.turnover if item.type == "shop")
    ages = (19.95, 0.05)
    for sums in shop.recent:
        faded = [np.exp(-age / sums.days) for age in ages]
        assert sums.count == pytest.approx(sum(faded), rel=1e-4)
        assert sums.amount == pytest.approx(12.34 * faded[0] + 7.0 * faded[1], rel=1e-4)
    assert [sums.days for sums in shop.recent] == [7.0, 30.0, 90.0, 365.0]
    assert (shop.initiator, shop.last_amount) == ("customer", 7.0)
    assert shop.last_days == pytest.approx(0.05, abs=1 / 24)
    assert next(item for item in found.turnover if item.type == "fee").initiator == "bank"


def test_the_balance_is_the_one_told_last() -> None:
    assert drawn(FULL, LIFE, 30).balance is None
    told = [transaction(time=at(0), type="pay", balance=812.35), *LIFE[1:2]]
    assert drawn(FULL, told, 30).balance == 812.35


# -- standings ---------------------------------------------------------------------------------------------------------

HUNDRED = {name: tuple(float(k) for k in range(1, 100)) for name in compared(FULL.spec)}


def standing(bundle: Bundle, silence_h: float) -> Portrait:
    return drawn(bundle, life((0, "pay", 5.0)), silence_h / 24)


@pytest.mark.parametrize(
    ("silence_h", "percent", "fifth"),
    [(0.5, 99, 5), (1, 98, 5), (19, 80, 5), (20, 79, 4), (50, 49, 3), (79, 20, 2), (80, 19, 1), (98, 1, 1), (99, 0, 1)],
)
def test_the_less_silence_the_better_the_band(silence_h: float, percent: int, fifth: int) -> None:
    found = standing(bundle_of(FULL.spec, population=HUNDRED), silence_h).recency
    assert (found.percent, found.fifth) == (percent, fifth)
    assert found.value == pytest.approx(silence_h / 24, rel=1e-6)


@pytest.mark.parametrize(
    ("transactions", "percent", "fifth"),
    [(1, 0, 1), (2, 1, 1), (20, 19, 1), (21, 20, 2), (81, 80, 5), (99, 98, 5), (100, 99, 5)],
)
def test_the_more_transactions_and_money_the_better_the_band(transactions: int, percent: int, fifth: int) -> None:
    events = [(k / 1000, "shop", -1.0) for k in range(transactions)]
    found = drawn(bundle_of(FULL.spec, population=HUNDRED), life(*events), 0.5)
    for item in (found.frequency, found.monetary):
        assert (item.value, item.percent, item.fifth, item.span_days) == (transactions, percent, fifth, 30)


def test_what_most_share_is_better_than_none_of_them() -> None:
    idle = {name: (0.0,) * 60 + tuple(range(1, 40)) for name in compared(FULL.spec)}
    found = drawn(bundle_of(FULL.spec, population=idle), life((0, "pay", 5.0)), 40)
    assert (found.monetary.value, found.monetary.percent, found.monetary.fifth) == (0.0, 0, 1)
    assert (found.frequency.percent, found.frequency.fifth) == (0, 1)


def test_a_bundle_that_knows_no_population_gives_figures_without_bands() -> None:
    found = standing(FULL, 30)
    assert [(item.percent, item.fifth) for item in (found.recency, found.frequency, found.monetary)] == [
        (None, None)
    ] * 3
    assert found.frequency.value == 1


def test_a_bundle_from_before_there_were_portraits_still_loads(tmp_path: Path) -> None:
    made = random_bundle(tmp_path / "bundle", spec_file.bank())
    fields = msgspec.to_builtins(made.manifest) | {"seal": ""}
    del fields["population"]
    fields["seal"] = hashlib.sha256(codec.encode(fields)).hexdigest()
    (made.path / MANIFEST).write_bytes(codec.encode(fields))
    old = load(made.path)
    assert (old.manifest.population, b"population" in (made.path / MANIFEST).read_bytes()) == ({}, False)
    assert drawn(old, LIFE, 30).recency.fifth is None


def test_the_longest_window_of_a_spec_is_compared() -> None:
    assert compared(spec_of(head=HEAD.replace("[7, 30]", "[1, 3]"))) == ("own_silence_h", "count_3d", "out_3d")


# -- preferences -------------------------------------------------------------------------------------------------------


def test_products_follow_the_task_whose_classes_are_their_types() -> None:
    found = drawn(FULL, LIFE, 30, CATALOGUE, preference=(0.5, 0.2, 0.3)).preferences
    assert found is not None
    assert (found.task, found.horizon_days, found.nothing) == ("preference", 90, 0.5)
    assert [(item.type, item.because, item.probability) for item in found.ranking] == [
        ("card", "score", 0.3),
        ("loan", "score", 0.2),
    ]
    assert [product.product_id for product in found.ranking[0].products] == ["c1", "c2"]


def test_the_task_named_preference_leads_before_one_with_more_classes() -> None:
    wide = PREFERENCE.replace('"preference"', '"wish"').replace('"card"]', '"card", "fund"]')
    for tasks, leading in (((wide, PREFERENCE), "preference"), ((wide, PREFERENCE.replace("ference", "")), "wish")):
        found = drawn(bundle_of(spec_of(*tasks)), LIFE, 30, CATALOGUE).preferences
        assert found is not None
        assert found.task == leading


def test_without_such_a_task_products_follow_what_is_used_most() -> None:
    shops = tuple(Product(product_id=f"p{k}", name=f"P{k}", type="shop") for k in range(5))
    rents = (Product(product_id="r", name="R", type="rent"), Product(product_id="x", name="X", type="fun"))
    found = drawn(FULL, LIFE, 30, shops + rents, preference=(0.5, 0.2, 0.3)).preferences
    assert found is not None
    assert (found.task, found.nothing) == (None, None)
    assert [(item.type, item.because, len(item.products)) for item in found.ranking] == [
        ("rent", "use", 1),
        ("shop", "use", 3),
    ]


def test_a_task_that_is_not_asked_leads_to_no_product() -> None:
    asked = PREFERENCE + "eligible = [{ feature = 'own_count', at_least = 1000 }]"
    assert drawn(bundle_of(spec_of(asked)), LIFE, 30, CATALOGUE).preferences is None


def test_without_a_catalogue_or_a_way_to_it_there_are_no_preferences() -> None:
    assert drawn(FULL, LIFE, 30).preferences is None
    assert drawn(FULL, LIFE, 30, CATALOGUE[3:]).preferences is None


def test_a_catalogue_is_read_from_any_file_of_products(tmp_path: Path) -> None:
    columns = {
        "product_id": ["a", None, "b", "c"],
        "name": ["A", "none", None, "C"],
        "type": ["loan", "loan", "card", None],
        "price": [1.5, 2.0, float("nan"), 3.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "goods.parquet")
    assert read_catalogue(tmp_path / "goods.parquet") == (
        Product(product_id="a", name="A", type="loan", price=1.5),
        Product(product_id="b", name="b", type="card"),
    )
    with pytest.raises(InputError, match=r"Expected a whole Parquet file at .*missing\.parquet"):
        read_catalogue(tmp_path / "missing.parquet")


# -- facts and alerts --------------------------------------------------------------------------------------------------


def test_known_attributes_are_facts_and_tell_whether_the_scores_know_them() -> None:
    assert drawn(FULL, LIFE, 30).facts == (
        Fact(name="age", value=41.0, used=False),
        Fact(name="income", value=2400.55, used=True),
        Fact(name="segment", value="gold", used=True),
    )
    assert drawn(FULL, LIFE[1:], 30).facts == ()


def test_protected_attributes_move_nothing_else() -> None:
    other = drawn(FULL, [customer(time=at(0), age=19, income=2400.55, segment="gold"), *LIFE[1:]], 30, CATALOGUE)
    found = drawn(FULL, LIFE, 30, CATALOGUE)
    assert found.facts != other.facts
    assert msgspec.structs.replace(found, facts=()) == msgspec.structs.replace(other, facts=())


def test_a_rule_that_has_fired_is_open_until_it_is_armed_again() -> None:
    events = [*daily(0, 20), (20.0, "shop", -900.0), (21.0, "shop", -8000.0)]
    found = drawn(FULL, life(*events), 21.5)
    assert found.alerts == (OpenAlert(rule="large", severity="high", time=at(20), suppressed=1, feature="amount_z"),)
    assert drawn(FULL, life(*events, (22.0, "shop", -10.0)), 22.5).alerts == ()


def test_a_portrait_fires_nothing() -> None:
    row: Row = row_of(FULL, LIFE)
    likely = answering(FULL, value=2e9)
    assert [portrait("c", row, at(31), Served(FULL, likely)).alerts for _ in range(2)] == [(), ()]
