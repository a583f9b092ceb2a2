"""What the bench computes by itself; that it runs to its end is shown by running it."""

import platform

import msgspec
import numpy as np
import pytest

from schemas import codec, spec_file
from stream_app.offline.log import partition_of
from tests.bench import checking
from tests.bench.baselines import run as baselines
from tests.bench.cli import ratios
from tests.bench.drain import Look, rates
from tests.bench.figures import Better, Figure, Machine, Report, Sample, collected, percentiles, slower, table
from tests.bench.generator import FIRST_MS, SPAN_MS, Workload, number_of, time_of
from tests.bench.growth import fits, most_types, with_types
from tests.bench.pacer import ticks
from tests.bench.passthrough import NAME
from tests.bench.reader import is_of_tick, place_of


def report(*runs: float, better: Better = "higher") -> Report:
    here = Machine(platform.machine(), 2, 8.0, "Linux", "3.11", {}, 0.0)
    return Report(here, {}, (Figure("drain", "events/s", better, runs),))


def test_a_workload_is_the_same_for_the_same_seed_and_another_for_another_seed() -> None:
    assert list(Workload(50, 300, 1.1)) == list(Workload(50, 300, 1.1))
    assert list(Workload(50, 300, 1.1)) != list(Workload(50, 300, 1.1, seed=2))


def test_a_workload_begins_where_it_is_told_to_and_has_each_customer_once_if_told_so() -> None:
    found = list(Workload(50, 50, first=700, first_ms=FIRST_MS - SPAN_MS, each=True, types=("a", "other")))
    facts = [codec.facts(record.value) for record in found]
    assert [number_of(record.value) for record in found] == list(range(700, 750))
    assert len({record.key for record in found}) == 50
    assert {fact["type"] for fact in facts} == {"a", "other"}
    assert [fact["time"] for fact in facts] == [time_of(record.value) for record in found]
    assert FIRST_MS - SPAN_MS == facts[0]["time"] <= facts[-1]["time"] < FIRST_MS


def test_ticks_of_a_slice_go_to_each_partition_and_what_they_give_is_told_apart() -> None:
    found = ticks(Workload(50, 300, partitions=2), range(1023, 1025), 5)
    assert [(record.partition, codec.facts(record.value)["slice"]) for record in found] == [
        (0, 1023),
        (1, 1023),
        (0, 0),
        (1, 0),
    ]
    assert is_of_tick(b'{"alert_id":"x","score_id":"a-b-3-15-c000017","k":1}')
    assert not is_of_tick(b'{"alert_id":"x","score_id":"a-b-3-15","k":1}')


def test_one_type_more_than_fits_is_refused() -> None:
    most = most_types()
    assert fits(with_types(most))
    assert not fits(with_types(most + 1))
    assert [task.name for task in with_types(4).tasks] == ["churn", "value"]


def test_transactions_have_types_of_the_bank_and_stand_where_kafka_puts_them() -> None:
    types = {item.name for item in spec_file.bank().types}
    records = list(Workload(50, 300, partitions=3))
    found = [codec.facts(record.value) for record in records]
    assert [number_of(record.value) for record in records] == list(range(300))
    assert {fact["type"] for fact in found} <= types
    assert [fact["customer_id"].encode() for fact in found] == [record.key for record in records]
    assert [record.partition for record in records] == [partition_of(record.key or b"", 3) for record in records]
    assert [fact["time"] for fact in found] == sorted(fact["time"] for fact in found)


def test_customers_are_chosen_by_the_law_of_zipf() -> None:
    chosen = Workload(100, 200_000, 1.1).chosen
    weights = np.arange(1, 101) ** -1.1
    assert np.bincount(chosen, minlength=100) / 200_000 == pytest.approx(weights / weights.sum(), abs=0.005)
    uniform = Workload(100, 200_000).chosen
    assert np.bincount(uniform, minlength=100) / 200_000 == pytest.approx(np.full(100, 0.01), abs=0.002)


def test_percentiles_are_times_that_were_measured() -> None:
    values = [sample.value for sample in percentiles("latency", np.arange(1, 1001))]
    assert values == [500.0, 990.0, 999.0]


def test_samples_of_one_name_become_one_figure() -> None:
    figures = collected([Sample("a", 3.0, "s", "lower"), Sample("b", 1.0, "s"), Sample("a", 1.0, "s", "lower")])
    assert figures == (Figure("a", "s", "lower", (3.0, 1.0)), Figure("b", "s", "neither", (1.0,)))


@pytest.mark.parametrize(
    ("new", "better", "worse"),
    [
        ((7, 8, 9), "higher", True),
        ((8, 9, 10), "higher", False),
        ((13, 14), "lower", True),
        ((13, 14), "neither", False),
    ],
)
def test_slower_is_what_lies_beyond_the_whole_spread(new: tuple[float, ...], better: Better, worse: bool) -> None:  # noqa: FBT001
    assert bool(slower(report(10, 11, 12, better=better), report(*new, better=better))) == worse


def test_a_report_can_be_read_again_and_told() -> None:
    written = report(10, 11, 12)
    assert msgspec.json.decode(msgspec.json.encode(written), type=Report) == written
    assert "11 (10 to 12) events/s" in table(written)


def test_a_rate_is_that_of_the_steady_part() -> None:
    looks = [Look(float(second), 100.0 * second, 0.5 * second, 0.1 * second, 0.0) for second in range(11)]
    looks[0] = Look(-60.0, 0.0, 0.0, 0.0, 0.0)  # a slow start does not count
    found = {sample.name: sample.value for sample in rates("drain", looks)}
    assert found["drain"] == pytest.approx(100.0)
    assert found["drain: CPU of the worker"] == pytest.approx(5000.0)


@pytest.mark.parametrize("numbers", [[0, 1, 1, 2], [0, 2], [0, 1, 2, 3]], ids=["twice", "missing", "unknown"])
def test_a_score_that_is_missing_or_too_many_fails_the_bench(numbers: list[int]) -> None:
    checking.each_once(np.array([2, 0, 1]), 3)
    with pytest.raises(AssertionError, match="Expected one score for each of 3 transactions"):
        checking.each_once(np.array(numbers), 3)


def test_a_score_that_differs_from_the_replays_fails_the_bench() -> None:
    told = {(0, "t-0-1"): b"one", (0, "t-0-2"): b"two"}
    checking.same(told, dict(told))
    for seen in ({(0, "t-0-1"): b"one"}, told | {(0, "t-0-2"): b"other"}):
        with pytest.raises(AssertionError, match="found 1 of 2 missing or different"):
            checking.same(told, seen)


def test_a_baseline_with_other_scores_fails_the_bench() -> None:
    told = {"t1": {"churn": 0.1}, "t2": {"churn": 0.2}}
    baselines.same(told, dict(told))
    with pytest.raises(AssertionError, match="found 1 of 2 different"):
        baselines.same(told, told | {"t2": {"churn": 0.3}})
    with pytest.raises(AssertionError, match="to compare, found 0"):
        baselines.same(told, {})


def test_a_ratio_to_a_baseline_that_was_held_back_is_void() -> None:
    ours, limit = Sample("drain", 100_000.0, "events/s"), Sample(NAME, 200_000.0, "events/s")
    good, bad = (Sample(baselines.name_of("engineer"), rate, "events/s") for rate in (2_000.0, 1_000.0))
    assert [sample.value for sample in ratios([ours, limit, good])[0]] == [0.5, 50.0]
    found, notes = ratios([ours, limit, bad])
    assert [sample.value for sample in found] == [0.5]
    assert notes[0].startswith("void")


def test_the_reader_finds_the_record_of_a_score_and_of_an_alert() -> None:
    assert place_of(b'{"score_id":"my-topic-3-41","kind":"transaction"') == (3, 41)
    assert place_of(b'{"alert_id":"my-topic-3-41-rule","score_id":"my-topic-3-41",') == (3, 41)
