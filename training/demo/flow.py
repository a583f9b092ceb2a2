"""The flow of a demo: prepare, serve, stream, conclude."""

import asyncio
import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from stream_app import bundle as bundles
from stream_app.bundle import Bundle
from stream_app.commands.broker import make_topic
from stream_app.offline.folder import PRODUCTS, read_folder
from stream_app.offline.log import FolderLog
from stream_app.portrait.preferences import read_catalogue
from stream_app.portrait.sources import from_store
from stream_app.portrait.words import words
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from training.demo.evidence import Agreement, write_others, write_scores
from training.demo.feed import Feed, sending
from training.demo.jobs import Rehearse, Simulate, Train
from training.demo.plan import Plan
from training.demo.reading import Reading, reading, scores_file
from training.demo.rehearsal import Rehearsal, found_in
from training.demo.servers import Servers
from training.demo.state import Percentiles, State
from training.demo.work import beside, do

PARTITIONS: Final = 1
"""As a replay of the folder has without being told otherwise: its scores have the same ids."""
WARM_S: Final = 2.0
"""So long after the stream's start latencies do not count: code is loaded and connections are made."""
STALLED_S: Final = 30.0
"""When so long nothing has come, nothing more will."""
SETTLED_S: Final = 0.3
_POLL_S: Final = 0.05
_REPEATS_S: Final = 0.5

SIMULATE: Final = "simulate a bank"
TRAIN: Final = "train the network"
REHEARSE: Final = "replay, choose whom to watch"
SERVE: Final = "start broker and store"
WORK: Final = "start a worker, at_least_once"
WATCH: Final = "stream at a watchable pace"
RUSH: Final = "stream the rest at full speed"
COMPARE: Final = "compare with the replay"


@dataclass(frozen=True)
class Pace:
    """How many records went through in how many seconds, from the first sent to the last score read."""

    records: int
    seconds: float

    @property
    def rate(self) -> float:
        """Return records a second."""
        return self.records / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Outcome:
    """What a demo came to.

    Attributes:
        bundle: that scored.
        rehearsal: what was to come.
        paced: the part at a watchable pace, and
        full: the part at full speed.
        latency: of the paced part.
        scores: how far they are those of the replay; likewise
        alerts: these, and
        letters: the dead ones.
        portrait: of the last of those who were watched, in sentences.
    """

    bundle: Bundle
    rehearsal: Rehearsal
    paced: Pace
    full: Pace
    latency: Percentiles | None
    scores: Agreement
    alerts: Agreement
    letters: Agreement
    portrait: tuple[str, ...]


def phases(plan: Plan) -> list[str]:
    """Return the titles of what is done, in order."""
    made = [SIMULATE, TRAIN] if plan.simulated else []
    return [*made, REHEARSE, SERVE, WORK, WATCH, RUSH, COMPARE]


async def play(plan: Plan, state: State, servers: Servers) -> Outcome:
    """Do it all.

    Raises:
        ForetellError: something does not go as it should.
    """
    rehearsal = await _prepare(plan, state)
    bundle = bundles.load(plan.bundle)
    with _phase(state, SERVE):
        await servers.start()
        await make_topic(servers.settings, servers.settings.transactions_topic, PARTITIONS)
    with _phase(state, WORK):
        await servers.start_worker()
    async with sending(servers.settings) as outgoing, reading(servers.settings, plan.places.servers, state) as ear:
        log = FolderLog(await asyncio.to_thread(read_folder, plan.data))
        feed = Feed(outgoing, log, PARTITIONS, bundle.spec, state)
        ear.left_s = feed.left_s
        paced, full = await beside(_stream(plan, state, feed, ear, rehearsal), ear.run(PARTITIONS))
    with _phase(state, COMPARE):
        await servers.stop_worker()
        portrait = await _portrait(plan, servers.settings, bundle, rehearsal)
        scores, alerts, letters = await asyncio.to_thread(_evidence, plan, bundle, ear)
    return Outcome(bundle, rehearsal, paced, full, state.meter.all_latency, scores, alerts, letters, tuple(portrait))


async def _prepare(plan: Plan, state: State) -> Rehearsal:
    places, logs = plan.places, plan.places.logs
    if plan.simulated:
        with _phase(state, SIMULATE):
            simulate = Simulate(str(plan.data), plan.seed, plan.customers, plan.months)
            await do(simulate, logs / "simulate.log", state)
        with _phase(state, TRAIN):
            await do(Train(str(plan.data), str(plan.bundle), plan.seed, plan.epochs), logs / "train.log", state)
    with _phase(state, REHEARSE):
        records = FolderLog(await asyncio.to_thread(read_folder, plan.data)).records
        rehearse = Rehearse(str(plan.data), str(plan.bundle), str(places.replay), PARTITIONS, plan.paced(records))
        await do(rehearse, logs / "replay.log", state)
        rehearsal = found_in(places.replay)
    state.watch(rehearsal.cast.roles, rehearsal.records, (rehearsal.first_ms, rehearsal.last_ms))
    return rehearsal


async def _stream(plan: Plan, state: State, feed: Feed, ear: Reading, rehearsal: Rehearsal) -> tuple[Pace, Pace]:
    """Send everything and read what comes of it; return how fast each part was."""
    records = plan.paced(rehearsal.records)
    with _phase(state, WATCH):
        rate = plan.pace(rehearsal.records)
        state.step(f"{rate:,.0f} records/s", 0, 0)
        began_s = time.monotonic()
        ear.timed = (began_s + min(WARM_S, plan.pace_s / 10), math.inf)
        await feed.paced(records, rate)
        await _until(ear, math.inf, SETTLED_S)
        paced, ear.timed = Pace(state.sent, max(ear.heard_s - began_s, 0.0)), None
    with _phase(state, RUSH):
        began_s = time.monotonic()
        await feed.all()
        await _until(ear, rehearsal.scores + rehearsal.alerts + rehearsal.letters, STALLED_S)
        return paced, Pace(state.sent - paced.records, max(ear.heard_s - began_s, 0.0))


async def _until(ear: Reading, messages: float, quiet_s: float) -> None:
    """Wait until so many messages have come and no more come (some may be repeats), or none for so long."""
    began_s = time.monotonic()
    while True:
        quiet = time.monotonic() - max(ear.heard_s, began_s)
        if quiet >= (_REPEATS_S if ear.done >= messages else quiet_s):
            return
        await asyncio.sleep(_POLL_S)


async def _portrait(plan: Plan, settings: Settings, bundle: Bundle, rehearsal: Rehearsal) -> list[str]:
    """Return the portrait of the last of those who were watched, from the store that the worker has written to."""
    catalogue = plan.data / PRODUCTS
    products = read_catalogue(catalogue) if catalogue.is_file() else ()
    for role in rehearsal.cast.roles[-1:]:
        return words(await from_store(settings, Shelf(bundle), role.customer, rehearsal.last_ms, products, "en"), "en")
    return []


def _evidence(plan: Plan, bundle: Bundle, ear: Reading) -> tuple[Agreement, Agreement, Agreement]:
    places = plan.places
    files = [scores_file(places.servers, number) for number in range(PARTITIONS)]
    scores = write_scores(files, places.replay / "scores.parquet", bundle.manifest.outputs, places.scores)
    for file in files:
        file.unlink()
    alerts, letters = write_others(ear.alerts, ear.letters, places.replay, places.out)
    return scores, alerts, letters


@contextlib.contextmanager
def _phase(state: State, title: str) -> Iterator[None]:
    """Tell a state when a phase begins and ends."""
    state.begin(title, time.monotonic())
    yield
    state.end(title, time.monotonic())
