"""The verbs of `foretell data`: each writes an interchange folder."""

import argparse
import math
from collections.abc import Callable
from datetime import datetime
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
_ONLINE_RETAIL = """\
The data is not part of Foretell: get Online Retail from the UCI Machine Learning Repository and unpack it.
  Chen, D. (2015). Online Retail [Dataset]. https://doi.org/10.24432/C5BW33
  Licensed under CC BY 4.0: name the author where you pass on what you make of it.
A transaction is an invoice, its type one of six categories of articles, found by what was bought together before the
test period, which begins on 2011-09-11 and is what training tests on.

example:
  foretell data online-retail --source "Online Retail.xlsx" --out retail
  foretell train retail --out retail-bundle
"""
_TAIWAN = """\
The data is not part of Foretell: get Default of Credit Card Clients from the UCI Machine Learning Repository, open its
.xls in a spreadsheet program and save it as .csv or .xlsx.
  Yeh, I.-C. (2009). Default of Credit Card Clients [Dataset]. https://doi.org/10.24432/C55S3H
  Yeh, I.-C. & Lien, C.-H. (2009). The comparisons of data mining techniques for the predictive accuracy of probability
  of default of credit card clients. Expert Systems with Applications 36 (2), 2473-2480.
  Licensed under CC BY 4.0: name the authors where you pass on what you make of it.
Six monthly statements and payments of each client are the log; age is among the inputs, sex is not read.

example:
  foretell data taiwan --source "default of credit card clients.csv" --out taiwan
"""
_CSV = """\
Columns that already bear the names of Foretell (transaction_id, customer_id, time, amount, type, currency, product_id,
counterparty, balance) need no --map. An amount is negative where money leaves the customer. What the log itself tells
of customers becomes attributes (--attribute) and outcomes (--outcome). Compressed files (.gz, .bz2, .zst) are read as
they are. Without --spec a spec is drafted, as `foretell spec init` does.

example, an account's statement from a German bank:
  foretell data csv --source konto.csv --delimiter ";" --encoding cp1252 --decimal , --thousands . \\
    --map customer_id=Kontonummer --map time=Buchungstag --time-format "%d.%m.%Y" --timezone Europe/Berlin \\
    --map type=Buchungstext --debit Soll --credit Haben --out konto

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
    _add_published(verbs, "online-retail", "import Online Retail (a British online shop, 2010 to 2011)", _ONLINE_RETAIL)
    _add_published(verbs, "taiwan", "import Default of Credit Card Clients (a bank in Taiwan, 2005)", _TAIWAN)
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
    parser.add_argument("--activation", action="store_true", help="ask, too, if new customers will become active")
    parser.set_defaults(run=_run, made_from="simulate")


def _add_berka(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "berka", "import the PKDD'99 financial data set (a Czech bank, 1993 to 1998)", _BERKA)
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="folder with trans.asc, account.asc …"
    )
    parser.set_defaults(run=_run, made_from="berka")


def _add_published(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, example: str
) -> None:
    parser = _verb(verbs, name, summary, example)
    parser.add_argument("--source", type=Path, required=True, metavar="FILE", help="the data: .xlsx, .csv or .parquet")
    parser.set_defaults(run=_run, made_from=name)


def _add_csv(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _verb(verbs, "csv", "import a CSV or Parquet file", _CSV)
    parser.add_argument("--source", type=Path, required=True, metavar="FILE", help="separated text, or .parquet")
    _add_columns(parser.add_argument_group("what the columns hold"))
    _add_format(parser.add_argument_group("how the file is written"))
    _add_beside(parser.add_argument_group("customers and spec"))
    parser.set_defaults(run=_run, made_from="csv")


def _add_columns(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--map", type=_pair, action="append", default=[], metavar="NAME=COLUMN", help="the column that holds NAME")
    add("--amount", metavar="COLUMNS", help='a column or a product, "Quantity*UnitPrice" (= --map amount=…)')
    add("--debit", metavar="COLUMN", help="amounts that leave the customer, where they have a column of their own")
    add("--credit", metavar="COLUMN", help="amounts that reach the customer, likewise")
    marked = "COLUMN=VALUE[,VALUE]"
    add(
        "--debit-if", type=_values, metavar=marked, help="amounts without sign leave the customer where COLUMN is VALUE"
    )
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


def _add_format(group: "argparse._ArgumentGroup") -> None:
    add = group.add_argument
    add("--time-format", metavar="FORMAT", help="as in strptime, or epoch_s, epoch_ms, epoch_d (default: ISO 8601)")
    add("--epoch", type=_moment, metavar="DATE", help="what epoch_… counts from, in --timezone (default 1970, UTC)")
    add("--timezone", default="UTC", metavar="ZONE", help="zone of times without offset (default UTC)")
    add("--decimal", default=".", metavar="MARK", help="decimal mark, . or , (default .)")
    add("--thousands", default="", metavar="MARK", help="mark between groups of three digits (default none)")
    add("--delimiter", default=",", metavar="CHAR", help="field separator, tab for a tabulator (default ,)")
    add("--quote", default='"', metavar="CHAR", help='character around texts (default ")')
    add("--encoding", default="utf-8", help="text encoding (default utf-8)")


def _add_beside(group: "argparse._ArgumentGroup") -> None:
    add, pair = group.add_argument, "NAME=COLUMN"
    add(
        "--attribute", type=_pair, action="append", default=[], metavar=pair, help="a fact about the customer in COLUMN"
    )
    add("--customers", type=Path, metavar="FILE", help="or customer records: customer_id, time, attributes")
    add("--outcome", type=_pair, action="append", default=[], metavar=pair, help="what happened to the customer")
    add("--outcomes", type=Path, metavar="FILE", help="or outcomes: customer_id, task, time, value")
    add("--spec", type=Path, metavar="FILE", help="the spec (default: drafted from the data)")
    add("--currency", metavar="CODE", help="base currency of a drafted spec (default: the log's, or EUR)")
    add("--horizon-days", type=_whole(1), metavar="DAYS", help="horizon of a drafted spec's tasks (default: chosen)")


def _run(args: argparse.Namespace) -> int:
    from training.datasets import run  # noqa: PLC0415  (loads pyarrow: not for the sake of a help text)

    return run.run(args)


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not (name and equals and column):
        message = f"expected NAME=COLUMN, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return name, column


def _values(text: str) -> tuple[str, frozenset[str]]:
    column, equals, values = text.partition("=")
    if not (column and equals and values):
        message = f"expected COLUMN=VALUE, found {text!r}"
        raise argparse.ArgumentTypeError(message)
    return column, frozenset(value.strip() for value in values.split(","))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"expected a date such as 2026-01-01, found {text!r}"
        raise argparse.ArgumentTypeError(message) from None


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
