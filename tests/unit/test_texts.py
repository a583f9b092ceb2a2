"""Columns of texts, ids by number, and Arrow's columns as ours."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.interned import Interned
from stream_app.offline.arrow import strings_of, texts_of
from stream_app.residents import Residents
from stream_app.steps.texts import Texts

LISTS = st.lists(st.none() | st.binary(max_size=20), max_size=30)
IDS = st.lists(st.binary(min_size=1, max_size=20), max_size=60)


@given(LISTS)
def test_texts_come_out_as_they_went_in(texts: list[bytes | None]) -> None:
    column = Texts.of(texts)
    assert (column.listed(), list(column), [column[k] for k in range(len(column))]) == (texts, texts, texts)
    assert column.packed().words() == [text or b"" for text in texts]


@given(LISTS, LISTS, st.randoms(use_true_random=False))
def test_columns_are_joined_and_taken_from_as_lists_are(
    first: list[bytes | None], second: list[bytes | None], random: Random
) -> None:
    both = first + second
    at = [random.randrange(len(both)) for _ in both]
    joined = Texts.joined(Texts.of(first), Texts.of(second))
    assert joined == Texts.of(both)
    assert joined.take(np.array(at, np.int64)) == Texts.of([both[k] for k in at])
    assert joined.take(slice(1, 4)) == Texts.of(both[1:4])


def test_columns_of_other_texts_are_not_equal() -> None:
    assert Texts.of([b"a", b"b"]) != Texts.of([b"a", b"c"])
    assert Texts.of([b""]) != Texts.of([None])


@given(LISTS, st.integers(0, 5))
def test_arrows_columns_are_read_as_they_are(texts: list[bytes | None], skipped: int) -> None:
    column = pa.chunked_array([pa.array(texts, pa.binary()), pa.array(texts, pa.binary())])
    assert texts_of(column.slice(skipped)).listed() == (texts + texts)[skipped:]
    assert texts_of(column.chunk(0).slice(skipped)).listed() == texts[skipped:]


@given(st.lists(st.text(max_size=9), max_size=20))
def test_a_column_of_strings_is_made_of_texts(texts: list[str]) -> None:
    column = Texts.of([b"left out", *(text.encode() for text in texts)]).take(slice(1, None))
    made = strings_of(column)
    made.validate(full=True)
    assert made.to_pylist() == texts


@given(st.lists(IDS, max_size=5))
def test_ids_are_numbered_in_the_order_in_which_they_come(parts: list[list[bytes]]) -> None:
    interned, expected = Interned(), dict[bytes, int]()
    for part in parts:
        assert interned.find(Texts.of(part)).tolist() == [expected.get(name, -1) for name in part]
        new = [name for name in dict.fromkeys(part) if name not in expected]
        interned.add(Texts.of(new))
        expected |= {name: len(expected) + k for k, name in enumerate(new)}
        assert interned.find(Texts.of(part)).tolist() == [expected[name] for name in part]
    assert len(interned) == len(expected)


@given(st.lists(st.tuples(IDS, st.sets(st.integers(0, 40))), max_size=8))
def test_ids_are_forgotten_and_the_last_ones_take_their_numbers(parts: list[tuple[list[bytes], set[int]]]) -> None:
    interned, expected = Interned(), list[bytes]()
    for come, go in parts:
        new = [name for name in dict.fromkeys(come) if name not in expected]
        interned.add(Texts.of(new))
        expected += new
        gone = sorted(number for number in go if number < len(expected))
        gone_names = [expected[number] for number in gone]
        before, after = interned.remove(np.array(gone, np.int64))
        for old, number in zip(before.tolist(), after.tolist(), strict=True):
            expected[number] = expected[old]
        del expected[len(expected) - len(gone) :]
        assert interned.texts(np.arange(len(interned))).words() == expected
        assert interned.find(Texts.of(expected)).tolist() == list(range(len(expected)))
        assert (interned.find(Texts.of(gone_names)) == -1).all()


def test_the_room_of_forgotten_ids_is_used_again() -> None:
    interned, left = Interned(), list[bytes]()
    for number in range(60):
        names = [b"round-%d-customer-%d" % (number, k) for k in range(1000)]
        interned.add(Texts.of(names))
        left += names
        before, after = interned.remove(np.arange(0, len(left) - 500))
        for old, new in zip(before.tolist(), after.tolist(), strict=True):
            left[new] = left[old]
        left = left[:500]
    assert interned.find(Texts.of(left)).tolist() == list(range(500))
    assert len(interned._content) < 200_000  # noqa: SLF001


def test_many_ids_that_differ_little_are_told_apart() -> None:
    names = [b"customer-%d" % k for k in range(20_000)]
    interned = Interned()
    for start in range(0, len(names), 700):
        interned.add(Texts.of(names[start : start + 700]))
    assert interned.find(Texts.of(names)).tolist() == list(range(len(names)))
    assert (interned.find(Texts.of([name + b"\0" for name in names])) == -1).all()


def test_the_place_of_a_row_that_is_not_in_memory_is_not_told() -> None:
    rows = Residents(4)
    rows.enter([b"a"])
    with pytest.raises(KeyError, match="b"):
        rows.places([b"a", b"b"])
