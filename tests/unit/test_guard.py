"""What nothing honest can be learned from is refused by name."""

from dataclasses import replace

import numpy as np
import pytest

from schemas.errors import TrainingError
from training.guard import leaks, refuse_leaks, require_labels
from training.prepare import Prepared
from training.samples import Samples


def planted(prepared: Prepared, task: str, column: str, noise: float = 0.0) -> Samples:
    """Return the samples with a task's label, and some noise, in place of a feature."""
    samples, index = prepared.samples, [item.name for item in prepared.spec.tasks].index(task)
    features = samples.features.copy()
    place = prepared.layout.column[column]
    features[:, place] = samples.labels.value[:, index] + noise * np.random.default_rng(0).normal(size=len(samples))
    return replace(samples, features=features)


def test_honest_samples_pass(tiny_prepared: Prepared) -> None:
    assert list(leaks(tiny_prepared.samples, tiny_prepared.split, tiny_prepared.layout)) == []
    refuse_leaks(tiny_prepared.samples, tiny_prepared.split, tiny_prepared.layout)
    require_labels(tiny_prepared.samples, tiny_prepared.split, tiny_prepared.spec)


@pytest.mark.parametrize("task", ["churn", "next", "value", "loan"])
def test_a_label_among_the_inputs_is_caught(tiny_prepared: Prepared, task: str) -> None:
    samples = planted(tiny_prepared, task, "income")

    found = {(leak.feature, leak.task) for leak in leaks(samples, tiny_prepared.split, tiny_prepared.layout)}

    assert ("income", task) in found


def test_the_refusal_names_feature_and_task_and_what_to_do(tiny_prepared: Prepared) -> None:
    samples = planted(tiny_prepared, "churn", "income")

    with pytest.raises(
        TrainingError, match=r"found 'income', which alone tells .* task 'churn' .* --allow-leak 'income'"
    ):
        refuse_leaks(samples, tiny_prepared.split, tiny_prepared.layout)


def test_a_leak_may_be_accepted(tiny_prepared: Prepared) -> None:
    refuse_leaks(planted(tiny_prepared, "churn", "income"), tiny_prepared.split, tiny_prepared.layout, ("income",))


def test_a_good_input_is_no_leak(tiny_prepared: Prepared) -> None:
    samples = planted(tiny_prepared, "next", "income", noise=1.0)

    assert list(leaks(samples, tiny_prepared.split, tiny_prepared.layout)) == []


def test_what_the_network_may_not_see_is_no_leak(tiny_prepared: Prepared) -> None:
    hidden = type(tiny_prepared.spec)(
        **{
            **{name: getattr(tiny_prepared.spec, name) for name in tiny_prepared.spec.__struct_fields__},
            "exclude_inputs": ("income",),
        }
    )
    layout = type(tiny_prepared.layout)(hidden)

    assert list(leaks(planted(tiny_prepared, "churn", "income"), tiny_prepared.split, layout)) == []


def with_labels(prepared: Prepared, task: str, value: float | None) -> Prepared:
    """Return the samples with one label everywhere, or none, for a task."""
    index = [item.name for item in prepared.spec.tasks].index(task)
    labels, parts = prepared.samples.labels, prepared.split
    values, known = labels.value.copy(), labels.known.copy()
    values[:, index] = value or 0.0
    known[:, index] &= value is not None
    masks = {name: getattr(parts, name) & known for name in ("train", "validation", "calibration", "test")}
    return replace(
        prepared,
        samples=replace(prepared.samples, labels=replace(labels, value=values, known=known)),
        split=replace(parts, **masks),
    )


@pytest.mark.parametrize(
    ("task", "value", "found"),
    [
        ("churn", 1.0, "only the label 1 in all training rows"),
        ("next", 2.0, "only class 'shop' in all training rows"),
        ("value", 3.5, "only the label 3.5 in all training rows"),
    ],
)
def test_one_label_for_all_is_refused(tiny_prepared: Prepared, task: str, value: float, found: str) -> None:
    same = with_labels(tiny_prepared, task, value)

    with pytest.raises(TrainingError, match=rf"task '{task}', found {found} .* remove the task or bring more data"):
        require_labels(same.samples, same.split, same.spec)


def test_a_task_without_labels_is_refused(tiny_prepared: Prepared) -> None:
    none = with_labels(tiny_prepared, "loan", None)

    with pytest.raises(
        TrainingError, match=r"labels for task 'loan', found none: .* remove the task or bring more data"
    ):
        require_labels(none.samples, none.split, none.spec)


def test_nothing_to_validate_on_is_refused(tiny_prepared: Prepared) -> None:
    parts = replace(tiny_prepared.split, validation=np.zeros_like(tiny_prepared.split.validation))

    with pytest.raises(TrainingError, match="rows to validate on, found none"):
        require_labels(tiny_prepared.samples, parts, tiny_prepared.spec)
