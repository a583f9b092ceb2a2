"""The command: help with examples, exit codes, one sentence on stderr and nothing half-written."""

import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from schemas import spec_file
from schemas.errors import EXIT_INTERRUPTED
from stream_app import cli, residents
from stream_app.bundle import Bundle
from stream_app.offline import log as offline_log
from tests.bundles import random_bundle
from tests.chunks import NOON

FORETELL = [sys.executable, "-m", "stream_app"]
TIME = pa.timestamp("ms", tz="UTC")
INPUT, BUNDLE, OUTPUT = 3, 4, 6
Spoil = Callable[[bytes], bytes | None]


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Give the garbage collector back as it was: a replay tunes it."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("cli") / "bundle", spec_file.bank())


def write_log(folder: Path, records: int = 50) -> Path:
    """Write an interchange folder of good transactions, but for the last two."""
    names = [f"c-{k % 7}" for k in range(records)]
    fields = {
        "transaction_id": [f"t-{k}" for k in range(records)],
        "customer_id": names,
        "time": pa.array(NOON + np.arange(records) * 60_000, TIME),
        "amount": [-10.0 * k for k in range(records - 2)] + [1e13, float("nan")],
        "type": ["cash"] * (records - 3) + ["unheard"] * 3,
    }
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.table(fields), folder / "transactions.parquet")
    facts = {"customer_id": ["c-0"], "time": pa.array([NOON], TIME), "shoe_size": [43.0]}
    pq.write_table(pa.table(facts), folder / "customers.parquet")
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a small log."""
    return write_log(tmp_path / "log")


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def copy(bundle: Bundle, tmp_path: Path) -> Path:
    """Copy the bundle to a place where a test may spoil it."""
    return Path(shutil.copytree(bundle.path, tmp_path / "copy"))


class Caught:
    """What a command said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def sentence(self) -> str:
        """Return what it said last on stderr, proven to be one sentence."""
        assert "Traceback" not in self.err
        line = self.err.splitlines()[-1]
        assert line.startswith("foretell: Expected ")
        assert line.endswith(".")
        return line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> "Run":
    """Give a way to run the command."""
    return Run(capsys)


class Run:
    """Runs the command in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Caught:
        try:
            code = cli.main([str(item) for item in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code if isinstance(stop.code, int) else 1
        caught = self._capsys.readouterr()
        return Caught(code, caught.out, caught.err)


# Replay


def test_a_replay_writes_its_three_files_and_says_what_is_in_them(
    run: Run, bundle: Bundle, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    caught = run(
        *("replay", log, "--bundle", bundle.path, "--out", out / "s.parquet"),
        *("--alerts", out / "a.parquet", "--dead-letters", out / "d.parquet", "--chunk", 7),
    )
    assert (caught.code, tree(out)) == (0, ["a.parquet", "d.parquet", "s.parquet"])
    lines = {" ".join(line.split()[:2]): line for line in caught.out.splitlines()}
    assert "records" in caught.out
    assert "51" in caught.out.splitlines()[0]
    assert "2 (amount 1, schema 1)" in lines["dead letters"]
    assert "1 (taken as other)" in lines["unknown types"]
    assert "1 of customer records (ignored)" in lines["unknown values"]
    assert pq.read_metadata(out / "s.parquet").num_rows == 48
    assert pq.read_table(out / "d.parquet").column("reason").to_pylist() == ["amount", "schema"]
    assert "replay 100%" in caught.err


def test_only_the_scores_must_be_written(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    assert run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "out" / "s.parquet").code == 0
    assert tree(tmp_path / "out") == ["s.parquet"]


def test_a_result_replaces_the_one_of_an_earlier_replay(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.parquet"
    for _ in range(2):
        assert run("replay", log, "--bundle", bundle.path, "--out", out).code == 0
    assert pq.read_metadata(out).num_rows == 48


def test_results_may_stand_in_the_folder_of_the_log(run: Run, bundle: Bundle, log: Path) -> None:
    for _ in range(2):
        assert run("replay", log, "--bundle", bundle.path, "--out", log / "scores.parquet").code == 0


# Bundle


def test_show_says_what_is_in_a_bundle(run: Run, bundle: Bundle) -> None:
    caught = run("bundle", "show", bundle.path)
    assert caught.code == 0
    for words in (bundle.sha256, bundle.manifest.layout, "churn", "high >= 0.666667", "churn_high", "model.onnx"):
        assert words in caught.out
    assert caught.out.isascii()


def test_verify_says_that_a_bundle_is_whole(run: Run, bundle: Bundle) -> None:
    caught = run("bundle", "verify", bundle.path)
    assert caught.code == 0
    assert f"whole and unchanged, bundle {bundle.sha256}" in caught.out


# Usage


@pytest.mark.parametrize("verb", [["replay"], ["bundle"], ["bundle", "show"], ["bundle", "verify"]])
def test_help_has_an_example(run: Run, verb: list[str]) -> None:
    caught = run(*verb, "--help")
    assert caught.code == 0
    assert f"example:\n  foretell {' '.join(verb)}" in caught.out


def test_help_lists_the_verbs_and_the_exit_codes(run: Run) -> None:
    caught = run("--help")
    for words in ("data", "train", "replay", "bundle", "exit codes: 0 done, 2 wrong usage", "130 interrupted"):
        assert words in caught.out


def test_the_version_is_told(run: Run) -> None:
    caught = run("--version")
    assert (caught.code, caught.out.split()[0]) == (0, "foretell")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["bundle"],
        ["replay"],
        ["replay", "log", "--bundle", "b"],
        ["replay", "log", "--bundle", "b", "--out", "s", "--chunk", "0"],
        ["replay", "log", "--bundle", "b", "--out", "s", "--chunk", "-5"],
        ["replay", "log", "--bundle", "b", "--out", "s", "--partitions", "1.5"],
        ["replay", "log", "--bundle", "b", "--out", "s", "--partitions", "many"],
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: list[str]) -> None:
    caught = run(*arguments)
    assert caught.code == 2
    assert "usage: foretell" in caught.err


# Bad input


def test_a_missing_log_is_told(run: Run, bundle: Bundle, tmp_path: Path) -> None:
    caught = run("replay", tmp_path / "none", "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert f"Expected an interchange folder at {tmp_path / 'none'}, found nothing; " in caught.sentence
    assert tree(tmp_path) == []


@pytest.mark.parametrize("name", ["transactions.parquet", "customers.parquet"])
def test_a_missing_table_is_told(run: Run, bundle: Bundle, log: Path, tmp_path: Path, name: str) -> None:
    (log / name).unlink()
    caught = run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert f"Expected {name} in {log}" in caught.sentence


@pytest.mark.parametrize("column", ["transaction_id", "customer_id", "time", "amount", "type"])
def test_a_missing_column_is_told(run: Run, bundle: Bundle, log: Path, tmp_path: Path, column: str) -> None:
    path = log / "transactions.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    caught = run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert f"Expected column `{column}` in {path}, found only " in caught.sentence
    assert tree(tmp_path) == ["log", "log/customers.parquet", "log/transactions.parquet"]


def test_an_empty_log_is_told(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    path = log / "transactions.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    caught = run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert "Expected at least one transaction" in caught.sentence


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text, text\n"])
def test_a_file_that_is_no_parquet_is_told(run: Run, bundle: Bundle, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.parquet"
    path.write_bytes(content)
    caught = run("replay", path, "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert f"Expected a whole Parquet file at {path}, found: " in caught.sentence


def captured(**changes: object) -> pa.Table:
    fields = {
        "topic": ["transactions"] * 2,
        "partition": [0, 0],
        "offset": [0, 1],
        "record_time": [NOON, None],
        "key": [b"c", b"c"],
        "value": [b"{", None],
    }
    schema = pa.schema(list(offline_log.LOG_COLUMNS.items()))
    return pa.table(fields | changes, schema=schema)


def test_a_captured_topic_is_replayed(run: Run, bundle: Bundle, tmp_path: Path) -> None:
    pq.write_table(captured(), tmp_path / "topic.parquet")
    caught = run("replay", tmp_path / "topic.parquet", "--bundle", bundle.path, "--out", tmp_path / "s")
    assert (caught.code, pq.read_metadata(tmp_path / "s").num_rows) == (0, 0)
    assert "1 (malformed 1)" in caught.out


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (captured().drop_columns(["offset"]), "Expected column `offset` in the captured topic"),
        (captured().slice(0, 0), "Expected at least one record in the captured topic"),
        (captured(offset=[0, None]), "Expected `offset` of every record"),
        (captured(topic=["t", None]), "Expected `topic` of every record"),
        (captured().set_column(1, "partition", pa.array([0, 1])), "Expected column `partition` of "),
    ],
)
def test_a_captured_topic_with_wrong_columns_is_told(
    run: Run, bundle: Bundle, tmp_path: Path, found: pa.Table, words: str
) -> None:
    pq.write_table(found, tmp_path / "topic.parquet")
    caught = run("replay", tmp_path / "topic.parquet", "--bundle", bundle.path, "--out", tmp_path / "s")
    assert caught.code == INPUT
    assert words in caught.sentence
    assert tree(tmp_path) == ["topic.parquet"]


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("model.onnx", lambda content: content[:-1], "of model.onnx in the bundle"),
        ("model.onnx", lambda content: content[:99] + b"?" + content[100:], "of model.onnx in the bundle"),
        ("manifest.json", lambda content: content[:1000], "Expected a bundle's manifest at"),
        ("manifest.json", lambda content: content.replace(b'"EUR"', b'"USD"'), "of manifest.json in the bundle"),
        ("manifest.json", lambda content: content.replace(b'"format": 1', b'"format": 2'), "Expected bundle format 1"),
        ("manifest.json", lambda _: None, "Expected manifest.json in the bundle"),
    ],
)
def test_a_spoilt_bundle_is_told(run: Run, copy: Path, log: Path, name: str, spoil: Spoil, words: str) -> None:
    content = spoil((copy / name).read_bytes())
    (copy / name).unlink()
    if content is not None:
        (copy / name).write_bytes(content)
    out = copy.parent / "s"
    for arguments in (
        ["bundle", "show", copy],
        ["bundle", "verify", copy],
        ["replay", log, "--bundle", copy, "--out", out],
    ):
        caught = run(*arguments)
        assert caught.code == BUNDLE
        assert words in caught.sentence
    assert not out.exists()


# Outputs


@pytest.mark.parametrize("option", ["--out", "--alerts", "--dead-letters"])
def test_a_folder_or_a_device_is_no_place_for_a_result(
    run: Run, bundle: Bundle, log: Path, tmp_path: Path, option: str
) -> None:
    before = tree(tmp_path)
    for place in (tmp_path, Path(os.devnull), tmp_path / "log" / "customers.parquet" / "s"):
        places = {"--out": tmp_path / "s", option: place}
        caught = run("replay", log, "--bundle", bundle.path, *(item for pair in places.items() for item in pair))
        assert caught.code == OUTPUT
        assert str(place) in caught.sentence
        assert tree(tmp_path) == before


def test_a_result_never_replaces_another_one_or_an_input(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    same = tmp_path / "s"
    inputs = [log / "transactions.parquet", log / "scorer.toml", bundle.path / "model.onnx"]
    for arguments in (["--alerts", same], ["--dead-letters", same], *(["--alerts", path] for path in inputs)):
        caught = run("replay", log, "--bundle", bundle.path, "--out", same, *arguments)
        assert caught.code == OUTPUT
        assert "Expected a file of its own for each result" in caught.sentence
    pq.write_table(captured(), tmp_path / "topic.parquet")
    topic = tmp_path / "topic.parquet"
    assert run("replay", topic, "--bundle", bundle.path, "--out", topic).code == OUTPUT
    assert pq.read_metadata(topic).num_rows == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_told(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    caught = run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "closed" / "s")
    assert caught.code == OUTPUT
    assert "Permission denied" in caught.sentence


@pytest.mark.parametrize("option", ["--out", "--alerts", "--dead-letters"])
def test_a_full_disk_is_told_for_the_file_that_found_it_and_leaves_nothing(
    run: Run, bundle: Bundle, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, out = write_log(tmp_path / "log", 200), tmp_path / "out"
    names = {"--out": "s", "--alerts": "a", "--dead-letters": "d"}
    targets = {name: out / file for name, file in names.items()}
    out.mkdir()
    if option != "--out":
        fail_parquet_of(targets[option], monkeypatch)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if option == "--out" else soft, hard))
    try:
        caught = run("replay", log, "--bundle", bundle.path, *(item for pair in targets.items() for item in pair))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.code == OUTPUT
    assert f"Expected to write {targets[option]}, found: " in caught.sentence
    assert tree(out) == []


def fail_parquet_of(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full for one file."""
    write_table = pq.write_table

    def write(found: pa.Table, place: Path, **options: object) -> None:
        if f".{target.name}." in str(place):
            raise OSError(28, "Error writing bytes to file. Detail: [errno 28] No space left on device")
        write_table(found, place, **options)

    monkeypatch.setattr(pq, "write_table", write)


def test_what_was_there_survives_a_replay_that_fails(run: Run, bundle: Bundle, log: Path, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("before")
    (log / "customers.parquet").write_bytes(b"PAR1")
    assert run("replay", log, "--bundle", bundle.path, "--out", tmp_path / "s").code == INPUT
    assert (tmp_path / "s").read_text() == "before"


# Interrupts


def test_an_interrupt_amid_a_replay_leaves_nothing(
    run: Run, bundle: Bundle, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([False] * 3)

    def places(rows: residents.Residents, customers: residents.Names) -> NDArray[np.int64]:
        if next(calls, True):
            raise KeyboardInterrupt
        return PLACES(rows, customers)

    monkeypatch.setattr(residents.Residents, "places", places)
    out = tmp_path / "out"
    caught = run("replay", log, "--bundle", bundle.path, "--out", out / "s", "--alerts", out / "a", "--chunk", 5)
    assert caught.code == EXIT_INTERRUPTED
    assert "foretell: interrupted; nothing half-written was left." in caught.err
    assert "Traceback" not in caught.err
    assert tree(out) == []


PLACES = residents.Residents.places


def test_ctrl_c_ends_the_process_with_130_and_leaves_no_file(bundle: Bundle, tmp_path: Path) -> None:
    log, out = write_log(tmp_path / "log", 30_000), tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen(
        [*FORETELL, "replay", log, "--bundle", bundle.path, "--out", out / "s", "--chunk", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not tree(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert tree(out), "the replay has not begun"
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, said
    assert (told, tree(out)) == ("", [])
    assert "interrupted" in said
    assert "Traceback" not in said


def test_an_interrupt_before_the_verb_runs_has_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)
    caught = run("bundle", "show", "x")
    assert caught.code == EXIT_INTERRUPTED


def test_a_reader_who_goes_away_is_no_error(bundle: Bundle) -> None:
    process = subprocess.Popen(
        [*FORETELL, "bundle", "show", bundle.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
