"""Runs the verbs of `foretell data`: choose the data set, write the folder, say what is in it."""

import argparse
from collections.abc import Mapping
from pathlib import Path

import pyarrow.compute as pc

from schemas.errors import EXIT_OK
from schemas.progress import SILENT, Progress
from stream_app.offline.folder import Folder, read_folder
from training.datasets.berka import Berka
from training.datasets.folder import check_out, write_folder
from training.datasets.port import DataSet
from training.datasets.tabular import TabularImport, TabularOptions
from training.datasets.tabular_source import TableFormat


def run(args: argparse.Namespace) -> int:
    """Write the folder that the arguments ask for and print a summary; return the exit code.

    Raises:
        InputError: the source cannot be used.
        OutputError: ``--out`` is taken or cannot be written.
    """
    progress: Progress = getattr(args, "progress", SILENT)
    check_out(args.out, force=args.force)
    if args.made_from == "csv":
        imported = _tabular(args).read(progress)
        write_folder(args.out, imported.tables)
        notes = _skipped(imported.rows, imported.skipped)
    else:
        _data_set(args).write(args.out, progress)
        notes = []
    print("\n".join([*notes, *_summary(read_folder(args.out), args.out)]))  # noqa: T201  (a command prints)
    return EXIT_OK


def _data_set(args: argparse.Namespace) -> DataSet:
    if args.made_from == "berka":
        return Berka(args.source)
    from training.datasets.simulator import BankSimulator  # noqa: PLC0415  (needed here only)

    simulator: DataSet = BankSimulator(args.seed, args.customers, args.months, args.difficulty)
    return simulator


def _tabular(args: argparse.Namespace) -> TabularImport:
    columns = dict(args.map)
    if args.amount:
        columns["amount"] = args.amount
    form = TableFormat(
        delimiter=args.delimiter,
        encoding=args.encoding,
        decimal=args.decimal,
        time_format=args.time_format,
        timezone=args.timezone,
    )
    options = TabularOptions(
        form=form,
        columns=columns,
        type=args.type,
        incoming_type=args.type_in,
        negate=args.negate,
        group=args.group,
        skip_bad=args.skip_bad,
        currency=args.currency,
        horizon_days=args.horizon_days,
    )
    return TabularImport(args.source, options, spec=args.spec, customers=args.customers, outcomes=args.outcomes)


def _skipped(rows: int, skipped: Mapping[str, int]) -> list[str]:
    if not skipped:
        return []
    causes = ", ".join(f"{count:,} ({cause})" for cause, count in skipped.items())
    return [f"Left out {sum(skipped.values()):,} of {rows:,} rows: {causes}."]


def _summary(folder: Folder, out: Path) -> list[str]:
    transactions = folder.transactions
    first, last = (f"{pc.strftime(limit, '%Y-%m-%d')}" for limit in pc.min_max(transactions["time"]).values())
    outcomes = folder.outcomes.num_rows if folder.outcomes else 0
    customers = pc.count_distinct(transactions["customer_id"]).as_py()
    wrote = (
        f"Wrote {out}: {transactions.num_rows:,} transactions of {customers:,} customers, {first} to {last}; "
        f"{folder.customers.num_rows:,} customer records, {outcomes:,} outcomes; "
        f"tasks {', '.join(task.name for task in folder.spec.tasks)}."
    )
    return [wrote, f"Next: foretell train {out} --out BUNDLE"]
