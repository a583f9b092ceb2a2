"""What every test may use, and what no test may do."""

import asyncio
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
GRACE_S = 2.0
"""How long a thread that was told to stop may take for it."""

# Before anything imports numba or TensorFlow; subprocesses of tests inherit it.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".cache" / "numba"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# `ci` tries the same examples in every run; `pytest --hypothesis-profile dev` searches for new ones.
settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=500)
settings.load_profile("ci")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a test has printed as text that is UTF-8: the processes that share the tests take nothing else."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def data_dir() -> Callable[[str], Path]:
    """Give the folder of a real data set by its name, or skip the test where this machine does not have it.

    They are looked for in ``$FORETELL_DATA``, or else in ``shared/data`` beside the checkout.
    """

    def folder(name: str) -> Path:
        root = Path(os.environ.get("FORETELL_DATA") or ROOT.parent / "shared" / "data")
        if not (root / name).is_dir():
            pytest.skip(f"no folder {name} in {root}; name the place of the real data sets with FORETELL_DATA")
        return root / name

    return folder


@pytest.fixture(autouse=True)
def no_leaked_thread() -> Iterator[None]:
    """Fail a test that leaves a thread running; threads of wider fixtures are theirs to stop."""
    before = set(threading.enumerate())
    yield
    started = [thread for thread in threading.enumerate() if thread not in before]
    for thread in started:
        thread.join(GRACE_S)
    leaked = [thread.name for thread in started if thread.is_alive()]
    assert not leaked, f"threads left running: {', '.join(leaked)}"


@pytest.fixture(autouse=True)
def no_leaked_task(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a task to ``asyncio.run``, which would cancel it without a word."""
    leaked: list[str] = []
    close = asyncio.Runner.close

    def close_and_tell(runner: asyncio.Runner) -> None:
        with suppress(RuntimeError):  # closed before
            leaked.extend(task.get_name() for task in asyncio.all_tasks(runner.get_loop()) if not task.done())
        close(runner)

    monkeypatch.setattr(asyncio.Runner, "close", close_and_tell)
    yield
    assert not leaked, f"tasks left running: {', '.join(leaked)}"
