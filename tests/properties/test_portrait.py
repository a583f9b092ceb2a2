"""Portraits equal what is recomputed slowly from the customers' raw transactions, and need nothing else of a log."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.accepted import LATEST_MS
from schemas.errors import InputError
from schemas.portrait import Portrait, Standing
from stream_app.bundle import Bundle
from stream_app.offline.folder import TIME, read_folder
from stream_app.offline.log import Log, open_log
from stream_app.offline.replay import emissions
from stream_app.portrait.history import history
from stream_app.portrait.sources import from_log
from stream_app.portrait.standing import compared
from stream_app.shelf import Shelf
from stream_app.steps.decode import Vocabulary
from tests.bundles import random_bundle
from tests.properties.portrait_reference import Life, Moved, pace, stage, usual
from tests.properties.reference import DAY_MS
from tests.properties.test_replay import NAMES, captured, made, rows
from training.datasets.folder import FolderTables, write_folder
from training.datasets.simulator.bank import BankSimulator

RETAIL = Path(__file__).parents[1] / "data" / "online_retail_sample.csv"
RETAIL_SPEC = """
name = "retail"
currency = "GBP"
window_hours = [24]
window_days = [7, 30]
decay_days = [30, 90, 365]
types = [{ name = "invoice" }, { name = "return" }, { name = "other" }]
[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = 90
bands = [{ name = "low" }, { name = "high", top_share = 0.2 }]
[[tasks]]
name = "value"
kind = "value"
label = "outflow"
horizon_days = 90
"""


@dataclass(frozen=True)
class Shop:
    """A log, its raw transactions by customer, and a bundle that knows the population."""

    log: Log
    shelf: Shelf
    moved: dict[str, list[Moved]]
    registered: dict[str, int]
    population: dict[str, tuple[float, ...]]
    ten: tuple[str, ...]
    end_ms: int

    def life(self, customer: str, at_ms: int) -> Life:
        before = [event for event in self.moved.get(customer, []) if event.time_ms <= at_ms]
        since = self.registered.get(customer)
        return Life(self.shelf.first.spec, before, since if since is not None and since <= at_ms else None, at_ms)


def spread(values: Sequence[float]) -> tuple[float, ...]:
    """Return 99 values that part a population into hundredths, roughly."""
    ordered = sorted(values)
    return tuple(ordered[min(len(ordered) * k // 100, len(ordered) - 1)] for k in range(1, 100))


def shop_of(folder: Path, bundle: Bundle) -> Shop:
    """Return a shop from an interchange folder, its raw transactions read without the product."""
    tables, spec = read_folder(folder), bundle.spec
    moved, registered = defaultdict[str, list[Moved]](list), dict[str, int]()
    known = {item.name for item in spec.types}
    for line in lines_of(tables.transactions):
        kind = line["type"] if line["type"] in known else "other"
        moved[line["customer_id"]].append(Moved(line["time"], kind, line["amount"]))
    for line in lines_of(tables.customers):
        registered.setdefault(line["customer_id"], line["time"])
    end = max(event.time_ms for events in moved.values() for event in events)
    lives = [Life(spec, events, None, end) for events in moved.values()]
    windows = [list(life.windows())[-1] for life in lives]
    silence, frequency, money = compared(spec)
    population = {  # a little beside the customers themselves: float32 decides nothing then
        silence: spread([life.days_since(life.own[-1].time_ms) * 24 + 0.4 for life in lives if life.own]),
        frequency: spread([window[2] for window in windows]),
        money: spread([window[4] + 0.1 for window in windows]),
    }
    informed = replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, population=population))
    names = sorted(moved, key=lambda name: len(moved[name]))
    ten = tuple(names[k * (len(names) - 1) // 9] for k in range(10))
    return Shop(open_log(folder), Shelf(informed), moved, registered, population, ten, end)


def lines_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return the lines of a table, times in epoch ms."""
    place = table.column_names.index("time")
    lines: list[dict[str, Any]] = table.set_column(place, "time", table.column("time").cast(pa.int64())).to_pylist()
    return lines


def invoices() -> FolderTables:
    """Return Online Retail's sample with an invoice as a transaction."""
    found: dict[str, dict[str, Any]] = {}
    for line in csv.DictReader(RETAIL.read_text(encoding="utf-8").splitlines()):
        if line["CustomerID"]:
            moment = datetime.strptime(line["InvoiceDate"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            start = {"customer_id": line["CustomerID"], "time": moment, "amount": 0.0}
            invoice = found.setdefault(line["InvoiceNo"], start)
            invoice["amount"] -= int(line["Quantity"]) * float(line["UnitPrice"])
    lines = [
        {"transaction_id": name, "type": "invoice" if invoice["amount"] < 0 else "return"} | invoice
        for name, invoice in found.items()
    ]
    since: dict[str, datetime] = {}
    for line in sorted(lines, key=lambda line: line["time"]):
        since.setdefault(line["customer_id"], line["time"])
    times = pa.array([*since.values()]).cast(TIME)
    customers = pa.table({"customer_id": [*since], "time": times})
    return FolderTables(transactions=pa.Table.from_pylist(lines), customers=customers, spec_text=RETAIL_SPEC)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Simulate a small bank."""
    folder = tmp_path_factory.mktemp("bank") / "log"
    BankSimulator(seed=3, customers=80, months=14).write(folder)
    return shop_of(folder, random_bundle(folder.parent / "bundle", read_folder(folder).spec))


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Make a log of the invoices of Online Retail's sample."""
    folder = tmp_path_factory.mktemp("retail") / "log"
    write_folder(folder, invoices())
    return shop_of(folder, random_bundle(folder.parent / "bundle", read_folder(folder).spec))


@pytest.fixture(params=["bank", "retail"])
def shop(request: pytest.FixtureRequest) -> Shop:
    """Give each log in turn."""
    found: Shop = request.getfixturevalue(request.param)
    return found


def close(expected: float | None) -> Any:  # noqa: ANN401  (pytest's)
    return pytest.approx(expected, rel=2e-4, abs=1e-3)


def compare(found: Portrait, life: Life, population: dict[str, tuple[float, ...]]) -> None:
    """Assert that a portrait says what the raw transactions say."""
    spec, churn = life.spec, found.tasks["churn"].score
    likely = churn.band == spec.task("churn").bands[-1].name
    assert (found.stage.name, found.stage.rule) == stage(life, likely_to_leave=likely)
    habit = usual(life.pauses, life.least_lapse_days)
    assert found.stage.lapse_days == pytest.approx(habit.lapse_days, rel=2e-3)
    assert found.stage.pause_days == pytest.approx(habit.pause_days, rel=2e-3)
    assert [(w.unit, w.size, w.count, w.inflow, w.outflow) for w in found.windows] == [
        (unit, size, count, close(inflow), close(outflow)) for unit, size, count, inflow, outflow in life.windows()
    ]
    assert {item.type for item in found.turnover} == life.types()
    for item in found.turnover:
        for part in item.recent:
            assert (part.count, part.amount) == tuple(map(close, life.faded([item.type], part.days)))
    if life.own:
        assert found.stage.silence_days == close(life.days_since(life.own[-1].time_ms))
        compare_pace(found, life)
    compare_standings(found, life, population)


def compare_pace(found: Portrait, life: Life) -> None:
    paces = pace(life)
    if paces is None:
        assert found.stage.pace is None
        return
    recent = [item for item in paces[:-1] if item[0] <= 30][-1]
    assert found.stage.pace == close(30 * recent[1] / recent[2])
    assert found.stage.usual_pace == close(30 * paces[-1][1] / paces[-1][2])


def compare_standings(found: Portrait, life: Life, population: dict[str, tuple[float, ...]]) -> None:
    _, _, count, _, outflow = list(life.windows())[-1]
    silence = life.days_since(life.own[-1].time_ms) if life.own else None
    longest = 3650.0 if silence is None else silence
    figures: list[tuple[Standing, float | None, int]] = [
        (found.recency, silence, sum(other > longest * 24 for other in population["own_silence_h"])),
        (found.frequency, count, sum(other < count for other in population["count_30d"])),
        (found.monetary, outflow, sum(other < outflow for other in population["out_30d"])),
    ]
    for standing, value, beaten in figures:
        assert standing.value == close(value)
        assert standing.percent == beaten
        assert standing.fifth == [5, 4, 3, 2, 1][next(k for k in range(5) if beaten >= 80 - 20 * k)]


def test_the_portraits_of_ten_customers_equal_a_recomputation_from_their_raw_events(shop: Shop) -> None:
    rules, compared_portraits = set[str](), 0
    for name in shop.ten:
        for days in (-200, -100, -40, 0, 20, 100):
            time_ms = shop.end_ms + days * DAY_MS
            life = shop.life(name, time_ms)
            if not life.moved and life.registered_ms is None:
                with pytest.raises(InputError):
                    from_log(shop.log, shop.shelf, name, time_ms)
                continue
            found = from_log(shop.log, shop.shelf, name, time_ms)
            compare(found, life, shop.population)
            rules.add(found.stage.rule)
            compared_portraits += 1
    assert len(shop.ten) == 10
    assert len(set(shop.ten)) == 10
    assert compared_portraits > 45
    assert len(rules) >= 5


@pytest.mark.parametrize("wrong", ["amount", "time", "missing"])
def test_a_recomputation_from_other_events_would_differ(shop: Shop, wrong: str) -> None:
    name = shop.ten[-1]
    found, life = from_log(shop.log, shop.shelf, name, shop.end_ms), shop.life(name, shop.end_ms)
    last = life.moved[-1]
    other = {
        "amount": [replace(last, amount=last.amount - 1.0)],
        "time": [replace(last, time_ms=last.time_ms - DAY_MS // 2)],
        "missing": [],
    }[wrong]
    compare(found, life, shop.population)
    with pytest.raises(AssertionError):
        compare(found, replace(life, moved=[*life.moved[:-1], *other]), shop.population)


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_customers_own_records_ticks_and_activates_are_enough_for_the_row(fires: Bundle, data: st.DataObject) -> None:
    log, shelf = captured(data.draw(rows(fires.sha256, 2))), Shelf(fires)
    for name in NAMES:
        enough = history(log, name, LATEST_MS, Vocabulary(fires.spec))
        assert row_at_end(enough, shelf, name) == row_at_end(log, shelf, name)


@pytest.fixture(scope="module")
def fires(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle whose rules fire often, so that rows depend on scores and ticks too."""
    return made(tmp_path_factory.mktemp("bundles"), score_on_customer=False)


def row_at_end(log: Log, shelf: Shelf, name: str) -> bytes:
    """Return the row of a customer at the end of a log; all zeros where there is none."""
    content = bytes(4 * shelf.first.rolling.layout.row_width)
    for _, _, scorer in emissions(log, shelf):
        if not scorer.residents.missing([name.encode()]):
            content = scorer.residents.matrix[scorer.residents.places([name.encode()])[0]].tobytes()
    return content
