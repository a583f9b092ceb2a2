"""What tests of training share: one tiny folder, and one network trained on it."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stream_app.bundle import Bundle
from stream_app.offline.folder import Folder, read_folder
from tests.logs import write_tiny
from training.learn import learn
from training.prepare import Options, Prepared, prepare
from training.recipe import QUICK


@dataclass(frozen=True)
class Tiny:
    """A tiny folder and the bundle that was trained on it within seconds."""

    folder: Folder
    options: Options
    bundle: Bundle


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data") / "tiny")


@pytest.fixture(scope="session")
def tiny_prepared(tiny_folder: Path) -> Prepared:
    folder = read_folder(tiny_folder)
    return prepare(folder, folder.spec, Options())


@pytest.fixture(scope="session")
def tiny_bundle(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = read_folder(tiny_folder)
    options = Options(recipe=replace(QUICK, epochs=30, layers=(32,)))
    learned = learn(folder, folder.spec, tmp_path_factory.mktemp("trained") / "bundle", options)
    return Tiny(folder, options, learned.bundle)
