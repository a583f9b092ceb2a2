"""`foretell tick`: ask for scores of all customers as of a time, so that silence gets a score."""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.errors import InputError
from stream_app import settings

_EPILOG = """\
One record for each slice of the customers and each partition (1024 × partitions). --every keeps writing, one round for
each period as the clock passes --time, --time + 1d and so on, its slices spread evenly over the period or, with
--at-once, together. What falls into a time when the command does not run is left out, and the next start says how to
make up for it; two such commands at once, or a round given twice, score the same customers twice.

examples:
  foretell tick --time 2026-01-31T00:00:00Z
  foretell tick --time 2026-02-01T02:00:00Z --every 1d
"""
_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
_LONGEST_MS: Final = 366 * _UNITS["d"]
_NAP_S: Final = 30.0
"""The longest sleep at a time: a clock may be set, a machine may be suspended."""
_SHORTEST_NAP_S: Final = 1.0
_AGAIN_S: Final = 5.0

Due = tuple[int, int]
"""The time of a round, in ms, and a slice."""


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("tick", help="score all customers as of a time", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("--time", required=True, metavar="T", help="RFC 3339 with an offset, or ms since 1970")
    parser.add_argument("--every", metavar="PERIOD", help="keep on with a round every 1d, 12h, 30m …")
    parser.add_argument("--until", metavar="T", help="the time of the last round")
    parser.add_argument("--slices", default="0-1023", metavar="A-B", help="only these slices (default 0-1023: all)")
    parser.add_argument("--at-once", action="store_true", help="write the slices of a round together")
    settings.add_flags(parser, *settings.OF_KAFKA, "transactions-topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write one round, or one after the other."""
    found, now_ms = settings.from_args(args), _now_ms()
    rounds = rounds_of(args, now_ms)
    if rounds.every_ms == 0:
        return asyncio.run(_once(found, rounds))
    return asyncio.run(_keep(found, rounds))


@dataclass(frozen=True)
class Rounds:
    """When which slice is due. All times in ms.

    Attributes:
        first_ms: the time of the first round.
        every_ms: from one round to the next; 0 for a single round.
        until_ms: no round is later; None for no end.
        slices: of each round.
        at_once: whether all slices of a round are due at its time, not spread over the period.
    """

    first_ms: int
    every_ms: int
    until_ms: int | None
    slices: range
    at_once: bool

    def moments(self, number: int) -> list[tuple[int, Due]]:
        """Return when each slice of a round is due, in order."""
        at_ms = self.first_ms + number * self.every_ms
        step = 0 if self.at_once else self.every_ms
        count = len(self.slices)
        return [(at_ms + k * step // count, (at_ms, number_of)) for k, number_of in enumerate(self.slices)]

    def due(self, after_ms: int, upto_ms: int) -> list[Due]:
        """Return what falls due after one moment, up to and including another, in order."""
        found = [
            (moment, what)
            for number in range(self._round(after_ms), self._last(upto_ms) + 1)
            for moment, what in self.moments(number)
            if after_ms < moment <= upto_ms
        ]
        return [what for _, what in sorted(found)]

    def next_ms(self, after_ms: int) -> int | None:
        """Return the next moment at which something is due, None at the end."""
        start = self._round(after_ms)
        for number in range(start, self._last(self.first_ms + (start + 2) * self.every_ms) + 1):
            for moment, _ in self.moments(number):
                if moment > after_ms:
                    return moment
        return None

    def missed(self, now_ms: int) -> list[Due]:
        """Return what of the round under way was due before."""
        if now_ms < self.first_ms:
            return []
        number = self._last(now_ms)
        return [what for moment, what in self.moments(number) if moment <= now_ms]

    def _round(self, at_ms: int) -> int:
        """Return the round under way at a moment, 0 before the first."""
        return max((at_ms - self.first_ms) // self.every_ms, 0)

    def _last(self, upto_ms: int) -> int:
        end_ms = upto_ms if self.until_ms is None else min(upto_ms, self.until_ms)
        return (end_ms - self.first_ms) // self.every_ms


def rounds_of(args: argparse.Namespace, now_ms: int) -> Rounds:
    """Return what the flags ask for.

    Raises:
        InputError: one is malformed, or there is nothing to do.
    """
    from schemas.accepted import time_problem

    first_ms = parse_time(args.time, "--time")
    every_ms = parse_period(args.every) if args.every else 0
    until_ms = parse_time(args.until, "--until") if args.until else None
    ahead = None if every_ms else time_problem(first_ms, now_ms)
    if ahead:
        message = f"Expected --time at most a day ahead of now, found {told(first_ms)}: workers would refuse it; wait."
        raise InputError(message)
    if until_ms is not None and not every_ms:
        message = "Expected --every beside --until, found none; give both or neither."
        raise InputError(message)
    if until_ms is not None and until_ms < max(first_ms, now_ms):
        message = (
            f"Expected --until after --time and after now, found {told(until_ms)}; for rounds of the past give the "
            "command once for each --time, without --every."
        )
        raise InputError(message)
    return Rounds(first_ms, every_ms, until_ms, parse_slices(args.slices), args.at_once)


def parse_time(text: str, flag: str) -> int:
    """Return a time in ms since 1970.

    Raises:
        InputError: it is none, or has no offset, or is one that the stream would refuse.
    """
    import msgspec

    from schemas.accepted import epoch_ms, time_problem

    try:
        moment = int(text) if re.fullmatch(r"[0-9]{1,15}", text) else msgspec.convert(text, datetime, strict=True)
    except msgspec.ValidationError:
        message = (
            f"Expected a time such as 2026-01-31T00:00:00Z or ms since 1970 in {flag}, found {text!r}; correct it."
        )
        raise InputError(message) from None
    found = epoch_ms(moment)
    problem = time_problem(found)
    if problem:
        message = f"{problem[0].upper()}{problem[1:]} ({flag}); correct it."
        raise InputError(message)
    return found


def parse_period(text: str) -> int:
    """Return a period such as 1d, 12h, 30m or 90s in ms.

    Raises:
        InputError: it is none, or is shorter than a second or longer than a year.
    """
    found = re.fullmatch(r"([0-9]{1,9})([dhms])", text)
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < length <= _LONGEST_MS:
        message = f"Expected a period such as 1d, 12h or 30m, at most 366d, in --every, found {text!r}; correct it."
        raise InputError(message)
    return length


def parse_slices(text: str) -> range:
    """Return the slices in A-B, or the one.

    Raises:
        InputError: there are no such slices.
    """
    from schemas.messages import SLICES

    found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last < SLICES:
        message = f"Expected slices A-B within 0-{SLICES - 1} in --slices, found {text!r}; correct it."
        raise InputError(message)
    return range(first, last + 1)


def told(at_ms: int) -> str:
    """Return a time as RFC 3339."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds" if at_ms % 1000 else "seconds").replace("+00:00", "Z")


async def keep(
    rounds: Rounds,
    write: Callable[[list[Due]], Awaitable[None]],
    now_ms: Callable[[], int],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Write what falls due as the clock passes it, until the last round is written.

    A clock that is set back repeats nothing; one that jumps ahead makes up for what it left out.
    """
    reached = now_ms()
    while (following := rounds.next_ms(reached)) is not None:
        wait_s = (following - now_ms()) / 1000
        if wait_s > 0:
            await sleep(min(max(wait_s, _SHORTEST_NAP_S), _NAP_S))
            continue
        upto = now_ms()
        await write(rounds.due(reached, upto))
        reached = upto


async def _once(found: settings.Settings, rounds: Rounds) -> int:
    due = [(rounds.first_ms, number) for number in rounds.slices]
    records = await _write(found, due)
    print(f"{told(rounds.first_ms)}: {records:,} ticks, slices {rounds.slices[0]}-{rounds.slices[-1]}")
    return 0


async def _keep(found: settings.Settings, rounds: Rounds) -> int:
    from stream_app.commands import orders

    async with orders.opened(found):  # what does not work at all is told at once, not at the first round
        pass
    _tell_missed(rounds, _now_ms())

    async def write(due: list[Due]) -> None:
        problem = ""
        while True:
            try:
                records = await _write(found, due)
                break
            except orders.OrderError as error:  # a broker that restarts is waited for, whatever it takes
                if str(error) != problem:
                    problem = str(error)
                    print(f"foretell: {problem}", file=sys.stderr, flush=True)
                await asyncio.sleep(_AGAIN_S)
        for at_ms, number in due:
            if number == rounds.slices[-1]:
                print(f"{told(at_ms)}: all slices are written, {records:,} ticks just now", flush=True)

    await keep(rounds, write, _now_ms, asyncio.sleep)
    return 0


async def _write(found: settings.Settings, due: Sequence[Due]) -> int:
    """Write ticks, with a producer of their own: a broker forgets one that is silent for a day."""
    from schemas import codec
    from schemas.messages import Tick
    from stream_app.commands import orders

    async with orders.opened(found) as desk:
        written = await desk.write(
            [
                orders.Order(codec.encode(Tick(slice=number, time=at_ms)), partition=partition)
                for at_ms, number in due
                for partition in range(desk.partitions)
            ]
        )
    return len(written)


def _tell_missed(rounds: Rounds, now_ms: int) -> None:
    missed = rounds.missed(now_ms)
    if missed:
        at_ms, last = missed[-1]
        print(
            f"foretell: the round of {told(at_ms)} has begun without this command; to make up for it: "
            f"foretell tick --time {told(at_ms)} --slices {missed[0][1]}-{last}",
            file=sys.stderr,
            flush=True,
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
