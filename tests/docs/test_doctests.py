"""The examples in docstrings are true: they run on a small simulated bank and a bundle with a random network."""

import doctest
import importlib
from pathlib import Path
from types import ModuleType

import pytest

from schemas import spec_file
from tests.bundles import random_bundle
from tests.conftest import ROOT
from training.datasets.simulator import BankSimulator

PACKAGES = ("schemas", "stream_app", "training")


def with_examples() -> list[str]:
    """Return the names of the modules that have an example."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    shown = [path.relative_to(ROOT).with_suffix("") for path in files if ">>> " in path.read_text("utf-8")]
    return [".".join(path.parts) for path in shown]


def examined(module: ModuleType) -> doctest.TestResults:
    """Run the examples of a module and count them."""
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in doctest.DocTestFinder(recurse=True).find(module):
        runner.run(test)
    return runner.summarize(verbose=False)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder as a notebook finds it after `foretell data simulate` and `foretell train`."""
    desk = tmp_path_factory.mktemp("desk")
    BankSimulator(customers=60, months=12).write(desk / "bank")
    random_bundle(desk / "bank-bundle", spec_file.bank())
    return desk


def test_what_is_promised_to_notebooks_has_an_example() -> None:
    assert {"stream_app.offline.replay", "training.samples"} <= set(with_examples())


@pytest.mark.parametrize("name", with_examples())
def test_every_example_is_true(name: str, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)

    done = examined(importlib.import_module(name))

    assert done.attempted > 0
    assert done.failed == 0


def test_an_example_that_is_not_true_would_be_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    module = ModuleType("untrue", ">>> 1 + 1\n3\n>>> 1 + 2\n3\n")

    done = examined(module)

    assert (done.attempted, done.failed) == (2, 1)
    assert "Expected" in capsys.readouterr().out
