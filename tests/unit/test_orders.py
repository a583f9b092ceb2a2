"""The verbs that write into the log: what is due when, and what of a command is refused before anything is written."""

import argparse
import asyncio
import itertools

import pytest

from schemas.errors import ForetellError, InputError
from stream_app import cli
from stream_app.commands import tick
from stream_app.commands.forget import checked
from stream_app.commands.tick import Due, Rounds, keep, parse_period, parse_slices, parse_time, rounds_of, told
from stream_app.embedded import ports

NOON = 1_769_860_800_000
"""2026-01-31T12:00:00Z."""
HOUR = 3_600_000


def rounds(
    every_ms: int = HOUR, until_ms: int | None = None, slices: range = range(4), *, at_once: bool = False
) -> Rounds:
    return Rounds(NOON, every_ms, until_ms, slices, at_once)


def asked(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    tick.register(parser.add_subparsers())
    return parser.parse_args(["tick", *arguments])


# When a slice is due


def test_slices_are_spread_evenly_over_the_period() -> None:
    moments = rounds().moments(2)
    assert moments == [(NOON + 2 * HOUR + k * HOUR // 4, (NOON + 2 * HOUR, k)) for k in range(4)]


def test_slices_at_once_are_all_due_at_the_time_of_the_round() -> None:
    assert {moment for moment, _ in rounds(at_once=True).moments(1)} == {NOON + HOUR}


def test_nothing_is_due_before_the_first_round_or_after_the_last() -> None:
    bounded = rounds(until_ms=NOON + HOUR)
    assert bounded.due(0, NOON - 1) == []
    assert bounded.due(NOON + 2 * HOUR - 1, NOON + 99 * HOUR) == []
    assert bounded.next_ms(NOON + 2 * HOUR) is None
    assert bounded.next_ms(0) == NOON


def test_a_last_round_between_two_periods_is_none() -> None:
    assert {at_ms for at_ms, _ in rounds(until_ms=NOON + HOUR + 1).due(0, NOON + 99 * HOUR)} == {NOON, NOON + HOUR}


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("every_ms", [1_000, 777_777, HOUR])
def test_every_slice_of_every_round_is_due_once_however_time_is_cut(every_ms: int, at_once: bool) -> None:  # noqa: FBT001
    plan = rounds(every_ms, NOON + 3 * every_ms, range(10, 17), at_once=at_once)
    expected = [(NOON + k * every_ms, number) for k in range(4) for number in range(10, 17)]
    for step in (1, 7, 64):
        cuts = [NOON - 1 + k * every_ms // step for k in range(5 * step)]
        found = [what for start, end in itertools.pairwise(cuts) for what in plan.due(start, end)]
        assert found == expected


def test_the_next_moment_is_the_first_at_which_something_is_due() -> None:
    plan = rounds()
    for after in range(NOON - HOUR, NOON + 3 * HOUR, HOUR // 7):
        following = plan.next_ms(after)
        assert following is not None
        assert plan.due(after, following - 1) == []
        assert plan.due(after, following) != []


def test_what_a_late_start_has_missed_is_the_part_of_the_round_under_way() -> None:
    plan = rounds()
    assert plan.missed(NOON - 1) == []
    assert plan.missed(NOON + HOUR // 2) == [(NOON, 0), (NOON, 1), (NOON, 2)]
    assert plan.missed(NOON + 5 * HOUR) == [(NOON + 5 * HOUR, 0)]
    assert rounds(until_ms=NOON).missed(NOON + 5 * HOUR) == [(NOON, k) for k in range(4)]


# Keeping on


class Clock:
    """A clock that moves when somebody sleeps, and otherwise only as it is told."""

    def __init__(self, now_ms: int, jumps: dict[int, int] | None = None) -> None:
        self.now_ms, self.slept, self._jumps = now_ms, list[float](), jumps or {}

    def now(self) -> int:
        return self.now_ms

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ms += round(seconds * 1000) + self._jumps.get(len(self.slept), 0)
        await asyncio.sleep(0)


def kept(plan: Rounds, clock: Clock) -> list[tuple[int, Due]]:
    """Return what is written, each with the time at which it is."""
    written: list[tuple[int, Due]] = []

    async def write(due: list[Due]) -> None:
        written.extend((clock.now_ms, what) for what in due)
        await asyncio.sleep(0)

    asyncio.run(keep(plan, write, clock.now, clock.sleep))
    return written


def test_each_slice_is_written_within_a_second_of_when_it_is_due_and_never_before() -> None:
    plan = rounds(until_ms=NOON + HOUR, slices=range(64))
    written = kept(plan, Clock(NOON - 90_000))
    late = [at_ms - plan.moments((what[0] - NOON) // HOUR)[what[1]][0] for at_ms, what in written]
    assert [what for _, what in written] == [(NOON + k * HOUR, number) for k in range(2) for number in range(64)]
    assert 0 <= min(late) <= max(late) <= 1_000


def test_no_sleep_is_so_long_that_a_clock_that_is_set_would_not_be_seen() -> None:
    clock = Clock(NOON - 10 * HOUR)
    kept(rounds(until_ms=NOON), clock)
    assert max(clock.slept) <= 30
    assert min(clock.slept) >= 1


def test_a_clock_that_is_set_back_repeats_nothing_and_one_that_jumps_ahead_leaves_nothing_out() -> None:
    plan = rounds(until_ms=NOON + 2 * HOUR)
    expected = [(NOON + k * HOUR, number) for k in range(3) for number in range(4)]
    for jumps in ({}, {150: -2 * HOUR}, {10: 2 * HOUR}, {125: -600_000, 140: 2 * HOUR}):
        assert [what for _, what in kept(plan, Clock(NOON - 1_000, jumps))] == expected


def test_a_start_amid_a_round_goes_on_with_what_is_due_next() -> None:
    written = kept(rounds(until_ms=NOON), Clock(NOON + HOUR // 2))
    assert [what for _, what in written] == [(NOON, 3)]


# What is asked for


def test_times_are_those_of_the_wire() -> None:
    for text in ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000Z", str(NOON)):
        assert parse_time(text, "--time") == NOON
    assert (told(NOON), told(NOON + 5)) == ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.005Z")
    assert parse_time(told(NOON + 5), "--time") == NOON + 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-01-31T12:00:00", "with an offset such as Z or +01:00, found one without"),
        ("2026-01-31", "Expected a time such as 2026-01-31T00:00:00Z"),
        ("now", "Expected a time such as 2026-01-31T00:00:00Z"),
        ("", "Expected a time such as 2026-01-31T00:00:00Z"),
        ("-1", "Expected a time such as 2026-01-31T00:00:00Z"),
        ("1769860800", "it looks like seconds"),
        ("999999999999999", "it looks like microseconds"),
        ("1" * 99, "Expected a time such as"),
    ],
)
def test_a_time_that_the_stream_would_refuse_is_told(text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_time(text, "--until")
    assert words in str(caught.value)
    assert "--until" in str(caught.value)


def test_periods_have_a_unit() -> None:
    found = [parse_period(text) for text in ("1d", "12h", "30m", "90s", "366d")]
    assert found == [24 * HOUR, 12 * HOUR, HOUR // 2, 90_000, 366 * 24 * HOUR]


@pytest.mark.parametrize("text", ["1", "d", "1w", "0d", "-1d", "1.5h", "1d12h", "367d", "99999999999s", " 1d"])
def test_a_period_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InputError, match="Expected a period such as 1d, 12h or 30m, at most 366d, in --every"):
        parse_period(text)


def test_slices_are_a_range_or_one() -> None:
    assert (parse_slices("0-1023"), parse_slices("7"), parse_slices("7-7")) == (range(1024), range(7, 8), range(7, 8))


@pytest.mark.parametrize("text", ["1024", "8-7", "-3", "1-", "a-b", "", "0-1024", "1,2"])
def test_slices_that_are_not_there_are_told(text: str) -> None:
    with pytest.raises(InputError, match="Expected slices A-B within 0-1023 in --slices"):
        parse_slices(text)


def test_a_single_round_may_be_of_the_past_and_at_most_a_day_ahead() -> None:
    assert rounds_of(asked("--time", told(NOON)), NOON + 9_999 * HOUR).every_ms == 0
    assert rounds_of(asked("--time", told(NOON + 24 * HOUR)), NOON).first_ms == NOON + 24 * HOUR
    with pytest.raises(InputError, match=r"at most a day ahead of now, found 2026-02-01T12:00:00\.001Z"):
        rounds_of(asked("--time", told(NOON + 24 * HOUR + 1)), NOON)


def test_rounds_may_begin_whenever_they_like() -> None:
    found = rounds_of(asked("--time", told(NOON + 99 * HOUR), "--every", "1h", "--slices", "1-2", "--at-once"), NOON)
    assert found == Rounds(NOON + 99 * HOUR, HOUR, None, range(1, 3), at_once=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--until", told(NOON + HOUR)], "Expected --every beside --until"),
        (["--every", "1h", "--until", told(NOON - 1)], "Expected --until after --time and after now"),
        (["--every", "1h", "--until", told(NOON + HOUR - 1)], "Expected --until after --time and after now"),
    ],
)
def test_rounds_that_would_have_nothing_to_do_are_told(arguments: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        rounds_of(asked("--time", told(NOON), *arguments), NOON + HOUR)


# A customer to be forgotten


def test_an_id_is_taken_as_it_is() -> None:
    for text in ("c-1", "Jäger 12", " ", "x" * 256, "-"):
        assert checked(text.encode()) == text


@pytest.mark.parametrize(
    ("customer", "words"),
    [
        (b"", "Expected ID of 1 to 256 bytes without NUL, found 0 bytes; correct it."),
        (b"x" * 257, "found 257 bytes; correct it."),
        (b"a\0b", "found a NUL in it; correct it."),
        (b"\xff", "Expected ID in UTF-8, found other bytes; correct it."),
    ],
)
def test_an_id_that_the_stream_would_refuse_is_told(customer: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(customer)
    assert words in str(caught.value)


# Without a broker


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the settings name a broker that is not there."""
    place = f"127.0.0.1:{ports.free()}"
    monkeypatch.setenv("FORETELL_KAFKA", place)
    return place


@pytest.mark.parametrize(
    "arguments", [["forget", "c-1"], ["tick", "--time", told(NOON)], ["tick", "--time", told(NOON), "--every", "1d"]]
)
def test_a_verb_without_a_broker_says_so_in_one_sentence(
    arguments: list[str], nowhere: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == ForetellError.exit_code
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err == (
        f"foretell: Expected Kafka at {nowhere}, found no answer (connection refused); start it or correct "
        "FORETELL_KAFKA.\n"
    )


@pytest.mark.parametrize("verb", ["activate", "doctor", "forget", "tick"])
def test_a_verb_explains_itself_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    told_ = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"  foretell {verb}" in told_.split("example")[-1]
    assert max(len(line) for line in told_.splitlines()) <= 120
