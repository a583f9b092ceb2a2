"""A draft: what it makes of a log, that it loads, and that something can be learned with it."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas import spec_file
from schemas.errors import InputError, TrainingError
from schemas.spec import Attribute, Spec, Task
from stream_app.kernel.layout import Layout
from stream_app.offline.folder import read_folder
from tests.kit import folders
from tests.kit.folders import Event, Outcome, lively
from training.draft.draft import Drafted, Known, draft
from training.draft.survey import MOST_CUSTOMERS, Rhythm, Survey, sampled
from training.draft.text import is_untouched, written
from training.prepare import Options, prepare


def drafted(folder: Path, **known: Any) -> Drafted:  # noqa: ANN401  (fields of Known)
    return draft(read_folder(folder), Known("mine", **known))


def spec_of(found: Drafted) -> Spec:
    """Return the spec as the text of a draft tells it."""
    return spec_file.parse(written(found), "a draft")


def task(found: Drafted, name: str) -> Task:
    return found.spec.task(name)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.write(tmp_path_factory.mktemp("data") / "lively", lively())


# ---- the whole ----------------------------------------------------------------------------------------------------


def test_what_is_drafted_loads_and_can_be_learned(log: Path) -> None:
    found = drafted(log)

    assert spec_of(found) == found.spec
    assert [item.name for item in found.spec.tasks] == ["churn", "value", "next_behaviour"]
    Layout(found.spec).check()
    prepare(read_folder(log), spec_of(found), Options())


def test_the_same_log_gives_the_same_text(log: Path) -> None:
    assert written(drafted(log)) == written(drafted(log))


def test_a_draft_knows_whether_somebody_has_changed_it(log: Path) -> None:
    text = written(drafted(log))

    assert is_untouched(text)
    assert not is_untouched(text.replace("horizon_days = 30", "horizon_days = 31", 1))
    assert not is_untouched(text + "# mine\n")
    assert not is_untouched(f'name = "mine"\n{text}')
    assert not is_untouched(spec_file.bank_text())


def test_every_number_in_the_comments_is_one_of_the_log(log: Path) -> None:
    events = lively()
    food = [amount for _, _, kind, amount in events if kind == "food"]

    text = written(drafted(log))

    assert f"Made from {len(events):,} transactions of 80 customers, 2024-01-01 to 2024-06-08 (160 days)." in text
    assert f"# {len(food):,}, out, median {np.median(np.abs(food)):.2f}\n" in text


# ---- types --------------------------------------------------------------------------------------------------------


def test_what_sounds_like_the_banks_is_guessed_to_be_so_and_marked(log: Path) -> None:
    found = drafted(log)

    assert [item.name for item in found.spec.types] == ["food", "travel", "rent", "account_fee", "other"]
    assert [item.name for item in found.spec.types if item.initiator == "bank"] == ["account_fee"]
    assert 'initiator = "bank" },  # guessed: review (sounds like fee); 400, out, median 1.50' in written(found)


def test_small_sums_that_come_to_all_on_one_day_are_guessed_to_be_the_banks(tmp_path: Path) -> None:
    whole = [(f"c{number:03d}", day + 0.5, "X7", -0.3) for number in range(80) for day in range(30, 160, 30)]
    salary = [(f"c{number:03d}", day + 0.5, "X8", 900.0) for number in range(80) for day in range(30, 160, 30)]

    found = drafted(folders.write(tmp_path / "d", [*lively(), *whole, *salary]))

    assert {item.name for item in found.spec.types if item.initiator == "bank"} == {"account_fee", "X7"}
    assert "comes to 100% of its customers on one day" in written(found)


def test_rare_types_join_other_unless_they_seem_to_be_the_banks(tmp_path: Path) -> None:
    rare = [("c000", 50.5, "boat", -9.0), ("c001", 51.5, "sanction", -2.0), ("c002", 52.5, "旅", -9.0)]

    found = drafted(folders.write(tmp_path / "d", [*lively(), *rare]))

    names = {item.name for item in found.spec.types}
    assert "sanction" in names
    assert "boat" not in names
    assert '{ name = "other" },' in written(found)
    assert "# also boat 1, 旅 1" in written(found)


def test_at_most_sixteen_types_are_kept_apart(tmp_path: Path) -> None:
    many = [(f"c{number % 50:03d}", 1.0 + number / 10, f"kind{number % 30}", -1.0) for number in range(1500)]

    found = drafted(folders.write(tmp_path / "d", many))

    assert len(found.spec.types) == 16
    assert len(found.types.joined) == 15


# ---- horizons and tasks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [20, 45, 100, 400])
def test_no_horizon_is_longer_than_a_quarter_of_the_log(tmp_path: Path, days: int) -> None:
    folder = folders.write(tmp_path / "d", lively(60, days))

    found = drafted(folder)

    assert all(item.horizon_days * 4 <= days for item in found.spec.tasks)
    prepare(read_folder(folder), spec_of(found), Options())


def test_a_horizon_that_was_asked_for_is_taken_or_the_task_left_out_with_the_reason(log: Path) -> None:
    short, long = drafted(log, horizon_days=14), drafted(log, horizon_days=155)

    assert {item.horizon_days for item in short.spec.tasks} == {14}
    assert set(long.left) == {"churn", "value"}
    assert "Not asked: churn (with 155 days, labelled rows: 0; at least 50 are needed)." in written(long)


def test_a_log_that_carries_no_task_gives_a_spec_that_says_so(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "d", [("c1", 1.0, "food", -3.0)])

    found = drafted(folder)

    assert [item.name for item in spec_of(found).tasks] == ["value"]
    assert "Review: this log carries no task yet." in written(found)
    with pytest.raises(TrainingError, match=r"Expected labels for task 'value', found none"):
        prepare(read_folder(folder), spec_of(found), Options())


def test_churn_is_silence_where_enough_fall_silent(log: Path) -> None:
    found = task(drafted(log), "churn")

    assert (found.label, found.horizon_days) == ("inactive", 30)
    assert [(item.feature, item.at_most, item.at_least) for item in found.eligible] == [
        ("own_silence_h", 720, None),
        ("own_count", None, 5),
    ]


def test_churn_is_less_spending_where_nobody_falls_silent(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    steady: list[Event] = []
    for number in range(100):
        turn = rng.uniform(50, 400)
        steady += [
            (f"c{number:03d}", day + 0.5, "food", -float(rng.uniform(5, 15)) * (0.1 if day > turn else 1.0))
            for day in range(0, 200, 2)
        ]

    found = drafted(folders.write(tmp_path / "d", steady))

    assert task(found, "churn").label == "spend_drop"
    assert "Review: too few or too many fall silent here" in written(found)


def test_a_log_of_dates_asks_for_the_next_day(tmp_path: Path) -> None:
    dated = [(customer, float(int(day)), kind, amount) for customer, day, kind, amount in lively()]

    found = drafted(folders.write(tmp_path / "d", dated))

    assert task(found, "next_behaviour").by_day
    assert found.spec.window_hours == (24,)


def test_nothing_that_leaves_customers_means_no_value_task(tmp_path: Path) -> None:
    positive = [(customer, day, kind, abs(amount)) for customer, day, kind, amount in lively()]

    found = drafted(folders.write(tmp_path / "d", positive))

    assert "above 0" in found.left["value"]
    assert {item.name for item in found.spec.tasks} == {"churn", "next_behaviour"}


# ---- outcomes -----------------------------------------------------------------------------------------------------


def outcomes(values: list[str], every: int = 1, name: str = "loan") -> list[Outcome]:
    """Return outcomes of all customers, one after the other with these values, ``every`` days apart from day 60 on."""
    told = [
        (f"c{number:03d}", name, 60.25 + step * every, values[(number + step) % len(values)])
        for number in range(80)
        for step in range(1 if every == 1 else 90 // every)
    ]
    return [item for item in told if item[3]]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (outcomes(["1", "", ""]), ("binary", "outcome_within", ())),
        (outcomes(["yes", "", ""]), ("binary", "outcome_within", ())),
        (outcomes(["0", "1"]), ("binary", "outcome_at", ())),
        (outcomes(["car", "house", "car", ""]), ("multiclass", "outcome_within", ("none", "car", "house"))),
        (outcomes(["up", "down"], every=10), ("multiclass", "outcome_next", ("down", "up"))),
        (outcomes([f"{number}.5" for number in range(40)]), ("value", "outcome_within", ())),
    ],
    ids=["one value", "one word", "zeros and ones", "classes", "a matter of course", "numbers"],
)
def test_outcomes_become_the_task_that_their_values_suggest(
    tmp_path: Path, told: list[Outcome], expected: tuple[str, str, tuple[str, ...]]
) -> None:
    folder = folders.write(tmp_path / "d", lively(), outcomes=told)

    found = drafted(folder)

    loan = task(found, "loan")
    assert (loan.kind, loan.label, loan.classes) == expected
    prepare(read_folder(folder), spec_of(found), Options())


@pytest.mark.parametrize(
    ("told", "name", "why"),
    [
        (outcomes([f"kind {number}" for number in range(70)]), "loan", "70 different values, too many for classes"),
        (outcomes(["a", "eligible"]), "loan", "the value 'eligible' cannot be a class: write it otherwise"),
        (outcomes(["1"], name="贷"), "贷", "its name has no Latin letters"),
        (outcomes(["1"])[:3], "loan", "customers by answer: 80 no, 3 yes; at least 10 of two answers are needed"),
    ],
)
def test_outcomes_that_make_no_task_are_left_out_with_the_reason(
    tmp_path: Path, told: list[Outcome], name: str, why: str
) -> None:
    found = drafted(folders.write(tmp_path / "d", lively(), outcomes=told))

    assert why in found.left[name]
    assert why.partition("(")[0] in " ".join(written(found).replace("\n# ", " ").split())


def test_outcomes_with_the_name_of_a_derived_task_are_asked_for_instead(tmp_path: Path) -> None:
    found = drafted(folders.write(tmp_path / "d", lively(), outcomes=outcomes(["1", "", ""], name="churn")))

    assert [item.name for item in found.spec.tasks].count("churn") == 1
    assert task(found, "churn").label == "outcome_within"


def test_a_name_that_a_spec_cannot_hold_is_written_otherwise(tmp_path: Path) -> None:
    found = drafted(folders.write(tmp_path / "d", lively(), outcomes=outcomes(["1", "", ""], name="car loan")))

    assert task(found, "car_loan").outcome_name == "car loan"


# ---- attributes ---------------------------------------------------------------------------------------------------

N = 80
COLUMNS: dict[str, list[Any]] = {
    "age": [20.0 + number % 50 for number in range(N)],
    "gender": ["f", "m"] * 40,
    "geschlecht": ["w", "m"] * 40,
    "income": [1000.0 + 37.5 * number for number in range(N)],
    "town": ['A "b"', "Łódź", None, None] * 20,
    "debt": [-1.0 * number for number in range(N)],
    "note": [f"n{number}" for number in range(N)],
    "my column": ["x", "y"] * 40,
    "risk_level": [1.0, 2.0] * 40,
    "count": [1.0, 2.0] * 40,
    "nothing": [float("nan")] * N,
}


def test_columns_become_attributes_with_bounds_and_values(tmp_path: Path) -> None:
    found = drafted(folders.write(tmp_path / "d", lively(), COLUMNS))

    assert spec_of(found).attributes == (
        Attribute("age", "number", at_most=150),
        Attribute("gender", "category", values=("f", "m")),
        Attribute("geschlecht", "category", values=("m", "w"), input=False),
        Attribute("income", "number", at_most=10_000),
        Attribute("town", "category", values=('A "b"', "Łódź")),
    )
    assert found.attributes.hidden == ("age", "gender", "geschlecht")


def test_columns_that_cannot_be_attributes_are_left_with_the_reason(tmp_path: Path) -> None:
    found = drafted(folders.write(tmp_path / "d", lively(), COLUMNS))

    assert found.attributes.left == {
        "debt": "down to -79, but a row holds numbers from 0 on: shift it",
        "note": "80 different texts, of which a category takes 32: group them",
        "my column": "a name has letters, digits and _ only: rename the column",
        "risk_level": "a number here, but a category in customer records: rename the column, or convert it",
        "count": "a feature is called count: give the column another name",
        "nothing": "no number in it",
    }
    text = " ".join(written(found).replace("\n# ", " ").split())
    assert all(f"Not used: {name} ({why})." in text for name, why in found.attributes.left.items())


def test_an_attribute_that_tells_a_label_is_hidden_and_without_that_training_would_refuse(tmp_path: Path) -> None:
    told = outcomes(["0", "1"])
    columns = {"grade": [{"0": "good", "1": "bad"}[value] for _, _, _, value in told]}
    folder = folders.write(tmp_path / "d", lively(), columns, told)

    found = drafted(folder)

    assert set(found.hints) == {"grade=good", "grade=bad"}
    prepare(read_folder(folder), spec_of(found), Options())
    with pytest.raises(TrainingError, match=r"found 'grade=\w+', which alone tells the label of task 'loan'"):
        prepare(read_folder(folder), msgspec.structs.replace(found.spec, exclude_inputs=()), Options())


# ---- currency and zone --------------------------------------------------------------------------------------------


def test_the_currency_is_that_of_most_and_other_rates_are_open(tmp_path: Path) -> None:
    events = lively()
    currencies = ["CZK" if number % 3 else "USD" for number in range(len(events))]

    found = drafted(folders.write(tmp_path / "d", events, currency=currencies))

    assert (found.spec.currency, found.spec.rates) == ("CZK", {"USD": 1.0})
    assert "# review: 1 stands for USD" in written(found)
    assert drafted(tmp_path / "d", currency="EUR", rates={"CZK": 0.04, "USD": 0.9}).guessed_rates == ()


def test_a_currency_that_nobody_tells_is_a_guess(log: Path) -> None:
    assert 'currency = "EUR"  # guessed: review' in written(drafted(log))
    assert 'currency = "GBP"\n' in written(drafted(log, currency="GBP"))


# ---- the log ------------------------------------------------------------------------------------------------------


def test_the_rhythm_is_that_of_days_with_something_of_ones_own(log: Path) -> None:
    survey = Survey.of(read_folder(log))
    own = np.array([name != "account_fee" for name in survey.kinds])[survey.kind]
    days: dict[str, set[int]] = {}
    counts: dict[str, int] = {}
    for customer, day, kind, _ in lively():
        if kind != "account_fee":
            days.setdefault(customer, set()).add(int(day))
            counts[customer] = counts.get(customer, 0) + 1
    gaps = [b - a for active in days.values() for a, b in zip(sorted(active), sorted(active)[1:], strict=False)]

    rhythm = Rhythm.of(survey, own)

    assert rhythm.usual_gap == np.quantile(gaps, 0.5)
    assert rhythm.long_gap == np.quantile(gaps, 0.9)
    assert rhythm.actions == np.median(list(counts.values()))
    assert not rhythm.dated_only


def test_of_many_customers_a_sample_is_looked_at(tmp_path: Path) -> None:
    many = [(f"c{number}", 1.0 + number / 100, "food", -1.0) for number in range(2 * MOST_CUSTOMERS)]

    sample = sampled(read_folder(folders.write(tmp_path / "d", many)))

    assert sample.folder.transactions.num_rows == MOST_CUSTOMERS
    assert sample.scale == 2.0


def test_a_log_in_seconds_instead_of_milliseconds_is_refused(tmp_path: Path) -> None:
    folder = folders.write(tmp_path / "d", [("c1", -19_700.0, "food", -1.0)])

    with pytest.raises(InputError, match=r"Expected transactions of 1990 to 2199 .*, found none among 1"):
        drafted(folder)
