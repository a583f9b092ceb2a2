"""Runs `foretell demo`: takes the folder, plays, shows, stops everything, and tells what it came to."""

import argparse
import asyncio
import io
import shutil
import signal
import sys
import time
from typing import Final

from schemas.atomic import atomic_file
from schemas.errors import EXIT_INTERRUPTED, EXIT_OK
from training.demo import flow, folder, summary
from training.demo.flow import Outcome
from training.demo.plan import Places, Plan
from training.demo.screen import DRAW_S, Recorder, Screen, screen
from training.demo.servers import DemoError, Servers
from training.demo.state import State
from training.demo.work import beside

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CHECK_S: Final = 0.2


def run(args: argparse.Namespace) -> int:
    """Run a demo; return its exit code, that of an interrupt where it was told to stop.

    Raises:
        DemoError: a part of it failed, or what came was not what a replay gives.
        ForetellError: its data, bundle or folder cannot be used, or a server is missing.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may not know all characters
    plan, began_s = planned(args), time.monotonic()
    folder.check(plan)
    state, recorder = State(_title(plan), flow.phases(plan)), Recorder()
    with folder.taken(plan.places):
        outcome = _play(plan, state, recorder, screen(as_lines=args.plain))
        if outcome is None:
            print("foretell: interrupted; all that was started has been stopped.", file=sys.stderr)  # noqa: T201
            return EXIT_INTERRUPTED
        if args.record:
            recorder.write(args.record)
        width = shutil.get_terminal_size((summary.LONGEST, 0)).columns
        told = "\n".join(summary.told(plan, state, outcome, time.monotonic() - began_s, width))
        with atomic_file(plan.places.summary) as part:
            part.write_text(told + "\n", encoding="utf-8")
    print(told)  # noqa: T201  (a command prints)
    _expect_agreement(plan, outcome)
    return EXIT_OK


def planned(args: argparse.Namespace) -> Plan:
    """Return what the arguments ask for."""
    places = Places(args.out)
    return Plan(
        places=places,
        data=args.data or places.bank,
        bundle=args.bundle or places.bundle,
        simulated=args.data is None,
        seed=args.seed,
        customers=args.customers,
        months=args.months,
        epochs=args.epochs,
        rate=args.rate,
        pace_s=args.pace_seconds,
    )


def _title(plan: Plan) -> str:
    if plan.simulated:
        return f"a simulated bank, {plan.customers:,} customers over {plan.months} months"
    return f"the log {plan.data}, scored by {plan.bundle}"


def _play(plan: Plan, state: State, recorder: Recorder, shown: Screen) -> Outcome | None:
    """Play and show it; return what came of it, None where it was told to stop. Nothing runs on afterwards."""
    servers = Servers(plan.places, plan.bundle)
    try:
        with shown:
            return asyncio.run(_attended(plan, state, servers, recorder, shown))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return None
    finally:
        servers.stop()


async def _attended(plan: Plan, state: State, servers: Servers, recorder: Recorder, shown: Screen) -> Outcome:
    """Play while it is shown and servers are looked after, until a signal."""
    task = asyncio.current_task()
    for number in _STOPPING:
        asyncio.get_running_loop().add_signal_handler(number, lambda: task and task.cancel())
    try:
        return await beside(flow.play(plan, state, servers), _look_after(servers), _show(state, recorder, shown))
    finally:
        _draw(state, recorder, shown)


async def _look_after(servers: Servers) -> None:
    """Raise when a server has ended.

    Raises:
        DemoError: one has.
    """
    while True:
        servers.check()
        await asyncio.sleep(_CHECK_S)


async def _show(state: State, recorder: Recorder, shown: Screen) -> None:
    while True:
        _draw(state, recorder, shown)
        await asyncio.sleep(DRAW_S)


def _draw(state: State, recorder: Recorder, shown: Screen) -> None:
    now_s = time.monotonic()
    state.tick(now_s)
    shown.draw(state, now_s)
    recorder.look(state, now_s)


def _expect_agreement(plan: Plan, outcome: Outcome) -> None:
    """Raise where the stream did not give what a replay gives: that is the one promise.

    Raises:
        DemoError: it did not.
    """
    for name, found in (("scores", outcome.scores), ("alerts", outcome.alerts), ("dead letters", outcome.letters)):
        if not found.complete:
            message = (
                f"Expected the {found.expected:,} {name} of a replay, byte for byte, found {found.same:,} of them and "
                f"{found.strange:,} others; look into {plan.places.logs}, and compare with {plan.places.replay}."
            )
            raise DemoError(message)
