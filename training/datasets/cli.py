"""The verbs of `foretell data`: each writes an interchange folder."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

_SIMULATE = """\
example:
  foretell data simulate --customers 2000 --months 18 --out bank
"""
_BERKA = """\
The data is not part of Foretell: get the financial data set of the PKDD'99 Discovery Challenge
(http://sorry.vse.cz/~berka/challenge/pkdd1999/berka.htm) and unpack it.

example:
  foretell data berka --source data_berka --out berka
"""
_CSV = """\
Columns that already bear the names of Foretell (transaction_id, customer_id, time, amount, type, currency, product_id,
counterparty, balance) need no --map. An amount is negative where money leaves the customer.

example, a shop's invoice lines:
  foretell data csv --source retail.csv --map customer_id=CustomerID --map transaction_id=InvoiceNo \\
    --map time=InvoiceDate --amount "Quantity*UnitPrice" --negate --type purchase --type-in return \\
    --group --timezone Europe/London --currency GBP --skip-bad --out retail
"""


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the verb ``data`` and what it can make a folder from."""
    parser = subparsers.add_parser(
        "data", help="write an event log as an interchange folder", description="Write an event log as a folder."
    )
    verbs = parser.add_subparsers(title="sources", metavar="SOURCE", required=True)
    _add_simulate(verbs)
    _add_berka(verbs)
    _add_csv(verbs)


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--force", action="store_true", help="replace a previous interchange folder")
    return parser


def _add_simulate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "simulate", "simulate a bank's customers, with the best possible scores beside", _SIMULATE)
    parser.add_argument("--seed", type=_whole(0), default=1, help="the same seed gives the same bank (default 1)")
    parser.add_argument("--customers", type=_whole(1), default=5000, help="how many customers (default 5000)")
    parser.add_argument("--months", type=_whole(3), default=24, help="length of the log (default 24)")
    parser.add_argument("--difficulty", type=_positive, default=1.0, help="above 1 blurs the signs (default 1)")
    parser.set_defaults(run=_run, made_from="simulate")


def _add_berka(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "berka", "import the PKDD'99 financial data set (a Czech bank, 1993 to 1998)", _BERKA)
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder with trans.asc, account.asc …"
    )
    parser.set_defaults(run=_run, made_from="berka")


def _add_csv(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "csv", "import a CSV or Parquet file", _CSV)
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="FILE", help="the log: separated text, or .parquet")
    add("--map", type=_pair, action="append", default=[], metavar="NAME=COLUMN", help="the column that holds NAME")
    add("--amount", metavar="COLUMNS", help='a column or a product, "Quantity*UnitPrice" (= --map amount=…)')
    add("--negate", action="store_true", help="turn the sign of the amounts")
    add("--type", metavar="TYPE", help="type of every transaction, where no column says it")
    add("--type-in", metavar="TYPE", help="type of transactions that give the customer money, beside --type")
    add(
        "--group",
        nargs="?",
        const="transaction_id",
        choices=("transaction_id", "time"),
        help="sum a customer's lines with the same transaction id (or time) to one transaction",
    )
    add("--skip-bad", action="store_true", help="leave bad rows out and count them")
    add("--time-format", metavar="FORMAT", help="as in strptime, or epoch_s, epoch_ms (default: ISO 8601)")
    add("--timezone", default="UTC", metavar="ZONE", help="zone of times without offset (default UTC)")
    add("--decimal", default=".", metavar="MARK", help="decimal mark, . or , (default .)")
    add("--delimiter", default=",", metavar="CHAR", help="field separator (default ,)")
    add("--encoding", default="utf-8", help="text encoding (default utf-8)")
    add("--spec", type=Path, metavar="FILE", help="the spec (default: made from the types found)")
    add("--currency", default="EUR", help="base currency of a made spec (default EUR)")
    add("--horizon-days", type=_whole(1), default=60, metavar="DAYS", help="horizon of a made spec (default 60)")
    add("--customers", type=Path, metavar="FILE", help="customer records: customer_id, time, attributes")
    add("--outcomes", type=Path, metavar="FILE", help="outcomes: customer_id, task, time, value")
    parser.set_defaults(run=_run, made_from="csv")


def _run(args: argparse.Namespace) -> int:
    from training.datasets import run  # noqa: PLC0415  (loads pyarrow: not for the sake of a help text)

    return run.run(args)


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        message = f"expected NAME=COLUMN, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return name, column


def _whole(at_least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < at_least:
            message = f"expected a whole number of at least {at_least}, found {text!r}"
            raise argparse.ArgumentTypeError(message)
        return int(text)

    return parse


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        message = f"expected a number above 0, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return value
