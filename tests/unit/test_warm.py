"""Warming up goes through every step that a record may need, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest

from schemas import spec_file
from stream_app import pipeline, warm
from stream_app.kernel import kernel
from stream_app.scorer import Emission, Scorer
from stream_app.shelf import Shelf
from stream_app.steps import features
from stream_app.steps.stages import Batch, Chunk, Decoded, Read
from tests.bundles import random_bundle


@pytest.fixture
def emissions(monkeypatch: pytest.MonkeyPatch) -> list[Emission]:
    """Give what warming up lets out."""
    found: list[Emission] = []

    def score(decoded: Decoded, chunk: Chunk, scorer: Scorer) -> Emission:
        found.append(pipeline.score(decoded, chunk, scorer))
        return found[-1]

    monkeypatch.setattr(warm, "score", score)
    return found


def test_a_transaction_and_a_tick_are_scored_and_nothing_is_refused(tmp_path: Path, emissions: list[Emission]) -> None:
    warm.warm_up(Shelf(random_bundle(tmp_path / "bundle", spec_file.bank())))
    (emission,) = emissions
    assert [part.kind.tolist() for part in emission.scores] == [[0], [2]]
    assert emission.dead_letters == []


def test_every_kind_of_item_that_the_kernel_knows_but_forget_goes_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()
    read = features.read

    def look_and_read(batch: Batch, *others: Any) -> Read:  # noqa: ANN401  (passed on)
        seen.update(batch.op.tolist())
        return read(batch, *others)

    monkeypatch.setattr(features, "read", look_and_read)
    warm.warm_up(Shelf(random_bundle(tmp_path / "bundle", spec_file.bank())))
    assert seen == {kernel.TRANSACTION, kernel.CUSTOMER, kernel.TICK}


def test_an_image_is_warmed_up_without_a_bundle(emissions: list[Emission]) -> None:
    warm.main()
    (emission,) = emissions
    assert [(part.values == 0).all() for part in emission.scores] == [True, True]
