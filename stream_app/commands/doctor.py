"""`foretell doctor`: look at everything that a worker needs, and say what to do."""

import argparse
import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from stream_app import settings

if TYPE_CHECKING:
    from stream_app.checkup.finding import Finding

_EPILOG = """\
One line for each finding: OK, WARN (a worker runs, though not as well as it could) or FAIL (it does not). Nothing is
changed; with exactly_once, a transaction is begun and aborted. The exit code is 0 where nothing fails, else 1.

examples:
  foretell doctor --bundle bundle
  foretell doctor --json | jq 'select(.level != "OK")'
"""


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("doctor", help="look at all that a worker needs", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    settings.add_flags(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what is found; return 1 where something fails."""
    return asyncio.run(_run(settings.from_args(args), as_json=args.json))


async def findings(given: settings.Settings) -> AsyncIterator["Finding"]:
    """Yield all that is found, the nearest first."""
    from stream_app.checkup.brokers import Kafka
    from stream_app.checkup.place import place_findings
    from stream_app.checkup.rows import row_findings
    from stream_app.checkup.store import store_findings

    brokers = Kafka(given)
    for finding in place_findings(given):
        yield finding
    for part in (brokers.findings(), store_findings(given)):
        async for finding in part:
            yield finding
    async for finding in row_findings(given, brokers.partitions):
        yield finding


async def _run(given: settings.Settings, *, as_json: bool) -> int:
    from stream_app.checkup.finding import Level
    from stream_app.logs import redact

    for name in ("stream_app", "asyncio"):  # what they would say is a finding
        logging.getLogger(name).addHandler(logging.NullHandler())
    failed = False
    async for finding in findings(given):
        failed |= finding.level is Level.FAIL
        text = redact(finding.text, given)
        if as_json:
            line = json.dumps({"level": finding.level, "subject": finding.subject, "text": text}, ensure_ascii=False)
        else:
            line = f"{finding.level:<4}  {finding.subject}: {text}"
        print(line, flush=True)
    return int(failed)
