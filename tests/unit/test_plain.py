"""Plain transactions that are read in a compiled loop: what is found is what the slow way finds, bit for bit."""

import json
import random
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import spec_file
from schemas.accepted import EARLIEST_MS, LATEST_MS, MOST_AHEAD_MS, NO_RECORD_TIME
from stream_app.steps.decode import Vocabulary, decode
from stream_app.steps.ids import id_hashes
from stream_app.steps.plain import Columns, Scanner
from stream_app.steps.stages import Batch, Chunk, Control, Decoded
from tests.chunks import NOON
from tests.kit import every_kind

SPEC = spec_file.bank()
SCANNER = Scanner.of(SPEC)
PLAIN = {"transaction_id": "t-1", "customer_id": "c", "time": NOON, "amount": -12.5, "type": "salary"}
Pairs = list[tuple[bytes | None, bytes | None]]


def chunk(pairs: Pairs, record_time: int = NO_RECORD_TIME) -> Chunk:
    keys, values = ([pair[k] for pair in pairs] for k in (0, 1))
    n = len(pairs)
    return Chunk.of(("t", 0), np.arange(n), (keys, values), np.full(n, record_time, np.int64))


def slow(part: Chunk) -> Decoded:
    """Decode without the loop."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scanner, "columns", lambda _, part: Columns.room(len(part.values)))
        return decode(part, Vocabulary(SPEC))


def told(decoded: Decoded) -> list[Any]:
    """Return all that was decoded, each array with its type and bytes."""
    found: list[Any] = [decoded.rejections, decoded.unknown_types, decoded.unknown_values]
    for part in decoded.parts:
        if isinstance(part, Control):
            found.append(part)
            continue
        found += [_told(getattr(part, item.name)) for item in fields(Batch)]
    return found


def _told(column: Any) -> Any:  # noqa: ANN401  (an array or a list)
    return (column.dtype, column.shape, column.tobytes()) if isinstance(column, np.ndarray) else column


def taken(value: bytes, key: bytes = b"c", record_time: int = NO_RECORD_TIME) -> bool:
    """Return whether the loop takes a record, which must then be what the slow way finds."""
    part = chunk([(key, value)], record_time)
    assert told(decode(part, Vocabulary(SPEC))) == told(slow(part))
    return bool(SCANNER.columns(part).taken[0])


def written(**changes: Any) -> bytes:  # noqa: ANN401  (of any type)
    return json.dumps(PLAIN | changes).encode()


@pytest.mark.parametrize("seed", range(3))
def test_records_of_every_kind_are_found_as_the_slow_way_finds_them(seed: int) -> None:
    part = chunk(every_kind.records(600, seed=seed) + every_kind.mutated(600, seed=seed))
    assert told(decode(part, Vocabulary(SPEC))) == told(slow(part))
    assert 0.2 < SCANNER.columns(part).taken.mean() < 0.9


def test_the_comparison_would_notice_a_difference() -> None:
    part = chunk([(b"c", written())])
    other = chunk([(b"c", written(amount=-12.500001))])
    assert told(decode(part, Vocabulary(SPEC))) != told(slow(other))


@pytest.mark.parametrize(
    "value",
    [
        written(),
        written(kind="transaction", balance=1.0, currency=SPEC.currency, product_id="p", counterparty="x"),
        written(balance=None, currency=None, product_id=None, counterparty=None),
        b' \t{\r\n "transaction_id" :"t" , "customer_id":"c","time":' + b"%d" % NOON + b',"amount":-0,"type":"no"} \n',
        written(amount=999_999_999_999.125),
    ],
)
def test_a_plain_transaction_is_taken(value: bytes) -> None:
    assert taken(value)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"[" + written() + b"]",
        written() + b"x",
        written()[:-1],
        written()[:-1] + b",}",
        written()[:-1] + b',"amount":1}',
        written()[:-1] + b',"more":1}',
        written(kind="tick"),
        written(transaction_id=""),
        written(transaction_id="t" * 129),
        written(transaction_id='say "t"'),
        written(transaction_id="é"),
        written(transaction_id=None),
        written(transaction_id=5),
        written(customer_id="d"),
        written(time="2024-05-01T12:00:00Z"),
        written(time=float(NOON)),
        written(time=EARLIEST_MS - 1),
        written(time=LATEST_MS),
        written(time=-NOON),
        written(amount="1"),
        written(amount=None),
        written(amount=1e13),
        written(amount=1e-7),
        written(amount=0.1234567890123456),
        written(balance=-1e13),
        written(balance="1"),
        written(currency="ZZZ"),
        written(type=None),
        b'{"transaction_id":"t","customer_id":"c","time":' + b"%d" % NOON + b',"amount":01,"type":"fee"}',
        b'{"transaction_id":"t","customer_id":"c","time":' + b"%d" % NOON + b',"amount":1.,"type":"fee"}',
        b'{"transaction_id":"t","customer_id":"c","time":' + b"%d" % NOON + b',"amount":-,"type":"fee"}',
        *(json.dumps({k: v for k, v in PLAIN.items() if k != name}).encode() for name in PLAIN),
    ],
)
def test_what_is_not_sure_is_left_to_the_slow_way(value: bytes) -> None:
    assert not taken(value)


def test_a_time_after_the_records_own_is_taken_for_a_day() -> None:
    assert taken(written(), record_time=NOON - MOST_AHEAD_MS)
    assert not taken(written(), record_time=NOON - MOST_AHEAD_MS - 1)


@given(st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", fullmatch=True), st.sampled_from(["amount", "balance"]))
def test_numbers_are_those_of_the_slow_way(number: str, name: str) -> None:
    value = written(**{name: 7}).replace(b'"%s": 7' % name.encode(), b'"%s": %s' % (name.encode(), number.encode()))
    digits = number.lstrip("-")
    whole = digits.partition(".")[0]
    fits = len(digits.replace(".", "")) <= 15 and (whole == "0" or not whole.startswith("0"))
    assert taken(value) == fits


@given(st.lists(st.sampled_from([*PLAIN, "balance", "currency", "kind", "product_id"]), min_size=1, max_size=9))
def test_fields_in_any_order_and_number_are_found(names: list[str]) -> None:
    known = PLAIN | {"balance": 3.25, "currency": SPEC.currency, "kind": "transaction", "product_id": "p"}
    value = "{" + ",".join(f"{json.dumps(name)}:{json.dumps(known[name])}" for name in names) + "}"
    whole = len(set(names)) == len(names) and set(names) >= set(PLAIN)
    assert taken(value.encode()) == whole


def test_ids_are_remembered_by_the_same_hash() -> None:
    chance = random.Random(6)  # noqa: S311  (not for secrets)
    names = ["".join(chance.choices("abc-019 ~", k=length)) for length in range(1, 129)]
    part = chunk([(b"c", written(transaction_id=name)) for name in names])
    assert SCANNER.columns(part).taken.all()
    assert np.array_equal(SCANNER.columns(part).id_hash, id_hashes([name.encode() for name in names]))


def test_amounts_in_other_currencies_are_converted_alike() -> None:
    rates = SPEC.rate
    part = chunk([(b"c", written(currency=name, amount=0.1 * k, balance=k)) for k, name in enumerate(rates)])
    assert told(decode(part, Vocabulary(SPEC))) == told(slow(part))
