"""The demo on a terminal: what a state looks like at a moment. Needs the extra `demo` (rich)."""

from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.messages import Alert
from training.demo import bars, words
from training.demo.state import Actor, Phase, State

WIDTH: Final = 110
HEIGHT: Final = 34
"""Of the picture, and the most that is used of a terminal."""
NARROWEST: Final = 56
LOWEST: Final = 20
_TWO_COLUMNS: Final = 84
_STREAM_LINES: Final = 4
_CURVE_LINES: Final = 2
_BORDERS: Final = 2
_ROOMY: Final = 26
"""Lines below each other that leave room for a curve of the rate."""
_SEVERITY: Final = {"info": "cyan", "warning": "yellow", "high": "bold red"}
_HALF: Final = 0.5


def render(state: State, now_s: float, width: int = WIDTH, height: int = HEIGHT) -> RenderableType:
    """Return the picture of a state.

    Args:
        state: what has happened.
        now_s: the moment.
        width: columns of the terminal.
        height: lines to fill.
    """
    body = height - 2
    if width < _TWO_COLUMNS:
        return Group(_head(state, now_s, width), _column(state, now_s, width, body), _foot(state, width))
    left = max(34, width * 2 // 5)
    grid = Table.grid(padding=0)
    grid.add_column(width=left)
    grid.add_column(width=width - left)
    phases = len(state.phases) + _BORDERS + 1
    grid.add_row(
        Group(_phases(state, now_s, left), _feed(state, left, body - phases)),
        Group(
            _stream(state, now_s, width - left, _CURVE_LINES),
            *_actors(state, width - left, body - _STREAM_LINES - _CURVE_LINES - _BORDERS),
        ),
    )
    return Group(_head(state, now_s, width), grid, _foot(state, width))


def _column(state: State, now_s: float, width: int, lines: int) -> RenderableType:
    """Return what matters now below each other, for a narrow terminal: phases, then stream, customers and alerts."""
    if not state.records:
        return _phases(state, now_s, width)
    curve = _CURVE_LINES if lines >= _ROOMY else 0
    rest = lines - _STREAM_LINES - curve - _BORDERS
    feed = max(_BORDERS + 1, rest // 4)
    actors = _actors(state, width, rest - feed)
    return Group(_stream(state, now_s, width, curve), *actors, _feed(state, width, feed))


def _head(state: State, now_s: float, width: int) -> Text:
    began = state.phases[0].began_s
    text = Text.assemble((" Foretell ", "bold reverse"), " ", (words.safe(state.title), "bold"))
    clock = words.span(now_s - began) if began is not None else ""
    return _ends(text, Text(clock, "dim"), width)


def _foot(state: State, width: int) -> Text:
    phase, told = state.phase, ""
    if phase is not None:
        part = f": {phase.part}" if phase.part else ""
        told = f" {state.phases.index(phase) + 1} of {len(state.phases)}, {phase.title}{part}"
    return _ends(Text(words.safe(told), "dim"), Text("Ctrl-C stops everything ", "dim"), width)


def _phases(state: State, now_s: float, width: int) -> Panel:
    lines = [_phase(phase, now_s, width - 2 * _BORDERS) for phase in state.phases]
    return Panel(
        Group(*lines), title="Phases", title_align="left", height=len(lines) + _BORDERS + 1, border_style="dim"
    )


def _phase(phase: Phase, now_s: float, width: int) -> Text:
    if phase.began_s is None:
        return _cut(Text(f"  {phase.title}", "dim"), width)
    time = words.span(phase.took_s(now_s))
    if phase.ended_s is not None:
        return _ends(Text.assemble(("✓ ", "green"), phase.title), Text(time, "dim"), width)
    share = f" {phase.done / phase.total:.0%}" if phase.total else ""
    return _ends(Text.assemble(("▸ ", "bold cyan"), (phase.title, "bold")), Text(f"{share}  {time}", "cyan"), width)


def _stream(state: State, now_s: float, width: int, rows: int) -> Panel:
    """Return the figures of the stream, and over so many rows how fast it was."""
    inner = width - 2 * _BORDERS
    date = words.date(state.now_ms) if state.now_ms else "–"
    meter, latency = state.meter, state.meter.latency(now_s)
    told = "–" if latency is None else f"{words.latency(latency[0])} / {words.latency(latency[1])}"
    share = state.sent / state.records if state.records else 0.0
    curve = bars.columns(list(enumerate(state.rates)), (0, max(len(state.rates), 1)), len(state.rates), inner - 26)
    top = max([value for value in curve if value] or [1.0])
    lines = [
        _ends(
            Text.assemble(("bank's date  ", "dim"), (date, "bold")), Text(bars.bar(share, inner - 28), "cyan"), inner
        ),
        _pair("events in", f"{state.sent:,}", "scored", f"{state.scored:,}", inner),
        _pair("alerts", f"{state.alerts.total():,}", "dead letters", f"{state.letters:,}", inner),
        _pair("events/s", f"{meter.rate(now_s):,.0f}", "latency p50 / p99", told, inner),
        *(Text(line.rjust(inner), "cyan") for line in bars.curve(curve, rows, top)),
    ]
    return Panel(Group(*lines), title="Stream", title_align="left", height=len(lines) + _BORDERS, border_style="dim")


def _actors(state: State, width: int, lines: int) -> list[RenderableType]:
    if not state.actors:
        empty = Text("Nobody to watch." if state.records else "The customers to watch are chosen by a replay.", "dim")
        return [Panel(empty, title="Customers", title_align="left", height=max(lines, 3), border_style="dim")]
    actors = state.actors[: max(lines, 0) // (_BORDERS + 1)]
    each, rest = divmod(lines, len(actors)) if actors else (0, 0)
    return [_actor(actor, state, width, each + (rest if number == 0 else 0)) for number, actor in enumerate(actors)]


def _actor(actor: Actor, state: State, width: int, height: int) -> Panel:
    inner, role = width - 2 * _BORDERS, actor.role
    highest = max([value for _, value in actor.points] or [0.0])
    probability = role.kind != "value"
    top = (_HALF if highest <= _HALF else 1.0) if probability else max(highest, 1.0)
    axis = f"{top:.1f} " if probability else ""
    rows = height - _BORDERS
    cells = bars.columns(actor.points, state.span_ms, state.now_ms, inner - len(axis))
    curve = bars.curve(cells, max(1, rows // 2), top)
    lines = [
        Text.assemble((axis if number == 0 else " " * len(axis), "dim"), (line, "magenta"))
        for number, line in enumerate(curve)
    ]
    lines += _story(actor, state, inner)[: rows - len(lines)]
    shown = "–" if actor.score is None else f"{actor.score:.2f}" if probability else f"{actor.score:,.0f}"
    name = words.safe(role.customer)
    title = Text.assemble((_short(name, width // 3), "bold"), "  ", (words.safe(role.title), "italic"))
    what = words.safe(f"{role.task} {role.class_}".strip())
    return Panel(
        Group(*lines),
        title=_cut(title, inner - 16),
        title_align="left",
        subtitle=Text.assemble((f"{what} ", "dim"), (shown, "bold magenta"), (f" {actor.band}" if actor.band else "")),
        subtitle_align="right",
        height=height,
        border_style="dim",
    )


def _story(actor: Actor, state: State, width: int) -> list[Text]:
    """Return what happened to a customer, the latest first, but before all else what came true."""
    role, lines = actor.role, list[Text]()
    if role.came_ms is not None and state.now_ms >= role.came_ms:
        lines.append(Text(f"{words.day(role.came_ms)}  came true: {words.safe(role.came)}", "bold green"))
    for each in sorted(actor.story, key=lambda each: each.time_ms, reverse=True):
        lines.append(Text(f"{words.day(each.time_ms)}  {words.safe(each.told)}", "yellow" if each.is_alert else ""))
    return [_cut(line, width) for line in lines]


def _feed(state: State, width: int, height: int) -> Panel:
    inner = width - 2 * _BORDERS
    rows = max(height - _BORDERS, 1)
    lines = [_alert(alert, inner) for alert in list(state.feed)[-rows:]]
    total = state.alerts.total()
    title = f"Alerts ({total:,}; some shown)" if total > len(state.feed) else f"Alerts ({total:,})"
    return Panel(Group(*lines), title=title, title_align="left", height=rows + _BORDERS, border_style="dim")


def _alert(alert: Alert, width: int) -> Text:
    text = Text.assemble(
        (f"{words.day(alert.time)}  ", "dim"),
        (_short(words.safe(alert.customer_id), max(8, width // 3)), "bold"),
        "  ",
        (words.safe(alert.rule), _SEVERITY[alert.severity]),
    )
    return _ends(text, Text(f"{alert.score:.3g}", _SEVERITY[alert.severity]), width)


def _pair(first: str, value: str, second: str, other: str, width: int) -> Text:
    left = Text.assemble((f"{first:<13}", "dim"), (value, "bold"))
    right = Text.assemble((f"{second}  ", "dim"), (other, "bold"))
    return _ends(left, right, width)


def _ends(left: Text, right: Text, width: int) -> Text:
    """Return a line with one text at each end; the left one is cut where both do not fit."""
    room = max(width - right.cell_len - 1, 0)
    left = _cut(left, room)
    return _cut(Text.assemble(left, " " * max(width - left.cell_len - right.cell_len, 0), right), width)


def _cut(text: Text, width: int) -> Text:
    text = text.copy()
    text.truncate(max(width, 1), overflow="ellipsis")
    text.no_wrap = True
    return text


def _short(text: str, width: int) -> str:
    return _cut(Text(text), width).plain
