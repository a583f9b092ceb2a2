"""What a demo tells at its end."""

import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from stream_app.bundle import Manifest
from training.demo import words
from training.demo.cast import Role
from training.demo.flow import Outcome
from training.demo.plan import Plan
from training.demo.state import State
from training.evaluate import headline

_WIDTH: Final = 14
LONGEST: Final = 100
"""Columns that are used of a terminal, however wide it is."""
_SHORTEST: Final = 56
"""Columns that are used, however narrow it is."""
_MEASURES: Final = {"roc_auc": "ROC AUC", "log_loss": "log loss", "spearman": "Spearman", "gini": "Gini"}
_ROWS: Final = ("tick", "event", "record")
"""Kinds of rows that are told of: the oracle answers ticks."""


def told(plan: Plan, state: State, outcome: Outcome, took_s: float, width: int = LONGEST) -> list[str]:
    """Return the summary, line by line; nothing in it steers a terminal.

    Args:
        plan: what was asked for.
        state: what happened.
        outcome: what came of it.
        took_s: how long it took in all.
        width: columns of the terminal.
    """
    width = min(max(width, _SHORTEST), LONGEST)
    parts = (
        _figures(state, outcome, took_s),
        _quality(outcome.bundle.manifest),
        _watched(state, outcome),
        _portrait(outcome),
        _left(plan),
    )
    prose = [wrapped for part in parts for line in part for wrapped in _wrapped(words.safe(line), width)]
    return [*prose, *(words.safe(line) for line in _next(plan, outcome))]


def _figures(state: State, outcome: Outcome, took_s: float) -> Iterator[str]:
    paced, full, latency = outcome.paced, outcome.full, outcome.latency
    yield from ("", f"{state.title}: done in {words.span(took_s)} on {os.cpu_count()} cores.", "")
    yield _line("events in", f"{state.sent:,}")
    facts = outcome.rehearsal.records - outcome.rehearsal.scores - outcome.rehearsal.letters
    others = f"; the other {facts:,} tell facts of customers, which are taken in and not scored" if facts else ""
    yield _line("scored", f"{state.scored:,}{others if outcome.scores.complete else ''}")
    yield _line("dead letters", _counts(state.reasons))
    yield _line("alerts", _counts(state.alerts))
    yield _line("paced", f"{paced.records:,} events at {paced.rate:,.0f}/s, so that it can be watched")
    if latency is not None:
        figures = f"p50 {words.latency(latency[0])}, p99 {words.latency(latency[1])}"
        what = "from handing a record to the producer until this process has read its score"
        yield _line("latency", f"{figures}, in that part: {what}")
    if full.records:
        shared = "broker, store, worker and this process share the cores"
        yield _line("full speed", f"{full.records:,} events at {full.rate:,.0f}/s; {shared}")
    yield _line("delivery", "at_least_once: the embedded broker has no transactions")
    agreements = (("scores", outcome.scores), ("alerts", outcome.alerts), ("dead letters", outcome.letters))
    equal = ", ".join(f"{found.same:,} of {found.expected:,} {name}" for name, found in agreements)
    whole = all(found.complete for _, found in agreements)
    yield _line("as replayed", f"{equal}{': the same bytes' if whole else ', and not all is the same'}")


def _quality(manifest: Manifest) -> Iterator[str]:
    """Yield how good the network is on customers that training has not seen, beside the best possible."""
    lines = [line for task in manifest.spec.tasks for line in _measured(task.name, task.learned_as, manifest.metrics)]
    if lines:
        best = any(line[5] for line in lines)
        head = ("task", "tested", "measure", "network", "prior", "oracle", "of its gain")
        yield from ("", "How good the network is on rows that training has not seen" + _oracle(known=best))
        widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
        for line in (head, *lines):
            cells = [
                text.ljust(width) if column in {0, 2} else text.rjust(width)
                for column, (text, width) in enumerate(zip(line, widths, strict=True))
            ]
            yield "  " + "  ".join(cells[: len(head) if best else 5]).rstrip()


def _oracle(*, known: bool) -> str:
    return "; the oracle knows the bank's truth:" if known else ":"


def _measured(name: str, kind: str, metrics: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    measure, _ = headline(kind)
    entry = next((metrics[name][rows] for rows in _ROWS if rows in metrics.get(name, {})), None)
    if entry is None:
        return
    oracle = entry.get("oracle", {})
    figures = [_figure(found.get(measure)) for found in (entry["network"], entry["prior"])]
    share = oracle.get("share_of_gain")
    yield (
        name, f"{entry['rows']:,}", _MEASURES.get(measure, measure), *figures,
        _figure(oracle.get(measure)) if oracle else "", "" if share is None else f"{share:.0%}",
    )  # fmt: skip


def _watched(state: State, outcome: Outcome) -> Iterator[str]:
    cast = outcome.rehearsal.cast
    yield from ("", "Whom you watched")
    for actor in state.actors:
        yield f"  {actor.role.customer}  {_story(actor.role)}"
    yield f"  {cast.chosen}"


def _story(role: Role) -> str:
    low, high = (f"{value:,.0f}" if role.kind == "value" else f"{value:.2f}" for value in (role.low, role.high))
    came = f"; came true on {words.date(role.came_ms)}: {role.came}" if role.came_ms is not None else ""
    return f"{role.title}: {role.task} {role.class_}".rstrip() + f" rose from {low} to {high}{came}"


def _portrait(outcome: Outcome) -> Iterator[str]:
    if outcome.portrait:
        yield from ("", "A portrait, as the store had it at the end")
        yield from (f"  {sentence}" for sentence in outcome.portrait)


def _left(plan: Plan) -> Iterator[str]:
    places = plan.places
    yield from ("", f"In {places.out}")
    if plan.simulated:
        yield _line(plan.data.name, "the bank's log: an interchange folder")
        yield _line(plan.bundle.name, "the network, and report.html to look at")
    yield _line(places.scores.name, "each score as it came")
    yield _line(places.alerts.name, f"each alert; {places.letters.name}: what was refused")
    yield _line(places.logs.name, f"what the processes said; {places.summary.name}: this text")


def _next(plan: Plan, outcome: Outcome) -> Iterator[str]:
    yield from ("", "Try next")
    yield from (f"  {line}" for line in commands(plan, outcome, called_as(sys.argv[0])))


def commands(plan: Plan, outcome: Outcome, foretell: str) -> list[str]:
    """Return three commands to try next, as they can be pasted."""
    data, bundle = (shlex.quote(str(path)) for path in (plan.data, plan.bundle))
    again = shlex.quote(str(plan.places.out / "again.parquet"))
    found = [f"{foretell} replay {data} --bundle {bundle} --out {again}"]
    names = [role.customer for role in outcome.rehearsal.cast.roles]
    pasted = [shlex.quote(name) for name in names if name.isprintable() and not name.startswith("-")]
    found += [f"{foretell} portrait {name} --bundle {bundle} --log {data}" for name in pasted[:1]]
    return [*found, f"{foretell} data csv --help" if plan.simulated else f"{foretell} bundle show {bundle}"]


def called_as(program: str) -> str:
    """Return how this command is called from the shell that it was called from."""
    found = shutil.which(Path(program).name)
    if found is not None and Path(program).exists() and Path(found).samefile(program):
        return Path(program).name
    if Path(program).suffix == ".py":
        return f"{shlex.quote(sys.executable)} -m stream_app"
    return shlex.quote(program)


def _wrapped(line: str, width: int) -> list[str]:
    """Return a line as several where it is long: what goes on stands below the text, not below its name."""
    name = re.match(r" *(?:\S+ )*\S+ {2,}(?=\S)", line) if len(line) > width else None
    indent = " " * (name.end() if name else len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _line(name: str, text: str) -> str:
    return f"  {name:<{_WIDTH}}  {text}".rstrip()


def _counts(counts: Any) -> str:  # noqa: ANN401  (a Counter)
    total = f"{counts.total():,}"
    each = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return f"{total}: {each}" if each else total


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
