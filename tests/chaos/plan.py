"""When which fault strikes and heals: all of it follows from the seed."""

import random
from dataclasses import dataclass
from math import ceil
from typing import Final

from schemas.errors import ForetellError
from tests.chaos.faults.known import FAULTS
from tests.chaos.options import MINUTES, Options

_TOGETHER: Final = 0.3
"""How often a fault comes together with the next one."""
_WITH_KILL: Final = 0.5
"""How often a worker is killed meanwhile."""
_LATEST_S: Final = 1.5
_REST_S: Final = (0.5, 5.0)
LAST: Final = "poison"
"""Each loss of Redis makes workers find it anew, which takes a while: what comes before is not to wait for it."""


class PlanError(ForetellError):
    """A campaign that cannot be."""


@dataclass(frozen=True, order=True)
class Strike:
    """One fault.

    Attributes:
        at_s: when it strikes, from the beginning of its round.
        hold_s: for how long it is in force, at least.
        name: which one.
        seed: of what it decides.
    """

    at_s: float
    hold_s: float
    name: str
    seed: int


@dataclass(frozen=True)
class Round:
    """Faults that come together, in the order in which they strike, and the most that is waited afterwards."""

    strikes: tuple[Strike, ...]
    rest_s: float


def plan(options: Options) -> list[Round]:
    """Return all rounds of a campaign.

    Raises:
        PlanError: a fault is not known.
    """
    rng = random.Random(options.seed)  # noqa: S311  (not for secrets)
    deck = _deck(options)
    rng.shuffle(deck)
    deck.sort(key=lambda name: name != LAST)  # it is taken from the end
    rounds: list[Round] = []
    while deck:
        names = [deck.pop()]
        if deck and rng.random() < _TOGETHER and _agree(names[0], deck[-1]):
            names.append(deck.pop())
        lonely = names == ["kill"] or FAULTS[names[0]].fault.alone
        if not lonely and _wanted("kill", options) and rng.random() < _WITH_KILL:
            names.append("kill")
        strikes = tuple(sorted(_strike(name, rng) for name in names))
        rounds.append(Round(strikes, round(rng.uniform(*_REST_S), 1)))
    return rounds


def _deck(options: Options) -> list[str]:
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        message = f"Expected faults among {', '.join(FAULTS)}, found {', '.join(unknown)}; correct --faults."
        raise PlanError(message)
    deck = list[str]()
    for name, known in FAULTS.items():
        if _wanted(name, options):
            times = known.short if options.short else ceil(known.often * options.minutes / MINUTES)
            deck += [name] * (max(times, 1) if options.faults else times)
    return deck


def _wanted(name: str, options: Options) -> bool:
    if name == "poison" and options.without:  # workers run another module then
        return False
    return not options.faults or name in options.faults


def _agree(first: str, second: str) -> bool:
    """Return whether two faults may come together."""
    one, other = FAULTS[first].fault, FAULTS[second].fault
    return one.place != other.place and not one.alone and not other.alone


def _strike(name: str, rng: random.Random) -> Strike:
    hold_s = rng.uniform(*FAULTS[name].fault.hold_s)
    return Strike(round(rng.uniform(0.0, _LATEST_S), 2), round(hold_s, 2), name, rng.randrange(1 << 32))
