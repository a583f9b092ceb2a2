"""The UCI data set "Default of Credit Card Clients": 30,000 clients of a bank in Taiwan, April to September 2005.

    Yeh, I.-C. (2009). Default of Credit Card Clients [Dataset]. UCI Machine Learning Repository.
    https://doi.org/10.24432/C55S3H
    Yeh, I.-C. & Lien, C.-H. (2009). The comparisons of data mining techniques for the predictive accuracy of
    probability of default of credit card clients. Expert Systems with Applications 36 (2), 2473-2480.
    Licensed under CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/).

A month of a client is a payment (``payment``, where there was one) and the statement that follows it (``statement``,
of no amount itself: its balance is what is owed, below 0). With the statement comes a customer record: limit, age,
education and marriage (undated in the source, taken as static; sex is never read), and for this month and those before
it the repayment status, what is owed, was paid and, from bills and payments, was spent. The source says months; the
days are made up: payments on the 15th at noon, statements an hour before the month ends, in Taiwan.

What became of a client in a month stands at the time of its statement: ``next_behaviour`` (repayment status),
``value`` (spent: bill change plus payment, not below 0) and ``churn`` (no use and nothing owed); ``credit_risk``, the
default in October, at the end of that month.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from schemas import spec_file
from schemas.progress import SILENT, Progress
from schemas.spec import Spec
from stream_app.offline.folder import NUMBER, TEXT, TIME
from training.arrays import Flags, Floats, Texts
from training.datasets.folder import FolderTables, write_folder
from training.datasets.tabular import Imported
from training.datasets.tabular_source import BadRows
from training.datasets.taiwan_source import MONTHS, NO_USE, Clients, read_clients

YEAR, FIRST_MONTH = 2005, 4
_OFFSET: Final = timedelta(hours=8)
_STATUSES: Final = ("no_use", "paid_in_full", "revolving", "late_1", "late_2", "late_3")
"""By code from -2 on; later than three months counts as three."""
_NEXT: Final = ("no_use", "paid_in_full", "revolving", "late")
_PERCENT: Final = 100.0
_LARGEST_PERCENT: Final = 1000.0


@dataclass(frozen=True)
class Taiwan:
    """The data set in file ``source``: .csv, .xlsx or .parquet with the columns as published."""

    source: Path

    def read(self, progress: Progress = SILENT) -> Imported:
        """Read the clients and make the folder's tables of them.

        Raises:
            InputError: the file is another one.
        """
        bad = BadRows(self.source)
        progress.step("import", 0, 2, f"reading {self.source.name}")
        clients, total = read_clients(self.source, bad)
        progress.step("import", 1, 2, f"{len(clients.name):,} clients")
        text = resources.files("training.datasets").joinpath("taiwan.toml").read_text(encoding="utf-8")
        spec = spec_file.parse(text, "taiwan.toml")
        tables = FolderTables(_transactions(clients), _customers(clients, spec), text, outcomes=_outcomes(clients))
        progress.step("import", 2, 2)
        return Imported(tables, total, dict(bad.counts))

    def write(self, out: Path, progress: Progress) -> None:
        """Write the folder ``out``, whole or not at all (see ``DataSet``)."""
        write_folder(out, self.read(progress).tables)


def _transactions(clients: Clients) -> pa.Table:
    return pa.concat_tables(part for month in range(MONTHS) for part in _month(clients, month))


def _month(clients: Clients, month: int) -> Iterator[pa.Table]:
    """Yield a month's payments and its statements."""
    number = FIRST_MONTH + month
    payers = clients.paid[:, month] > 0
    yield _log(clients.name[payers], f"{number}-payment", _middle_ms(month), -clients.paid[payers, month], None)
    nothing = np.zeros(len(clients.name))
    yield _log(clients.name, f"{number}-statement", _end_ms(month), nothing, 0.0 - clients.bill[:, month])


def _log(names: Texts, what: str, time_ms: int, amount: Floats, balance: Floats | None) -> pa.Table:
    count = len(names)
    return pa.table(
        {
            "transaction_id": pa.array([f"{name}-{what}" for name in names], TEXT),
            "customer_id": pa.array(names, TEXT),
            "time": pa.array(np.full(count, time_ms)).cast(TIME),
            "amount": pa.array(amount, NUMBER),
            "type": pa.array([what.split("-")[1]] * count, TEXT),
            "balance": pa.nulls(count, NUMBER) if balance is None else pa.array(balance, NUMBER),
        }
    )


def _customers(clients: Clients, spec: Spec) -> pa.Table:
    """Return a record of each client with each statement."""
    histories = _histories(clients)
    static: dict[str, Texts | Floats] = {
        "limit": clients.limit,
        "age": clients.age,
        "education": clients.education,
        "marriage": clients.marriage,
    }
    parts = []
    for month in range(MONTHS):
        known = static | _so_far(clients, month)
        for back in range(month + 1):
            suffix = f"_{back}" if back else ""
            known |= {name + suffix: values[:, month - back] for name, values in histories.items()}
        parts.append(_records(clients.name, month, known, spec))
    return pa.concat_tables(parts)


def _histories(clients: Clients) -> dict[str, Texts | Floats]:
    """Return what a record tells of a month, and of those before it; [n, MONTHS] each."""
    owed = np.maximum(clients.bill, 0.0)
    before = np.column_stack([np.full(len(owed), np.nan), owed[:, :-1]])
    # A record's blank means "as before", so what is owed by nobody is paid, not unknown.
    share = np.where(before == 0, _PERCENT, _PERCENT * clients.paid / np.maximum(before, 1.0))
    words = np.array(_STATUSES, object)
    return {
        "status": words[np.minimum(clients.status - NO_USE, len(words) - 1)],
        "owed": owed,
        "credit": np.maximum(-clients.bill, 0.0),
        "paid": clients.paid,
        "spent": clients.spent,
        "bought": np.array([None, "no", "yes"], object)[
            np.sign(np.nan_to_num(clients.spent, nan=-1.0)).astype(int) + 1
        ],
        "used": np.minimum(_PERCENT * owed / clients.limit[:, None], _LARGEST_PERCENT),
        "paid_share": np.minimum(share, _LARGEST_PERCENT),
        "active": np.where(_active(clients), "yes", "no").astype(object),
    }


def _so_far(clients: Clients, month: int) -> dict[str, Texts | Floats]:
    """Return what the months up to one say together, [n] each; of April nothing is known to be spent."""
    spent, paid = clients.spent[:, 1 : month + 1], clients.paid[:, : month + 1]
    told = {
        "paid_mean": paid.mean(axis=1),
        "room": np.maximum(clients.limit - clients.bill[:, month], 0.0),
    }
    if month:
        told["spent_mean"] = spent.mean(axis=1)
        told["spent_least"], told["spent_most"] = spent.min(axis=1), spent.max(axis=1)
        told["spent_share"] = np.minimum(_PERCENT * spent[:, -1] / clients.limit, _LARGEST_PERCENT)
    return told


def _active(clients: Clients) -> Flags:
    active: Flags = (clients.bill > 0) | (clients.status > NO_USE)
    return active


def _records(names: Texts, month: int, known: dict[str, Texts | Floats], spec: Spec) -> pa.Table:
    times = {"time": _end_ms(month), "observed_until": _begin_ms(MONTHS), "outcomes_until": _begin_ms(MONTHS + 1)}
    columns = {"customer_id": pa.array(names, TEXT)}
    columns |= {name: pa.array(np.full(len(names), time)).cast(TIME) for name, time in times.items()}
    for item in spec.attributes:
        kind = TEXT if item.kind == "category" else NUMBER
        values = known.get(item.name)
        columns[item.name] = pa.nulls(len(names), kind) if values is None else pa.array(values, kind, from_pandas=True)
    return pa.table(columns)


def _outcomes(clients: Clients) -> pa.Table:
    parts = []
    left = (clients.status == NO_USE) & (clients.bill <= 0)
    words = np.array(_NEXT, object)[np.minimum(clients.status - NO_USE, len(_NEXT) - 1)]
    for month in range(1, MONTHS):
        parts.append(_told(clients.name, "next_behaviour", _end_ms(month), words[:, month]))
        parts.append(_told(clients.name, "value", _end_ms(month), clients.spent[:, month].astype(str)))
        parts.append(_told(clients.name, "churn", _end_ms(month), left[:, month].astype(int).astype(str)))
    parts.append(_told(clients.name, "credit_risk", _end_ms(MONTHS), clients.default.astype(int).astype(str)))
    return pa.concat_tables(parts)


def _told(names: Texts, task: str, time_ms: int, values: "np.ndarray[tuple[int], np.dtype[np.generic]]") -> pa.Table:
    count = len(names)
    columns = [pa.array(names, TEXT), pa.array([task] * count, TEXT), pa.array(np.full(count, time_ms)).cast(TIME)]
    return pa.table([*columns, pa.array(values.tolist(), TEXT)], names=["customer_id", "task", "time", "value"])


def _begin_ms(month: int) -> int:
    """Return when a month (0 is April) begins in Taiwan, UTC milliseconds."""
    return round((datetime(YEAR, FIRST_MONTH + month, 1, tzinfo=UTC) - _OFFSET).timestamp() * 1000)


def _middle_ms(month: int) -> int:
    return _begin_ms(month) + round(timedelta(days=14, hours=12).total_seconds() * 1000)


def _end_ms(month: int) -> int:
    return _begin_ms(month + 1) - round(timedelta(hours=1).total_seconds() * 1000)
