"""`foretell snapshot`: rows of a group to files, and back."""

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import EXIT_OK, InputError
from stream_app import settings
from stream_app.commands.arguments import KAFKA

if TYPE_CHECKING:
    from schemas.progress import Progress
    from stream_app.commands.restoring import Restoration
    from stream_app.settings import Settings
    from stream_app.snapshot.file import SnapshotFile
    from stream_app.snapshot.folder import Snapshots

_REDIS: Final = ("redis", "redis_cluster", "redis_ca", "group", "transactions_topic")
_EXAMPLES: Final = """\
examples:
  foretell snapshot save --bundle bank-bundle --snapshots /backup/foretell
  foretell snapshot restore /backup/foretell --bundle bank-bundle
"""
_SAVE: Final = """\
Reads the rows of every partition from Redis; workers need not be stopped, but a partition must rest for as long as that
takes. Busy workers save their rows themselves (FORETELL_SNAPSHOTS). A file stands at FOLDER/GROUP/TOPIC-PARTITION.

example:
  foretell snapshot save --bundle bank-bundle --snapshots /backup/foretell
"""
_RESTORE: Final = """\
PATH is a file, or the folder of all snapshots: then the newest that the log continues is taken for each partition. Stop
the workers first; the next one goes on from the snapshot and takes in again what has come since. What cannot be right
is refused. --force restores although workers are there (they notice and begin again), or although Redis is further.

example:
  foretell snapshot restore /backup/foretell --bundle bank-bundle
  foretell snapshot restore /backup/foretell/foretell/transactions-0/f1305f28-00000000000000012345.parquet
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser(
        "snapshot", help="save the rows in files, or restore them", epilog=_EXAMPLES, formatter_class=raw
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="rows to files", epilog=_SAVE, formatter_class=raw)
    save.add_argument("--partition", type=int, metavar="N", help="this one only (default: all)")
    settings.add_flags(save, "bundle", "snapshots", *_REDIS)
    save.set_defaults(run=_save)
    restore = actions.add_parser("restore", help="rows from files", epilog=_RESTORE, formatter_class=raw)
    restore.add_argument("path", type=Path, metavar="PATH", help="a snapshot, or the folder of all")
    restore.add_argument("--partition", type=int, metavar="N", help="this one only (default: all)")
    restore.add_argument("--force", action="store_true", help="also where workers are at work, or Redis is further")
    settings.add_flags(restore, "bundle", *KAFKA, *_REDIS)
    restore.set_defaults(run=_restore)


def _save(args: argparse.Namespace) -> int:
    given = settings.from_args(args)
    if not given.snapshots:
        message = (
            f"Expected the folder for snapshots in --snapshots or {settings.variable('snapshots')}, found none; name "
            "one."
        )
        raise settings.SettingsError(message)
    asyncio.run(_save_all(given, _snapshots(given, Path(given.snapshots)), args.partition))
    return EXIT_OK


async def _save_all(given: "Settings", snapshots: "Snapshots", only: int | None) -> None:
    from aiokafka import TopicPartition

    from stream_app.snapshot.saving import save_standing
    from stream_app.store.connect import connect
    from stream_app.store.spread import partitions_kept

    stores, topic = connect(given), given.transactions_topic
    try:
        layout, width = snapshots.layout, snapshots.row_width
        partitions = await partitions_kept(lambda number: stores.open(topic, number, layout, width))
        numbers = [number for number in range(partitions) if only in {None, number}]
        if not numbers:
            which = topic if only is None else f"{topic}-{only}"
            message = (
                f"Expected rows of group {given.group} and {which} in state layout {snapshots.layout}, found none; "
                f"correct {settings.variable('group')}, {settings.variable('bundle')} or the partition."
            )
            raise InputError(message)
        for number in numbers:
            store = stores.open(topic, number, snapshots.layout, snapshots.row_width)
            saved = await save_standing(store, snapshots, TopicPartition(topic, number))
            what = "no rows yet" if saved is None else f"as of offset {saved.stamp.flushed:,} in {saved.path}"
            print(f"{topic}-{number}: {what}", flush=True)
    finally:
        await stores.close()


def _restore(args: argparse.Namespace) -> int:
    given = settings.from_args(args)
    asyncio.run(_restore_all(given, args))
    return EXIT_OK


async def _restore_all(given: "Settings", args: argparse.Namespace) -> None:
    from aiokafka import TopicPartition

    from stream_app.commands.broker import PATIENCE_S, partitions_of
    from stream_app.commands.group import group_reader, reach
    from stream_app.commands.restoring import Restoration
    from stream_app.snapshot.file import SnapshotFile

    topic = given.transactions_topic
    partitions = await partitions_of(given, topic, PATIENCE_S, "correct the name")
    async with group_reader(given) as consumer:
        work = Restoration(given, consumer, partitions, force=args.force)
        if args.path.is_file():
            await _restore_one(work, SnapshotFile.open(args.path), args.progress)
            return
        snapshots = _snapshots(given, args.path)
        for number in [number for number in range(partitions) if args.partition in {None, number}]:
            name = TopicPartition(topic, number)
            log = await reach(consumer, given, name)
            found = await snapshots.newest(name, log.first, log.end, partitions)
            if found is None:
                print(f"{topic}-{number}: no snapshot in {args.path} that the log continues", flush=True)
            else:
                await _restore_one(work, found, args.progress)


async def _restore_one(work: "Restoration", found: "SnapshotFile", progress: "Progress") -> None:
    rows, behind = await work.restore(found, progress)
    stamp = found.stamp
    print(f"{stamp.where}: {rows:,} lines as of offset {stamp.flushed:,}; {behind:,} records to take in", flush=True)


def _snapshots(given: "Settings", folder: Path) -> "Snapshots":
    from stream_app.commands.shelf import shelf_of
    from stream_app.snapshot.folder import Snapshots

    layout = shelf_of(given).first.rolling.layout
    return Snapshots(folder, given.group, layout.hash, layout.row_width)
