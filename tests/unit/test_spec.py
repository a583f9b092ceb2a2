"""The spec: what is read, and each kind of spec that is refused, with its sentence."""

from datetime import date
from pathlib import Path

import pytest

from schemas import spec_file
from schemas.errors import InputError, SpecError
from schemas.spec import Spec

SMALL = """
name = "small"
currency = "EUR"
rates = { USD = 0.9 }
types = [{ name = "cash" }, { name = "fee", initiator = "bank" }, { name = "other" }]

[[attributes]]
name = "income"
kind = "number"

[[attributes]]
name = "gender"
kind = "category"
values = ["f", "m"]

[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = 60
eligible = [{ feature = "own_count", at_least = 5 }]
bands = [{ name = "low" }, { name = "mid", at_least = 0.2 }, { name = "high", at_least = 0.6 }]

[[tasks]]
name = "preference"
kind = "multiclass"
label = "outcome_within"
horizon_days = 90
classes = ["none", "loan"]

[[tasks]]
name = "next"
kind = "multiclass"
label = "next_type"
horizon_days = 30

[[rules]]
name = "alarm"
task = "churn"
threshold = 0.6
rearm = 0.5

[[rules]]
name = "borrows"
task = "preference"
class = "loan"
threshold = 0.4
"""


def parsed(old: str = "", new: str = "") -> Spec:
    """Parse the small spec with one part changed."""
    assert old in SMALL
    return spec_file.parse(SMALL.replace(old, new, 1), "scorer.toml")


def test_a_spec_is_read_with_its_defaults() -> None:
    spec = parsed()
    assert (spec.window_hours, spec.window_days, spec.decay_days) == ((1, 6, 24), (1, 7, 30), (7, 30, 90, 365))
    assert (spec.utc_offset_minutes, spec.score_on_customer) == (0, False)
    assert spec.rate == {"USD": 0.9, "EUR": 1.0}
    assert spec.type_code == {"cash": 0, "fee": 1, "other": 2}
    assert spec.own_types == ("cash", "other")


def test_classes_are_the_tasks_own_or_the_customers_types() -> None:
    spec = parsed()
    assert [spec.classes(task) for task in spec.tasks] == [(), ("none", "loan"), ("cash", "other")]


@pytest.mark.parametrize("rule", ["next_type", "top_type"])
def test_classes_that_are_types_are_those_that_the_task_names_or_all_of_the_customers(rule: str) -> None:
    some = parsed('label = "next_type"', f'label = "{rule}"\ntypes = ["other", "cash"]')
    all_types = parsed('label = "next_type"', f'label = "{rule}"')

    assert some.classes(some.tasks[2]) == ("other", "cash")
    assert all_types.classes(all_types.tasks[2]) == all_types.types_of(all_types.tasks[0]) == ("cash", "other")


def test_days_are_dates_of_toml_or_texts() -> None:
    for day in ("2024-02-29", '"2024-02-29"'):
        options = parsed("[[attributes]]", f"[training]\ncut_from = {day}\ntest_from = {day}\n[[attributes]]").training
        assert (options.cut_from, options.test_from) == (date(2024, 2, 29), date(2024, 2, 29))


def test_protected_attributes_are_shown_to_the_network_only_where_asked() -> None:
    assert [item.is_input for item in parsed().attributes] == [True, False]
    assert [
        item.is_input for item in parsed('values = ["f", "m"]', 'values = ["f", "m"]\ninput = true').attributes
    ] == [
        True,
        True,
    ]


def test_a_task_is_found_by_its_name_or_refused_with_those_there_are() -> None:
    assert parsed().task("next").label == "next_type"
    with pytest.raises(SpecError, match=r"Expected a task named 'x', found churn, preference, next in spec 'small'"):
        parsed().task("x")


def test_an_outcome_has_the_name_of_its_task_unless_another_is_given() -> None:
    assert parsed().task("preference").outcome_name == "preference"
    assert (
        parsed('classes = ["none"', 'outcome = "bought"\nclasses = ["none"').task("preference").outcome_name == "bought"
    )


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        parsed().name = "other"  # type: ignore[misc]


def test_the_built_in_spec_of_a_bank_is_accepted() -> None:
    assert [task.name for task in spec_file.bank().tasks[:5]] == [
        "churn",
        "credit_risk",
        "preference",
        "next_behaviour",
        "value",
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "small"', 'name = "small"\ncolour = 1', "unknown field `colour`"),
        ('name = "cash"', 'name = "cash", colour = 1', r"unknown field `colour` - at `\$.types\[0\]`"),
        ("horizon_days = 60", "horizon_day = 60", "unknown field `horizon_day`"),
        ("threshold = 0.6", 'threshold = 0.6\ntrheshold = "x"', "unknown field `trheshold`"),
        ('name = "small"', "", "missing required field `name`"),
        ('currency = "EUR"', 'currency = "Euro"', r"at `\$.currency`"),
        ("USD = 0.9", "USD = 0", r"> 0.0 - at `\$.rates"),
        ("USD = 0.9", "USD = nan", r"at `\$.rates"),
        ("horizon_days = 60", "horizon_days = 0", r"at `\$.tasks\[0\].horizon_days`"),
        ("horizon_days = 60", "horizon_days = nan", r"at `\$.tasks\[0\].horizon_days`"),
        ("horizon_days = 60", "horizon_days = 60\nweight = inf", r"at `\$.tasks\[0\].weight`"),
        ("threshold = 0.6", "threshold = nan", r"at `\$.rules\[0\].threshold`"),
        ("threshold = 0.6", "threshold = inf", r"at `\$.rules\[0\].threshold`"),
        ("rearm = 0.5", "rearm = -inf", r"at `\$.rules\[0\].rearm`"),
        ("at_least = 5", "at_least = nan", r"at `\$.tasks\[0\].eligible\[0\].at_least`"),
        ("at_least = 0.2", "at_least = nan", r"at `\$.tasks\[0\].bands\[1\].at_least`"),
        ("rearm = 0.5", "cooldown_hours = -1", r"at `\$.rules\[0\].cooldown_hours`"),
        ("rearm = 0.5", 'severity = "huge"', r"at `\$.rules\[0\].severity`"),
        ("rearm = 0.5", 'direction = "up"', r"at `\$.rules\[0\].direction`"),
        ('kind = "number"', 'kind = "text"', r"at `\$.attributes\[0\].kind`"),
        ('kind = "number"', 'kind = "number"\nat_least = -1', r"at `\$.attributes\[0\].at_least`"),
        ('name = "churn"', 'name = "1churn"', r"at `\$.tasks\[0\].name`"),
        ('name = "churn"', 'name = "Stoß"', r"at `\$.tasks\[0\].name`"),
        ("rates", "window_hours = [25]\nrates", r"at `\$.window_hours\[0\]`"),
        ("rates", "window_days = [31]\nrates", r"at `\$.window_days\[0\]`"),
        ("rates", 'due_every = ["32d"]\nrates', r"at `\$.due_every\[0\]`"),
        ("rates", 'due_every = ["month", "week"]\nrates', r"at `\$.due_every\[1\]`"),
        ("rates", "utc_offset_minutes = 900\nrates", r"at `\$.utc_offset_minutes`"),
        ("[[attributes]]", '[training]\ncut_every = "week"\n[[attributes]]', r"at `\$.training.cut_every`"),
        ("[[attributes]]", '[training]\ncut_from = "2024-02-30"\n[[attributes]]', r"at `\$.training.cut_from`"),
        ("[[attributes]]", "[training]\ntest_from = 2024\n[[attributes]]", r"at `\$.training.test_from`"),
        ("horizon_days = 30", 'horizon_days = 30\nsettled = "soon"', r"at `\$.tasks\[2\].settled`"),
    ],
)
def test_a_key_that_is_unknown_or_has_a_wrong_value_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(
        SpecError, match=rf"^Expected a valid spec at scorer.toml, found: .*{words}.*; correct or remove"
    ):
        parsed(old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (', { name = "other" }]', "]", "types that do not end with { name = 'other' } of the customer"),
        ('{ name = "other" }', '{ name = "other", initiator = "bank" }', "types that do not end with"),
        ('{ name = "cash" }', '{ name = "fee" }', "type 'fee' twice; give each type a name of its own"),
        ('name = "gender"', 'name = "income"', "attribute 'income' twice"),
        ('name = "preference"', 'name = "churn"', "task 'churn' twice"),
        ('name = "borrows"', 'name = "alarm"', "rule 'alarm' twice"),
        (
            "types = [",
            "types = [" + "".join(f'{{ name = "t{k}" }},' for k in range(62)),
            "65 types; at most 64 are kept apart",
        ),
        ("USD = 0.9", "EUR = 0.9", "rate 0.9 for the base currency EUR; remove it from rates"),
        ("rates", "window_hours = [6, 1]\nrates", r"window_hours = [6, 1]; list at least one, ascending, each once"),
        ("rates", "window_days = []\nrates", "window_days = []; list at least one"),
        ("rates", "decay_days = [7, 7]\nrates", "decay_days = [7.0, 7.0]; list at least one"),
        ("rates", 'due_every = ["7d", "7d"]\nrates', r"due_every = ['7d', '7d']; list each period once"),
        ('values = ["f", "m"]', "", "attribute 'gender' with 0 values; list 1 to 64 values"),
        ('values = ["f", "m"]', 'values = ["f", "f"]', "attribute 'gender' with value 'f' twice"),
        ('kind = "number"', 'kind = "number"\nvalues = ["a"]', "attribute 'income' of kind \"number\" with values"),
        ('kind = "number"', 'kind = "number"\nat_least = 2\nat_most = 1', "attribute 'income' with at_least above"),
        ('name = "income"', 'name = "time"', "attribute 'time', a name that customer records use themselves"),
        ('label = "inactive"', 'label = "outflow"', "task 'churn' of kind 'binary' with label 'outflow'; use one of"),
        ('classes = ["none", "loan"]', 'classes = ["none"]', "task 'preference' with 1 classes; list 2 to 64"),
        ('classes = ["none", "loan"]', 'classes = ["loan", "card"]', "task 'preference' without the class \"none\""),
        ('classes = ["none", "loan"]', 'classes = ["none", "loan", "loan"]', "with class 'loan' twice"),
        ('classes = ["none", "loan"]', 'classes = ["none", "eligible"]', 'with the class "eligible", a column of'),
        ('label = "inactive"', 'label = "inactive"\nclasses = ["a", "b"]', "task 'churn' with classes, which"),
        ("horizon_days = 30", 'horizon_days = 30\nbands = [{ name = "a" }]', "task 'next' with bands, which only"),
        (
            "horizon_days = 60",
            'horizon_days = 60\nsettled = "when_told"',
            "task 'churn' settled when told with label 'inactive', which needs the whole horizon; remove settled",
        ),
        (
            "horizon_days = 90",
            'horizon_days = 90\ntypes = ["cash"]',
            "task 'preference' with types, which its label does not look at; remove them",
        ),
        (
            "horizon_days = 60",
            'horizon_days = 60\ntypes = ["fee"]',
            "task 'churn' with type 'fee', which customers do not initiate; name some of ['cash', 'other']",
        ),
        ("horizon_days = 60", 'horizon_days = 60\ntypes = ["cash", "cash"]', "task 'churn' with type 'cash' twice"),
        (
            "horizon_days = 30",
            'horizon_days = 30\ntypes = ["cash"]',
            "task 'next' with one type, which leaves no choice",
        ),
        (
            "horizon_days = 30",
            'horizon_days = 30\nclasses = ["a", "b"]',
            "task 'next' with classes, which its kind and",
        ),
        ("horizon_days = 30", "horizon_days = 30\nrows = []", 'task \'next\' without rows; list "event", "tick"'),
        ('{ name = "low" }', '{ name = "low", at_least = 0.1 }', "band 'low' with 1 bounds; the first band has none"),
        ('"mid", at_least = 0.2', '"mid"', "band 'mid' with 0 bounds; the first band has none, each other exactly one"),
        ('"mid", at_least = 0.2', '"mid", at_least = 0.2, top_share = 0.1', "band 'mid' with 2 bounds"),
        ('"mid", at_least = 0.2', '"mid", at_least = 0.7', "task 'churn' with bands whose at_least does not rise"),
        ('"mid", at_least = 0.2', '"mid", at_least = 0.6', "task 'churn' with bands whose at_least does not rise"),
        (
            '"mid", at_least = 0.2 }, { name = "high", at_least = 0.6',
            '"mid", top_share = 0.1 }, { name = "high", top_share = 0.2',
            "task 'churn' with bands whose top_share does not fall",
        ),
        ('name = "high"', 'name = "mid"', "task 'churn' with band 'mid' twice"),
        (", at_least = 5", "", "task 'churn' with a condition on 'own_count' without a bound"),
        ('task = "churn"', "", "rule 'alarm' with neither of task and feature; give exactly one"),
        ('task = "churn"', 'task = "churn"\nfeature = "count"', "rule 'alarm' with both of task and feature"),
        ('task = "churn"', 'task = "chrun"', "rule 'alarm' on task 'chrun', which is not among the tasks"),
        ('task = "churn"', 'task = "churn"\nclass = "x"', "rule 'alarm' with a class on a task that has none"),
        ('task = "churn"', 'feature = "count"\nclass = "x"', "rule 'alarm' on a feature with a class"),
        ('class = "loan"', 'class = "card"', "rule 'borrows' with class 'card'; name one of ['none', 'loan']"),
        ('class = "loan"', "", "rule 'borrows' with class None; name one of ['none', 'loan']"),
        ("rearm = 0.5", "rearm = 0.7", "rule 'alarm' armed again at 0.7 while it fires at 0.6"),
        ("rearm = 0.5", 'rearm = 0.5\ndirection = "below"', "rule 'alarm' armed again at 0.5 while it fires at 0.6"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused_with_what_to_do(old: str, new: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parsed(old, new)
    assert str(caught.value).startswith("Expected a consistent spec at scorer.toml, found: ")
    assert words in str(caught.value)


def test_a_spec_without_tasks_is_refused() -> None:
    text = 'name = "n"\ncurrency = "EUR"\ntasks = []\ntypes = [{ name = "other" }]'
    with pytest.raises(SpecError, match=r"no task; add at least one \[\[tasks\]\]"):
        spec_file.parse(text, "here")


@pytest.mark.parametrize("text", ["name = ", "[[tasks", "\0", "a = 1\na = 2", "a = " + "[" * 5000])
def test_what_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"^Expected a spec in TOML at here, found .*; correct that line\.$"):
        spec_file.parse(text, "here")


def test_a_spec_is_loaded_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "scorer.toml").write_text(SMALL)
    assert spec_file.load(tmp_path / "scorer.toml") == parsed()


def test_a_missing_file_a_folder_and_foreign_text_are_refused_as_input(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes("name = 'é'".encode("latin-1"))
    for name, found in (
        ("none.toml", "No such file"),
        (".", "Is a directory"),
        ("latin.toml", "text that is not UTF-8"),
    ):
        with pytest.raises(InputError, match=found):
            spec_file.load(tmp_path / name)
