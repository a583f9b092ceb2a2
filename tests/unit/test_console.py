"""Progress on a terminal and without one."""

import io
import time

import pytest

from stream_app.console import Bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        del text
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let a test say what time it is."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_shows_one_line_that_grows(clock: list[float]) -> None:
    out = Terminal()
    bar = Bar(out)
    for done in (0, 50, 100):
        clock[0] += 1
        bar.step("replay", done, 100, f"{done} scores")
    lines = out.getvalue().split("\r\x1b[2K")
    assert lines[0] == ""
    assert [line.split() for line in lines[1:]] == [
        ["replay", "░" * 24, "0%", "0", "scores", "0", "s"],
        ["replay", "█" * 12 + "░" * 12, "50%", "50", "scores", "1", "s"],
        ["replay", "█" * 24, "100%", "100", "scores", "2", "s"],
    ]
    assert out.getvalue().endswith("\n")
    assert out.getvalue().count("\n") == 1


def test_a_terminal_is_not_redrawn_more_often_than_it_can_be_seen(clock: list[float]) -> None:
    out = Terminal()
    bar = Bar(out)
    for done in range(1, 1000):
        clock[0] += 0.001
        bar.step("replay", done, 1000)
    assert out.getvalue().count("\r") == 10


def test_without_a_terminal_a_plain_line_comes_now_and_then(clock: list[float]) -> None:
    out = io.StringIO()
    bar = Bar(out)
    for done in range(1, 101):
        clock[0] += 1
        bar.step("replay", done, 100)
    lines = out.getvalue().splitlines()
    assert lines[-1].split() == ["replay", "100%", "99", "s"]
    assert len(lines) == 21
    assert "\r" not in out.getvalue()


def test_each_phase_has_a_line_of_its_own(clock: list[float]) -> None:
    out = Terminal()
    bar = Bar(out)
    bar.step("first", 1, 2)
    clock[0] += 1
    bar.step("second", 1, 2)
    bar.end()
    assert [("first" in line, "second" in line) for line in out.getvalue().rstrip().split("\n")] == [
        (True, False),
        (False, True),
    ]


def test_the_end_is_drawn_at_once_and_a_line_is_closed_once() -> None:
    out = Terminal()
    bar = Bar(out)
    bar.step("replay", 1, 2)
    bar.step("replay", 2, 2)
    bar.end()
    bar.end()
    assert out.getvalue().count("\n") == 1
    assert "100%" in out.getvalue()


@pytest.mark.parametrize(("done", "total"), [(0, 0), (5, 0), (7, 5)])
def test_odd_numbers_do_no_harm(done: int, total: int) -> None:
    out = Terminal()
    Bar(out).step("replay", done, total)
    assert "replay" in out.getvalue()


def test_nothing_is_drawn_before_the_first_step() -> None:
    out = Terminal()
    Bar(out).end()
    assert out.getvalue() == ""


def test_work_goes_on_when_nobody_looks_any_more() -> None:
    bar = Bar(Closed())
    bar.step("replay", 1, 2)
    bar.step("replay", 2, 2)
    bar.end()


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Bar().step("replay", 1, 1)
    caught = capsys.readouterr()
    assert caught.out == ""
    assert "replay 100%" in caught.err
