"""Items and rows to features: the kernel's step in the chain."""

import numpy as np
from numpy.typing import NDArray

from stream_app.kernel import kernel
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.plan import split_time
from stream_app.kernel.rolling import Rolling
from stream_app.steps.stages import Batch, Read, Whole, items_of


def read(batch: Batch, rows: Whole, matrix: NDArray[np.float32], rolling: Rolling, eligibility: Eligibility) -> Read:
    """Apply a batch to the rows of ``matrix`` in place and read the features of every item that is scored."""
    spec = rolling.layout.spec
    hour, ms = split_time(batch.time_ms, spec.utc_offset_minutes)
    items = items_of(batch, rows, hour, ms, spec.score_on_customer)
    features, verdict = rolling.step(matrix, items)
    scored = np.flatnonzero(verdict == kernel.SCORED)
    if len(scored) < len(verdict):
        features = features[scored]
    return Read(rows, verdict, scored, features, eligibility(features))
