"""`foretell capture`: a topic as it is now into one Parquet file."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import EXIT_OK
from stream_app.commands.arguments import KAFKA
from stream_app.settings import Settings, add_flags, from_args

if TYPE_CHECKING:
    from schemas.progress import Progress

_EPILOG: Final = """\
Takes what is committed from the beginning of each partition up to where it ended when the command began. The file can
be replayed and published again, and is the same for the same records. It appears whole at the end, or not at all.

example:
  foretell capture --out log.parquet
  foretell replay log.parquet --bundle bundle --out scores.parquet
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        "capture",
        help="write a topic's records to a file that can be replayed",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--topic", help="what to capture (default: the transactions topic)")
    parser.add_argument("--out", type=Path, default=Path("log.parquet"), metavar="FILE", help="default log.parquet")
    add_flags(parser, *KAFKA, "transactions_topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Capture; return the exit code."""
    settings = from_args(args)
    topic = args.topic or settings.transactions_topic
    records, partitions = asyncio.run(capture(settings, topic, args.out, args.progress))
    print(f"captured {records:,} records of {topic} ({partitions} partitions) in {args.out}")
    return EXIT_OK


async def capture(settings: Settings, topic: str, out: Path, progress: "Progress") -> tuple[int, int]:
    """Write the committed records of a topic; return how many there are, and of how many partitions.

    Raises:
        BrokerError: the topic is not there or empty, or the brokers stay away or refuse.
        OutputError: the file cannot be written.
    """
    from aiokafka import TopicPartition

    from schemas.atomic import atomic_file
    from stream_app import kafka, offsets
    from stream_app.commands.broker import PATIENCE_S, BrokerError, opened, partitions_of, translated
    from stream_app.commands.group import records
    from stream_app.offline.capture import CaptureFile

    partitions = await partitions_of(settings, topic, PATIENCE_S, "correct the name")
    names = [TopicPartition(topic, number) for number in range(partitions)]
    async with opened(lambda: kafka.reader(settings), settings, PATIENCE_S) as consumer:
        with translated(settings, topic):
            consumer.assign(names)
            first, ends = await consumer.beginning_offsets(names), await offsets.ends(consumer, names)
        total, done, found = sum(ends[name] - first[name] for name in names), 0, 0
        with atomic_file(out) as part, CaptureFile(part, partitions) as file:
            for name in names:
                consumer.assign([name])
                consumer.seek(name, first[name])
                async for batch in records(consumer, settings, name, ends[name]):
                    file.add(batch)
                    found += len(batch)
                    progress.step("capture", done + batch[-1].offset + 1 - first[name], total)
                done += ends[name] - first[name]
            progress.step("capture", total, total)
            if not found:
                message = (
                    f"Expected records in {topic} at {settings.kafka}, found none; `foretell publish` writes some."
                )
                raise BrokerError(message)
    return found, partitions
