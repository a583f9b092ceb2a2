"""Where things stand in rows and feature rows, and when they would mean something else."""

from typing import Any

import msgspec
import pytest

from schemas.errors import SpecError
from schemas.spec import Attribute, Condition, Rule, Spec, Task, TransactionType
from schemas.spec_file import bank, bank_text, parse
from stream_app.kernel import kernel
from stream_app.kernel.layout import ALERT_SLOTS, LAST_EVENTS, REMEMBERED_IDS, Layout

CHURN = Task(name="churn", kind="binary", label="inactive", horizon_days=60.0)


def spec(**changes: Any) -> Spec:  # noqa: ANN401  (the fields of a spec)
    fields: dict[str, Any] = {
        "name": "small",
        "currency": "EUR",
        "types": (TransactionType(name="fee", initiator="bank"), TransactionType(name="other")),
        "tasks": (CHURN,),
        "attributes": (
            Attribute(name="income", kind="number"),
            Attribute(name="level", kind="category", values=("low", "high")),
        ),
        "rules": (Rule(name="loud", feature="amount_z", threshold=3.0),),
    }
    return Spec(**fields | changes)


def test_sections_follow_each_other_without_gaps() -> None:
    sections = list(Layout(bank()).sections.values())
    assert sections[0].start == 0
    assert [item.start + item.width for item in sections[:-1]] == [item.start for item in sections[1:]]


def test_the_kernel_has_the_same_sections() -> None:
    sections = Layout(spec()).sections
    fixed = {"clock", "own", "customer", "balance", "moments", "last", "hours", "days", "decayed"}
    assert {name: sections[name].start for name in fixed} == {
        "clock": kernel.CLOCK,
        "own": kernel.OWN,
        "customer": kernel.REGISTERED,
        "balance": kernel.BALANCE,
        "moments": kernel.MOMENTS,
        "last": kernel.LATEST,
        "hours": kernel.HOUR_RING,
        "days": kernel.DAY_RING,
        "decayed": kernel.DECAYED,
    }
    assert (LAST_EVENTS, REMEMBERED_IDS) == (kernel.LAST, kernel.IDS)
    assert sections["types"].start == kernel.DECAYED + 4 * (2 + 2 * 2)


def test_each_rule_has_its_alert_memory() -> None:
    assert Layout(spec()).sections["alerts"].width == ALERT_SLOTS
    assert Layout(spec(rules=())).sections["alerts"].width == 0


def test_days_of_types_have_a_section_and_features_only_where_the_spec_asks() -> None:
    asked, silent = Layout(spec(due_every=("month", "14d"))), Layout(spec())
    assert "type_days" not in silent.sections
    assert (silent.due_names, silent.recurring) == ((), (0, 0, 0))
    section = asked.sections["type_days"]
    assert section.width == kernel.DAY_WORDS, "one type, `other`, is the customer's"
    assert list(asked.sections)[-3:] == ["ids", "type_days", "alerts"], "forgotten with the row, unlike alerts"
    assert asked.due_names[:3] == ("due_d:other~month", "due_after_d:other~month", "due_first_d~month")
    assert asked.due_names[-1] == "due_first_d~14d_3of3"
    assert len(asked.due_names) == 2 * kernel.SOURCES * 3
    assert asked.linear_names == (*silent.linear_names, *asked.due_names)
    assert asked.recurring == (section.start, section.start + 4, asked.column["due_d:other~month"])


def test_widths_are_multiples_of_16() -> None:
    layout = Layout(spec())
    assert layout.row_width % 16 == layout.log_width % 16 == layout.feature_width % 16 == 0
    assert layout.row_width >= sum(section.width for section in layout.sections.values())


def test_the_row_of_the_bank_takes_at_most_2_kib() -> None:
    assert Layout(bank()).row_width * 4 <= 2048


def test_a_row_above_4_kib_is_refused_with_the_bytes_of_each_section() -> None:
    types = (*(TransactionType(name=f"t{n}") for n in range(63)), TransactionType(name="other"))
    with pytest.raises(
        SpecError, match=r"at most 4096 bytes, found \d+ in spec 'small' \(clock 16.*decayed 2600.*use fewer"
    ):
        Layout(spec(types=types, decay_days=(1.0, 7.0, 30.0, 90.0, 365.0))).check()
    assert Layout(spec(types=types, decay_days=(30.0,))).check().row_width * 4 <= 4096


def test_the_log_block_comes_first_and_each_feature_has_one_column() -> None:
    layout = Layout(bank()).check()
    columns = layout.column
    assert len(set(columns.values())) == len(columns) == len(layout.log_names) + len(layout.linear_names)
    assert [columns[name] for name in layout.log_names] == list(range(len(layout.log_names)))
    assert columns[layout.linear_names[0]] == layout.log_width
    assert max(columns.values()) < layout.feature_width


def test_names_say_what_the_spec_asks_for() -> None:
    names = Layout(spec(window_hours=(2,), window_days=(5,), decay_days=(0.5,))).column
    assert {"count_2h", "in_2h", "out_2h", "count_5d", "max_5d", "in~0.5d", "count:fee~0.5d"} <= set(names)
    assert {"since_h:fee", "due_d:other", "due_first=other", "last3=fee", "last1_sign"} <= set(names)
    assert {"income", "income_known", "level=low", "level=high"} <= set(names)
    assert not {"level", "level_known", "max_2h"} & set(names)


def test_the_network_sees_all_but_what_is_excluded_or_protected() -> None:
    attributes = (Attribute(name="age", kind="number"), Attribute(name="gender", kind="category", values=("f", "m")))
    layout = Layout(spec(attributes=attributes, exclude_inputs=("last?_*", "count")))
    hidden = set(layout.column) - {name for name, index in layout.column.items() if index in layout.inputs}
    assert hidden == {"count", "age", "age_known", "gender=f", "gender=m"} | {
        f"last{back}_{part}" for back in (1, 2, 3) for part in ("h", "amount", "sign")
    }
    assert list(layout.inputs) == sorted(layout.inputs)


def test_a_protected_attribute_is_seen_where_the_spec_asks_for_it() -> None:
    layout = Layout(spec(attributes=(Attribute(name="age", kind="number", input=True),)))
    assert layout.column["age"] in layout.inputs


@pytest.mark.parametrize(
    "changes",
    [
        {"types": (TransactionType(name="fee"), TransactionType(name="other"))},
        {"types": (TransactionType(name="dues", initiator="bank"), TransactionType(name="other"))},
        {"utc_offset_minutes": 60},
        {"window_hours": (1, 6)},
        {"window_days": (1, 7)},
        {"decay_days": (7.0, 30.0, 90.0, 366.0)},
        {"due_every": ("month",)},
        {"currency": "USD"},
        {"rates": {"USD": 0.9}},
        {"attributes": ()},
        {"attributes": (Attribute(name="level", kind="category", values=("high", "low")),)},
        {"rules": ()},
        {"rules": (Rule(name="quiet", feature="amount_z", threshold=3.0),)},
    ],
    ids=str,
)
def test_the_hash_differs_where_a_row_would_mean_something_else(changes: dict[str, Any]) -> None:
    assert Layout(spec(**changes)).hash != Layout(spec()).hash


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other_name"},
        {"tasks": (msgspec.structs.replace(CHURN, horizon_days=30.0, weight=2.0),)},
        {"exclude_inputs": ("count",)},
        {"rules": (Rule(name="loud", feature="amount_z", threshold=9.0),)},
    ],
    ids=str,
)
def test_the_hash_stays_where_only_the_questions_change(changes: dict[str, Any]) -> None:
    assert Layout(spec(**changes)).hash == Layout(spec()).hash


def test_the_hash_is_the_same_whether_a_default_is_written_out_or_not() -> None:
    line = "decay_days = [7, 30, 90, 365]\n"
    assert line in bank_text()
    assert Layout(parse(bank_text().replace(line, ""), "here")).hash == Layout(bank()).hash


def test_the_hash_survives_the_specs_way_through_a_bundle() -> None:
    for original in (bank(), spec()):
        travelled = msgspec.json.decode(msgspec.json.encode(original), type=Spec)
        assert Layout(travelled).hash == Layout(original).hash


def test_the_hash_is_eight_hex_digits() -> None:
    assert len(bytes.fromhex(Layout(bank()).hash)) == 4


def test_an_unknown_feature_is_refused_with_the_nearest_ones() -> None:
    message = r"name of a feature in rule 'loud', found 'own_silense_h'; the nearest are own_silence_h, "
    with pytest.raises(SpecError, match=message):
        Layout(spec(rules=(Rule(name="loud", feature="own_silense_h", threshold=3.0),))).check()
    with pytest.raises(SpecError, match=r"in task 'churn', eligible, found 'x'"):
        Layout(spec(tasks=(msgspec.structs.replace(CHURN, eligible=(Condition("x", at_least=1.0),)),))).check()
    with pytest.raises(SpecError, match=r"in exclude_inputs, found 'tenure'; the nearest are own_tenure_h, tenure_h"):
        Layout(spec(exclude_inputs=("tenure",))).check()


@pytest.mark.parametrize("name", ["count", "gap_z", "income_known"])
def test_an_attribute_named_as_another_feature_is_refused(name: str) -> None:
    attributes = (Attribute(name="income", kind="number"), Attribute(name=name, kind="number"))
    with pytest.raises(SpecError, match=rf"each feature once, found '{name}' twice.*rename the attribute"):
        Layout(spec(attributes=attributes)).check()
