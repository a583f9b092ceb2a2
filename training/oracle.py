"""The best possible predictions, where a data set has them: ``oracle.parquet`` beside the log."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.errors import InputError
from stream_app.bundle import Output
from stream_app.offline.folder import read_parquet
from training.arrays import Floats, Ints, Timeline
from training.log import Log
from training.rows import RECORD, TICK, Rows

ORACLE: Final = "oracle.parquet"
_COLUMNS: Final = ("customer_id", "task", "time", "values")


@dataclass(frozen=True)
class Oracle:
    """Predictions from the truth, by customer, task and time of a cut."""

    table: pa.Table

    @classmethod
    def beside(cls, folder: Path) -> "Oracle | None":
        """Read the oracle of a folder, if it has one.

        Raises:
            InputError: the file is damaged or has other columns.
        """
        path = folder / ORACLE
        if not path.exists():
            return None
        table = read_parquet(path)
        if missing := [name for name in _COLUMNS if name not in table.column_names]:
            message = (
                f"Expected columns {', '.join(_COLUMNS)} in {path}, found no `{missing[0]}`; "
                "simulate the data again or remove the file."
            )
            raise InputError(message)
        return cls(table)

    def predictions(self, output: Output, log: Log, rows: Rows) -> tuple[Ints, Floats]:
        """Return the ticks and first records of ``rows`` that the oracle answers, as indices, and its answers.

        Returns:
            int64 [m] and float64 [m, width].
        """
        mine = self.table.filter(pc.equal(self.table["task"], output.task))
        customer = pc.index_in(mine["customer_id"], pa.array(log.customers, pa.string()))
        mine, customer = mine.filter(customer.is_valid()), customer.drop_null()
        code, time_ms = customer.to_numpy().astype(np.int64), mine["time"].cast(pa.int64()).to_numpy()
        values = pc.list_flatten(mine["values"]).to_numpy().reshape(-1, output.width)
        order = np.lexsort((time_ms, code))
        timeline = Timeline(code[order], time_ms[order])
        place = timeline.place(rows.customer, rows.time_ms)
        found = np.isin(rows.kind, (TICK, RECORD)) & (place < timeline.place(rows.customer, rows.time_ms, "right"))
        index = np.flatnonzero(found)
        return index, values[order][place[index]]
