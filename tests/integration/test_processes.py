"""Processes of tests are seen, stopped and outlive no test run; a server that is missing skips a test or fails it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.embedded import ports
from tests.kit import require
from tests.kit.processes import ROOT, Foretell, Process, gone, happens

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
NO_JAVA = "no java on the path; install it"


def python(code: str, folder: Path) -> Process:
    """Make a process that runs a few statements."""
    return Process([sys.executable, "-c", code], folder / "output.log", {}, folder)


def test_a_verb_runs_with_the_given_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETELL_GROUP", "of the machine")
    code = "import os; print(sorted(name for name in os.environ if name.startswith('FORETELL')))"
    (tmp_path / "tell.py").write_text(code, encoding="utf-8")
    with Foretell(environment={"FORETELL_KAFKA": "k:1"}, folder=tmp_path, module="tell").start() as process:
        assert process.wait() == 0
        assert process.output == "['FORETELL_KAFKA', 'FORETELL_WEB']\n"


def test_the_command_runs_as_a_process(tmp_path: Path) -> None:
    with Foretell("--version", environment={}, folder=tmp_path).start() as process:
        assert process.wait() == 0
        assert process.output.startswith("foretell ")


def test_readiness_is_what_the_page_says(tmp_path: Path) -> None:
    port = str(ports.free())
    web = {"FORETELL_WEB": f"{ports.HOST}:{port}"}
    with Foretell(port, "--bind", ports.HOST, environment=web, folder=tmp_path, module="http.server") as process:
        assert process.status("/health/ready") == 0
        process.start()
        with pytest.raises(AssertionError, match="Expected /health/ready to answer 200 in 1 s, found still running"):
            process.wait_ready(seconds=1)
        assert process.status("/health/ready") == 404
        (tmp_path / "health").mkdir()
        (tmp_path / "health" / "ready").write_text("yes", encoding="utf-8")
        process.wait_ready()
        assert process.page("/health/ready") == "yes"


def test_waiting_for_a_text_ends_with_the_process_and_shows_what_it_printed(tmp_path: Path) -> None:
    with python("print('something else')", tmp_path).start() as process:
        process.wait_for("else")
        with pytest.raises(AssertionError, match=r"(?s)'ready' in its output .* found exit code 0.*something else"):
            process.wait_for("ready", seconds=60)


def test_only_the_output_since_the_last_start_counts(tmp_path: Path) -> None:
    process = python("import time; print(time.monotonic_ns())", tmp_path)
    texts = []
    for _ in range(2):
        process.start()
        assert process.wait() == 0
        texts.append(process.output)
    assert texts[0] != texts[1]
    assert process.path.read_text(encoding="utf-8") == "".join(texts)


def test_a_process_that_stops_says_how_long_it_took_and_its_exit_code(tmp_path: Path) -> None:
    with python("import time; print('ready', flush=True); time.sleep(60)", tmp_path).start() as process:
        process.wait_for("ready")
        ended = process.terminate()
        assert ended.code == -signal.SIGTERM
        assert 0 < ended.seconds < 10


def test_a_process_that_does_not_stop_is_killed_and_fails_the_test(tmp_path: Path) -> None:
    with python(STUBBORN, tmp_path).start() as process:
        process.wait_for("ready")
        with pytest.raises(AssertionError, match=r"Expected its end in 0\.3 s, found still running"):
            process.terminate(seconds=0.3)
        assert process.exit_code == -signal.SIGKILL


def test_a_kill_takes_the_children_along_also_of_a_paused_process(tmp_path: Path) -> None:
    child = f"subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])"
    with python(
        f"import subprocess, sys; child = {child}; print(child.pid, flush=True); child.wait()", tmp_path
    ) as process:
        process.start()
        process.wait_for("ready")
        pid = int(process.output.split()[0])
        process.pause()
        process.kill()
        assert not process.running
        assert happens(lambda: gone(pid), 5)


@pytest.mark.parametrize("required", ["", "redis"])
def test_a_missing_part_skips(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv(require.VARIABLE, required)
    with pytest.raises(pytest.skip.Exception, match=NO_JAVA):
        require.need(require.KAFKA, NO_JAVA)


@pytest.mark.parametrize("required", ["kafka", "redis,kafka", "redis, kafka"])
def test_a_missing_part_that_is_required_fails(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv(require.VARIABLE, required)
    with pytest.raises(pytest.fail.Exception, match=f"FORETELL_TEST_REQUIRE names kafka, but there is {NO_JAVA}"):
        require.need(require.KAFKA, NO_JAVA)


@pytest.mark.parametrize("required", ["", "kafka,redis"])
def test_a_part_that_is_there_neither_skips_nor_fails(monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    monkeypatch.setenv(require.VARIABLE, required)
    require.need(require.KAFKA, "")


def test_a_requirement_that_nobody_knows_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(require.VARIABLE, "kakfa")
    with pytest.raises(
        pytest.fail.Exception, match="Expected FORETELL_TEST_REQUIRE to name demo or kafka or redis, found kakfa"
    ):
        require.need(require.REDIS, "")


@pytest.mark.parametrize(("required", "code", "outcome"), [("", 0, "1 skipped"), ("kafka", 1, "1 error")])
def test_a_run_without_the_jars_skips_or_fails_with_the_reason(
    tmp_path: Path, required: str, code: int, outcome: str
) -> None:
    test = "tests/integration/test_kit.py::test_topics_are_made_and_deleted_by_the_test_alone"
    environment = os.environ | {"FORETELL_KAFKA_LIBS": str(tmp_path), require.VARIABLE: required}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, outcome in done.stdout) == (code, True), done.stdout
    assert f"no jars of Kafka in {tmp_path}; fetch them with `make kafka`" in done.stdout
