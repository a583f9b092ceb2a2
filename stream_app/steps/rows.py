"""Ticks to rows: whose row each item reads."""

import numpy as np

from schemas.accepted import epoch_ms
from schemas.messages import Tick
from stream_app.kernel import kernel
from stream_app.residents import Residents
from stream_app.steps.stages import Batch
from stream_app.steps.texts import Texts


def expand(record: int, tick: Tick, residents: Residents, attributes: int) -> Batch:
    """Return a tick as one item for each customer of its slice, in the byte order of the ids."""
    customers = Texts.of(residents.slice(tick.slice))
    n = len(customers)
    return Batch(
        record=np.full(n, record, np.int64),
        op=np.full(n, kernel.TICK, np.int64),
        customers=customers,
        transaction_ids=Texts.of([b""] * n),
        time_ms=np.full(n, epoch_ms(tick.time), np.int64),
        kind=np.zeros(n, np.int64),
        amount=np.zeros(n),
        balance=np.full(n, np.nan),
        id_hash=np.ones((n, 2), np.int64),
        attributes=np.zeros((0, attributes)),
    )
