"""Measures how many records a second the replay takes.

``make bench``, or with a log and a bundle of your own:

    python -m tests.bench.replay --log berka --bundle bundle --times 10 --runs 5

The log is repeated with new customers and transaction ids, so that the kernel does the whole work for each record.
Without ``--bundle`` the network has random weights and one layer of 32; without ``--log`` a bank is simulated.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas import spec_file
from schemas.progress import SILENT
from stream_app.offline.folder import CUSTOMERS, SPEC, TRANSACTIONS, read_folder
from tests.bench.figures import Sample
from tests.bench.generator import FIRST_MS, SPAN_MS, Workload
from tests.bench.place import Place
from tests.bundles import random_bundle
from tests.kit import records as raw
from tests.kit.evidence import captured
from training.datasets.simulator import BankSimulator


def repeated(source: Path, times: int, out: Path) -> int:
    """Write a log several times over as one folder, each time with new ids; return the number of records."""
    folder = read_folder(source)
    out.mkdir(parents=True)
    records = 0
    for name, table in ((TRANSACTIONS, folder.transactions), (CUSTOMERS, folder.customers)):
        copies = [_renamed(table, k) for k in range(times)]
        pq.write_table(pa.concat_tables(copies), out / name)
        records += times * table.num_rows
    (out / SPEC).write_bytes((source / SPEC).read_bytes())
    return records


def _renamed(table: pa.Table, copy: int) -> pa.Table:
    for name in ("customer_id", "transaction_id"):
        if name in table.column_names:
            ids = pc.binary_join_element_wise(table.column(name), f"r{copy}", "-")
            table = table.set_column(table.column_names.index(name), name, ids)
    return table


def measure(log: Path, bundle: Path, out: Path) -> tuple[float, float]:
    """Replay in a process of its own; return seconds until the first chunk was done and records a second after it."""
    command = [sys.executable, "-m", "stream_app", "replay", str(log), "--bundle", str(bundle), "--out", str(out)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = {line.split("  ")[0].strip(): line.split("  ", 1)[1].strip() for line in answer.splitlines()}
    return float(lines["start-up"].split()[0]), float(lines["steady"].split()[0].replace(",", ""))


def replayed(place: Place, work: Workload) -> Iterator[Sample]:
    """Yield the rate and the start of a replay of a workload."""
    log = place.folder / "replay.parquet"
    records = [raw.Record(item.partition, item.number, item.key, item.value, (), FIRST_MS + SPAN_MS) for item in work]
    pq.write_table(captured(records, "transactions").table, log)
    start, steady = measure(log, place.bundle.path, place.folder / "replayed.parquet")
    yield Sample("replay", steady, "records/s", "higher")
    yield Sample("replay: start", start, "s", "lower")
    log.unlink()


def main() -> None:
    """Print the machine, each run and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        source = args.log or work / "bank"
        if args.log is None:
            BankSimulator(seed=1, customers=1000, months=12, difficulty=1.0).write(source, SILENT)
        bundle = args.bundle or random_bundle(work / "bundle", spec_file.load(source / SPEC)).path
        records = repeated(source, args.times, work / "log")
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"{records:,} records, bundle {args.bundle or 'of random weights'}")
        runs = []
        for _ in range(args.runs):
            runs.append(measure(work / "log", bundle, work / "scores.parquet"))
            print(f"start-up {runs[-1][0]:.2f} s, steady {runs[-1][1]:,.0f} records/s", flush=True)
        start, steady = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"median: start-up {start:.2f} s, steady {steady:,.0f} records/s")


if __name__ == "__main__":
    main()
