"""Reasons in scores, where the spec wants them: the same in every batch, and nothing else changes."""

from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from schemas.messages import Score
from stream_app import bundle as bundles
from stream_app.bundle import MODEL, REASONS, Bundle
from stream_app.offline.explaining import explain
from stream_app.offline.log import open_log
from stream_app.offline.replay import Options, Outputs, replay_files
from stream_app.shelf import Shelf
from tests.unit.conftest import Tiny
from tests.unit.test_reasons import explained

__all__ = ["explained"]  # a fixture


@pytest.fixture(scope="module")
def telling(explained: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle with a spec whose scores tell their reasons."""
    spec = explained.manifest.spec
    wanted = msgspec.structs.replace(spec, reasons=msgspec.structs.replace(spec.reasons, scores=True))
    manifest = msgspec.structs.replace(explained.manifest, spec=wanted)
    files = {MODEL: explained.model, REASONS: (explained.path / REASONS).read_bytes()}
    return bundles.write(tmp_path_factory.mktemp("telling") / "bundle", manifest, files)


def messages(tiny: Tiny, bundle: Bundle, out: Path, chunk: int = 4096) -> list[str]:
    replay_files(tiny.folder.path, bundle.path, Outputs(out), Options(1, None, chunk))
    found: list[str] = pq.read_table(out)["message"].to_pylist()
    return found


@pytest.fixture(scope="module")
def told(tiny_bundle: Tiny, telling: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return messages(tiny_bundle, telling, tmp_path_factory.mktemp("told") / "scores")


def test_scores_tell_the_reasons_that_explain_tells(tiny_bundle: Tiny, telling: Bundle, told: list[str]) -> None:
    top = telling.spec.reasons.top
    for text in (told[0], told[len(told) // 2], told[-1]):
        score = msgspec.json.decode(text, type=Score)
        found = explain(open_log(tiny_bundle.folder.path), Shelf(telling), score.score_id)
        assert score.reasons == {name: task.reasons[:top] for name, task in found.tasks.items()}


def test_they_are_the_same_for_any_chunk(tiny_bundle: Tiny, telling: Bundle, told: list[str], tmp_path: Path) -> None:
    assert messages(tiny_bundle, telling, tmp_path / "scores", chunk=97) == told


def test_all_else_is_as_without_them(
    tiny_bundle: Tiny, explained: Bundle, telling: Bundle, told: list[str], tmp_path: Path
) -> None:
    plain = messages(tiny_bundle, explained, tmp_path / "scores")
    assert not any('"reasons"' in text for text in plain)
    for before, after in zip(plain, told, strict=True):
        cut = after[: after.index(',"reasons":')] + "}"
        assert cut == before.replace(explained.short, telling.short)
