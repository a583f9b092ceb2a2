"""The data set: a bank of so many customers over so many months."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from schemas import spec_file
from schemas.progress import SILENT, Progress
from training.datasets.folder import ORACLE, FolderTables, write_folder
from training.datasets.simulator import tables
from training.datasets.simulator.behaviour import World
from training.datasets.simulator.foresight import Cut, Welcome, consult, oracle_facts, oracle_table, welcome
from training.datasets.simulator.kinds import Floats
from training.datasets.simulator.labels import Log
from training.datasets.simulator.latent import draw_latent
from training.datasets.simulator.life import Bank, Diary
from training.datasets.simulator.population import draw_population
from training.datasets.simulator.timeline import Timeline

_STREAMS: Final = 4
"""Independent random streams: people, their lives, the oracle's continuations, the look of the tables."""


@dataclass(frozen=True)
class BankSimulator:
    """A simulated bank; equal arguments give equal bytes.

    Args:
        seed: of all randomness.
        customers: how many, those who never become active included.
        months: length of the log from 2023-01-01.
        difficulty: above 1, outcomes depend less on what customers are and show; below 1, more. It moves churn,
            credit_risk, value and risk_profile; what people do next follows the calendar, and what they buy follows
            what they hold, at any difficulty.
        activation: whether the spec also asks if new customers will become active; the data are the same, and the
            oracle answers that too.
    """

    seed: int = 1
    customers: int = 5000
    months: int = 24
    difficulty: float = 1.0
    activation: bool = False

    def write(self, out: Path, progress: Progress = SILENT) -> None:
        """Write the interchange folder `out` with `oracle.parquet` in it, whole or not at all.

        Raises:
            InputError: the population is so small that nothing happens.
            OutputError: `out` cannot be written.
        """
        life = self.simulate(progress)
        cuts = life.consult(progress)
        write_folder(out, life.tables(cuts))

    def simulate(self, progress: Progress = SILENT) -> "Life":
        """Run the bank and return everything about it."""
        people_rng, life_rng, oracle_rng, table_rng = (
            np.random.Generator(np.random.PCG64(seed)) for seed in np.random.SeedSequence(self.seed).spawn(_STREAMS)
        )
        timeline, signal = Timeline.of_months(self.months), 1.0 / self.difficulty
        people = draw_population(self.customers, timeline.days, signal, people_rng)
        world, latent = World(people, timeline, signal), draw_latent(people, people_rng)
        opening = latent.balance.copy()
        diary = Bank(world, latent, life_rng).live(progress)
        return Life(world, diary, opening, oracle_rng, table_rng, self.activation)


@dataclass(frozen=True)
class Life:
    """A finished simulation."""

    world: World
    diary: Diary
    opening: Floats
    """Balances in EUR before the first day."""
    oracle_rng: np.random.Generator
    table_rng: np.random.Generator
    activation: bool

    def consult(self, progress: Progress = SILENT) -> list[Cut]:
        """Return the oracle's predictions at every cut."""
        return consult(self.world, self.diary.snapshots, self.oracle_rng, progress)

    def _welcome(self) -> list[Welcome]:
        """Return what the oracle says of newcomers; everybody's first record is the first that was written down."""
        customer, time_ms, *_ = self.diary.records[0]
        record_ms = np.empty(len(customer), np.int64)
        record_ms[customer] = time_ms
        return welcome(self.world, self.diary.newcomers, record_ms, self.oracle_rng)

    def log(self) -> Log:
        """Return what happened, for labels."""
        return tables.log_of(self.world, self.diary)[0]

    def tables(self, cuts: list[Cut]) -> FolderTables:
        """Return the interchange folder."""
        log, scheduled = tables.log_of(self.world, self.diary)
        facts, welcomes = oracle_facts(log, cuts), self._welcome() if self.activation else []
        return FolderTables(
            transactions=tables.transactions(self.world, log, scheduled, self.opening, self.table_rng),
            customers=tables.customers(self.world, self.diary, self.table_rng),
            products=tables.products(),
            outcomes=tables.outcomes(self.diary),
            spec_text=spec_file.bank_text(activation=self.activation),
            extras={ORACLE: oracle_table(self.world, cuts, facts, welcomes)},
        )
