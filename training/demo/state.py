"""What has happened in a demo so far: no clock, no process, no terminal; all of it is told."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from schemas.messages import Alert, Score
from training.arrays import Floats
from training.demo.cast import Role

RATE_S: Final = 2.0
"""How far the present rate looks back."""
LATENCY_S: Final = 5.0
"""How far the present latency looks back."""
SHOWN_S: Final = 0.6
"""An alert is shown at most so often: more cannot be read."""
_KEPT: Final = 60
_SEVERITY: Final = {"info": 0, "warning": 1, "high": 2}

Percentiles = tuple[float, float]
"""The 50th and the 99th, in ms."""


@dataclass
class Phase:
    """A phase of the demo: when it began and ended, and how far it is."""

    title: str
    began_s: float | None = None
    ended_s: float | None = None
    part: str = ""
    done: int = 0
    total: int = 0

    def took_s(self, now_s: float) -> float:
        """Return for how long it ran, up to now where it still does; 0 before it began."""
        if self.began_s is None:
            return 0.0
        return (now_s if self.ended_s is None else self.ended_s) - self.began_s


class Happening(NamedTuple):
    """What happened to a customer: when in event time, in words, and whether it is an alert."""

    time_ms: int
    told: str
    is_alert: bool = False


@dataclass
class Actor:
    """A customer who is watched.

    Attributes:
        role: whom and why.
        points: event time and score, in the order of the log.
        band: of the last score, where the task has bands.
        story: what happened, the latest last.
    """

    role: Role
    points: list[tuple[int, float]] = field(default_factory=list)
    band: str = ""
    story: deque[Happening] = field(default_factory=lambda: deque(maxlen=8))

    @property
    def score(self) -> float | None:
        """Return the present score."""
        return self.points[-1][1] if self.points else None


class Meter:
    """Rates and latencies of what is read."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._counts: deque[tuple[float, int]] = deque()
        self._latencies: list[tuple[float, Floats]] = []
        self.total = 0

    def add(self, now_s: float, scores: int, latencies_ms: Floats) -> None:
        """Take note of scores that were read at a moment."""
        self.total += scores
        self._counts.append((now_s, self.total))
        while len(self._counts) > 1 and self._counts[1][0] < now_s - RATE_S:
            self._counts.popleft()
        if len(latencies_ms):
            self._latencies.append((now_s, latencies_ms))

    def rate(self, now_s: float) -> float:
        """Return how many scores a second were read of late."""
        if len(self._counts) < 2 or self._counts[-1][0] < now_s - RATE_S:  # noqa: PLR2004  (two ends of a span)
            return 0.0
        (first_s, first), (_, last) = self._counts[0], self._counts[-1]
        return (last - first) / max(now_s - first_s, RATE_S / 2)

    def latency(self, now_s: float) -> Percentiles | None:
        """Return the latency of late, None where none was measured."""
        return _percentiles(found for at_s, found in self._latencies if at_s >= now_s - LATENCY_S)

    @property
    def all_latency(self) -> Percentiles | None:
        """Return the latency of all that was measured, None of nothing."""
        return _percentiles(found for _, found in self._latencies)


class State:
    """All that has happened."""

    def __init__(self, title: str, phases: Sequence[str]) -> None:
        """Begin with nothing; ``phases`` are the titles of what is to be done, in order."""
        self.title = title
        self.phases = [Phase(name) for name in phases]
        self.records = self.sent = self.scored = self.letters = 0
        self.span_ms = (0, 0)
        self.now_ms = 0
        self.alerts = Counter[str]()
        self.reasons = Counter[str]()
        self.feed: deque[Alert] = deque(maxlen=_KEPT)
        self.actors: list[Actor] = []
        self.meter = Meter()
        self.rates: list[float] = []
        self._pending: Alert | None = None
        self._shown_s = -SHOWN_S

    @property
    def phase(self) -> Phase | None:
        """Return the phase that is under way."""
        return next((phase for phase in self.phases if phase.began_s is not None and phase.ended_s is None), None)

    def begin(self, title: str, now_s: float) -> None:
        """Begin a phase."""
        self._named(title).began_s = now_s

    def end(self, title: str, now_s: float) -> None:
        """End a phase."""
        self._named(title).ended_s = now_s

    def step(self, part: str, done: int, total: int, text: str = "") -> None:
        """Take note of how far the phase under way is."""
        phase = self.phase
        if phase is not None:
            phase.part, phase.done, phase.total = f"{part}: {text}" if text else part, done, total

    def watch(self, roles: Iterable[Role], records: int, span_ms: tuple[int, int]) -> None:
        """Take note of what is to come: whom to watch, how many records, and the event times of first and last."""
        self.actors = [Actor(role) for role in roles]
        self.records, self.span_ms = records, span_ms

    def send(self, records: int, now_ms: int) -> None:
        """Take note of records that were published, the last with that event time."""
        self.sent += records
        self.now_ms = max(self.now_ms, now_ms)

    def read(self, now_s: float, scores: int, latencies_ms: Floats) -> None:
        """Take note of scores that were read, and how long they took where that counts."""
        self.scored += scores
        self.meter.add(now_s, scores, latencies_ms)

    def score(self, score: Score) -> None:
        """Take note of a score of a watched customer."""
        for actor in self._of(score.customer_id):
            found = score.tasks.get(actor.role.task)
            if found is not None and found.eligible:
                value = (found.probabilities or {}).get(actor.role.class_) if actor.role.class_ else found.score
                actor.points.append((score.time, value or 0.0))
                actor.band = found.band or ""

    def happen(self, customer: str, time_ms: int, told: str) -> None:
        """Take note of what a watched customer did, in words."""
        for actor in self._of(customer):
            actor.story.append(Happening(time_ms, told))

    def refuse(self, reason: str) -> None:
        """Take note of a dead letter."""
        self.letters += 1
        self.reasons[reason] += 1

    def alert(self, alert: Alert) -> None:
        """Take note of an alert; it waits to be shown, unless a more severe one does."""
        self.alerts[alert.rule] += 1
        if self._pending is None or _SEVERITY[alert.severity] >= _SEVERITY[self._pending.severity]:
            self._pending = alert
        for actor in self._of(alert.customer_id):
            actor.story.append(Happening(alert.time, f"alert {alert.rule}", is_alert=True))

    def tick(self, now_s: float) -> None:
        """Let time pass: show the alert that waits, if the last one has stood long enough; keep the present rate."""
        if self._pending is not None and now_s - self._shown_s >= SHOWN_S:
            self.feed.append(self._pending)
            self._pending, self._shown_s = None, now_s
        rate = self.meter.rate(now_s)
        if rate:
            self.rates.append(rate)

    def _named(self, title: str) -> Phase:
        return next(phase for phase in self.phases if phase.title == title)

    def _of(self, customer: str) -> list[Actor]:
        return [actor for actor in self.actors if actor.role.customer == customer]


def _percentiles(latencies_ms: Iterable[Floats]) -> Percentiles | None:
    found = list(latencies_ms)
    if not found:
        return None
    p50, p99 = np.percentile(np.concatenate(found), [50, 99]).tolist()
    return p50, p99
