"""The simulation itself: day after day, what customers do, buy and fail to do, and what the bank writes down."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from schemas.progress import SILENT, Progress
from training.datasets.simulator.activity import (
    HOUR_MS,
    Events,
    first_payments,
    joined,
    late_fees,
    missed_instalments,
    scheduled_events,
    spontaneous_events,
    statements,
)
from training.datasets.simulator.behaviour import (
    ASKED_EVERY_DAYS,
    World,
    default_chance,
    demand,
    instalment_due,
    keeps_house,
    profile_chance,
)
from training.datasets.simulator.kinds import (
    ATTITUDE,
    LOAN,
    LOAN_PAYMENT,
    PRODUCTS,
    PROFILES,
    Flags,
    Floats,
    Ints,
    take,
)
from training.datasets.simulator.latent import LEFT, MOVED, STEADY, Latent, advance, move_household, open_loan
from training.datasets.simulator.timeline import epoch_ms

RECORD_EVERY_DAYS: Final = 1500.0
"""Mean time after which a customer tells the bank of changes without a reason that the bank sees."""
SCORE_AT_EASE, SCORE_SLOPE, SCORE_NOISE = 680.0, -45.0, 35.0
"""The credit score when it is written down: its mean at stress 0, its change with stress, and its error."""
SCORE_AFTER_DEFAULT: Final = 250.0
"""By so much it is lower for good after a default."""
REDEMPTION: Final = 0.9
"""Part of the outstanding instalments that pays off a loan early."""


@dataclass
class Diary:
    """What the bank has written down, as lists of columns (one entry per day)."""

    events: list[tuple[int, Events]] = field(default_factory=list)
    records: list[tuple[Ints, Ints, Floats, Flags]] = field(default_factory=list)
    """Customer, time in ms, credit score, whether a loan is held."""
    outcomes: list[tuple[Ints, str, Ints, list[str]]] = field(default_factory=list)
    """Customer, task, time in ms, value."""
    snapshots: list[tuple[int, Latent]] = field(default_factory=list)
    """Day of each cut and the true state at its beginning."""
    newcomers: list[tuple[int, Ints, Latent]] = field(default_factory=list)
    """Day, who became known on it, and their true state at its beginning."""


@dataclass
class Bank:
    """A bank whose customers live; `live` runs it through the whole calendar."""

    world: World
    latent: Latent
    rng: np.random.Generator
    diary: Diary = field(default_factory=Diary)

    def __post_init__(self) -> None:
        self._months_gone = np.zeros(len(self.latent.phase), dtype=np.int64)

    def live(self, progress: Progress = SILENT) -> Diary:
        """Live through all days of the calendar and return what was written down."""
        days, cuts = self.world.timeline.days, set(self.world.timeline.cuts)
        everybody = np.arange(len(self.latent.phase))
        known_ms = epoch_ms(self.world.people.known_day, self.rng.integers(8, 18, len(everybody)) * HOUR_MS)
        self._record(everybody, known_ms)
        for day in range(days):
            if day in cuts:
                self.diary.snapshots.append((day, take(self.latent, everybody)))
                self._months_gone += self.latent.phase == LEFT
                progress.step("simulate", day, days)
            new = np.flatnonzero(self.world.people.known_day == day)
            if len(new):
                self.diary.newcomers.append((day, new, take(self.latent, new)))
            self._live_a_day(day)
        progress.step("simulate", days, days)
        return self.diary

    def _live_a_day(self, day: int) -> None:
        latent, world, rng = self.latent, self.world, self.rng
        due = instalment_due(latent, world, day)
        missed = missed_instalments(latent, world, day, rng)
        parts = [
            scheduled_events(latent, world, day, missed, rng),
            spontaneous_events(latent, world, day, rng),
            late_fees(missed, rng),
            self._redeem(day),
            self._buy(day),
        ]
        if world.timeline.is_month_end(day):
            parts.append(statements(latent, world, day, self._months_gone, rng))
        events = joined(parts)
        latent.balance += np.bincount(events.customer, events.amount, minlength=len(latent.balance))
        self.diary.events.append((day, events))
        self._settle_loans(day, due & ~missed, missed)
        self._ask(day)
        self._update_records(day)
        advance(latent, world.people, 1.0, rng)
        latent.phase[world.people.start_day > day] = STEADY

    def _redeem(self, day: int) -> Events:
        """End the contracts of those who have moved away; an open loan is paid off."""
        latent = self.latent
        moved = (latent.phase >= MOVED) & latent.holds.any(axis=1)
        who = np.flatnonzero(moved & latent.holds[:, LOAN])
        rest = REDEMPTION * latent.instalment[who] * latent.instalments_left[who]
        move_household(latent, moved)
        hour = self.rng.uniform(9.0, 17.0, len(who))
        self._record(who, epoch_ms(day, (hour * HOUR_MS).astype(np.int64)))
        return Events.of(who, LOAN_PAYMENT, hour, -rest)

    def _settle_loans(self, day: int, paid: Flags, missed: Flags) -> None:
        """Count paid and missed instalments; declare defaults in the evening; close what is paid off."""
        latent, rng = self.latent, self.rng
        defaults = missed & latent.holds[:, LOAN] & (rng.random(len(missed)) < default_chance(latent.arrears))
        latent.instalments_left -= paid
        latent.arrears = np.where(paid, 0, latent.arrears + missed)
        latent.holds[:, LOAN] &= ~defaults & (latent.instalments_left > 0)
        latent.defaulted |= defaults
        evening = epoch_ms(day, rng.integers(19 * HOUR_MS, 22 * HOUR_MS, len(missed)))
        who = np.flatnonzero(defaults)
        self.diary.outcomes.append((who, "default", evening[who], ["1"] * len(who)))
        ended = np.flatnonzero(defaults | (paid & (latent.instalments_left == 0)))
        self._record(ended, evening[ended])

    def _buy(self, day: int) -> Events:
        """Draw who buys a product today, at most one each, and return the first payments."""
        latent, rng = self.latent, self.rng
        hazard = demand(latent, self.world, day) * ~latent.holds
        level = rng.random(len(hazard)) - np.cumsum(hazard, axis=1).T
        who = np.flatnonzero(level[-1] < 0)
        product = (level[:, who] >= 0).sum(axis=0)
        offset_ms = rng.integers(9 * HOUR_MS, 18 * HOUR_MS, len(who))
        time_ms = epoch_ms(day, offset_ms)
        latent.holds[who, product] = True
        borrowers = product == LOAN
        open_loan(latent, who[borrowers], self.world.people, rng)
        self.diary.outcomes.append((who, "preference", time_ms, [PRODUCTS[k] for k in product]))
        self._record(who[borrowers], time_ms[borrowers])
        return first_payments(latent, self.world, who, product, offset_ms)

    def _ask(self, day: int) -> None:
        """Let some holders of main accounts fill in the questionnaire on investment risk."""
        rng, world = self.rng, self.world
        asked = rng.random(len(self.latent.phase)) < 1.0 / ASKED_EVERY_DAYS
        who = np.flatnonzero(asked & keeps_house(self.latent, world, day) & world.people.primary)
        upto = np.cumsum(profile_chance(self.latent.tastes[who, ATTITUDE], world.signal), axis=1)
        answer = (rng.random((len(who), 1)) >= upto[:, :2]).sum(axis=1)
        time_ms = epoch_ms(day, rng.integers(9 * HOUR_MS, 20 * HOUR_MS, len(who)))
        self.diary.outcomes.append((who, "risk_profile", time_ms, [PROFILES[k] for k in answer]))

    def _update_records(self, day: int) -> None:
        here = keeps_house(self.latent, self.world, day)
        who = np.flatnonzero(here & (self.rng.random(len(here)) < 1.0 / RECORD_EVERY_DAYS))
        self._record(who, epoch_ms(day, self.rng.integers(9 * HOUR_MS, 18 * HOUR_MS, len(who))))

    def _record(self, who: Ints, time_ms: Ints) -> None:
        """Write down what the bank knows of customers at these times."""
        latent = self.latent
        noise = SCORE_NOISE * self.rng.standard_normal(len(who))
        score = SCORE_AT_EASE + SCORE_SLOPE * latent.stress[who] + noise - SCORE_AFTER_DEFAULT * latent.defaulted[who]
        rounded = np.asarray(np.round(np.clip(score, 300.0, 850.0)), dtype=np.float64)
        self.diary.records.append((who, time_ms, rounded, latent.holds[who, LOAN].copy()))
