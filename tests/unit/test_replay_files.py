"""A replay from Python is the replay of the command."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from schemas.errors import BundleError, InputError, OutputError
from stream_app import cli
from stream_app.bundle import Bundle
from stream_app.offline.folder import TRANSACTIONS
from stream_app.offline.replay import Options, Outputs, replay_files
from tests.bundles import random_bundle
from tests.logs import spec_of, write_tiny

TASK = '[[tasks]]\nname = "churn"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 9'


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give back what the command tunes for its own process."""
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("log") / "tiny", customers=12, days=40)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return random_bundle(tmp_path_factory.mktemp("bundles") / "bundle", spec_of(TASK))


def test_it_writes_what_the_command_writes(
    log: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = Outputs(tmp_path / "s", tmp_path / "a", tmp_path / "d")

    summary = replay_files(log, bundle.path, outputs, Options(partitions=3, chunk_records=7))

    places = ("--out", tmp_path / "s2", "--alerts", tmp_path / "a2", "--dead-letters", tmp_path / "d2")
    assert cli.main([str(item) for item in ("replay", log, "--bundle", bundle.path, "--partitions", 3, *places)]) == 0
    assert f"{summary.scores:,} in" in capsys.readouterr().out
    for path in outputs.paths:
        assert path.read_bytes() == path.with_name(path.name + "2").read_bytes()


def test_places_may_be_texts_and_the_scores_alone_are_enough(log: Path, bundle: Bundle, tmp_path: Path) -> None:
    summary = replay_files(str(log), str(bundle.path), str(tmp_path / "scores.parquet"))

    assert summary.scores == pq.read_table(log / TRANSACTIONS).num_rows
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_progress_is_told(log: Path, bundle: Bundle, tmp_path: Path) -> None:
    class Heard:
        def __init__(self) -> None:
            self.done: list[tuple[int, int]] = []

        def step(self, phase: str, done: int, total: int, text: str = "") -> None:
            assert (phase, text.endswith("scores")) == ("replay", True)
            self.done.append((done, total))

    heard = Heard()
    summary = replay_files(log, bundle.path, tmp_path / "s", Options(chunk_records=100), heard)

    assert heard.done[0] == (100, summary.records)
    assert heard.done[-1] == (summary.records, summary.records)


@pytest.mark.parametrize("name", [TRANSACTIONS, "scorer.toml", "log.parquet"])
def test_what_is_read_is_never_written_over(log: Path, bundle: Bundle, name: str) -> None:
    with pytest.raises(OutputError, match=r"found .* to be an input of the replay"):
        replay_files(log, bundle.path, log / name)


def test_what_is_missing_is_told_and_nothing_is_written(log: Path, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found nothing"):
        replay_files(tmp_path / "none", bundle.path, tmp_path / "s")
    with pytest.raises(BundleError, match=r"Expected manifest\.json"):
        replay_files(log, log, tmp_path / "s")

    assert list(tmp_path.iterdir()) == []
