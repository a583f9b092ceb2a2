"""No customer stands on two sides; no training label looks behind the cut in time."""

from dataclasses import replace
from datetime import date

import msgspec
import numpy as np
import pytest

from schemas.spec import Spec
from tests.logs import at
from training.labels import label
from training.log import Log
from training.prepare import Prepared
from training.rows import BETWEEN, horizon_ms
from training.samples import Samples, draw
from training.split import FOLDS, SHARES, Split, sides, split, split_fold

PARTS = ("train", "validation", "calibration", "test")


def masks(parts: Split) -> list[np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    return [getattr(parts, name) for name in PARTS]


@pytest.fixture
def samples(tiny_prepared: Prepared) -> Samples:
    return tiny_prepared.samples


@pytest.mark.parametrize("how", ["customer", "time"])
def test_each_label_serves_at_most_one_purpose(tiny_prepared: Prepared, how: str) -> None:
    parts = split(tiny_prepared.samples, tiny_prepared.log, tiny_prepared.spec, how, 1)  # type: ignore[arg-type]

    total = np.sum([mask.astype(int) for mask in masks(parts)], axis=0)

    assert total.max() == 1
    assert not (total.astype(bool) & ~tiny_prepared.samples.labels.known).any()


def test_by_customer_every_label_is_used_and_no_customer_stands_on_two_sides(tiny_prepared: Prepared) -> None:
    samples = tiny_prepared.samples

    parts = split(samples, tiny_prepared.log, tiny_prepared.spec, "customer", 1)

    assert np.array_equal(np.any(masks(parts), axis=0), samples.labels.known)
    customers = [set(samples.rows.customer[mask.any(axis=1)].tolist()) for mask in masks(parts)]
    assert sum(map(len, customers)) == len(set.union(*customers))


@pytest.mark.parametrize("how", ["customer", "time", "fold"])
def test_rows_between_the_cuts_are_only_learned_from(tiny_prepared: Prepared, how: str) -> None:
    options = msgspec.structs.replace(tiny_prepared.spec.training, learn_every="4d")
    spec, log = msgspec.structs.replace(tiny_prepared.spec, training=options), tiny_prepared.log
    samples = draw(log, spec, 1)
    between = samples.rows.kind == BETWEEN
    if how == "fold":
        parts = split_fold(samples, log, 0, 1, np.zeros(len(log.customers), np.bool_))
    else:
        parts = split(samples, log, spec, how, 1)  # type: ignore[arg-type]

    used = {
        name: (int(mask[between].sum()), int(mask[~between].sum()))
        for name, mask in zip(PARTS, masks(parts), strict=True)
    }

    assert used["train"][0] > 0
    assert [used[name][0] for name in PARTS[1:]] == [0, 0, 0]
    assert all(other > 0 for _, other in used.values())
    trained, tested = (set(samples.rows.customer[mask.any(axis=1)].tolist()) for mask in (parts.train, parts.test))
    assert how == "time" or not trained & tested
    if parts.cut_ms is not None:
        assert samples.labels.settled_ms[parts.train].max() <= parts.cut_ms


def test_customers_of_one_group_stand_on_one_side(tiny_prepared: Prepared) -> None:
    log = tiny_prepared.log
    pairs = replace(log, groups=np.array([f"g{number // 2}" for number in range(len(log.customers))], object))

    side = sides(pairs, 1)

    assert np.array_equal(side[0::2], side[1::2])
    assert len(set(side.tolist())) == 4


def test_sides_have_their_shares_and_depend_on_the_seed(tiny_prepared: Prepared) -> None:
    many = np.array([f"c{number}" for number in range(20_000)], object)
    log = replace(tiny_prepared.log, groups=many)

    first, again, other = sides(log, 1), sides(log, 1), sides(log, 2)

    assert np.bincount(first) / len(many) == pytest.approx(list(SHARES.values()), abs=0.01)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_customers_side_does_not_depend_on_who_else_is_there(tiny_prepared: Prepared) -> None:
    log: Log = tiny_prepared.log

    assert sides(replace(log, groups=log.groups[5:9]), 1).tolist() == sides(log, 1)[5:9].tolist()


def test_by_time_test_rows_lie_behind_a_cut_that_no_other_horizon_reaches(tiny_prepared: Prepared) -> None:
    samples, spec = tiny_prepared.samples, tiny_prepared.spec

    parts = split(samples, tiny_prepared.log, spec, "time", 1)

    assert parts.cut_ms is not None
    assert parts.test.any()
    assert (samples.rows.time_ms[parts.test.any(axis=1)] >= parts.cut_ms).all()
    for index, task in enumerate(spec.tasks):
        for mask in (parts.train, parts.validation, parts.calibration):
            assert (samples.rows.time_ms[mask[:, index]] + horizon_ms(task) <= parts.cut_ms).all()


def with_options(spec: Spec, **options: object) -> Spec:
    return msgspec.structs.replace(spec, training=msgspec.structs.replace(spec.training, **options))


def test_by_time_the_cut_is_the_local_midnight_that_the_spec_names(tiny_prepared: Prepared) -> None:
    spec = with_options(tiny_prepared.spec, test_from=date(2024, 3, 1))
    east = msgspec.structs.replace(spec, utc_offset_minutes=90)

    cuts = [split(tiny_prepared.samples, tiny_prepared.log, one, "time", 1).cut_ms for one in (spec, east)]

    assert cuts == [at(60), at(60) - 90 * 60_000]


def told_at_once(prepared: Prepared) -> tuple[Samples, Spec]:
    """Return the samples labelled anew, with each next type settled when it is told."""
    tasks = [msgspec.structs.replace(prepared.spec.task("next"), settled="when_told")]
    spec = msgspec.structs.replace(prepared.spec, tasks=tuple(tasks))
    samples, everyone = prepared.samples, np.ones((len(prepared.samples), 1), np.bool_)
    return replace(samples, labels=label(prepared.log, spec, samples.rows, everyone), eligible=everyone), spec


def test_by_time_a_label_that_was_told_before_the_cut_is_trained_on_and_one_told_later_is_not(
    tiny_prepared: Prepared,
) -> None:
    samples, spec = told_at_once(tiny_prepared)
    spec = with_options(spec, test_from=date(2024, 3, 1))

    parts = split(samples, tiny_prepared.log, spec, "time", 1)

    early = np.any([parts.train, parts.validation, parts.calibration], axis=0)
    told_ms, log = samples.labels.settled_ms[:, 0], tiny_prepared.log
    following = [
        min(time for time in times_of(log, who) if time > when)
        for who, when in zip(samples.rows.customer[early[:, 0]], samples.rows.time_ms[early[:, 0]], strict=True)
    ]
    assert len(following) > 300
    assert max(following) < at(60)
    assert (samples.rows.time_ms[early[:, 0]] + horizon_ms(spec.tasks[0])).max() > at(60)
    assert np.array_equal(early[:, 0], samples.labels.known[:, 0] & (told_ms <= at(60)))
    assert np.array_equal(parts.test[:, 0], samples.labels.known[:, 0] & (samples.rows.time_ms >= at(60)))


def times_of(log: Log, customer: int) -> list[int]:
    """Return the times of a customer's own transactions (the fee, the fourth type, is the bank's)."""
    mine = (log.transactions.customer == customer) & (log.transactions.kind != 3)
    return [int(time) for time in log.transactions.time_ms[mine]]


def test_each_customer_is_in_the_test_rows_of_one_fold_and_strata_are_spread_evenly(tiny_prepared: Prepared) -> None:
    samples, log = tiny_prepared.samples, tiny_prepared.log
    strata = np.arange(len(log.customers)) % 4 == 0
    folds = [split_fold(samples, log, fold, 1, strata) for fold in range(FOLDS)]

    assert np.array_equal(np.sum([parts.test for parts in folds], axis=0), samples.labels.known)
    for parts in folds:
        assert np.array_equal(np.any(masks(parts), axis=0), samples.labels.known)
        customers = [set(samples.rows.customer[mask.any(axis=1)].tolist()) for mask in masks(parts)]
        assert sum(map(len, customers)) == len(set.union(*customers))
    counted = [strata[np.unique(samples.rows.customer[parts.test.any(axis=1)])].sum() for parts in folds]
    assert max(counted) - min(counted) <= 1 + strata[np.setdiff1d(np.arange(len(strata)), samples.rows.customer)].sum()


def test_customers_of_one_group_are_in_one_fold(tiny_prepared: Prepared) -> None:
    samples, log = tiny_prepared.samples, tiny_prepared.log
    pairs = replace(log, groups=np.array([f"g{number // 2}" for number in range(len(log.customers))], object))
    strata = np.zeros(len(log.customers), np.bool_)

    fold = np.full(len(log.customers), -1)
    for number in range(FOLDS):
        fold[samples.rows.customer[split_fold(samples, pairs, number, 1, strata).test.any(axis=1)]] = number

    both = (fold[0::2] >= 0) & (fold[1::2] >= 0)
    assert both.any()
    assert np.array_equal(fold[0::2][both], fold[1::2][both])
