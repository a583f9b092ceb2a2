"""Runs the verbs of `foretell data`: choose the data set, write the folder, say what is in it."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from schemas.errors import EXIT_OK
from schemas.progress import SILENT, Progress
from stream_app.offline.folder import SPEC, Folder, read_folder
from training.datasets.berka import Berka
from training.datasets.folder import check_out, write_folder
from training.datasets.online_retail import OnlineRetail
from training.datasets.port import DataSet, Importer
from training.datasets.tabular import Imported, TabularImport, TabularOptions
from training.datasets.tabular_money import MoneyColumns
from training.datasets.tabular_source import TableFormat
from training.datasets.taiwan import Taiwan

PUBLISHED: Final[Mapping[str, Callable[[Path], Importer]]] = {"online-retail": OnlineRetail, "taiwan": Taiwan}
"""Data sets that others publish as one file, by their verbs."""


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
        after = _drafted(imported, args.out)
    elif args.made_from in PUBLISHED:
        imported = PUBLISHED[args.made_from](args.source).read(progress)
        write_folder(args.out, imported.tables)
        notes, after = _skipped(imported.rows, imported.skipped), [_next(args.out)]
    else:
        _data_set(args).write(args.out, progress)
        notes, after = [], [_next(args.out)]
    print("\n".join([*notes, _summary(read_folder(args.out), args.out), *after]))  # noqa: T201  (a command prints)
    return EXIT_OK


def _data_set(args: argparse.Namespace) -> DataSet:
    if args.made_from == "berka":
        return Berka(args.source)
    from training.datasets.simulator import BankSimulator  # noqa: PLC0415  (needed here only)

    simulator: DataSet = BankSimulator(args.seed, args.customers, args.months, args.difficulty, args.activation)
    return simulator


def _tabular(args: argparse.Namespace) -> TabularImport:
    form = TableFormat(
        delimiter=args.delimiter,
        encoding=args.encoding,
        decimal=args.decimal,
        time_format=args.time_format,
        timezone=args.timezone,
        quote=args.quote,
        thousands=args.thousands,
        epoch=args.epoch,
    )
    money = MoneyColumns(args.amount, args.debit, args.credit, args.debit_if, args.negate)
    options = TabularOptions(
        form=form,
        columns=dict(args.map),
        money=money,
        attributes=dict(args.attribute),
        outcomes=dict(args.outcome),
        type=args.type,
        incoming_type=args.type_in,
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


def _drafted(imported: Imported, out: Path) -> list[str]:
    if imported.drafted is None:
        return [f"Next: foretell spec check {out}"]
    from training.draft.advice import reviews  # noqa: PLC0415  (loads numba: only where a spec was drafted)

    review = (f"- {line}" for line in reviews(imported.drafted))
    return [f"Drafted {out / SPEC}; review:", *review, f"Next: read it, then foretell spec check {out}"]


def _next(out: Path) -> str:
    """Return the command to go on with."""
    return f"Next: foretell train {out} --out BUNDLE"


def _summary(folder: Folder, out: Path) -> str:
    transactions = folder.transactions
    first, last = (f"{pc.strftime(limit, '%Y-%m-%d')}" for limit in pc.min_max(transactions["time"]).values())
    outcomes = folder.outcomes.num_rows if folder.outcomes else 0
    customers = pc.count_distinct(transactions["customer_id"]).as_py()
    return (
        f"Wrote {out}: {transactions.num_rows:,} transactions of {customers:,} customers, {first} to {last}; "
        f"{folder.customers.num_rows:,} customer records, {outcomes:,} outcomes; "
        f"tasks {', '.join(task.name for task in folder.spec.tasks)}."
    )
