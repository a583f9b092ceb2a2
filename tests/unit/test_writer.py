"""The record writer: what it puts out is what ``json`` would read and write."""

import json
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.steps.texts import Texts
from stream_app.steps.writer import Program, Writer


def written(
    writer: Writer, texts: list[list[str]], integers: list[list[int]], decimals: list[list[int]]
) -> list[bytes]:
    """Run a writer; it always gets two text columns, as in the product: their number is compiled in."""
    n = len(integers)
    columns = [[text.encode() for text in column] for column in texts] + [[b""] * n] * (2 - len(texts))
    content, starts = writer(
        (Texts.of(columns[0]), Texts.of(columns[1])),
        np.array(integers, np.int64).reshape(n, len(integers[0]) if n else 3),
        np.array(decimals, np.int64).reshape(n, len(decimals[0]) if n else 1),
    )
    assert starts[0] == 0
    assert starts[-1] == len(content)
    return [content[a:b].tobytes() for a, b in pairwise(starts)]


def writer_of_everything() -> Writer:
    program = Program()
    program.literal('{"a":"')
    program.text(0)
    program.literal('","b":"x-')
    program.text(1)
    program.text(0)
    program.literal('","whole":')
    program.integer(0)
    skip = program.skip_unless(1)
    program.literal(',"number":')
    program.decimal(0)
    program.choice(2, [',"choice":"é"', ',"choice":"two"', ""])
    program.end_skip(skip)
    program.literal("}")
    return program.build()


EVERYTHING = writer_of_everything()
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text(
    st.sampled_from('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028é𝄞'), max_size=8
)
ROW = st.tuples(
    TEXTS, TEXTS, st.integers(-(2**62), 2**62), st.booleans(), st.integers(0, 2), st.integers(-(10**18), 10**18)
)


@given(st.lists(ROW, max_size=6))
def test_rows_read_as_json_say_what_went_in(rows: list[tuple[str, str, int, bool, int, int]]) -> None:
    found = written(
        EVERYTHING,
        [[row[0] for row in rows], [row[1] for row in rows]],
        [[row[2], row[3], row[4]] for row in rows],
        [[row[5]] for row in rows],
    )
    for (a, b, whole, shown, choice, millionths), text in zip(rows, found, strict=True):
        fields = json.loads(text)
        expected: dict[str, object] = {"a": a, "b": f"x-{b}{a}", "whole": whole}
        if shown:
            expected["number"] = millionths / 1e6
            expected |= [{"choice": "é"}, {"choice": "two"}, {}][choice]
        assert fields == expected


@given(st.lists(TEXTS, min_size=1, max_size=20))
def test_texts_are_the_bytes_that_msgspec_writes(texts: list[str]) -> None:
    program = Program()
    program.literal('"')
    program.text(0)
    program.literal('"')
    found = written(program.build(), [texts], [[0]] * len(texts), [[0]] * len(texts))
    assert found == [msgspec.json.encode(text) for text in texts]


@pytest.mark.parametrize(
    ("millionths", "text"),
    [
        (0, b"0.000000"),
        (1, b"0.000001"),
        (-1, b"-0.000001"),
        (999_999, b"0.999999"),
        (1_000_000, b"1.000000"),
        (-1_500_000, b"-1.500000"),
        (10**18, b"1000000000000.000000"),
        (-(10**18), b"-1000000000000.000000"),
        (9_200_000_000_000_000_000, b"9200000000000.000000"),
    ],
)
def test_millionths_are_written_with_six_decimals(millionths: int, text: bytes) -> None:
    program = Program()
    program.decimal(0)
    assert written(program.build(), [], [[0]], [[millionths]]) == [text]


@pytest.mark.parametrize("whole", [0, 7, 10, -1, 2**63 - 1, -(2**63) + 1])
def test_whole_numbers_are_written_in_full(whole: int) -> None:
    program = Program()
    program.integer(0)
    assert written(program.build(), [], [[whole]], [[0]]) == [str(whole).encode()]


def test_no_row_is_nothing() -> None:
    assert written(EVERYTHING, [[], []], [], []) == []


def test_the_longest_ids_full_of_control_characters_fit() -> None:
    name = "\x01" * 256
    assert (
        json.loads(written(EVERYTHING, [[name] * 9, [name] * 9], [[1, 1, 0]] * 9, [[5]] * 9)[8])["b"]
        == f"x-{name}{name}"
    )
