"""The log: one line an event, rate-limited, without secrets and without what customers did."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from schemas.errors import InputError
from stream_app import kafka, logs, settings
from stream_app.settings import Settings
from tests.kit.privacy import leaked

LOGGERS = ("", "stream_app", "schemas", "aiokafka")
OURS = logging.getLogger("stream_app.partition")
THEIRS = logging.getLogger("aiokafka.consumer.fetcher")
PRECIOUS = "s3cret-Ä\"'"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Begin with loggers that nobody has touched, and give all back as they were."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, list(logger.handlers), list(logger.filters)) for logger in loggers]
    for logger in loggers[1:]:
        logger.setLevel(logging.NOTSET)
        logger.handlers[:], logger.filters[:] = [], []
    yield
    for logger, (level, handlers, filters) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:], logger.filters[:] = handlers, filters


def started(**environment: str) -> io.StringIO:
    """Configure the log; return where it goes."""
    out = io.StringIO()
    logs.configure(settings.load({}, {f"FORETELL_{name}": value for name, value in environment.items()}), out)
    return out


def lines(out: io.StringIO) -> list[str]:
    return out.getvalue().splitlines()


def at(seconds: float, message: str = "again", name: str = "aiokafka", line: int = 7) -> logging.LogRecord:
    record = logging.LogRecord(name, logging.WARNING, "/place.py", line, message, None, None)
    record.created = seconds
    return record


# The line


def test_a_line_of_text_has_time_level_logger_message_and_what_was_given_beside_it() -> None:
    out = started()
    OURS.info("opened", extra={"partition": 3, "reason": "a b", "empty": ""})
    (line,) = lines(out)
    assert line.split(" ", 1)[0].endswith("Z")
    assert line.split(" ", 1)[1] == 'info stream_app.partition opened partition=3 reason="a b" empty=""'


def test_a_line_of_json_has_the_same_as_fields() -> None:
    out = started(LOG_FORMAT="json")
    OURS.warning("opened %s", "ü", extra={"partition": 3, "time": "of the caller", "ready": True})
    (line,) = lines(out)
    found = json.loads(line)
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "warning",
        "logger": "stream_app.partition",
        "message": "opened ü",
        "partition": 3,
        "ready": True,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_event_is_one_line_whatever_it_says(form: str) -> None:
    out = started(LOG_FORMAT=form)
    OURS.warning("broker says\n2026-01-01T00:00:00Z error \x1b[31mfake\u2028 \ud800", extra={"place": "a\r\nb"})
    assert len(lines(out)) == 1
    assert "\x1b" not in out.getvalue()


def test_the_level_is_the_settings_and_that_of_libraries_a_warning_at_least() -> None:
    out = started(LOG_LEVEL="debug")
    for logger in (OURS, THEIRS, logging.getLogger("aiohttp.access")):
        name = logger.name.split(".", maxsplit=1)[0]
        logger.debug("%s debug", name)
        logger.info("%s info", name)
        logger.warning("%s warning", name)
    said = [" ".join(line.split(" ")[3:]) for line in lines(out)]
    assert said == [
        "stream_app debug",
        "stream_app info",
        "stream_app warning",
        "aiokafka info",
        "aiokafka warning",
        "aiohttp warning",
    ]
    quiet = started(LOG_LEVEL="error")
    for logger in (OURS, THEIRS):
        logger.warning("not told")
    assert lines(quiet) == []


def test_configuring_again_replaces_what_was_configured_and_leaves_others_alone() -> None:
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    first, second = started(), started()
    OURS.warning("once")
    assert (len(lines(first)), len(lines(second))) == (0, 1)
    assert other in logging.getLogger().handlers


def test_without_a_place_the_log_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings())
    OURS.warning("here")
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.endswith("warning stream_app.partition here\n")


# Again and again


def test_what_a_library_repeats_is_told_once_in_ten_seconds_with_how_often_it_was_left_out() -> None:
    limit = logs.RateLimit()
    let_through = [record for k in range(2_500) if limit.filter(record := at(k / 100, message=f"attempt {k}"))]
    assert [record.created for record in let_through] == [0.0, 10.0, 20.0]
    assert [getattr(record, "suppressed", 0) for record in let_through] == [0, 999, 999]


def test_lines_of_other_places_are_told_nevertheless() -> None:
    limit = logs.RateLimit()
    assert [limit.filter(at(1.0, line=k)) for k in (1, 2, 1)] == [True, True, False]


def test_our_own_lines_are_the_same_only_where_they_say_the_same() -> None:
    out = started()
    for partition in (0, 1, 0, 1):
        OURS.warning("opened")
        OURS.warning("opened", extra={"partition": partition})
        OURS.warning("opened %d", partition)
    assert [line.split(" ", 3)[3] for line in lines(out)] == [
        "opened",
        "opened partition=0",
        "opened 0",
        "opened partition=1",
        "opened 1",
    ]


def test_a_clock_that_is_set_back_silences_nothing() -> None:
    limit = logs.RateLimit()
    assert [limit.filter(at(seconds)) for seconds in (1_000.0, 1.0, 2.0)] == [True, True, False]


def test_what_was_seen_does_not_grow_without_end() -> None:
    limit = logs.RateLimit()
    assert all(limit.filter(at(1.0, message=str(k), name="stream_app")) for k in range(5_000))
    assert len(limit._told) <= 1_000  # noqa: SLF001  (nothing else shows what is kept)


def test_a_library_that_writes_thousands_of_lines_is_told_in_one() -> None:
    out = started()
    for k in range(3_000):
        THEIRS.error("Unable connect to node with id %s", k)
    assert len(lines(out)) == 1


# Secrets


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("environment", [{"REDIS_PASSWORD": PRECIOUS}, {"REDIS": "redis://u:s3cret%2Fin-a-url@h:1"}])
def test_secrets_of_the_settings_are_masked_wherever_they_turn_up(form: str, environment: dict[str, str]) -> None:
    out = started(LOG_FORMAT=form, **environment)
    for secret in (PRECIOUS, "s3cret/in-a-url", "s3cret%2Fin-a-url"):
        OURS.warning("in the message: %s", secret)
        OURS.warning("as Python shows it: %r", secret)
        OURS.warning("in a list: %s", [secret])
        OURS.warning("beside it", extra={"url": f"redis://:{secret}@h", "secret": secret})
        THEIRS.warning("in what a library says: %s", secret)
        OURS.error("in an error", exc_info=OSError(secret))
    told = out.getvalue()
    expected = PRECIOUS if "REDIS_PASSWORD" in environment else "s3cret/in-a-url"
    assert expected not in told
    assert expected.encode("unicode_escape").decode() not in told
    assert "***" in told
    assert "s3cret" in told, "the control: what is no secret of these settings is not masked"


def test_a_text_is_redacted_by_the_settings_or_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "AUTH one two three"
    monkeypatch.setenv("FORETELL_REDIS_PASSWORD", "three")
    assert logs.redact(text) == "AUTH one two ***"
    assert logs.redact(text, settings.load({}, {"FORETELL_REDIS": "redis://:two@h"})) == "AUTH one *** three"
    assert logs.redact(text, Settings()) == text


# What customers did


def failing_step() -> None:
    """Fail as a step might, with a customer's data in the text."""
    try:
        {"a": 1}["customer-4711"]
    except KeyError as error:
        message = "amount 12.5 of customer-4711"
        raise ValueError(message) from error


def test_of_an_exception_in_a_step_type_and_place_are_told_and_its_text_is_not() -> None:
    out = started()
    try:
        failing_step()
    except ValueError:
        OURS.exception("partition 3 failed")
    (line,) = lines(out)
    assert 'error="ValueError at test_logs.py:' in line
    assert " failing_step < test_logs.py:" in line
    assert "; from KeyError at test_logs.py:" in line
    assert "customer-4711" not in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("Expected a folder, found none; make it."), "InputError: Expected a folder"),
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (MessageSizeTooLargeError("The message is 9 bytes"), "MessageSizeTooLargeError: [Error 10]"),
    ],
)
def test_of_an_error_that_an_operator_can_act_on_the_text_is_told(error: Exception, words: str) -> None:
    out = started()
    OURS.error("failed", exc_info=error)
    assert words in out.getvalue()


def test_an_exception_that_comes_from_itself_ends() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert logs.described(first) == "ValueError; from KeyError; from ValueError; from KeyError"


def test_aiokafka_never_writes_what_is_in_a_record() -> None:
    for level in ("debug", "info"):
        out = started(LOG_LEVEL=level)
        for name in ("producer.producer", "conn"):
            logging.getLogger(f"aiokafka.{name}").debug("Sending (key=%s value=%s)", b"customer-4711", b"{}")
        assert lines(out) == []
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    logging.getLogger().setLevel(logging.DEBUG)
    kafka.quieten()
    assert not logging.getLogger("aiokafka.conn").isEnabledFor(logging.DEBUG)


def test_aiokafka_says_nothing_on_the_terminal_of_a_verb(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    root.handlers[:] = []
    THEIRS.error("the control")
    kafka.quieten()
    kafka.quieten()
    THEIRS.error("not told")
    assert "".join(capsys.readouterr()) == "the control\n"


@pytest.mark.parametrize(
    "line",
    [
        "dead letter of customer-4711",
        "failed: b'customer-4711'",
        "Y3VzdG9tZXItNDcxMQ==",
        "637573746f6d65722d34373131",
        'value b\'{"transaction_id":"t-000\'',
        "id t-00000001",
        "name J\\u00e4ger",
    ],
)
def test_what_of_a_record_stands_in_an_output_is_found(line: str) -> None:
    value = '{"transaction_id":"t-00000001","customer_id":"customer-4711","amount":12.5,"name":"Jäger"}'.encode()
    assert leaked(f"2026-01-31 {line} more", [(b"customer-4711", value)]) != []


def test_an_output_without_anything_of_a_record_is_clean() -> None:
    records = [(b"customer-4711", b'{"customer_id":"customer-4711","amount":12.5}'), (None, b"\x00" * 99), (b"c", None)]
    assert leaked("2026-01-31 partition 3: 2 dead letters, customer records, amounts", records) == []


def test_logging_itself_has_no_failure_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(), sys.stderr)
    OURS.warning("odd %s", object(), extra={"thing": object(), "nothing": None})
    assert "Logging error" not in capsys.readouterr().err
