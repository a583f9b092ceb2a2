"""The demo as it is shown: on terminals of any size, in lines, and as a picture."""

import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from schemas.messages import Customer, TaskScore, Transaction
from schemas.spec_file import bank
from tests.unit.test_demo_state import NOTHING, alert, role, score
from training.demo import bars, plain, view, words
from training.demo.cast import Role
from training.demo.screen import LiveScreen, PlainScreen, Recorder, screen
from training.demo.state import State

HOSTILE = "c\x1b[31mred\x07\u202e"
LONG_CHINESE = "客户编号" * 20
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000


def happened(*customers: str, records: int = 1000) -> State:
    """Return a state in the middle of a stream."""
    state = State("a simulated bank", ["simulate a bank", "train the network", "stream it"])
    for number, phase in enumerate(state.phases[:2]):
        state.begin(phase.title, 10.0 * number)
        state.end(phase.title, 10.0 * number + 8)
    state.begin("stream it", 20.0)
    state.step("2,500 records/s", 1, 2)
    roles = [role(name, "churn", came_ms=START_MS + 5 * DAY_MS) for name in customers]
    state.watch(roles, records, (START_MS, START_MS + 20 * DAY_MS))
    for number in range(10):
        time_ms, now_s = START_MS + number * DAY_MS, 20 + number / 2
        state.send(50, time_ms)
        state.read(now_s, 49, NOTHING + 1 if number < 2 else NOTHING)
        for name in customers:
            state.score(score(name, time_ms, churn=TaskScore(eligible=True, score=number / 10, band="high")))
            state.happen(name, time_ms, "paid 3.20 EUR: groceries")
            state.alert(alert(customer=name, time=time_ms))
        state.tick(now_s)
    return state


def moved(amount: float, kind: str, currency: str | None = None) -> Transaction:
    return Transaction(transaction_id="t", customer_id="c", time=1, amount=amount, type=kind, currency=currency)


def shown(state: State, width: int = 110, height: int = 34) -> list[str]:
    """Return the lines that a terminal of a size is sent."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    console.print(view.render(state, 25.0, width, height))
    return out.getvalue().splitlines()


def test_the_view_shows_phases_figures_alerts_and_customers() -> None:
    text = "\n".join(shown(happened("c00042", "c00043")))
    wanted = [
        "✓ simulate a bank",
        "▸ stream it",
        "50%",
        "23 Nov 2023",
        "500",
        "490",
        "churn_high",
        "c00043",
        "drifting",
    ]
    assert [part for part in wanted if part not in text] == []
    assert "paid 3.20 EUR: groceries" in text
    assert "came true: did nothing" in text


def test_what_has_not_come_true_yet_is_not_told() -> None:
    state = happened("c00042")
    state.now_ms = START_MS + 4 * DAY_MS
    assert "came true" not in "\n".join(shown(state))


@pytest.mark.parametrize(("width", "height"), [(110, 34), (200, 60), (84, 30), (83, 30), (80, 24), (56, 20)])
@pytest.mark.parametrize("customers", [(), ("c1",), ("c1", LONG_CHINESE, HOSTILE)])
def test_the_view_fits_terminals_of_any_size(width: int, height: int, customers: tuple[str, ...]) -> None:
    lines = shown(happened(*customers), width, height)
    assert max(cell_len(line) for line in lines) <= width
    assert len(lines) <= height


@pytest.mark.parametrize(("width", "height"), [(110, 34), (80, 23), (56, 19)])
def test_before_there_is_a_stream_each_phase_is_shown_and_how_far_it_is(width: int, height: int) -> None:
    state = State("a bank", [f"phase {number}" for number in range(8)])
    state.begin("phase 0", 20.0)
    state.step("a part of it", 3, 4)
    lines = shown(state, width, height)
    text = "\n".join(lines)
    assert [phase.title for phase in state.phases if f" {phase.title}" not in text] == []
    assert "75%" in text
    assert " 1 of 8, phase 0: a part of it" in lines[-1]
    assert len(lines) <= height


def test_on_a_terminal_of_the_usual_size_it_is_told_what_came_true() -> None:
    lines = shown(happened("c1", "c2", "c3"), 80, 23)
    assert sum("came true: did nothing" in line for line in lines) == 3
    assert sum("churn_high" in line for line in lines) >= 1
    assert " 3 of 3, stream it: 2,500 records/s" in lines[-1]


def test_the_smallest_terminal_shows_as_many_customers_as_fit() -> None:
    lines = shown(happened("c1", "c2", "c3"), 56, 19)
    assert [name for name in ("c1", "c2", "c3") if any(f"─ {name} " in line for line in lines)] == ["c1", "c2"]


def test_where_nobody_can_be_watched_nobody_is_announced() -> None:
    assert "chosen by a replay" in "\n".join(shown(State("a bank", ["one"])))
    assert "Nobody to watch" in "\n".join(shown(happened()))


def test_a_view_of_nothing_yet_is_possible() -> None:
    assert any("simulate" in line for line in shown(State("a bank", ["simulate a bank"])))


def test_no_id_steers_the_terminal() -> None:
    state = happened(HOSTILE)
    seen = [*shown(state), *plain.Lines().of(state, 99.0), words.safe(HOSTILE)]
    assert any("\\x1b[31mred" in line for line in seen)
    assert [line for line in seen if not line.isprintable()] == []
    assert not HOSTILE.isprintable(), "else this would show nothing"


def test_a_value_is_shown_as_money_and_its_curve_fits() -> None:
    state = State("a bank", ["one"])
    state.watch([Role(customer="c1", task="value", kind="value", title="spending", low=1, high=2000)], 9, (0, 100))
    state.now_ms = 50
    state.actors[0].points += [(10, 1200.0), (40, 1834.4)]
    text = "\n".join(shown(state))
    assert "value 1,834" in text
    assert "█" in text


def test_lines_tell_each_phase_once_and_news_every_few_seconds() -> None:
    state, lines = happened("c1"), plain.Lines()
    first = lines.of(state, 25.0)
    assert [line for line in first if line.startswith("[")] == [
        "[1/3] simulate a bank",
        "[2/3] train the network",
        "[3/3] stream it",
    ]
    assert lines.of(state, 26.0) == []
    state.read(26.5, 10, NOTHING)
    later = lines.of(state, 25.0 + plain.EVERY_S)
    assert "500 events in, 500 scored" in later[0]
    assert "10 alerts, such as c1" in later[1]
    assert "c1, drifting: churn 0.90" in later[2]
    state.end("stream it", 40.0)
    assert lines.of(state, 40.0)[0] == "      done in 20 s"


def test_lines_of_a_phase_without_news_tell_how_far_it_is() -> None:
    state, lines = State("a bank", ["one"]), plain.Lines()
    state.begin("one", 0.0)
    assert lines.of(state, 0.0) == ["[1/1] one"]
    state.step("training", 1, 4)
    assert lines.of(state, plain.EVERY_S) == ["      5 s  training 25%"]


def test_without_a_terminal_lines_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with screen(as_lines=False) as printer:
        assert isinstance(printer, PlainScreen)
        printer.draw(happened("c1"), 25.0)
    assert capsys.readouterr().out.startswith("[1/3] simulate a bank\n")


def test_a_terminal_is_drawn_on_and_left_with_its_cursor() -> None:
    out = io.StringIO()
    console = Console(file=out, width=90, height=30, force_terminal=True, color_system=None)
    with LiveScreen(console) as live:
        live.draw(happened("c1"), 25.0)
    hidden, shown_again = "\x1b[?25l", "\x1b[?25h"
    assert out.getvalue().index(hidden) < out.getvalue().index("stream it") < out.getvalue().rindex(shown_again)


def test_the_picture_is_that_of_the_busiest_moment(tmp_path: Path) -> None:
    recorder, state = Recorder(), happened("c1")
    recorder.look(state, 25.0)
    state.title = "a quieter moment"
    state.score(score("c1", START_MS, churn=TaskScore(eligible=True, score=0.05)))
    recorder.look(state, 26.0)
    recorder.write(tmp_path / "demo.svg")
    picture = (tmp_path / "demo.svg").read_text(encoding="utf-8")
    assert picture.startswith("<svg")
    assert "simulated" in picture
    assert "quieter" not in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (moved(-34.2, "groceries"), "paid 34.20 EUR: groceries"),
        (moved(2310, "transfer_in", "USD"), "received 2,310.00 USD: transfer in"),
        (moved(-2.5, "fee"), "the bank took 2.50 EUR: fee"),
        (moved(250_000.4, "interest"), "the bank credited 250,000 EUR: interest"),
        (moved(-1, "\x1b[2J"), "paid 1.00 EUR: \\x1b[2J"),
        (Customer(customer_id="c", time=1), "the bank was told new facts"),
    ],
)
def test_events_are_told_in_plain_words(record: Transaction | Customer, told: str) -> None:
    assert words.event(record, bank()) == told


def test_times_are_told_as_people_do() -> None:
    assert [words.span(seconds) for seconds in (0.4, 59.4, 59.6, 125)] == ["0 s", "59 s", "1:00", "2:05"]
    assert [words.latency(ms) for ms in (3.4, 999.0, 1500.0)] == ["3 ms", "999 ms", "1.5 s"]
    assert (words.date(START_MS), words.day(START_MS)) == ("14 Nov 2023", "14 Nov")


def test_a_curve_fills_its_lines_from_below() -> None:
    assert bars.curve([0.0, 0.5, 1.0, None, 2.0], 2, 1.0) == ["  █ █", "▁██ █"]
    assert bars.curve([0.0, 1.0], 1, 0.0) == ["▁▁"]
    assert bars.bar(0.5, 4) == "██░░"
    assert bars.bar(7.0, 4) == "████"


def test_columns_carry_the_last_value_up_to_now() -> None:
    points = [(10, 0.1), (12, 0.2), (55, 0.5)]
    assert bars.columns(points, (0, 100), 70, 10) == [None, 0.2, 0.2, 0.2, 0.2, 0.5, 0.5, 0.5, None, None]
    assert bars.columns([(0, 1.0), (100, 2.0)], (0, 100), 100, 2) == [1.0, 2.0]
    assert bars.columns([], (0, 0), 0, 3) == [None, None, None]
