"""Who a task is asked for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.errors import SpecError
from schemas.spec import Condition, Spec, Task, TransactionType
from schemas.spec_file import bank
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.layout import Layout


def layout(*tasks: tuple[Condition, ...]) -> Layout:
    """Return a layout with a task for each tuple of conditions."""
    return Layout(
        Spec(
            name="small",
            currency="EUR",
            types=(TransactionType(name="other"),),
            tasks=tuple(
                Task(name=f"task{n}", kind="binary", label="inactive", horizon_days=60.0, eligible=conditions)
                for n, conditions in enumerate(tasks)
            ),
        )
    )


def rows(where: Layout, **features: list[float]) -> NDArray[np.float32]:
    """Return feature rows with these values."""
    result = np.zeros((max(len(values) for values in features.values()), where.feature_width), np.float32)
    for name, values in features.items():
        result[:, where.column[name]] = values
    return result


def test_bounds_are_inclusive() -> None:
    where = layout((Condition("own_silence_h", at_least=10.0, at_most=720.0),))
    found = Eligibility.of(where)(rows(where, own_silence_h=[9.99, 10, 100, 720, 720.01]))
    assert found[:, 0].tolist() == [False, True, True, True, False]


def test_bounds_are_inclusive_for_numbers_that_float32_rounds() -> None:
    where = layout((Condition("gap_z", at_most=0.1),), (Condition("gap_z", at_least=0.7),))
    found = Eligibility.of(where)(rows(where, gap_z=[0.1, 0.7]))
    assert found.tolist() == [[True, False], [False, True]]


def test_all_conditions_of_a_task_must_hold() -> None:
    where = layout((Condition("own_silence_h", at_most=720.0), Condition("own_count", at_least=5.0)))
    found = Eligibility.of(where)(rows(where, own_silence_h=[1, 1, 1000, 1000], own_count=[5, 4, 5, 4]))
    assert found[:, 0].tolist() == [True, False, False, False]


def test_each_task_has_its_own_conditions_and_one_without_is_asked_for_all() -> None:
    where = layout((Condition("count", at_least=2.0),), (), (Condition("count", at_most=2.0),))
    found = Eligibility.of(where)(rows(where, count=[1, 2, 3]))
    assert found.tolist() == [[False, True, True], [True, True, True], [True, True, False]]
    assert found.dtype == np.bool_


def test_a_bound_beyond_float32_holds_for_all_or_none() -> None:
    where = layout((Condition("count", at_most=1e300),), (Condition("count", at_least=1e300),))
    assert Eligibility.of(where)(rows(where, count=[1])).tolist() == [[True, False]]


def test_no_conditions_and_no_rows_are_no_trouble() -> None:
    where = layout((), ())
    assert Eligibility.of(where)(rows(where, count=[1])).tolist() == [[True, True]]
    assert Eligibility.of(where)(np.zeros((0, where.feature_width), np.float32)).shape == (0, 2)


def test_the_banks_credit_risk_is_asked_for_borrowers() -> None:
    where = Layout(bank())
    found = Eligibility.of(where)(rows(where, **{"has_loan=yes": [1.0, 0.0], "own_count": [5.0, 5.0]}))
    names = [task.name for task in bank().tasks]
    assert found[:, names.index("credit_risk")].tolist() == [True, False]
    assert found[:, names.index("churn")].tolist() == [True, True]


def test_an_unknown_feature_is_refused_with_its_task() -> None:
    with pytest.raises(
        SpecError, match=r"name of a feature in task 'task0', eligible, found 'silence'; the nearest are"
    ):
        Eligibility.of(layout((Condition("silence", at_most=1.0),)))
