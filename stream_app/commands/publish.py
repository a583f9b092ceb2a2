"""`foretell publish`: an interchange folder or a captured topic into the transactions topic."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from schemas.errors import EXIT_INTERRUPTED, EXIT_OK
from stream_app.commands.arguments import KAFKA, count, positive
from stream_app.settings import add_flags, from_args

_EPILOG: Final = """\
Records leave in the order of time and go to the partition that Kafka's default partitioner chooses for their customer.
Those of a captured topic keep their partition where the topic has as many as it had; records without a key (tick,
activate) always do, modulo the partitions there are. Kafka's own time of a record is that of its publishing. A broker
that goes away is waited for: nothing is lost, nothing is written twice. On brokers without idempotent producers records
may be there twice after that; it says so.

examples:
  foretell publish bank --create 4
  foretell publish bank --rate 2000
  foretell publish log.parquet --speed 3600 --transactions-topic replayed
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "publish",
        help="send the records of a folder or a captured topic to Kafka",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("log", type=Path, help="interchange folder, or a captured topic (.parquet)")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate", type=positive, metavar="N", help="records a second, evenly (default: as fast as it goes)"
    )
    pace.add_argument("--speed", type=positive, metavar="X", help="X times as fast as the events happened")
    parser.add_argument("--skip", type=count, default=0, metavar="N", help="leave out the first N records")
    parser.add_argument("--limit", type=count, metavar="N", help="publish N records at most")
    parser.add_argument("--create", type=count, metavar="PARTITIONS", help="make the topic if it is not there")
    add_flags(parser, *KAFKA, "transactions_topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Publish; return the exit code."""
    from stream_app.commands.broker import BrokerError, say
    from stream_app.commands.publication import Publication
    from stream_app.offline.log import open_log

    publication = Publication(from_args(args), args)
    try:
        asyncio.run(publication.run(open_log(args.log)))
    except KeyboardInterrupt:
        print(file=sys.stderr)
        say(f"interrupted: {publication.told()}")
        return EXIT_INTERRUPTED
    except BrokerError:
        if publication.begun:
            say(publication.told())
        raise
    print(publication.told())
    return EXIT_OK
