"""The demo without a terminal: what a state says in lines that it has not said before."""

from collections.abc import Iterator
from typing import Final

from training.demo import words
from training.demo.state import Actor, Phase, State

EVERY_S: Final = 5.0


class Lines:
    """Tells phases as they begin and end, and every few seconds how things are."""

    def __init__(self) -> None:
        """Begin with nothing told."""
        self._begun: set[int] = set()
        self._ended: set[int] = set()
        self._told_s = -EVERY_S
        self._scored = 0

    def of(self, state: State, now_s: float) -> list[str]:
        """Return what is new of a state at a moment; never anything that would steer a terminal."""
        return [words.safe(line) for line in self._news(state, now_s)]

    def _news(self, state: State, now_s: float) -> Iterator[str]:
        for number, phase in enumerate(state.phases):
            if phase.began_s is not None and number not in self._begun:
                self._begun.add(number)
                self._told_s = now_s
                yield f"[{number + 1}/{len(state.phases)}] {phase.title}"
            if phase.ended_s is not None and number not in self._ended:
                self._ended.add(number)
                yield f"      done in {words.span(phase.took_s(now_s))}"
        if now_s - self._told_s >= EVERY_S:
            self._told_s = now_s
            yield from self._present(state, now_s)

    def _present(self, state: State, now_s: float) -> Iterator[str]:
        if state.scored == self._scored:
            yield from _progress(state.phase, now_s)
            return
        self._scored = state.scored
        latency = state.meter.latency(now_s)
        told = f", p50 {words.latency(latency[0])}, p99 {words.latency(latency[1])}" if latency else ""
        yield (
            f"      {words.date(state.now_ms)}: {state.sent:,} events in, {state.scored:,} scored, "
            f"{state.meter.rate(now_s):,.0f} events/s{told}"
        )
        alerts = state.alerts.total()
        if state.feed:
            last = state.feed[-1]
            yield (
                f"      {alerts:,} alerts, such as {last.customer_id} on {words.date(last.time)}: {last.rule} "
                f"({last.score:.3g})"
            )
        yield from (f"      {_seen(actor)}" for actor in state.actors if actor.points)


def _progress(phase: Phase | None, now_s: float) -> Iterator[str]:
    if phase is not None:
        share = f" {phase.done / phase.total:.0%}" if phase.total else ""
        yield f"      {words.span(phase.took_s(now_s))}  {phase.part}{share}".rstrip()


def _seen(actor: Actor) -> str:
    role, score = actor.role, actor.score or 0.0
    told = f"{score:,.0f}" if role.kind == "value" else f"{score:.2f}"
    what = f"{role.task} {role.class_}".strip()
    latest = f"; {words.date(actor.story[-1].time_ms)}: {actor.story[-1].told}" if actor.story else ""
    return f"{role.customer}, {role.title}: {what} {told}{latest}"
