"""`foretell activate`: put a bundle in force from here on, on every partition."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

from stream_app import settings

_EPILOG = """\
Verifies the bundle and writes one record into every partition of the input topic: scores of the records behind it
carry the new bundle. Each worker needs the bundle's folder among its bundles (FORETELL_BUNDLES) before it comes to that
record; until then it waits there and is not ready. A bundle of another state layout than that of the newest score is
refused: workers would stop at it.

example:
  foretell activate bundles/2026-02
"""


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("activate", help="put a bundle in force", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("folder", type=Path, metavar="BUNDLE", help="folder that `foretell train` wrote")
    parser.add_argument("--force", action="store_true", help="do not compare its layout with the newest score")
    settings.add_flags(parser, *settings.OF_KAFKA, "transactions-topic", "scores-topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Verify, compare, write; print where the records stand."""
    return asyncio.run(_activate(settings.from_args(args), args.folder, compare=not args.force))


async def _activate(found: settings.Settings, folder: Path, *, compare: bool) -> int:
    from schemas import codec
    from schemas.messages import Activate
    from stream_app import bundle
    from stream_app.commands import orders

    loaded = bundle.load(folder)
    async with orders.opened(found) as desk:
        if compare:
            await _compare(found, loaded)
        value = codec.encode(Activate(bundle=loaded.sha256))
        places = await desk.write([orders.Order(value, partition=number) for number in range(desk.partitions)])
    print(f"bundle {loaded.sha256} is in force")
    for at in sorted(places, key=lambda at: at.partition):
        print(f"  from partition {at.partition}, offset {at.offset} on")
    return 0


async def _compare(found: settings.Settings, loaded: Any) -> None:  # noqa: ANN401  (a Bundle, whose module loads slowly)
    from schemas.errors import BundleError
    from stream_app.commands.newest import newest_score

    score = await newest_score(found)
    if score is not None and score.layout != loaded.manifest.layout:
        message = (
            f"Expected a bundle of the state layout {score.layout}, which the newest score of {found.scores_topic} "
            f"has, found {loaded.manifest.layout} in {loaded.path}: every worker would stop at it; start it with "
            "another FORETELL_GROUP and other output topics instead, or give --force."
        )
        raise BundleError(message)
