"""A campaign: load, faults, then quiet until all is scored."""

import time
from random import Random
from typing import Final

from schemas.errors import ForetellError
from tests.chaos.faults.known import FAULTS
from tests.chaos.faults.port import Fault
from tests.chaos.loader import ACKNOWLEDGED
from tests.chaos.plan import Round
from tests.chaos.scene import Scene, until
from tests.chaos.truth import acknowledged, ends

_START_S: Final = 90.0
_FINISH_S: Final = 300.0
_SETTLED_S: Final = 0.5
_POLL_S: Final = 0.5
_RESUME_S: Final = 20.0


class CampaignError(ForetellError):
    """A campaign that could not be played to its end."""


def play(scene: Scene, rounds: list[Round]) -> None:
    """Play all rounds under load, then wait until everything is scored and stop all workers."""
    scene.fleet.resize(scene.options.workers)
    if not scene.fleet.wait_ready(_START_S):
        scene.tally.note("the workers were not ready at the start in time")
    for number, item in enumerate(rounds, 1):
        names = " + ".join(strike.name for strike in item.strikes)
        scene.tally.tell(f"round {number} of {len(rounds)}: {names}")
        _play(scene, item)
        if not scene.loader.running:
            message = f"Expected the loader to run, found it ended with {scene.loader.exit_code}; look at its log."
            raise CampaignError(message)
    _load_more(scene)
    scene.order(stop=1)
    scene.loader.wait(_FINISH_S)
    _finish(scene)


def _play(scene: Scene, item: Round) -> None:
    begun = time.monotonic()
    faults: list[Fault] = [FAULTS[strike.name].fault() for strike in item.strikes]
    moments = [
        (moment, heals, k)
        for k, strike in enumerate(item.strikes)
        for moment, heals in ((strike.at_s, False), (strike.at_s + strike.hold_s, True))
    ]
    for moment, heals, k in sorted(moments):
        until(begun + moment)
        if heals:
            faults[k].heal(scene)
        else:
            faults[k].strike(scene, Random(item.strikes[k].seed))  # noqa: S311  (not for secrets)
            scene.tally.faults[item.strikes[k].name] += 1
    _rest(scene, item)


def _rest(scene: Scene, item: Round) -> None:
    """Wait a while, shorter where all is well again before; note how long it took after a lone kill."""
    alone, healed_s = [strike.name for strike in item.strikes] == ["kill"], time.monotonic()
    scene.fleet.tend()
    if alone and scene.watch.commits.marked:
        _note_resume(scene, healed_s)
    scene.fleet.wait_ready(item.rest_s)
    time.sleep(_SETTLED_S)


def _note_resume(scene: Scene, healed_s: float) -> None:
    found: list[float] = []

    def resumed() -> bool:
        took = scene.watch.commits.resumed_s(healed_s)
        if took is not None:
            found.append(took)
        return took is not None

    scene.fleet.wait(resumed, _RESUME_S)
    scene.tally.resume_s += found[:1]
    scene.tally.not_resumed += not found
    scene.tally.tell(f"resumed after {found[0]:.1f} s" if found else f"not resumed after {_RESUME_S:g} s")


def _load_more(scene: Scene) -> None:
    """Let the loader go on until it has had as many records acknowledged as it must."""
    path = scene.loader.folder / ACKNOWLEDGED
    wanted = scene.options.records
    if acknowledged(path) < wanted:
        scene.tally.tell(f"loads on until {wanted:,} records are acknowledged")
        scene.order(rate=4 * scene.options.rate)
    while acknowledged(path) < wanted:
        time.sleep(_POLL_S)


def _finish(scene: Scene) -> None:
    scene.fleet.tend()
    end, wanted = time.monotonic() + _FINISH_S, ends(scene.kafka, scene.topics.transactions)
    scene.tally.tell(f"waits until {sum(wanted.values()):,} records are scored")
    while scene.watch.commits.offsets != wanted:
        if time.monotonic() > end:
            scene.tally.note(f"committed up to {scene.watch.commits.offsets} of {wanted} after {_FINISH_S:g} s")
            break
        scene.fleet.tend()
        time.sleep(_POLL_S)
    scene.fleet.resize(0)
