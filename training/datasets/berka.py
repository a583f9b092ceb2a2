"""The PKDD'99 financial data set ("Berka"): 4,500 accounts of a Czech bank, 1993 to 1998, as an interchange folder.

A customer is an account's owner. Each customer has a record at the account's first day (age on that day, the owner's
district, dispositions, statement frequency: undated in the source, taken as static), one at the day of a loan, which
carries its amount, duration and payment, and one at the day when a card is issued; each record repeats what was known
before. Sex is never read, nor is the undated ``order`` table: it holds the loans' instalments.

A source may say which *part* each transaction belongs to (column ``src``); an account in two parts is two customers of
one ``split_group``. The parts differ in what was observed:

    part            transactions until      loans and cards until      labelled loan applications
    prefix93_94     1994-04-01              the end of the data        before 1995-04-01, as of 1994-04-01 at the latest
    preloan97_98    the account's loan      never (all take a loan)    before 1998-07-01
    (no ``src``)    the end of the data     the end of the data        before 1998-07-01

An application is labelled where at least five transactions precede it; its outcome stands at its own time. Times are
dates: 00:00 UTC, in the order of the file.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas import spec_file
from schemas.errors import InputError
from schemas.progress import SILENT, Progress
from schemas.spec import OTHER, Spec
from stream_app.offline.folder import NUMBER, TEXT, TIME
from training.datasets.berka_customers import PARTS, Account, Customer, Loan
from training.datasets.berka_source import WHERE_TO_GET, Source, number, read_source, text
from training.datasets.folder import FolderTables, write_folder

_PURPOSES = {
    "interest credited": "interest", "UROK": "interest",
    "payment for statement": "statement_fee", "SLUZBY": "statement_fee",
    "sanction interest if negative balance": "sanction_interest", "SANKC. UROK": "sanction_interest",
    "old-age pension": "pension", "DUCHOD": "pension",
    "household": "household_payment", "SIPO": "household_payment",
}  # fmt: skip
_OPERATIONS = {
    "credit in cash": "cash_deposit", "VKLAD": "cash_deposit",
    "collection from another bank": "collection", "PREVOD Z UCTU": "collection",
    "withdrawal in cash": "cash_withdrawal", "VYBER": "cash_withdrawal",
    "credit card withdrawal": "cash_withdrawal", "VYBER KARTOU": "cash_withdrawal",
    "remittance to another bank": "other_payment", "PREVOD NA UCET": "other_payment",
}  # fmt: skip
_CREDITS = {"credit", "PRIJEM"}
_DEBITS = {"withdrawal", "VYDAJ", "withdrawal in cash", "VYBER"}
_FREQUENCIES = {"POPLATEK MESICNE": "monthly", "POPLATEK TYDNE": "weekly", "POPLATEK PO OBRATU": "after_transaction"}
_DISTRICT = {
    "A4": "district_inhabitants",
    "A10": "district_urban_share",
    "A11": "district_salary",
    "A13": "district_unemployment",
    "A14": "district_entrepreneurs",
}
_BAD, _GOOD = {"B", "D"}, {"A", "C"}


@dataclass(frozen=True)
class Berka:
    """The data set in folder ``source``: as published (``trans.asc`` …), or as .parquet or .csv of that."""

    source: Path

    def tables(self, progress: Progress = SILENT) -> FolderTables:
        """Return the interchange folder's tables.

        Raises:
            InputError: a file is missing or holds something else; the message says where the data can be had.
        """
        source = read_source(self.source, progress)
        parts = _parts(source)
        customers = list(_customers(source, parts, _accounts(source)))
        spec_text = resources.files("training.datasets").joinpath("berka.toml").read_text(encoding="utf-8")
        records = [record for customer in customers for record in customer.records()]
        return FolderTables(
            transactions=_transactions(source, parts),
            customers=_customer_table(records, spec_file.parse(spec_text, "berka.toml")),
            outcomes=_outcome_table([row for customer in customers for row in customer.outcomes()]),
            spec_text=spec_text,
        )

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all (see ``DataSet``)."""
        write_folder(out, self.tables(progress))


def _accounts(source: Source) -> dict[int, Account]:
    """Gather what the small tables say of each account."""
    births = dict(zip(source.column("client", "client_id").to_pylist(), source.births(), strict=True))
    home = {row["client_id"]: row["district_id"] for row in source.rows("client")}
    district = {row["A1"]: {name: row[column] for column, name in _DISTRICT.items()} for row in source.rows("district")}
    owner = {row["account_id"]: row["client_id"] for row in source.rows("disp") if row["type"] == "OWNER"}
    dispositions = Counter(row["account_id"] for row in source.rows("disp"))
    loans, cards = _loans(source), _cards(source)
    accounts = {}
    for row, opened in zip(source.rows("account"), source.dates("account", "date"), strict=True):
        account_id, client = row["account_id"], owner.get(row["account_id"])
        static = {
            "dispositions": dispositions[account_id],
            "statement_frequency": _FREQUENCIES.get(row["frequency"]),
            **district.get(home.get(client), {}),
        }
        accounts[account_id] = Account(opened, static, births.get(client), loans.get(account_id), cards.get(account_id))
    return accounts


def _loans(source: Source) -> dict[int, Loan]:
    loans = {}
    for row, date in zip(source.rows("loan"), source.dates("loan", "date"), strict=True):
        if row["status"] not in _BAD | _GOOD:
            message = (
                f"Expected the status A, B, C or D of loans in {source.path}, found {row['status']!r}; {WHERE_TO_GET}."
            )
            raise InputError(message)
        terms = {"loan_amount": row["amount"], "loan_duration": row["duration"], "loan_payment": row["payments"]}
        loans[row["account_id"]] = Loan(date, row["status"] in _BAD, terms)
    return loans


def _cards(source: Source) -> dict[int, np.datetime64]:
    """Return the day of each account's first card."""
    account = {row["disp_id"]: row["account_id"] for row in source.rows("disp")}
    issued = zip(source.column("card", "disp_id").to_pylist(), source.dates("card", "issued"), strict=True)
    first: dict[int, np.datetime64] = {}
    for disposition, date in issued:
        if disposition in account:
            first[account[disposition]] = min(date, first.get(account[disposition], date))
    return first


def _parts(source: Source) -> list[str]:
    """Return the part of each transaction, "" where the source does not say."""
    transactions = source.tables["trans"]
    if "src" not in transactions.column_names:
        return [""] * transactions.num_rows
    parts: list[str] = transactions.column("src").to_pylist()
    unknown = sorted({str(part) for part in parts} - set(PARTS))
    if unknown:
        message = (
            f"Expected a part {' or '.join(filter(None, PARTS))} in column `src` of table trans in {source.path}, "
            f"found {unknown[0]!r}; correct it or remove the column."
        )
        raise InputError(message)
    return parts


def _customers(source: Source, parts: Sequence[str], accounts: dict[int, Account]) -> Iterator[Customer]:
    """Yield the customers in the order of their first transactions."""
    dates: dict[tuple[str, int], list[np.datetime64]] = defaultdict(list)
    ids = source.column("trans", "account_id").to_pylist()
    for part, account_id, date in zip(parts, ids, source.dates("trans", "date"), strict=True):
        dates[part, account_id].append(date)
    for (part, account_id), days in dates.items():
        if account_id not in accounts:
            message = (
                f"Expected account {account_id} in account of {source.path}, found it in trans only; {WHERE_TO_GET}."
            )
            raise InputError(message)
        yield Customer(account_id, accounts[account_id], PARTS[part], np.sort(np.array(days)))


def _transactions(source: Source, parts: Sequence[str]) -> pa.Table:
    """Return the log: amounts signed by the direction, types by purpose, else by operation."""
    purpose, operation = text(source.column("trans", "k_symbol")), text(source.column("trans", "operation"))
    kinds = [
        _PURPOSES.get(why) or _OPERATIONS.get(how) or OTHER
        for why, how in zip(purpose.to_pylist(), operation.to_pylist(), strict=True)
    ]
    accounts = source.column("trans", "account_id").to_pylist()
    return pa.table(
        {
            "transaction_id": source.column("trans", "trans_id").cast(TEXT),
            "customer_id": pa.array([f"{one}{PARTS[part].suffix}" for one, part in zip(accounts, parts, strict=True)]),
            "time": _times(source.dates("trans", "date")),
            "amount": pc.multiply(number(source.column("trans", "amount")), _signs(source)),
            "type": pa.array(kinds),
            "counterparty": text(source.column("trans", "bank")),
            "balance": number(source.column("trans", "balance")),
        }
    )


def _signs(source: Source) -> pa.Array:
    directions = text(source.column("trans", "type")).to_pylist()
    unknown = sorted({str(item) for item in directions} - _CREDITS - _DEBITS)
    if unknown:
        message = (
            f"Expected the direction credit (PRIJEM) or withdrawal (VYDAJ, VYBER) in column `type` of table trans in "
            f"{source.path}, found {unknown[0]!r}; {WHERE_TO_GET}."
        )
        raise InputError(message)
    return pa.array([1.0 if item in _CREDITS else -1.0 for item in directions])


def _customer_table(records: Sequence[dict[str, Any]], spec: Spec) -> pa.Table:
    times = ("time", "observed_until", "outcomes_until")
    columns = {"customer_id": pa.array([record["customer_id"] for record in records], TEXT)}
    columns |= {name: _times([record[name] for record in records]) for name in times}
    columns["split_group"] = pa.array([record["split_group"] for record in records], TEXT)
    for item in spec.attributes:
        values = [record.get(item.name) for record in records]
        columns[item.name] = pa.array(values, TEXT if item.kind == "category" else NUMBER)
    return pa.table(columns)


def _outcome_table(rows: Sequence[tuple[str, str, np.datetime64, str]]) -> pa.Table:
    customers, tasks, times, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = [pa.array(customers, TEXT), pa.array(tasks, TEXT), _times(times), pa.array(values, TEXT)]
    return pa.table(columns, names=["customer_id", "task", "time", "value"])


def _times(dates: Sequence[np.datetime64] | npt.NDArray[np.datetime64]) -> pa.Array:
    return pa.array(np.array(dates, dtype="datetime64[ms]").astype(np.int64)).cast(TIME)
