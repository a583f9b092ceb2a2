"""Fuzz: mutated records through the codec and the pipeline, or through a real Kafka, worker and Redis.

    python -m tests.fuzz --records 1000000 --seed 1
    python -m tests.fuzz --broker --records 50000 --seed 1
    python -m tests.fuzz --play KEY VALUE TIME          one record, as a finding names it

Every record must become a dead letter with a reason, or be accepted and give what its kind gives; what comes out must
be as the published schemas say, every row finite, and the good records between the others as if these were not there.
The exit code is 1 where anything is otherwise.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Final

from stream_app.shelf import Shelf
from tests.fuzz import stream
from tests.fuzz.judge import Judge, Tally
from tests.fuzz.stream import Entry
from tests.kit import every_kind

_EACH_S: Final = 10.0
_TOLD: Final = 20
_RECORDS: Final = 1_000_000
_THROUGH_BROKER: Final = 50_000


def main(arguments: list[str] | None = None) -> int:
    """Fuzz; return the exit code."""
    args = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(every_kind.bundle(Path(folder) / "bundles" / "first"))
        if args.play:
            return _verdict(played(shelf, [_entry(*args.play)]), 0.0)
        print(f"seed {args.seed}", flush=True)
        begun = time.monotonic()
        if args.broker:
            from tests.fuzz import broker  # noqa: PLC0415  (only where there are servers)

            entries = list(stream.entries(args.seed, args.records or _THROUGH_BROKER, [shelf.first.sha256]))
            tally = broker.through(entries, shelf.first.path, Path(folder))
        else:
            tally = fuzzed(shelf, args.seed, args.records or _RECORDS)
        return _verdict(tally, time.monotonic() - begun)


def fuzzed(shelf: Shelf, seed: int, records: int, *, silent: bool = False) -> Tally:
    """Return what has become of mutated records, telling now and then how far it is."""
    judge, begun = Judge(shelf), time.monotonic()
    told = begun
    for chunk in stream.chunks(stream.entries(seed, records, [shelf.first.sha256]), seed):
        judge.take(chunk)
        now = time.monotonic()
        if not silent and now - told > _EACH_S:
            told, done = now, judge.tally.records
            rate, findings = done / (now - begun), len(judge.tally.findings)
            print(f"{done:,} of {records:,} records, {rate:,.0f}/s, {findings} findings", flush=True)
    judge.end()
    return judge.tally


def played(shelf: Shelf, entries: list[Entry]) -> Tally:
    """Return what becomes of some records."""
    judge = Judge(shelf)
    judge.take(stream.chunk_of(entries))
    judge.end()
    return judge.tally


def _verdict(tally: Tally, seconds: float) -> int:
    print(f"{tally.records:,} records in {seconds:.0f} s, {tally.good:,} of them good")
    for name, count in sorted([*tally.outcomes.items(), *tally.messages.items()]):
        print(f"  {name:28} {count:>9,}")
    for finding in tally.findings[:_TOLD]:
        print(finding)
    print(f"{len(tally.findings)} findings" if tally.findings else "nothing found: all is as it must be")
    return 1 if tally.findings else 0


def _entry(key: str, value: str, time_ms: str) -> Entry:
    return Entry(_part(key), _part(value), int(time_ms))


def _part(text: str) -> bytes | None:
    """Return bytes from hexadecimal digits; ``-`` is none, ``==`` are no bytes."""
    return None if text == "-" else bytes.fromhex(text.replace("==", ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, help=f"how many ({_RECORDS:,}, through a broker {_THROUGH_BROKER:,})")
    parser.add_argument("--seed", type=int, default=1, help="the same one gives the same records (1)")
    parser.add_argument("--broker", action="store_true", help="through a real Kafka, worker and Redis")
    shape = ("KEY", "VALUE", "TIME")
    parser.add_argument("--play", nargs=3, metavar=shape, help="one record, in hexadecimal digits")
    return parser
