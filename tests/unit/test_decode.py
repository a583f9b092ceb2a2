"""Records to batches: what is taken, every refusal with its reason, and that nothing in a record ever raises."""

import json
from collections import Counter
from itertools import chain, pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import spec_file
from schemas.accepted import EARLIEST_MS, LATEST_MS, MOST_AHEAD_MS, Reason
from schemas.messages import Activate, Tick
from schemas.spec import Attribute
from stream_app.kernel import kernel
from stream_app.steps.decode import Vocabulary, decode
from stream_app.steps.ids import id_hashes
from stream_app.steps.stages import Batch, Chunk, Control, Decoded
from tests.chunks import NOON, as_value, chunk, customer, tick, transaction

BANK = Vocabulary(spec_file.bank())
FORGET = {"kind": "forget", "customer_id": "c"}
DEPENDENTS = Attribute("dependents", "number", at_least=1, at_most=20)
WIDER = Vocabulary(msgspec.structs.replace(BANK.spec, attributes=(*BANK.spec.attributes, DEPENDENTS)))


def decoded(*records: object, vocabulary: Vocabulary = BANK, **how: Any) -> Decoded:  # noqa: ANN401  (passed on)
    return decode(chunk(*records, **how), vocabulary)


def reasons(*records: object, **how: Any) -> list[Reason]:  # noqa: ANN401  (passed on)
    return [rejection.reason for rejection in decoded(*records, **how).rejections]


def batch(*records: object, **how: Any) -> Batch:  # noqa: ANN401  (passed on)
    result = decoded(*records, **how)
    assert not result.rejections
    [part] = result.parts
    assert isinstance(part, Batch)
    return part


def test_a_transaction_becomes_an_item() -> None:
    item = batch(transaction(balance=7, counterparty="x"))
    assert item.op.tolist() == [kernel.TRANSACTION]
    assert (item.customers.listed(), item.transaction_ids.listed()) == ([b"c"], [b"t-1"])
    assert (item.time_ms.tolist(), item.amount.tolist(), item.balance.tolist()) == ([NOON], [-12.5], [7.0])
    assert item.kind.tolist() == [BANK.spec.type_code["groceries"]]


def test_an_unknown_balance_is_nan() -> None:
    assert np.isnan(batch(transaction(), transaction(balance=None)).balance).all()


def test_kinds_may_be_mixed_and_keep_the_order_of_the_log() -> None:
    item = batch(customer(age=40), transaction(), FORGET, None, customer(gender="male"), keys=[b"c"] * 5)
    assert item.op.tolist() == [1, 0, 2, 2, 1]
    assert item.record.tolist() == [0, 1, 2, 3, 4]
    assert item.transaction_ids.words() == [b"", b"t-1", b"", b"", b""]
    assert item.attributes[:, 0].tolist() == [40.0, kernel.UNCHANGED]
    assert item.attributes[:, 1].tolist() == [kernel.UNCHANGED, 1.0]


def test_null_makes_an_attribute_unknown_and_absence_leaves_it() -> None:
    assert batch(customer(income=None, age=3)).attributes[0].tolist()[:3] == [3.0, kernel.UNCHANGED, kernel.UNKNOWN]


def test_controls_cut_the_chunk() -> None:
    activate = {"kind": "activate", "bundle": "0" * 64}
    parts = decoded(transaction(), tick(3), tick(4), transaction(transaction_id="t-2"), activate).parts
    assert [type(part) for part in parts] == [Batch, Control, Control, Batch, Control]
    kinds = [(part.record, type(part.message)) for part in parts if isinstance(part, Control)]
    assert kinds == [(1, Tick), (2, Tick), (4, Activate)]


def test_an_empty_chunk_has_no_parts() -> None:
    assert decoded() == Decoded([], [], 0, 0)


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"amount": NaN}', b'{"amount": -Infinity}', b'{"a":' * 10_000],
)
def test_bytes_that_are_no_json_object_are_malformed(value: bytes) -> None:
    assert reasons(value) == [Reason.MALFORMED]


@pytest.mark.parametrize("time", [-(1 << 62), 1 - (1 << 62), 1 << 62, -(1 << 63), (1 << 63) - 1, 10**40])
def test_what_is_told_of_a_time_does_not_depend_on_its_neighbours(time: int) -> None:
    alone = decoded(transaction(time=time)).rejections
    beside = decoded(transaction(time=time), transaction(time=1 << 70), transaction(time="2023-11-14")).rejections

    assert [rejection.reason for rejection in alone] == [Reason.TIME]
    assert "without" not in alone[0].detail
    assert beside[0] == alone[0]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "1e999"])
@pytest.mark.parametrize("field", ["amount", "balance"])
def test_what_is_no_number_in_json_is_malformed(field: str, word: str) -> None:
    value = json.dumps(transaction(**{field: "@"})).replace('"@"', word).encode()
    assert reasons(value) == [Reason.MALFORMED]


def test_an_unknown_kind_is_refused() -> None:
    assert reasons(transaction(kind="payment")) == [Reason.KIND]


@pytest.mark.parametrize(
    "record",
    [transaction(**{field: ...}) for field in ("transaction_id", "customer_id", "time", "amount", "type")]
    + [transaction(amount="12"), transaction(type=None), customer(age="old"), tick(1024), {"kind": "forget"}],
)
def test_missing_and_wrong_fields_are_refused(record: object) -> None:
    assert reasons(record, keys=[b"c"]) == [Reason.SCHEMA]


@pytest.mark.parametrize("name", ["", "x" * 257, "é" * 129, "𝄞" * 65, "a\0b", "\0"])
@pytest.mark.parametrize("field", ["transaction_id", "customer_id"])
def test_ids_are_1_to_256_bytes_without_nul(field: str, name: str) -> None:
    assert reasons(transaction(**{field: name})) == [Reason.ID]


@pytest.mark.parametrize("name", ["x", "x" * 256, "é" * 128, "𝄞" * 64, "\x01", '"\\'])
@pytest.mark.parametrize("field", ["transaction_id", "customer_id"])
def test_other_ids_are_taken(field: str, name: str) -> None:
    item = batch(transaction(**{field: name}))
    assert name.encode() in (*item.customers, *item.transaction_ids)


@pytest.mark.parametrize("record", [customer(customer_id="a\0b"), FORGET | {"customer_id": "x" * 257}])
def test_ids_of_other_kinds_follow_the_same_rule(record: object) -> None:
    assert reasons(record) == [Reason.ID]


@pytest.mark.parametrize("key", [b"C", b"c ", b"", None, b"\xff"])
@pytest.mark.parametrize("record", [transaction(), customer(), FORGET])
def test_a_key_that_is_not_the_customers_id_is_refused(record: object, key: bytes | None) -> None:
    assert reasons(record, keys=[key]) == [Reason.KEY]


def test_ticks_and_activates_need_no_key() -> None:
    assert reasons(tick(1), {"kind": "activate", "bundle": "0" * 64}, keys=[None, b"x"]) == []


@pytest.mark.parametrize(
    ("key", "reason"),
    [(None, Reason.KEY), (b"", Reason.ID), (b"\xff", Reason.ID), (b"x" * 257, Reason.ID), (b"a\0b", Reason.ID)],
)
def test_a_tombstone_without_a_customer_is_refused(key: bytes | None, reason: Reason) -> None:
    assert reasons(None, keys=[key]) == [reason]


def test_a_tombstone_is_a_forget() -> None:
    item = batch(None, keys=["é".encode()])
    assert (item.op.tolist(), item.customers.words()) == ([kernel.FORGET], ["é".encode()])


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (NOON // 1000, "looks like seconds"),
        (EARLIEST_MS - 1, "looks like seconds"),
        (-1, "looks like seconds"),
        (0, "looks like seconds"),
        (NOON * 1000, "looks like microseconds"),
        (LATEST_MS, "looks like microseconds"),
        (10**17, "looks like microseconds"),
        (2**63, "looks like microseconds"),
        (10**40, "looks like microseconds"),
        (-(10**40), "looks like seconds"),
        ("1989-12-31T23:59:59.999Z", "looks like seconds"),
        ("1990-01-01T00:00:00+00:01", "looks like seconds"),
        ("2200-01-01T00:00:00Z", "looks like microseconds"),
        ("0001-01-01T00:00:00+23:59", "looks like seconds"),
        ("9999-12-31T23:59:59-23:59", "looks like microseconds"),
        ("2023-11-14T22:13:20", "without"),
    ],
)
@pytest.mark.parametrize("record", [transaction(), customer(), tick(1)])
def test_times_outside_1990_to_2200_or_without_offset_are_refused(
    record: dict[str, Any], time: object, words: str
) -> None:
    [rejection] = decoded(record | {"time": time}, keys=[b"c"]).rejections
    assert rejection.reason == Reason.TIME
    assert words in rejection.detail


def test_a_time_is_the_same_as_text_and_as_a_number() -> None:
    texts = ["2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20.000999Z", "2023-11-14t22:13:20z"]
    assert batch(*(transaction(time=text) for text in (*texts, NOON))).time_ms.tolist() == [NOON] * 5


@pytest.mark.parametrize("record", [transaction(), customer(), tick(1)])
@pytest.mark.parametrize("time", [EARLIEST_MS, LATEST_MS - 1])
def test_the_first_and_last_accepted_times_are_taken(record: dict[str, Any], time: int) -> None:
    assert reasons(record | {"time": time}, keys=[b"c"]) == []


@pytest.mark.parametrize("record", [transaction(), customer(), tick(1)])
def test_event_time_may_be_a_day_ahead_of_the_records_time_and_no_more(record: dict[str, Any]) -> None:
    late = NOON - MOST_AHEAD_MS
    times = [late, late - 1, 2**63 - 1]
    found = decoded(record, record, record, keys=[b"c"] * 3, record_times=times).rejections
    assert [(item.record, item.reason) for item in found] == [(1, Reason.TIME)]


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(1e12, None), (-1e12, "EUR"), (1e12 / 0.92, "USD"), (0, None), (-0.0, "USD"), (5e-324, "USD")],
)
def test_amounts_within_the_bound_are_taken(amount: float, currency: str | None) -> None:
    assert reasons(transaction(amount=amount, balance=amount, currency=currency)) == []


@pytest.mark.parametrize(
    ("amount", "currency"),
    [(1.000001e12, None), (-1.000001e12, "EUR"), (1e12, "GBP"), (1.7e308, "GBP"), (-1.7e308, "GBP"), (10**300, None)],
)
@pytest.mark.parametrize("field", ["amount", "balance"])
def test_amounts_beyond_the_bound_are_refused_after_conversion(field: str, amount: float, currency: str | None) -> None:
    [rejection] = decoded(transaction(currency=currency, **{field: amount})).rejections
    assert rejection.reason == Reason.AMOUNT
    assert rejection.detail.startswith(f"expected {field} within 1e12")


def test_amount_and_balance_are_converted_by_the_specs_rates() -> None:
    item = batch(
        transaction(amount=-100, balance=50, currency="USD"), transaction(amount=-100), transaction(currency="EUR")
    )
    assert item.amount.tolist() == [-92.0, -100.0, -12.5]
    assert item.balance.tolist()[0] == 46.0


@pytest.mark.parametrize("currency", ["usd", "BTC", "", " "])
@pytest.mark.parametrize("others", [[], [transaction(currency="USD")], [transaction()]])
def test_an_unknown_currency_is_refused_whatever_stands_beside_it(currency: str, others: list[object]) -> None:
    assert reasons(transaction(currency=currency), *others) == [Reason.CURRENCY]


@pytest.mark.parametrize(
    "fields",
    [
        {"age": -1},
        {"age": 151},
        {"income": 1.1e12},
        {"credit_score": 1e300},
        {"has_loan": 1},
        {"has_loan": ["yes"]},
        {"has_loan": True},
        {"dependents": "two"},
        {"dependents": True},
        {"dependents": {}},
        {"dependents": 0},
        {"dependents": 10**400},
        {"dependents": -(10**400)},
    ],
)
def test_attributes_out_of_bounds_or_of_a_wrong_type_are_refused(fields: dict[str, Any]) -> None:
    [rejection] = decoded(customer(**fields), vocabulary=WIDER).rejections
    assert rejection.reason == Reason.ATTRIBUTE
    assert next(iter(fields)) in rejection.detail


@pytest.mark.parametrize(
    "fields", [{"age": 0}, {"age": 150}, {"income": 1e12}, {"dependents": 1}, {"dependents": 20.0}]
)
def test_attributes_at_their_bounds_are_taken(fields: dict[str, Any]) -> None:
    assert reasons(customer(**fields), vocabulary=WIDER) == []


def test_an_unknown_type_becomes_other_and_is_counted() -> None:
    result = decoded(transaction(type="payment"), transaction(type=""), transaction())
    [part] = result.parts
    assert isinstance(part, Batch)
    assert part.kind.tolist() == [BANK.other, BANK.other, BANK.spec.type_code["groceries"]]
    assert result.unknown_types == 2


def test_unknown_attributes_and_values_are_counted() -> None:
    result = decoded(customer(shoe_size=43, name="Zoë"), customer(gender="x", has_loan=None), customer(gender="male"))
    assert result.unknown_values == 2
    [part] = result.parts
    assert isinstance(part, Batch)
    assert part.attributes[1, 1] == kernel.UNKNOWN


def test_what_is_refused_is_not_counted_as_unknown() -> None:
    result = decoded(transaction(type="payment", amount=1e13), customer(shoe_size=43, age=-1))
    assert (result.unknown_types, result.unknown_values) == (0, 0)


def test_the_first_reason_that_holds_is_told() -> None:
    wrong = transaction(transaction_id="\0", time=1, amount=1e13, currency="x")
    assert reasons(wrong, keys=[b"x"]) == [Reason.ID]
    assert reasons(wrong | {"transaction_id": "t"}, keys=[b"x"]) == [Reason.KEY]
    assert reasons(wrong | {"transaction_id": "t"}) == [Reason.TIME]
    assert reasons(wrong | {"transaction_id": "t", "time": NOON}) == [Reason.CURRENCY]


def test_rejections_come_in_log_order() -> None:
    found = decoded(
        transaction(time=1), b"{", transaction(), tick(1, time=1), b"x", transaction(amount=1e13)
    ).rejections
    assert [rejection.record for rejection in found] == [0, 1, 3, 4, 5]


def test_id_hashes_are_two_numbers_that_float32_holds_and_never_both_zero() -> None:
    hashes = id_hashes([b"%d" % number for number in range(10_000)])
    assert hashes.min() >= 0
    assert hashes.max() < 1 << 24
    assert hashes.any(axis=1).all()
    assert len({tuple(pair) for pair in hashes.tolist()}) == 10_000
    assert id_hashes([b"a"]).tolist() == id_hashes([b"b", b"a"])[1:].tolist()


GOOD = (
    transaction(balance=1.5, currency="USD", time="2023-11-14T22:13:20.5+01:00"),
    transaction(type="payment", counterparty='é\u2028\\"', product_id=None),
    customer(age=40, income=1e5, gender="x", has_loan="yes", shoe_size=[1, {"a": 2}]),
    tick(1023),
    {"kind": "activate", "bundle": "0" * 64},
    FORGET,
)
VALUES = tuple(as_value(record) or b"" for record in GOOD)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Write one of the good records with some bytes replaced, removed, inserted or doubled."""
    value = bytearray(draw(st.sampled_from(VALUES)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(value)))
        cut = draw(st.integers(0, 4))
        value[at : at + cut] = draw(
            st.binary(max_size=4) | st.sampled_from([b"9" * 20, b'"', b"\\u0000", b"null", b"e9"])
        )
    return bytes(value)


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """Write one of the good records with some fields of other values."""
    record: dict[str, Any] = dict(draw(st.sampled_from(GOOD)))
    for name in draw(st.lists(st.sampled_from([*record, "kind", "extra", "currency", "balance"]), max_size=3)):
        record[name] = draw(JSON)
    return as_value(record) or b""


RECORDS = st.tuples(
    st.none() | mutated() | altered() | st.binary(max_size=40) | st.sampled_from(VALUES),
    st.sampled_from([b"c", b"c", b"c", None, b"", b"\xff", b"x" * 300]),
    st.sampled_from([-1, -1, NOON, 0, 2**63 - 1, -(2**63)]),
)


def pieces(whole: Chunk, cuts: list[int]) -> list[Chunk]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(whole.values)}), len(whole.values)]
    return [whole.slice(a, b) for a, b in pairwise(edges)]


def outcomes(result: Decoded) -> list[int]:
    taken = [part.record.tolist() if isinstance(part, Batch) else [part.record] for part in result.parts]
    return [*chain.from_iterable(taken), *(rejection.record for rejection in result.rejections)]


@given(st.lists(RECORDS, min_size=1, max_size=12))
def test_whatever_bytes_come_each_record_has_exactly_one_outcome(
    records: list[tuple[bytes | None, bytes | None, int]],
) -> None:
    values, keys, times = zip(*records, strict=True)
    whole = chunk(*values, keys=keys, record_times=times)
    assert Counter(outcomes(decode(whole, BANK))) == Counter(range(len(records)))


@given(st.lists(RECORDS, min_size=2, max_size=12), st.lists(st.integers(1, 11), max_size=5))
def test_the_outcome_of_a_record_does_not_depend_on_the_cut(
    records: list[tuple[bytes | None, bytes | None, int]], cuts: list[int]
) -> None:
    values, keys, times = zip(*records, strict=True)
    whole = chunk(*values, keys=keys, record_times=times)

    def told(chunks: list[Chunk]) -> tuple[object, ...]:
        refused, items, types, unknown = list[Any](), list[Any](), 0, 0
        for part in chunks:
            result = decode(part, BANK)
            refused += [(int(part.offsets[item.record]), *item[1:]) for item in result.rejections]
            types, unknown = types + result.unknown_types, unknown + result.unknown_values
            for found in result.parts:
                items += (
                    columns(found, part)
                    if isinstance(found, Batch)
                    else [(int(part.offsets[found.record]), found.message)]
                )
        return refused, items, types, unknown

    assert told([whole]) == told(pieces(whole, cuts))


def columns(found: Batch, part: Chunk) -> list[tuple[object, ...]]:
    facts = iter(found.attributes.tolist())
    return [
        (
            int(part.offsets[record]),
            op,
            found.customers[k],
            found.transaction_ids[k],
            int(found.time_ms[k]),
            int(found.kind[k]),
            found.amount[k].tobytes(),
            found.balance[k].tobytes(),
            found.id_hash[k].tolist(),
            next(facts) if op == kernel.CUSTOMER else None,
        )
        for k, (record, op) in enumerate(zip(found.record.tolist(), found.op.tolist(), strict=True))
    ]
