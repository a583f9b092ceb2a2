"""`foretell relay`: another system's topic into the transactions topic."""

import argparse
import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Final

from schemas.errors import EXIT_OK
from stream_app.commands.arguments import KAFKA
from stream_app.settings import Settings, SettingsError, add_flags, from_args

if TYPE_CHECKING:
    from stream_app.commands.lanes import Relay

_EPILOG: Final = """\
Values and headers are copied unchanged, exactly once, also over a crash. A record that is a message of ours gets its
customer's id as its key; any other keeps its key, and the worker makes it a dead letter with the reason. A tombstone
makes the customer of its key forgotten. Records of one customer must stand in one partition to keep their order.
Several relays of one group share the partitions. It runs until it is stopped (SIGTERM, Ctrl-C), and goes on from there
when it is started again.

examples:
  foretell relay customers --kind customer
  foretell relay old.transactions --until-end
"""
_KINDS: Final = ("transaction", "customer", "forget")
_GRACE_S: Final = 5.0


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "relay",
        help="copy another topic into the transactions topic, exactly once",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("topic", metavar="FROM_TOPIC", help="what to copy")
    parser.add_argument("--kind", choices=_KINDS, help="what records are that do not say: it is added to them")
    parser.add_argument("--until-end", action="store_true", help="end when what is there now has been copied")
    add_flags(parser, *KAFKA, "transactions_topic", "group", "session_timeout_ms", "log_level", "log_format")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Relay until told to stop; return the exit code."""
    from stream_app import logs
    from stream_app.commands.broker import say

    settings = from_args(args)
    if args.topic == settings.transactions_topic:
        message = (
            f"Expected another topic than {args.topic} to copy into it, found the same; name one of them otherwise."
        )
        raise SettingsError(message)
    logs.configure(settings)
    counts = asyncio.run(_relay(settings, args)).counts
    say(
        f"relayed {counts['records']:,} records of {args.topic} to {settings.transactions_topic}"
        f" ({counts['keyed']:,} with another key, {counts['refused']:,} that the worker will refuse)"
    )
    return EXIT_OK


async def _relay(settings: Settings, args: argparse.Namespace) -> "Relay":
    from stream_app.commands.lanes import Relay

    relay, stop, loop = Relay(settings, args.topic, args.kind), asyncio.Event(), asyncio.get_running_loop()
    task = asyncio.create_task(relay.run(stop, until_end=args.until_end))

    def end() -> None:
        """Let the transaction under way finish; do not wait for brokers that are away."""
        stop.set()
        loop.call_later(_GRACE_S, task.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return relay
