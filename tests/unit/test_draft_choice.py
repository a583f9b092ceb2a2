"""How a draft chooses: horizons, the way to ask, thresholds; and how it is written down."""

import tomllib
from itertools import pairwise

import pytest

from schemas.spec import Attribute, Rule, Task
from training.draft import toml
from training.draft.candidates import Candidate, Question
from training.draft.choice import Chosen, choose, rules
from training.draft.horizons import carried, cut_every, history, nearest
from training.draft.trial import Tally
from training.draft.words import rule_words


def binary(days: float, name: str = "churn") -> Task:
    return Task(name, "binary", "inactive", days)


def tally(task: Task, yes: int, no: int, **changes: object) -> Tally:
    fields: dict[str, object] = {
        "task": task,
        "rows": yes + no,
        "answers": {"no": no, "yes": yes},
        "customers": {"no": no, "yes": yes},
        "share": yes / max(yes + no, 1),
        "sides": (60, 13, 12, 15),
        "varied": True,
    }
    return Tally(**(fields | changes))  # type: ignore[arg-type]


# ---- horizons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [0.0, 3.9, 4.0, 28.0, 180.0, 373.0, 5000.0])
def test_a_log_carries_the_round_horizons_that_fit_into_it_four_times(days: float) -> None:
    assert list(carried(days)) == [h for h in (1, 2, 3, 7, 14, 30, 60, 90, 180, 365) if 4 * h <= days]


def test_the_nearest_horizon_is_so_by_ratio() -> None:
    assert nearest((1, 7, 30, 90), 16.0) == [30, 7, 90, 1]


@pytest.mark.parametrize(
    ("days", "customers", "every"),
    [(730, 5000, "month"), (373, 4000, "month"), (373, 84, "7d"), (180, 900, "14d"), (180, 49, "1d"), (5, 900, "1d")],
)
def test_customers_are_looked_at_as_often_as_gives_enough_rows(days: float, customers: int, every: str) -> None:
    assert cut_every(days, customers) == every


@pytest.mark.parametrize(("horizon", "days", "expected"), [(30, 730, 30), (90, 373, 60), (30, 120, 14), (1, 4, 1)])
def test_history_is_as_long_as_the_horizon_or_what_a_short_log_has(horizon: float, days: float, expected: int) -> None:
    assert history(horizon, days) == expected


# ---- the way to ask -----------------------------------------------------------------------------------------------


def test_the_first_way_with_enough_labels_and_a_fitting_share_is_chosen() -> None:
    tried = [
        (Candidate(binary(90), shares=(0.02, 0.6)), tally(binary(90), 3, 997)),
        (Candidate(binary(60), shares=(0.02, 0.6)), tally(binary(60), 800, 200)),
        (Candidate(binary(30), "a note", shares=(0.02, 0.6)), tally(binary(30), 200, 800)),
        (Candidate(binary(14), shares=(0.02, 0.6)), tally(binary(14), 300, 700)),
    ]

    found = choose(Question("churn", ()), tried)

    assert isinstance(found, Chosen)
    assert found.task.horizon_days == 30
    assert found.note == (
        "a note Tried before: with 90 days, customers by answer: 997 no, 3 yes; at least 10 of two answers are needed; "
        "with 60 days, 80.0% yes."
    )


def test_a_question_without_a_way_is_left_with_the_reason() -> None:
    few = tally(binary(30), 5, 20)

    assert choose(Question("churn", (), "nobody comes twice"), []) == "nobody comes twice"
    assert choose(Question("churn", ()), [(Candidate(binary(30)), few)]) == (
        "with 30 days, labelled rows: 25; at least 50 are needed"
    )


@pytest.mark.parametrize(
    ("changes", "shortage"),
    [
        ({}, ""),
        ({"sides": (60, 13, 0, 15)}, "no label for calibration"),
        ({"varied": False}, "one answer in all training rows"),
        ({"sides": (60, 13, 0, 15), "varied": False, "scale": 2.0}, ""),
    ],
)
def test_every_part_of_the_split_needs_labels_where_all_customers_were_looked_at(
    changes: dict[str, object], shortage: str
) -> None:
    assert tally(binary(30), 50, 50, **changes).shortage == shortage


def test_answers_are_told_as_far_as_a_person_reads() -> None:
    task = Task("next", "multiclass", "next_type", 1)
    customers = {f"t{number}": number for number in range(7)}
    few = tally(task, 100, 0, customers=customers)

    assert choose(Question("next", ()), [(Candidate(task), few)]) == (
        "with 1 day, customers by answer: 6 t6, 5 t5, 4 t4, 3 t3 and 3 more; at least 10 of two answers are needed"
    )


def test_few_labels_of_a_sample_stand_for_many() -> None:
    assert tally(binary(30), 3, 500).shortage != ""
    assert tally(binary(30), 3, 500, scale=10.0).shortage == ""


# ---- rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yes", "threshold", "rearm"), [(0, 0.01, 0.007), (10, 0.03, 0.021), (100, 0.25, 0.175), (500, 0.75, 0.525)]
)
def test_an_alert_is_for_three_times_the_average_odds(yes: int, threshold: float, rearm: float) -> None:
    first, _ = rules([Chosen(binary(30), "", tally(binary(30), yes, 1000 - yes))], 7.3)

    assert (first.name, first.threshold, first.rearm, first.cooldown_hours) == ("churn_high", threshold, rearm, 360)


def test_an_alert_on_classes_is_for_the_likeliest_one_that_is_something() -> None:
    task = Task("product", "multiclass", "outcome_within", 90, classes=("none", "card", "loan"))
    answers = {"none": 900, "card": 20, "loan": 80}

    first, _ = rules([Chosen(task, "", tally(task, 0, 1000, answers=answers))], 7.3)

    assert (first.class_, first.threshold, first.cooldown_hours) == ("loan", 0.2, 720)


@pytest.mark.parametrize(("seen", "threshold"), [(7.3, 7.5), (1.0, 4.0), (20.0, 12.0), (float("nan"), 6.0)])
def test_an_unusual_amount_is_one_in_a_thousand_within_reason(seen: float, threshold: float) -> None:
    (only,) = rules([], seen)

    assert (only.feature, only.threshold, only.rearm) == ("amount_z", threshold, threshold / 2)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (Rule("r", 0.5, task="churn"), "Info when churn rises to 0.5."),
        (
            Rule("r", 0.5, task="next", class_="loan", rearm=0.3, cooldown_hours=24, severity="high"),
            "High when the chance of loan in next rises to 0.5, again once it was below 0.3 and a day has passed.",
        ),
        (
            Rule("r", 2.0, feature="silence_z", direction="below", rearm=3.0, cooldown_hours=36),
            "Info when silence_z falls to 2, again once it was above 3 and 1.5 days have passed.",
        ),
    ],
)
def test_rules_are_told_in_words(rule: Rule, said: str) -> None:
    assert rule_words(rule) == said


# ---- TOML ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [1, 30.0, 0.25, -1.5e-7, 1e20, True, False, 'a "b" \\ \u0007 \n 费 🙂', ["x", 1], {"USD": 0.5, "a b": [1, 2]}, []],
)
def test_values_are_written_so_that_they_are_read_back(item: object) -> None:
    assert tomllib.loads(f"it = {toml.value(item)}")["it"] == item


def test_notes_stay_on_their_line_whatever_they_hold() -> None:
    attribute = Attribute("town", "category", values=("a", "b\n[[tasks]]"))

    text = toml.rows("attributes", [(attribute, "a note\n[[tasks]]\x85")])

    (found,) = tomllib.loads(text)["attributes"]
    assert (found["name"], found["values"]) == ("town", ["a", "b\n[[tasks]]"])


def test_comments_are_wrapped_and_stay_comments() -> None:
    lines = toml.comments(["word " * 60, "one\ntwo"])

    assert all(line.startswith("# ") and len(line) <= 112 for line in lines)
    assert lines[-1] == "# one?two"
    assert all(a != b for a, b in pairwise(lines[-2:]))
