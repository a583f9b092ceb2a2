"""`foretell portrait`: words or data on stdout, one sentence on stderr where there is none, and no customer in it."""

import asyncio
import json
from pathlib import Path

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas import documents
from stream_app import cli
from stream_app.bundle import Bundle
from stream_app.commands.portrait import language
from stream_app.offline.folder import TIME
from stream_app.offline.log import open_log
from stream_app.portrait.words import LANGUAGES
from tests.kit import every_kind
from tests.portraits import at, filled


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle of the built-in bank."""
    return every_kind.bundle(tmp_path_factory.mktemp("bundles") / "bundle")


@pytest.fixture(autouse=True)
def plain_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no locale of this machine decide."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an interchange folder with a catalogue."""
    folder = tmp_path_factory.mktemp("log") / "bank"
    folder.mkdir()
    moved = {
        "transaction_id": [f"t{k}" for k in range(40)],
        "customer_id": ["c-4711", "c-4712"] * 20,
        "time": pa.array([at(k) for k in range(40)]).cast(TIME),
        "amount": [-25.5] * 40,
        "type": ["groceries"] * 40,
    }
    known = {"customer_id": ["c-4711"], "time": pa.array([at(0)]).cast(TIME), "age": [41.0]}
    goods = {"product_id": ["k"], "name": ["Blue card"], "type": ["card"], "price": [4.9]}
    for name, table in (("transactions", moved), ("customers", known), ("products", goods)):
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    code = cli.main(["portrait", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_portrait_is_told_in_words(bundle: Bundle, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = told(capsys, "c-4711", "--bundle", bundle.path, "--log", log)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "Customer c-4711, as of 23 December 2023 22:13 UTC."
    assert lines[1].startswith("New: active for 39 days")
    assert any("Blue card" in line for line in lines)
    assert any("age (41)" in line for line in lines)


def test_a_time_a_language_and_another_catalogue_may_be_named(
    bundle: Bundle, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(
        pa.table({"product_id": ["r"], "name": ["Red card"], "type": ["card"], "price": [1.0]}),
        tmp_path / "red.parquet",
    )
    more = ("--at", "2023-11-20T00:00:00Z", "--language", "zh", "--products", tmp_path / "red.parquet")
    _, out, _ = told(capsys, "c-4711", "--bundle", bundle.path, "--log", log, *more)
    assert "2023 年 11 月 20 日 00:00" in out
    assert "Red card" in out
    assert "Blue card" not in out


def test_a_portrait_as_data_is_one_line_that_follows_the_schema(
    bundle: Bundle, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = told(capsys, "c-4711", "--bundle", bundle.path, "--log", log, "--json")
    (line,) = out.splitlines()
    jsonschema.validate(json.loads(line), json.loads(documents.documents()["portrait.schema.json"]))
    assert json.loads(line)["customer_id"] == "c-4711"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "de_DE.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "ZH_TW", "LANG": "C"}, "zh"),
    ],
)
def test_the_locale_chooses_the_language_where_no_flag_does(environment: dict[str, str], expected: str) -> None:
    assert language(environment) == expected
    assert expected in LANGUAGES


def one_sentence(said: tuple[int, str, str], *hidden: str) -> str:
    """Return the sentence on stderr; nothing else may be there, nor what must not stand in logs."""
    code, out, err = said
    assert out == ""
    assert code > 0
    assert err.startswith("foretell: Expected ")
    assert err.count("\n") == 1
    assert not any(name in err for name in hidden)
    return err


def test_an_unknown_customer_is_one_sentence_without_the_id(
    bundle: Bundle, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, "c-9876", "--bundle", bundle.path, "--log", log)
    assert "of whom the log knows something as of that time" in one_sentence(said, "c-9876")
    early = told(capsys, "c-4711", "--bundle", bundle.path, "--log", log, "--at", at(-9))
    assert "correct the id or the time" in one_sentence(early, "c-4711")
    assert (said[0], early[0]) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (("",), "ID", 3),
        (("c", "--at", "yesterday"), "in --at", 3),
        (("c", "--log", "nowhere"), "nowhere", 3),
        (("c", "--products", "missing.parquet", "--log", "nowhere"), "missing.parquet", 3),
    ],
)
def test_what_cannot_be_used_is_told(
    bundle: Bundle, arguments: tuple[str, ...], text: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    said = told(capsys, *arguments, "--bundle", bundle.path)
    assert text in one_sentence(said)
    assert said[0] == code


def test_without_a_bundle_there_is_no_portrait(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "c-4711", "--log", log)
    assert "in --bundle or FORETELL_BUNDLE" in one_sentence(said)
    assert said[0] == 2


def test_a_store_that_nobody_has_written_to_is_told(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "c-4711", "--bundle", bundle.path, "--redis", "memory://")
    assert "start a worker with this bundle" in one_sentence(said, "c-4711")


def test_a_store_that_is_away_is_told_without_a_line_of_a_log(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stream_app.portrait.sources.ANSWER_S", 0.3)
    said = told(capsys, "c-4711", "--bundle", bundle.path, "--redis", "redis://127.0.0.1:1/0")
    assert "Expected an answer of Redis at 127.0.0.1:1" in one_sentence(said, "c-4711")


@pytest.fixture
def kept(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store hold a customer whose newest transaction is of the third day."""
    record = {"transaction_id": "t", "customer_id": "c-4711", "time": at(3), "amount": -1.0, "type": "cash"}
    path = every_kind.write_log(tmp_path / "log.parquet", [(b"c-4711", json.dumps(record).encode())], 1)
    stores = asyncio.run(filled(bundle, open_log(path), 1))
    monkeypatch.setattr("stream_app.portrait.sources.connect", lambda _given: stores)


@pytest.mark.usefixtures("kept")
def test_a_row_of_the_store_does_not_go_back(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    said = told(capsys, "c-4711", "--bundle", bundle.path, "--at", at(2))
    text = one_sentence(said, "c-4711")
    assert "which is of 2023-11-17T22:13:20Z, found 2023-11-16T22:13:20Z: a row cannot go back" in text
    for day in (3, 4):
        code, out, _ = told(capsys, "c-4711", "--bundle", bundle.path, "--at", at(day))
        assert (code, f"as of {14 + day} November 2023 22:13 UTC" in out) == (0, True)


@pytest.mark.usefixtures("kept")
def test_without_a_time_the_store_is_asked_about_now(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for now, day in ((5, 19), (1, 17)):  # a clock behind the newest transaction does no harm
        monkeypatch.setattr("stream_app.commands.portrait.time.time_ns", lambda now=now: at(now) * 1_000_000)
        code, out, _ = told(capsys, "c-4711", "--bundle", bundle.path)
        assert (code, f"as of {day} November 2023" in out) == (0, True)
