"""Names that a spec can hold, and words that tell what a type or a column is."""

import pyarrow as pa
import pytest

from training.draft.lexicon import bank_word, folded, protected_word
from training.draft.names import is_name, name_types


def names(*found: str) -> dict[str, str]:
    return name_types(pa.chunked_array([list(found)], pa.string()))


@pytest.mark.parametrize(
    ("found", "name"),
    [
        ("groceries", "groceries"),
        ("  Card payment / shop ", "Card_payment_shop"),
        ("Kartenzahlung Bäckerei", "Kartenzahlung_Baeckerei"),
        ("Épicerie", "Epicerie"),
        ("7 days", "type_7_days"),
        ("-", "other"),
        ("餐饮", "dining"),
        ("利息", "interest"),
        ("账户管理费", "type_1"),
        ("Еда", "type_1"),
        ("x" * 80, "x" * 64),
    ],
)
def test_a_type_gets_a_name_that_a_spec_can_hold(found: str, name: str) -> None:
    assert names(found) == {found: name}
    assert is_name(name)


def test_types_that_differ_in_signs_only_become_one() -> None:
    assert names("a b", "a-b", "a b") == {"a b": "a_b", "a-b": "a_b"}


def test_what_has_no_latin_letters_is_numbered_by_frequency_beside_the_names_that_are_taken() -> None:
    assert names("甲", "乙", "乙", "type_1") == {"乙": "type_2", "type_1": "type_1", "甲": "type_3"}


@pytest.mark.parametrize(
    ("called", "word"),
    [
        ("interest", "interest"),
        ("loanInterest", "interest"),
        ("Zinsgutschrift", "interest"),
        ("Überziehungszinsen", "interest"),
        ("intérêts débiteurs", "interest"),
        ("statement_fee", "fee"),
        ("Kontoführungsgebühr", "fee"),
        ("frais bancaires", "fee"),
        ("comisión", "fee"),
        ("poplatek", "fee"),
        ("手续费", "fee"),
        ("账户管理费", "fee"),
        ("sanction interest", "interest"),
        ("late payment penalty", "penalty"),
        ("滞纳金", "penalty"),
        ("Kapitalertragsteuer", "tax"),
        ("STORNO", "correction"),
        ("cashback", "reward"),
    ],
)
def test_what_sounds_like_the_banks_is_known_in_several_languages(called: str, word: str) -> None:
    assert bank_word(called) == word


@pytest.mark.parametrize(
    "called",
    ["coffee", "interested parties", "fine dining", "school fees", "club_fee", "物业管理费", "Miete", "food", "", "🙂"],
)
def test_what_only_looks_like_it_is_not(called: str) -> None:
    assert bank_word(called) == ""


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("sex", "gender"),
        ("Geschlecht", "gender"),
        ("age_band", "age"),
        ("birthYear", "age"),
        ("marital_status", "family"),
        ("stage", ""),
        ("essex", ""),
        ("average", ""),
    ],
)
def test_protected_facts_are_known_by_their_names(name: str, meaning: str) -> None:
    assert protected_word(name) == meaning


def test_accents_go_and_other_scripts_stay() -> None:
    assert folded("Gebühr ÷ žluťoučký 费") == "Gebuehr ÷ zlutoucky 费"
