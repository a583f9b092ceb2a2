"""`foretell portrait`: what is known and expected of one customer, from running workers or from a log."""

import argparse
import asyncio
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stream_app import settings

if TYPE_CHECKING:
    from schemas.portrait import Portrait
    from stream_app.portrait.preferences import Catalogue
    from stream_app.portrait.words import Language

_EPILOG: Final = """\
Without --log, the row comes from the Redis of running workers, as they have last written it; nothing there is changed,
and Kafka is not asked. The time is now, if --at does not say another; a row cannot go back before its newest
transaction. With --log, the customer's records are replayed up to --at, or to the latest event of the log
(where it says until when a customer was observed, to that).

The data (--json) is described in schemas/generated/portrait.schema.json. Gender, age and risk level are told as facts;
nothing else in a portrait comes from them, unless the spec makes them inputs.

examples:
  foretell portrait c00042 --bundle bank-bundle
  foretell portrait c00042 --bundle bank-bundle --log bank --at 2024-06-30T00:00:00Z --language zh
  foretell portrait c00042 --bundle bank-bundle --log log.parquet --products bank/products.parquet --json
"""
_LANGUAGES: Final = ("en", "zh")
_LOCALE: Final = ("LC_ALL", "LC_MESSAGES", "LANG")


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("portrait", help="tell what is known of a customer", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("customer", metavar="CUSTOMER", help="the customer's id")
    parser.add_argument("--log", type=Path, metavar="DIR|FILE", help="replay this folder or captured topic instead")
    parser.add_argument("--at", metavar="TIME", help="as of when: RFC 3339 with an offset, or ms since 1970")
    parser.add_argument("--products", type=Path, metavar="FILE", help="catalogue (default: products.parquet of --log)")
    parser.add_argument("--language", choices=_LANGUAGES, help="of the words (default: zh where the locale says so)")
    parser.add_argument("--json", action="store_true", help="the data, as one JSON object")
    settings.add_flags(parser, "bundle", "bundles", "redis", "redis-cluster", "redis-ca", "group", "transactions-topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a portrait; return the exit code."""
    from schemas import codec
    from stream_app.portrait.words import words

    logging.getLogger("stream_app").addHandler(logging.NullHandler())  # what it would say, the refusal says
    spoken = args.language or language(os.environ)
    found = _portrait(args, settings.from_args(args), spoken)
    if args.json:
        print(codec.encode(found).decode())
    else:
        print(*words(found, spoken), sep="\n")
    return 0


def language(environment: "os._Environ[str] | dict[str, str]") -> "Language":
    """Return the language that the locale of an environment asks for."""
    chosen = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "zh" if chosen.lower().startswith("zh") else "en"


def _portrait(args: argparse.Namespace, given: settings.Settings, spoken: "Language") -> "Portrait":
    from schemas.errors import InputError
    from stream_app.commands.forget import checked
    from stream_app.commands.shelf import shelf_of
    from stream_app.commands.tick import parse_time, told
    from stream_app.offline.log import open_log
    from stream_app.portrait import sources

    customer = checked(os.fsencode(args.customer))
    at_ms = parse_time(args.at, "--at") if args.at else None
    shelf, products = shelf_of(given), _catalogue(args)
    if args.log:
        return sources.from_log(open_log(args.log), shelf, customer, at_ms, products, spoken)
    now_ms = time.time_ns() // 1_000_000
    as_of_ms = now_ms if at_ms is None else at_ms
    found = asyncio.run(sources.from_store(given, shelf, customer, as_of_ms, products, spoken))
    if at_ms is not None and found.time != at_ms:
        message = (
            f"Expected --at not before the customer's newest transaction, which is of {told(found.time)}, found "
            f"{told(at_ms)}: a row cannot go back; give a later time, or the log with --log."
        )
        raise InputError(message)
    return found


def _catalogue(args: argparse.Namespace) -> "Catalogue":
    from stream_app.offline.folder import PRODUCTS
    from stream_app.portrait.preferences import read_catalogue

    if args.products:
        return read_catalogue(args.products)
    beside = args.log / PRODUCTS if args.log else None
    return read_catalogue(beside) if beside and beside.is_file() else ()
