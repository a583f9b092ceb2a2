"""`foretell demo` as a process: it tells the truth, and leaves nothing behind however it ends."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import spec_file
from schemas.progress import SILENT
from stream_app.embedded import missing, ports
from stream_app.offline.folder import SPEC, TIME, read_folder
from tests.bundles import random_bundle
from tests.docs import terminal
from tests.kit.processes import ROOT, Foretell
from tests.logs import HEAD
from training.datasets.folder import FolderTables, write_folder
from training.datasets.simulator import BankSimulator
from training.demo.folder import MARKER

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=f"{missing()}"),
    pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="no /proc to look for processes in"),
]
WATCHING = "stream at a watchable pace"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a log and a bundle that somebody might have."""
    place = tmp_path_factory.mktemp("own")
    BankSimulator(seed=3, customers=60, months=6).write(place / "bank", SILENT)
    random_bundle(place / "bundle", spec_file.load(place / "bank" / SPEC))
    return place


def demo(folder: Path, *arguments: str | Path, environment: dict[str, str] | None = None) -> Foretell:
    """Return a demo that runs in a folder; with it, all that it starts does."""
    folder.mkdir(exist_ok=True)
    return Foretell("demo", *arguments, environment=environment or {}, folder=folder)


def of_own(own: Path, *more: str) -> list[str | Path]:
    return ["--data", own / "bank", "--bundle", own / "bundle", *more]


def at_work(folder: Path) -> dict[int, str]:
    """Return the processes that work in a folder or below it, by id: their command lines."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = (process / "cwd").resolve()
            command = (process / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if command and place.is_relative_to(folder.resolve()):
            found[int(process.name)] = command.replace(b"\0", b" ").decode()
    return found


def worker_of(folder: Path) -> int:
    """Return the id of the worker that works in a folder."""
    (number,) = [number for number, command in at_work(folder).items() if "stream_app worker" in command]
    return number


def ports_of(folder: Path) -> list[int]:
    """Return the ports of broker, store and worker, as the worker's environment names them."""
    environment = Path(f"/proc/{worker_of(folder)}/environ").read_bytes().decode()
    return [
        int(re.findall(rf"{name}=\S*?127\.0\.0\.1:(\d+)", environment)[0])
        for name in ("FORETELL_KAFKA", "FORETELL_REDIS", "FORETELL_WEB")
    ]


def rows(path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = pq.read_table(path).to_pylist()
    return found


def number(name: str, text: str) -> int:
    """Return the first number of a line of the summary."""
    return int(re.findall(rf"^  {name} +([\d,]+)", text, re.MULTILINE)[0].replace(",", ""))


def test_a_demo_from_nothing_tells_what_its_folder_holds(tmp_path: Path) -> None:
    flags = ["--customers", "250", "--months", "9", "--epochs", "2", "--pace-seconds", "4", "--record", "demo.svg"]
    with demo(tmp_path / "w", *flags, environment={"FORETELL_KAFKA": "192.0.2.1:9092"}).start() as run:
        assert run.wait(280) == 0, run.output
        text = run.output
    out = tmp_path / "w" / "foretell-demo"
    scores, alerts = rows(out / "scores.parquet"), rows(out / "alerts.parquet")
    records = sum(pq.read_metadata(out / "bank" / f"{name}.parquet").num_rows for name in ("transactions", "customers"))
    assert (number("events in", text), number("scored", text)) == (records, len(scores))
    assert (number("alerts", text), number("dead letters", text)) == (len(alerts), 0)
    assert f"{len(scores):,} of {len(scores):,} scores, {len(alerts):,} of {len(alerts):,} alerts" in text
    assert pq.read_table(out / "scores.parquet").equals(pq.read_table(out / "replay" / "scores.parquet"))
    assert (out / "bundle" / "report.html").is_file()
    assert (out / "summary.txt").read_text(encoding="utf-8").strip() in text
    assert (tmp_path / "w" / "demo.svg").read_text(encoding="utf-8").startswith("<svg")
    assert list((out / "servers").glob("*.ndjson")) == []
    assert at_work(tmp_path) == {}
    assert len(json.loads((out / "replay" / "rehearsal.json").read_bytes())["cast"]["roles"]) == 3
    for command in commands(text):
        done = subprocess.run(command, cwd=tmp_path / "w", env=bare(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert pq.read_table(out / "again.parquet").equals(pq.read_table(out / "scores.parquet")), "of the first of them"


def commands(text: str) -> list[list[str]]:
    """Return the commands to try next, as the shell that started the demo would run them."""
    found = [shlex.split(line) for line in text.partition("Try next\n")[2].splitlines() if line.startswith("  ")]
    assert len(found) == 3
    return found


def bare() -> dict[str, str]:
    return {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_stopped_half_way_leaves_nothing_and_may_begin_again(
    told: signal.Signals, own: Path, tmp_path: Path
) -> None:
    run = demo(tmp_path, *of_own(own, "--rate", "100", "--pace-seconds", "60"))
    with run.start():
        run.wait_for(WATCHING, 90)
        open_ports = ports_of(tmp_path)
        assert [ports.answers(port) for port in open_ports] == [True] * 3, "else no port could be seen to close"
        assert len(at_work(tmp_path)) >= 4, "else no process could be seen to end"
        os.kill(run.pid, told)
        assert run.wait(20) == (-told if told == signal.SIGKILL else 130)
        if told != signal.SIGKILL:
            assert at_work(tmp_path) == {}
            last = run.output.splitlines()[-1]
            assert last == "foretell: interrupted; all that was started has been stopped."
            assert "Traceback" not in run.output
    wait_until(lambda: at_work(tmp_path) == {})
    # One that is being killed loses its command line before its sockets.
    wait_until(lambda: [ports.answers(port) for port in open_ports] == [False] * 3)
    if told == signal.SIGKILL:  # nobody has tidied up
        with demo(tmp_path, *of_own(own, "--rate", "5000", "--pace-seconds", "1")).start() as again:
            assert again.wait(90) == 0, again.output


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what the watchdog does within a moment."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come about in {seconds:g} s"
        time.sleep(0.05)


def test_a_worker_that_dies_ends_its_demo_in_one_sentence_and_no_other_demo(own: Path, tmp_path: Path) -> None:
    one = demo(tmp_path / "one", *of_own(own, "--rate", "100", "--pace-seconds", "60"))
    two = demo(tmp_path / "two", *of_own(own, "--rate", "1000", "--pace-seconds", "3"))
    with one.start(), two.start():
        one.wait_for(WATCHING, 90)
        os.kill(worker_of(tmp_path / "one"), signal.SIGKILL)
        assert one.wait(20) == 1
        assert re.fullmatch(
            r"foretell: Expected the worker to run, found it ended with exit code -9: .*; look into .*/worker\.log\.",
            one.output.splitlines()[-1],
        )
        assert at_work(tmp_path / "one") == {}
        assert two.wait(90) == 0, two.output


@pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux on the path")
def test_a_terminal_shows_the_stream_and_then_the_summary(own: Path, tmp_path: Path) -> None:
    flags = of_own(own, "--rate", "800", "--pace-seconds", "6", "--out", str(tmp_path / "o"))
    command = ["env", "-i", *(f"{name}={value}" for name, value in bare().items()), "TERM=screen"]
    code, fullest, end = terminal.shown([*command, sys.executable, "-m", "stream_app", "demo", *map(str, flags)], 120)
    terminal.artefact("demo-of-own-data.txt", tmp_path).write_text(terminal.text(fullest, end), encoding="utf-8")
    assert code == 0, end
    panels = ("─ Phases ─", "▸ ", "─ Stream ─", "─ Alerts (", "Ctrl-C stops everything")
    assert [part for part in panels if part not in fullest] == []
    assert sum("╭─ c0" in line for line in fullest.splitlines()) + fullest.count("╮╭─ c0") >= 3
    assert "Try next" in end
    assert at_work(tmp_path) == {}


ODD = f"""{HEAD}
[[tasks]]
name = "spend"
kind = "value"
label = "outflow"
horizon_days = 7
[training]
"""


def test_any_log_will_do_with_one_customer_twenty_transactions_and_one_task(tmp_path: Path) -> None:
    amount = np.full(20, -5.0)
    amount[3] = 1e15
    tables = FolderTables(
        transactions=pa.table(
            {
                "transaction_id": [f"t{number}" for number in range(20)],
                "customer_id": ["客户\x1b[31m 1"] * 20,
                "time": pa.array([1_700_000_000_000 + number * 3_600_000 for number in range(20)]).cast(TIME),
                "amount": amount,
                "type": ["shop"] * 20,
            }
        ),
        customers=pa.table({"customer_id": pa.array([], pa.string()), "time": pa.array([], TIME)}),
        spec_text=ODD,
    )
    write_folder(tmp_path / "bank", tables)
    random_bundle(tmp_path / "bundle", read_folder(tmp_path / "bank").spec)
    with demo(tmp_path / "w", *of_own(tmp_path, "--out", "o")).start() as run:
        assert run.wait(90) == 0, run.output
    assert (number("scored", run.output), number("dead letters", run.output)) == (19, 1)
    assert "19 of 19 scores" in run.output
    assert "\x1b" not in run.output


@pytest.mark.parametrize(
    ("spoil", "code", "sentence"),
    [
        ("bank/transactions.parquet", 3, "Expected transactions.parquet in "),
        ("bundle/model.onnx", 4, "Expected model.onnx in the bundle "),
    ],
)
def test_data_or_bundle_that_cannot_be_used_is_told_in_its_own_words(
    spoil: str, code: int, sentence: str, own: Path, tmp_path: Path
) -> None:
    for name in ("bank", "bundle"):
        (tmp_path / name).mkdir()
        for item in (own / name).iterdir():
            (tmp_path / name / item.name).write_bytes(item.read_bytes())
    (tmp_path / spoil).unlink()
    with demo(tmp_path / "w", *of_own(tmp_path)).start() as run:
        assert run.wait(60) == code
    assert run.output.splitlines()[-1].startswith(f"foretell: {sentence}")
    assert at_work(tmp_path) == {}
    assert {item.name for item in (tmp_path / "w" / "foretell-demo").iterdir()} >= {MARKER}


def test_the_demo_s_own_process_never_loads_tensorflow() -> None:
    program = "import sys, training.demo.run; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, env=bare()).returncode == 0
