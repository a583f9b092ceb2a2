"""The comparison with the reference sees what is wrong: it would be no use otherwise."""

import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from stream_app.kernel import kernel
from stream_app.kernel.rolling import Rolling
from tests.properties import reference
from tests.properties.comparison import VERDICTS, Comparison
from tests.properties.kernel_cases import CUSTOMERS, encode, habits, rolling, run, seeded_log
from tests.properties.reference import Customer, Item


@pytest.mark.parametrize(
    "feature",
    ["count_24h", "in~30d", "out_30d", "gap_mean_h", "amount_sd", "amount_z", "silence_h", "due_d:pay", "year_cos"],
)
def test_the_comparison_sees_a_feature_that_is_slightly_wrong(feature: str) -> None:
    features = rolling("small")
    items = seeded_log(features, 60)
    customer = Customer(features.layout.spec)
    wanted = [customer.step(item)[1] for item in items if item.customer == items[-1].customer][-1]
    row = run(features, items).features[-1]
    comparison = Comparison(features.layout)
    assert comparison.differences(wanted, row, customer) == []
    row[features.layout.column[feature]] += abs(row[features.layout.column[feature]]) * 1e-4 + 1e-4
    assert [name for name, _, _ in comparison.differences(wanted, row, customer)] == [feature]


MUTANTS: Final = {
    "the bank's events count as the customer's": ("if plan.own[kind] == 1:", "if True:"),
    "a late balance counts": ("if late == 0.0 and balance == balance:", "if balance == balance:"),
    "the ring holds an hour more": ("if newest - hour < HOURS:", "if newest - hour <= HOURS:"),
    "the ring holds a day more": ("if newest // 24 - day < DAYS:", "if newest // 24 - day <= DAYS:"),
    "a late event enters undecayed": ("else decay(-after * rate)", "else 1.0"),
    "means forget faster": ("SLOWEST: Final = 0.02", "SLOWEST: Final = 0.03"),
    "today's anniversary is over": ("if (this >= day) &", "if (this > day) &"),
    "two events in an hour are one": ("if hour >= wide(s[b]):", "if hour > wide(s[b]):"),
    "seven ids are remembered": ("s[at] = (place + 1) % IDS", "s[at] = (place + 1) % (IDS - 1)"),
    "a gap backwards is a gap": ("positive(forward) / HOUR_MS", "abs(forward) / HOUR_MS"),
    "what is unknown is known as 0": ("0.0 if value == UNKNOWN else 1.0", "1.0"),
    "a late event never is the first": ("hour < wide(s[CLOCK + 3])", "False"),
    "the exponential is off": ("C2 + r * (C3", "C2 + r * (C2"),
    "silence is not read": ("elapsed(s, CLOCK, float(hour), float(ms)) < 0.0", "True"),
}

OF_HABITS: Final = {
    "the days hold one more": ("newest - day < KEPT_DAYS:", "newest - day <= KEPT_DAYS:"),
    "the bank's types recur": ("plan.own[kind] == 1 and newest - day", "newest - day"),
    "no day is forgotten": ("words[k] = int(words[k]) & kept", "pass"),
    "what was forgotten is due after a silence": ("silent = min(today - newest, KEPT_DAYS)", "silent = 0"),
    "days that a month lacks are lost": ("(last if days >= last else 0)", "(days & last)"),
    "one of three is two of three": ("(one & two) | (one & three)", "one | (one & three)"),
    "the next month is not looked at": ("(this | (following << rest))", "this"),
    "a cycle begins today": ("days_from(past, KEPT_DAYS - period, period)", "days_from(past, 95 - period, period)"),
    "the first type is not taken off": ("due - first if", "due if"),
}

Steps = Callable[[Any, kernel.Items, kernel.Plan, Any, Any], None]


def mutant(old: str, new: str) -> Steps:
    """Return the kernel's ``step``, not compiled, with one place of its text changed."""
    source = Path(kernel.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1, f"expected {old!r} once in the kernel; correct the mutant"
    plain = source.replace("from numba import njit", "njit = lambda **_: lambda function: function")
    plain = plain.replace("from stream_app.native import prefetch", "prefetch = lambda *_: None")
    assert plain != source
    module = types.ModuleType("mutant")
    exec(compile(plain.replace(old, new), "mutant", "exec"), module.__dict__)  # noqa: S102  (the project's own text)
    step: Steps = module.step
    return step


def wrong_in_all(step: Steps, seed: int) -> set[str]:
    """Return the features (or verdicts) in which a ``step`` differs from the definitions on a log of everything."""
    features = rolling("small", 330)
    return wrong_features(step, features, seeded_log(features, 200, seed))


def wrong_in_habits(step: Steps, seed: int) -> set[str]:
    """Return the same for a log of customers with habits."""
    return wrong_features(step, rolling("recurring", 330), habits(60, seed))


def wrong_features(step: Steps, features: Rolling, items: Sequence[Item]) -> set[str]:
    """Return the features (or verdicts) in which a ``step`` differs from the definitions."""
    layout = features.layout
    out = np.zeros((len(items), layout.feature_width), np.float32)
    verdict = np.empty(len(items), np.int64)
    step(features.empty(CUSTOMERS), encode(layout, items), features.plan, out, verdict)
    comparison, customers = Comparison(layout), [Customer(layout.spec) for _ in range(CUSTOMERS)]
    for item, row, found in zip(items, out, verdict, strict=True):
        expected, wanted = customers[item.customer].step(item)
        if found != VERDICTS[expected]:
            return {"verdict"}
        differences = comparison.differences(wanted, row, customers[item.customer]) if wanted else []
        if differences:
            return {name for name, _, _ in differences}
    return set()


def test_the_kernel_that_is_not_compiled_follows_the_definitions() -> None:
    step = mutant("TRANSACTION: Final = 0", "TRANSACTION: Final = 0")
    assert [wrong(step, seed) for wrong in (wrong_in_all, wrong_in_habits) for seed in range(3)] == [set()] * 6


@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_sees_that(name: str) -> None:
    step = mutant(*MUTANTS[name])
    assert any(wrong_in_all(step, seed) for seed in range(20))


@pytest.mark.parametrize("name", OF_HABITS)
def test_the_comparison_sees_in_habits_that(name: str) -> None:
    step = mutant(*OF_HABITS[name])
    assert any(wrong_in_habits(step, seed) for seed in range(20))


def test_the_reference_weighs_observations_as_an_update_by_hand_does() -> None:
    assert reference.weights(3) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert sum(reference.weights(200)) == pytest.approx(1)
    assert reference.moments([1.0, 3.0]) == pytest.approx((2.0, 1.0))
