"""The kernel computes what the definitions say, for any log that is accepted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.accepted import LARGEST_AMOUNT
from stream_app.kernel import kernel
from stream_app.kernel.rolling import Rolling
from tests.properties.comparison import VERDICTS, Comparison
from tests.properties.kernel_cases import CUSTOMERS, OFFSETS, encode, habits, logs, rolling, run, seeded_log
from tests.properties.reference import DAY_MS, HOUR_MS, Customer, Item, Value

SMALLEST_NORMAL: Final = float(np.finfo(np.float32).tiny)
START: Final = 1_600_000_000_000  # 2020-09-13T12:26:40Z
NEW_YEAR: Final = 1_704_067_200_000  # 2024-01-01T00:00:00Z

calm = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def sound(values: NDArray[np.float32]) -> bool:
    """Return whether all numbers are finite and none is denormal."""
    size = np.abs(values)
    return bool(np.isfinite(values).all() and not ((size > 0) & (size < SMALLEST_NORMAL)).any())


def follow(features: Rolling, items: Sequence[Item]) -> None:
    """Take items one by one and assert after each that row, verdict and features are what the definitions say."""
    layout = features.layout
    comparison, state = Comparison(layout), features.empty(CUSTOMERS)
    customers = [Customer(layout.spec) for _ in range(CUSTOMERS)]
    for item in items:
        before = state.copy()
        verdict, wanted = customers[item.customer].step(item)
        out, found = features.step(state, encode(layout, [item]))
        assert found[0] == VERDICTS[verdict], item
        assert sound(state), item
        others = np.arange(CUSTOMERS) != item.customer
        assert state[others].tobytes() == before[others].tobytes(), "another customer's row changed"
        if verdict == "duplicate" or item.op == "tick":
            assert state.tobytes() == before.tobytes(), item
        if item.op == "forget":
            assert not state[item.customer].any()
        if verdict == "scored":
            assert sound(out[0]), item
            assert comparison.differences(wanted, out[0], customers[item.customer]) == [], item


def transactions(times: Sequence[int], **same: Any) -> list[Item]:  # noqa: ANN401  (the fields of an item)
    """Return transactions of one customer at these times after START, with ids of their own."""
    values = {"kind": 0, "amount": -20.0} | same
    return [Item("transaction", 0, START + time, transaction=n, **values) for n, time in enumerate(times, 1)]


def at_the_end(features: Rolling, items: Sequence[Item]) -> dict[str, float]:
    """Return the features of the last item by name."""
    row = run(features, items).features[-1]
    return {name: float(row[column]) for name, column in features.layout.column.items()}


@calm
@given(st.data(), st.sampled_from(OFFSETS))
def test_features_of_a_small_spec_follow_their_definitions(data: st.DataObject, offset: int) -> None:
    features = rolling("small", offset)
    follow(features, data.draw(logs(features, 60)))


@settings(calm, max_examples=calm.max_examples // 3)
@given(st.data(), st.sampled_from(OFFSETS))
def test_features_of_the_bank_follow_their_definitions(data: st.DataObject, offset: int) -> None:
    features = rolling("bank", offset)
    follow(features, data.draw(logs(features, 40)))


@settings(calm, max_examples=calm.max_examples // 3)
@given(st.data(), st.sampled_from(OFFSETS))
def test_features_of_what_recurs_follow_their_definitions(data: st.DataObject, offset: int) -> None:
    features = rolling("recurring", offset)
    follow(features, data.draw(logs(features, 40)))


@pytest.mark.parametrize(("offset", "seed"), [(0, 0), (330, 1), (-480, 2), (0, 3)])
def test_features_of_habits_follow_their_definitions(offset: int, seed: int) -> None:
    follow(rolling("recurring", offset), habits(120, seed))


@pytest.mark.parametrize(("name", "offset", "size"), [("small", -480, 600), ("bank", 330, 400), ("recurring", 0, 200)])
def test_features_of_busy_customers_follow_their_definitions(name: str, offset: int, size: int) -> None:
    features = rolling(name, offset)
    follow(features, seeded_log(features, size, seed=1))


def test_a_hot_customer_is_followed_through_a_thousand_events_within_minutes() -> None:
    features = rolling("small")
    items = transactions([n * 137 for n in range(1000)], amount=-19.99)
    customer = Customer(features.layout.spec)
    for item in items:
        customer.take(item)
    row = run(features, items).features[-1]
    assert Comparison(features.layout).differences(customer.features(items[-1]), row, customer) == []


def test_sums_of_the_largest_amounts_keep_their_precision() -> None:
    features = rolling("small")
    items = transactions([n * HOUR_MS // 3 for n in range(60)], amount=-LARGEST_AMOUNT)
    found = at_the_end(features, items)
    assert found["out_3h"] == pytest.approx(7e12, rel=1e-6)
    assert found["out_24h"] == pytest.approx(60e12, rel=1e-6)
    assert found["out_30d"] == pytest.approx(60e12, rel=1e-6)
    assert found["amount_mean"] == pytest.approx(1e12, rel=1e-6)
    assert found["max_30d"] == np.float32(1e12)


def test_what_the_bank_does_never_resets_the_customers_silence() -> None:
    features = rolling("small")
    found = at_the_end(features, [*transactions([0]), *transactions([48 * HOUR_MS, 72 * HOUR_MS], kind=1)[1:]])
    assert (found["silence_h"], found["own_silence_h"]) == (0, 72)
    assert (found["count"], found["own_count"]) == (2, 1)
    assert found["since_h:fee"] == 0
    assert found["due_first=fee"] == 0


def of_types(*days: tuple[int, int]) -> list[Item]:
    """Return transactions of one customer, each of a day of 2024 (1 is New Year) and a type of ``recurring``."""
    return [
        Item("transaction", 0, NEW_YEAR + (day - 1) * DAY_MS, kind, -20.0, transaction=n)
        for n, (day, kind) in enumerate(days, 1)
    ]


def due(features: dict[str, float], name: str, source: str) -> tuple[float, float]:
    """Return the days to a type and how many of them lie after the first type that is due."""
    return features[f"due_d:{name}~{source}"], features[f"due_after_d:{name}~{source}"]


def test_of_two_standing_orders_of_a_type_the_earlier_is_due_first() -> None:
    found = at_the_end(rolling("recurring"), of_types((5, 0), (10, 2), (20, 0), (36, 0)))  # on 5 February
    assert due(found, "rent", "month") == (15, 10)
    assert due(found, "pay", "month") == (5, 0)
    assert due(found, "other", "month") == (45, 45)
    assert found["due_first_d~month"] == 5
    assert found["due_d:rent"] == 29, "what only knows the last rent expects it on 5 March"


def test_what_came_on_the_31st_is_due_on_the_last_day_of_a_shorter_month_and_on_none_after_the_next() -> None:
    features = rolling("recurring")
    tick = Item("tick", 0, NEW_YEAR + 31 * DAY_MS)  # 1 February 2024
    found = at_the_end(features, [*of_types((31, 0)), tick])
    assert due(found, "rent", "month") == (28, 0)
    assert due(found, "rent", "31d") == (30, 0)
    found = at_the_end(features, [*of_types((31, 0)), replace(tick, time=NEW_YEAR + 60 * DAY_MS)])
    assert due(found, "rent", "month") == (45, 45)
    assert due(found, "rent", "31d") == (1, 0)


def test_two_of_three_times_need_two_and_three_of_three_all() -> None:
    features = rolling("recurring")
    found = at_the_end(features, of_types((1, 0), (8, 0), (9, 2), (15, 0), (16, 2)))
    assert due(found, "pay", "7d") == (7, 1)
    assert due(found, "pay", "7d_2of3") == (7, 1)
    assert due(found, "pay", "7d_3of3") == (45, 45)
    assert due(found, "rent", "7d_3of3") == (6, 0)


def test_a_late_event_is_remembered_where_its_day_is_and_never_taken_for_another() -> None:
    features = rolling("recurring")
    found = at_the_end(features, of_types((120, 2), (28, 0), (59, 0), (90, 0)))
    assert due(found, "rent", "31d_3of3") == (1, 0)
    found = at_the_end(features, of_types((120, 2), (120 - 96, 0)))
    assert [found[f"due_d:rent~{period}"] for period in ("month", "7d", "31d")] == [45, 45, 45]


def test_days_of_types_are_empty_after_a_long_silence() -> None:
    features = rolling("recurring")
    for days in (96, 97, 400):
        found = at_the_end(features, [*of_types((1, 0)), Item("tick", 0, NEW_YEAR + days * DAY_MS)])
        assert {value for name, value in found.items() if name.startswith("due_") and "~" in name} == {45.0}


def test_four_hundred_days_of_silence_empty_the_windows_and_keep_the_ages() -> None:
    features = rolling("small")
    tick = Item("tick", 0, START + 400 * DAY_MS)
    found = at_the_end(features, [*transactions([0, HOUR_MS]), tick])
    assert found["count_30d"] == found["out_24h"] == found["max_30d"] == 0
    assert found["own_silence_h"] == 400 * 24 - 1
    assert found["count"] == 2
    assert found["due_d:pay"] == 45
    assert found["out~0.5d"] == 0


def test_a_late_event_counts_in_its_tile_while_the_window_holds_it() -> None:
    features = rolling("small")
    found = at_the_end(features, transactions([100 * DAY_MS, 100 * DAY_MS - 2 * HOUR_MS, 69 * DAY_MS]))
    assert (found["count_1h"], found["count_3h"], found["count_30d"], found["count"]) == (1, 2, 2, 3)
    assert found["late_h"] == 31 * 24
    assert found["tenure_h"] == 31 * 24
    assert found["silence_h"] == 0


def test_a_customer_who_never_did_anything_can_be_read_once_registered() -> None:
    features = rolling("small")
    record = Item("customer", 0, START, attributes={"income": 10.0, "level": "high"})
    found = at_the_end(features, [record, Item("tick", 0, START + 5 * HOUR_MS)])
    assert found["silence_h"] == found["own_silence_h"] == found["tenure_h"] == found["last1_h"] == 87_600
    assert (found["registered_h"], found["income"], found["level=high"], found["count"]) == (5, 10, 1, 0)


def test_attributes_keep_what_is_unchanged_and_lose_what_becomes_unknown() -> None:
    features = rolling("small")
    told: dict[str, Value] = {"income": 10.0, "level": "high", "score": 7.0}
    found = at_the_end(
        features, [Item("customer", 0, START, attributes=told), Item("customer", 0, START, attributes={"income": None})]
    )
    assert (found["income"], found["income_known"]) == (0, 0)
    assert (found["score"], found["score_known"], found["level=high"]) == (7, 1, 1)


def test_the_eighth_last_id_is_remembered_and_the_ninth_last_is_not() -> None:
    features = rolling("small")
    items = transactions(range(9))
    again = [replace(items[0], time=START + 10), replace(items[1], time=START + 10)]
    assert run(features, [*items, again[1]]).verdict[-1] == kernel.DUPLICATE
    assert run(features, [*items, again[0]]).verdict[-1] == kernel.SCORED


def test_ids_that_share_half_of_their_hash_are_different() -> None:
    features = rolling("small")
    items = encode(features.layout, transactions([0, 0, 0, 0]))
    items = items._replace(id_hash=np.array([[1, 2], [1, 3], [0, 2], [1, 2]], np.int64))
    scored = [kernel.SCORED] * 3
    assert features.step(features.empty(1), items)[1].tolist() == [*scored, kernel.DUPLICATE]


def test_a_tick_on_an_empty_row_gives_nothing() -> None:
    features = rolling("small")
    tick = Item("tick", 0, START + 1)
    forget = Item("forget", 0, START)
    assert run(features, [tick, *transactions([0]), forget, tick]).verdict.tolist() == [
        kernel.NOTHING, kernel.SCORED, kernel.NOTHING, kernel.NOTHING,
    ]  # fmt: skip


def test_a_customer_record_is_scored_only_where_the_spec_says_so() -> None:
    record = Item("customer", 0, START)
    assert run(rolling("small"), [record]).verdict.tolist() == [kernel.SCORED]
    assert run(rolling("bank"), [record]).verdict.tolist() == [kernel.NOTHING]


def test_what_is_not_scored_leaves_its_feature_row_alone() -> None:
    features = rolling("small")
    items = [*transactions([0]), *transactions([1]), Item("forget", 0, START), Item("tick", 0, START)]
    out = np.full((4, features.layout.feature_width), 7, np.float32)
    verdict = np.empty(4, np.int64)
    kernel.step(features.empty(1), encode(features.layout, items), features.plan, out, verdict)
    assert verdict.tolist() == [kernel.SCORED, kernel.DUPLICATE, kernel.NOTHING, kernel.NOTHING]
    assert (out[1:] == 7).all()


@pytest.mark.parametrize(
    ("times", "amounts"),
    [
        pytest.param([0, 5 * HOUR_MS] + [6 * HOUR_MS] * 6000, [-20.0], id="thousands of gaps of 0"),
        pytest.param(range(0, 10_000 * HOUR_MS, HOUR_MS), [-20.0] + [0.0] * 9999, id="thousands of amounts of 0"),
        pytest.param(range(0, 3000 * DAY_MS, DAY_MS), [1e12, -1e-19, 5e-324, -1e-38, 1e-21], id="smallest amounts"),
    ],
)
def test_no_long_log_leaves_a_denormal_in_the_row(times: Sequence[int], amounts: Sequence[float]) -> None:
    features = rolling("small")
    items = [
        replace(item, amount=amounts[n % len(amounts)], balance=amounts[n % len(amounts)] / 10)
        for n, item in enumerate(transactions(times))
    ]
    result = run(features, items)
    assert sound(result.state)
    assert sound(result.features)


def test_the_smallest_decay_constant_forgets_within_a_day() -> None:
    features = Rolling.of(msgspec.structs.replace(rolling("small").layout.spec, decay_days=(0.05, 1.0)))
    found = at_the_end(features, transactions([0, 24 * HOUR_MS]))
    assert found["count:pay~0.05d"] == pytest.approx(1, rel=1e-6)


def test_decay_is_the_exponential_function() -> None:
    x = np.concatenate([np.linspace(0, 43.6, 5001), np.logspace(-12, 1, 501)])
    found = np.array([kernel.decay(value) for value in x])
    np.testing.assert_allclose(found, np.exp(-x), rtol=1e-13)
    assert [kernel.decay(value) for value in (0.0, 45.0, 1e6, 1e300, np.inf)] == [1, 0, 0, 0, 0]
