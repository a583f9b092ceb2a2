"""`foretell forget`: empty a customer's row at a place in the log."""

import argparse
import asyncio
import os
from typing import Any

from stream_app import settings

_EPILOG = """\
Writes one record, with the customer's id as its key: from there on the customer is unknown, also to a replay. What the
topics hold of the customer goes when their retention ends. A later record of the customer begins a new row.

example:
  foretell forget c-4711
"""


def register(verbs: Any) -> None:  # noqa: ANN401  (argparse names the type only privately)
    """Add the verb."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = verbs.add_parser("forget", help="empty a customer's row", epilog=_EPILOG, formatter_class=raw)
    parser.add_argument("customer", metavar="ID", help="the customer's id")
    settings.add_flags(parser, *settings.OF_KAFKA, "transactions-topic")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the record; print where it stands."""
    return asyncio.run(_forget(settings.from_args(args), os.fsencode(args.customer)))


def checked(customer: bytes) -> str:
    """Return a customer's id as text.

    Raises:
        InputError: the stream would not accept it.
    """
    from schemas.accepted import id_problem
    from schemas.errors import InputError

    problem = id_problem(customer, "ID")
    try:
        text = customer.decode()
    except UnicodeDecodeError:
        problem = "expected ID in UTF-8, found other bytes"
    if problem:
        message = f"{problem[0].upper()}{problem[1:]}; correct it."
        raise InputError(message)
    return text


async def _forget(found: settings.Settings, customer: bytes) -> int:
    from schemas import codec
    from schemas.messages import Forget
    from stream_app.commands import orders

    order = orders.Order(codec.encode(Forget(customer_id=checked(customer))), key=customer)
    async with orders.opened(found) as desk:
        (at,) = await desk.write([order])
    print(f"forgotten from partition {at.partition}, offset {at.offset} on")
    return 0
