"""`foretell tail`: what the worker writes, as it comes."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Final

from schemas.errors import EXIT_INTERRUPTED, EXIT_OK
from stream_app.commands.arguments import KAFKA, count, positive
from stream_app.settings import Settings, add_flags, from_args

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiokafka import ConsumerRecord

    Fetch = Callable[[], Awaitable[list[ConsumerRecord]]]

_EPILOG: Final = """\
Reads what is committed only. A score's line tells event time, customer and the answer to each task that was asked; a
dead letter's the reason, where the record stood, its key and what was expected. --json gives the messages' own bytes,
one a line; of a dead letter an object of topic, partition, offset, headers, key and value ({"base64": …} where it is no
text).

examples:
  foretell tail scores
  foretell tail alerts --from beginning --json
  foretell tail dlq --from beginning --idle 5
"""
_TOPICS: Final = {"scores": "scores_topic", "alerts": "alerts_topic", "dlq": "dlq_topic"}


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "tail",
        help="show scores, alerts or dead letters as they come",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=_TOPICS, help="which topic")
    parser.add_argument("--from", dest="since", choices=("beginning", "now"), default="now", help="default now")
    parser.add_argument("--count", type=count, metavar="N", help="end after N messages")
    parser.add_argument("--idle", type=positive, metavar="SECONDS", help="end when so long nothing has come")
    parser.add_argument("--customer", metavar="ID", help="only messages with this customer's key")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    add_flags(parser, *KAFKA, *_TOPICS.values())
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show messages until told to stop; return the exit code."""
    try:
        asyncio.run(tail(from_args(args), args))
    except KeyboardInterrupt:  # the usual end
        return EXIT_INTERRUPTED
    return EXIT_OK


async def tail(settings: Settings, args: argparse.Namespace) -> None:
    """Print messages of a topic.

    Raises:
        BrokerError: the topic is not there, or Kafka refuses.
        BrokenPipeError: nobody reads our output any more.
    """
    from aiokafka import TopicPartition

    from stream_app import kafka
    from stream_app.commands.broker import FOR_EVER, opened, partitions_of, say
    from stream_app.commands.listening import Listening

    topic: str = getattr(settings, _TOPICS[args.what])
    advice = "start `foretell worker`, which makes it, or correct the name"
    partitions = await partitions_of(settings, topic, FOR_EVER, advice)
    names = [TopicPartition(topic, number) for number in range(partitions)]
    async with opened(lambda: kafka.reader(settings), settings, FOR_EVER) as consumer:
        listening = Listening(consumer, names, settings)
        await listening.start(at_end=args.since == "now")
        say(f"{topic}, {partitions} partitions, from {'now' if args.since == 'now' else 'the beginning'} on")
        await show(listening.fetch, args)


async def show(fetch: "Fetch", args: argparse.Namespace) -> None:
    """Print what comes until there have been enough messages, or none for long enough."""
    loop, line = asyncio.get_running_loop(), _line_of(args.what, as_json=args.json)
    key = None if args.customer is None else args.customer.encode()
    left, heard_s = args.count, loop.time()
    while left is None or left > 0:
        wanted = [record for record in await fetch() if key is None or record.key == key][:left]
        for record in wanted:
            print(line(record))
        sys.stdout.flush()
        left = None if left is None else left - len(wanted)
        if wanted:
            heard_s = loop.time()
        elif args.idle is not None and loop.time() - heard_s > args.idle:
            return


def _line_of(what: str, *, as_json: bool) -> "Callable[[ConsumerRecord], str]":
    from stream_app.commands import lines

    if as_json:
        return lines.letter_json if what == "dlq" else lines.message_json
    return {"scores": lines.score_line, "alerts": lines.alert_line, "dlq": lines.letter_line}[what]
