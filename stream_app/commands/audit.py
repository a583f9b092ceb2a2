"""`foretell audit`: some customers computed again from the log, and compared with a live system."""

import argparse
import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from schemas.errors import ForetellError
from stream_app import settings
from stream_app.commands.arguments import KAFKA, count

if TYPE_CHECKING:
    from stream_app.audit.findings import Findings
    from stream_app.commands.auditing import Live
    from stream_app.settings import Settings
    from stream_app.shelf import Shelf

_EPILOG: Final = """\
Workers go on meanwhile and take no notice. Rows are compared as of the last write to Redis, scores, alerts and dead
letters up to what is committed, byte for byte. Where the log no longer has its beginning, the oldest snapshot that it
continues is where the customers begin (--snapshots). Scores are the same bytes on one version of ONNX Runtime and one
type of CPU: on another than the workers', use --other-machine.

exit codes: 0 all equal, 1 something differs, 2 no verdict: not all could be looked at

examples:
  foretell audit --bundle bank-bundle
  foretell audit --bundle bank-bundle --customers 1000 --seed 7 --metrics /var/lib/node_exporter/foretell_audit.prom
  foretell audit --bundle bank-bundle --customer c00042
"""
_LOOK_S: Final = 10.0
"""A store that does not answer for so long is not waited for."""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser(
        "audit", help="compute customers again from the log and compare", epilog=_EPILOG, formatter_class=raw
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--customers", type=count, default=100, metavar="N", help="how many, by chance (default 100)")
    which.add_argument("--customer", action="append", default=[], metavar="ID", help="this one; may be repeated")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="decides which customers (default 0)")
    parser.add_argument("--metrics", type=Path, metavar="FILE", help="write the outcome for Prometheus' textfiles")
    parser.add_argument(
        "--other-machine",
        action="store_true",
        help="allow what another ONNX Runtime or CPU changes: scores by 1e-6, alerts and their memory",
    )
    topics = ("transactions_topic", "scores_topic", "alerts_topic", "dlq_topic", "group", "delivery")
    settings.add_flags(parser, *KAFKA, "redis", "redis_cluster", "redis_ca", *topics, "bundle", "bundles", "snapshots")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Audit; return the exit code."""
    from schemas.atomic import atomic_file
    from stream_app import kafka
    from stream_app.commands.auditing import NotAuditedError
    from stream_app.commands.shelf import shelf_of

    logging.getLogger("stream_app").addHandler(logging.NullHandler())
    kafka.quieten()
    given = settings.from_args(args)
    shelf = shelf_of(given)
    try:
        findings = asyncio.run(_audit(given, shelf, args))
    except ForetellError as error:  # of which several have the exit code that means a difference
        raise NotAuditedError(str(error)) from error
    args.progress.end()
    print(*findings.lines(), sep="\n", flush=True)
    if args.metrics is not None:
        with atomic_file(args.metrics) as part:
            part.write_bytes(findings.page())
            part.chmod(0o644)  # another user's collector reads it
    return findings.exit_code


async def _audit(given: "Settings", shelf: "Shelf", args: argparse.Namespace) -> "Findings":
    from stream_app.audit.findings import Findings
    from stream_app.commands.auditing import Live
    from stream_app.commands.broker import PATIENCE_S, partitions_of
    from stream_app.commands.group import group_reader
    from stream_app.snapshot.folder import Snapshots
    from stream_app.store.connect import connect

    partitions = await partitions_of(given, given.transactions_topic, PATIENCE_S, "correct the name")
    for topic in (given.scores_topic, given.alerts_topic, given.dlq_topic):
        await partitions_of(given, topic, PATIENCE_S, "start a worker, which makes it, or correct the name")
    findings, stores = Findings(exact=not args.other_machine), connect(given)
    try:
        async with group_reader(given) as consumer:
            live = Live(given, shelf, consumer, stores, partitions, Snapshots.of(given, shelf.first.rolling.layout))
            await _look(live)
            await _compare(live, args, findings)
    finally:
        await stores.close()
    return findings


async def _look(live: "Live") -> None:
    """Prove that the store answers: from there on, who asks waits."""
    from stream_app.store.port import StoreError

    try:
        async with asyncio.timeout(_LOOK_S):
            await live.stores.facts()
    except TimeoutError as error:
        silent = f"Expected an answer of the store within {_LOOK_S:g} s, found none; look after it."
        raise StoreError(live.stores.problem or silent) from error


async def _compare(live: "Live", args: argparse.Namespace, findings: "Findings") -> None:
    from stream_app.commands.auditing import NotAuditedError, PartitionAudit

    for number, customers in (await _customers(live, args)).items():
        try:
            await PartitionAudit(live, number, customers, findings).run(args.progress)
        except NotAuditedError as error:
            findings.not_audited.append(str(error))


async def _customers(live: "Live", args: argparse.Namespace) -> dict[int, list[bytes]]:
    from stream_app.commands.forget import checked
    from stream_app.commands.sampling import sample
    from stream_app.offline.log import partition_of

    if not args.customer:
        return await sample(live, args.customers, args.seed)
    found: dict[int, list[bytes]] = {}
    for name in dict.fromkeys(args.customer):
        customer = checked(name.encode(errors="surrogateescape")).encode()
        found.setdefault(partition_of(customer, live.partitions), []).append(customer)
    return found
