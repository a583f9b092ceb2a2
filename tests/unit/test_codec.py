"""Bytes to messages and back: what is read, and which reason each refusal names."""

import json
import sys
from typing import Any

import pytest

from schemas import codec
from schemas.accepted import Reason
from schemas.messages import Activate, Customer, Forget, Tick, Transaction
from tests.chunks import NOON, as_value, customer, tick, transaction


def refused(record: object) -> tuple[Reason, str]:
    message = codec.decode(as_value(record) or b"")
    assert isinstance(message, tuple)
    return message


def test_a_record_without_kind_is_a_transaction() -> None:
    message = codec.decode(as_value(transaction(balance=3)) or b"")
    assert message == Transaction(
        transaction_id="t-1", customer_id="c", time=NOON, amount=-12.5, type="groceries", balance=3.0
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (transaction(kind="transaction"), Transaction),
        (customer(), Customer),
        (tick(5), Tick),
        ({"kind": "activate", "bundle": "0" * 64}, Activate),
        ({"kind": "forget", "customer_id": "c"}, Forget),
    ],
)
def test_each_kind_is_read(record: object, kind: type) -> None:
    assert type(codec.decode(as_value(record) or b"")) is kind


def test_unknown_fields_are_ignored() -> None:
    assert codec.decode(as_value(transaction(colour=[1, {"a": None}])) or b"") == codec.decode(
        as_value(transaction()) or b""
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00",
        b"null",
        b"[]",
        b'"text"',
        b"1",
        b"{",
        b"{} {}",
        b"\xef\xbb\xbf{}",
        b'{"customer_id":"\xff"}',
        b'{"transaction_id":"\\ud800","customer_id":"c","time":1700000000000,"amount":1,"type":"cash"}',
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": -Infinity}',
        b'{"amount": 1e999}',
        b'{"amount": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_object_is_malformed(value: bytes) -> None:
    assert refused(value)[0] == Reason.MALFORMED


@pytest.mark.parametrize("field", [b'"unheard":"\xff"', b'"unheard\xc3":1', b'"product_id":"\xed\xa0\x80"'])
@pytest.mark.parametrize("record", [transaction(), customer()], ids=["transaction", "customer"])
def test_bytes_that_are_no_text_are_refused_also_where_nobody_reads_them(record: dict[str, Any], field: bytes) -> None:
    value = (as_value(record) or b"")[:-1] + b"," + field + b"}"

    assert refused(value) == (Reason.MALFORMED, "expected text in UTF-8, found other bytes")


@pytest.mark.parametrize("name", ["Transaction", "", "transactions", None, 1, ["tick"], {}])
def test_an_unknown_kind_is_refused_and_told(name: object) -> None:
    reason, detail = refused({"kind": name})
    assert reason == Reason.KIND
    assert detail.startswith("expected one of the kinds transaction, customer, tick, activate, forget, found ")


def test_a_long_kind_is_cut_in_the_detail() -> None:
    assert len(refused({"kind": "x" * 10_000})[1]) < 200


@pytest.mark.parametrize(
    "record",
    [
        transaction(amount=...),
        transaction(amount="1"),
        transaction(amount=None),
        transaction(amount=True),
        transaction(time=1.5),
        transaction(time=True),
        transaction(time="yesterday"),
        transaction(type=1),
        transaction(customer_id=7),
        transaction(currency=1),
        transaction(balance="1"),
        customer(time=...) | {"time": "x"},
        customer(income="much"),
        {"kind": "customer"},
        {"kind": "forget"},
        {"kind": "tick", "time": NOON},
        tick(-1),
        tick(1024),
        {"kind": "activate", "bundle": "abc"},
        {"kind": "activate"},
    ],
)
def test_a_field_that_is_missing_or_of_a_wrong_type_is_told(record: object) -> None:
    reason, detail = refused(record)
    assert reason == Reason.SCHEMA
    assert "`" in detail


@pytest.mark.parametrize("field", ["transaction_id", "customer_id"])
@pytest.mark.parametrize("value", ["", "x" * 257])
def test_an_id_of_a_wrong_length_is_refused_as_an_id(field: str, value: str) -> None:
    reason, detail = refused(transaction(**{field: value}))
    assert reason == Reason.ID
    assert field in detail


def nested(levels: int) -> bytes:
    """Write a transaction whose unknown field nests ``levels`` in all."""
    inner = "[" * (levels - 1) + "]" * (levels - 1)
    pad = "x" * 600
    return (json.dumps(transaction(pad=pad))[:-1] + f', "z": {inner}}}').encode()


def test_a_record_may_nest_64_levels_and_no_more() -> None:
    assert isinstance(codec.decode(nested(codec.DEEPEST)), Transaction)
    assert refused(nested(codec.DEEPEST + 1))[0] == Reason.MALFORMED


@pytest.mark.parametrize("value", [b'{"a":' * 100_000, b"[" * 100_000, nested(50_000), b'{"kind":' + b"[" * 990 + b"}"])
def test_no_depth_reaches_the_end_of_the_stack(value: bytes) -> None:
    assert refused(value)[0] == Reason.MALFORMED


def test_brackets_inside_texts_are_no_depth() -> None:
    assert isinstance(codec.decode(as_value(transaction(note='[{"\\' * 200)) or b""), Transaction)


def test_a_text_that_never_ends_is_refused_in_no_time() -> None:
    assert refused(b'{"a":' + b"[" * 65 + b'"' + b'\\"' * 500_000)[0] == Reason.MALFORMED


def test_what_is_accepted_does_not_depend_on_the_depth_of_the_callers_stack() -> None:
    def under(frames: int, value: bytes) -> object:
        return under(frames - 1, value) if frames else codec.decode(value)

    frames = sys.getrecursionlimit() // 2
    for levels in (codec.DEEPEST, codec.DEEPEST + 1):
        assert under(frames, nested(levels)) == codec.decode(nested(levels))


@pytest.mark.parametrize("record", [transaction(currency="USD"), customer(age=3, name="Zoë"), tick(3)])
def test_a_message_survives_writing_and_reading(record: object) -> None:
    message = codec.decode(as_value(record) or b"")
    assert codec.decode(codec.encode(message)) == message


def test_facts_hold_what_only_the_spec_knows() -> None:
    assert codec.facts(as_value(customer(has_loan="yes")) or b"")["has_loan"] == "yes"
