"""Teachers: what they answer is out of fold, and the network's targets are made of it and of the labels."""

import builtins
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from schemas.errors import TrainingError
from stream_app.bundle import Output, outputs_of
from training import teachers, trainer
from training.arrays import Singles
from training.prepare import Prepared
from training.recipe import TAUGHT
from training.scaling import Scaling
from training.tasks import KINDS
from training.teachers import TaskTeacher, Taught, teach


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Let no test wait for hundreds of trees."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teachers, "MOST_TREES", 30)
        yield


@pytest.fixture(scope="module")
def inputs(tiny_prepared: Prepared) -> Singles:
    features = tiny_prepared.samples.features
    return np.asarray(Scaling.of(features, tiny_prepared.layout)(features))


@pytest.fixture(scope="module")
def taught(tiny_prepared: Prepared, inputs: Singles) -> Taught:
    return teach(tiny_prepared, inputs, 1)


def part(output: Output) -> slice:
    return slice(output.start, output.start + output.width)


def flipped(prepared: Prepared, customer: int) -> Prepared:
    """Return samples in which a customer's first label, yes or no, is the other one everywhere."""
    labels = prepared.samples.labels
    value = labels.value.copy()
    mine = prepared.samples.rows.customer == customer
    value[mine, 0] = 1.0 - value[mine, 0]
    return replace(prepared, samples=replace(prepared.samples, labels=replace(labels, value=value)))


def test_answers_are_chances_and_better_than_the_prior(tiny_prepared: Prepared, taught: Taught) -> None:
    known, value = tiny_prepared.split.train, tiny_prepared.samples.labels.value
    assert taught.rows.tolist() == np.flatnonzero(known.any(axis=1)).tolist()
    assert taught.tasks.tolist() == [True, True, True, False]
    for index, output in enumerate(outputs_of(tiny_prepared.spec)[:3]):
        kind, answers = KINDS[output.learned_as], taught.answers[:, part(output)].astype(np.float64)
        if output.kind != "value":
            sums = answers.sum(axis=1) if output.classes else np.ones(len(answers))
            assert ((answers >= 0) & (answers <= 1)).all()
            assert sums == pytest.approx(1.0, abs=1e-5)
        rows = known[taught.rows, index]
        target = value[taught.rows[rows], index]
        assert kind.answer_loss(answers[rows], target) < kind.prior_loss(target, output.width)


def test_what_is_answered_of_a_customer_does_not_depend_on_the_customers_own_labels(
    monkeypatch: pytest.MonkeyPatch, tiny_prepared: Prepared, inputs: Singles
) -> None:
    monkeypatch.setattr(teachers, "FEW", 0)  # what is blended is chosen by all labels
    taught = teach(tiny_prepared, inputs, 1)
    customer = int(tiny_prepared.samples.rows.customer[taught.rows[0]])
    again = teach(flipped(tiny_prepared, customer), inputs, 1)
    mine = tiny_prepared.samples.rows.customer[taught.rows] == customer
    churn = part(outputs_of(tiny_prepared.spec)[0])
    assert np.array_equal(again.answers[mine, churn], taught.answers[mine, churn])
    assert not np.array_equal(again.answers[~mine, churn], taught.answers[~mine, churn])


def test_trees_that_have_seen_a_customer_answer_by_heart(
    monkeypatch: pytest.MonkeyPatch, tiny_prepared: Prepared, inputs: Singles
) -> None:
    grow = TaskTeacher._grow  # noqa: SLF001

    def seen(self: Any, learned: Any) -> Any:  # noqa: ANN401
        del learned
        return grow(self, np.flatnonzero(self.prepared.split.train[:, self.index]))

    monkeypatch.setattr(TaskTeacher, "_grow", seen)
    monkeypatch.setattr(teachers, "FEW", 0)
    heart, churn = teach(tiny_prepared, inputs, 1), outputs_of(tiny_prepared.spec)[0]
    monkeypatch.setattr(TaskTeacher, "_grow", grow)
    taught = teach(tiny_prepared, inputs, 1)
    rows = tiny_prepared.split.train[taught.rows, 0]
    target = tiny_prepared.samples.labels.value[taught.rows[rows], 0]
    losses = [
        KINDS["binary"].answer_loss(each.answers[rows, part(churn)].astype(np.float64), target)
        for each in (heart, taught)
    ]
    assert losses[0] < losses[1]


def test_a_linear_model_that_knows_better_gets_the_larger_share(
    monkeypatch: pytest.MonkeyPatch, tiny_prepared: Prepared, inputs: Singles
) -> None:
    def useless(self: Any, model: Any, answered: Any) -> Any:  # noqa: ANN401
        assert model
        return np.full((len(answered), self.output.width), 1.0 / max(self.output.width, 2))

    monkeypatch.setattr(TaskTeacher, "_answers", useless)
    assert teach(tiny_prepared, inputs, 1).linear["next"] > 0.5


def test_targets_are_mixed_where_there_is_a_label_and_the_teachers_elsewhere(
    tiny_prepared: Prepared, inputs: Singles, taught: Taught
) -> None:
    plain = trainer.material_of(tiny_prepared, inputs, None, TAUGHT)
    mixed = trainer.material_of(tiny_prepared, inputs, taught, TAUGHT)
    known = tiny_prepared.split.train[taught.rows]
    for index, output in enumerate(outputs_of(tiny_prepared.spec)):
        hard, soft, answer = (
            each[:, part(output)] for each in (plain.train.targets, mixed.train.targets, taught.answers)
        )
        rows = known[:, index]
        if taught.tasks[index]:
            assert soft[rows] == pytest.approx(TAUGHT.trust * answer[rows] + (1 - TAUGHT.trust) * hard[rows], abs=1e-5)
            assert np.array_equal(soft[~rows], answer[~rows])
            assert set(mixed.train.counts[~rows, index].tolist()) <= {TAUGHT.unlabelled}
        else:
            assert np.array_equal(soft, hard)
            assert not mixed.train.counts[~rows, index].any()
        assert (mixed.train.counts[rows, index] == 1.0).all()
        assert mixed.per_row[index] * mixed.train.counts[:, index].mean() == pytest.approx(mixed.weights[index])
    assert np.array_equal(plain.validation.targets, mixed.validation.targets)


def test_without_the_library_of_trees_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tiny_prepared: Prepared, inputs: Singles
) -> None:
    usual = builtins.__import__

    def broken(name: str, *arguments: Any) -> ModuleType:  # noqa: ANN401
        if name == "lightgbm":
            message = "libgomp.so.1: cannot open shared object file"
            raise OSError(message)
        return usual(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(TrainingError, match="libgomp1\\), or train with --quick"):
        teach(tiny_prepared, inputs, 1)
