"""``foretell`` with a step that fails at one customer's records, as a fault of ours would make it fail."""

import sys

import numpy as np
from numpy.typing import NDArray

from stream_app.cli import main
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.rolling import Rolling
from stream_app.steps import features
from stream_app.steps.stages import Batch, Read, Whole

POISON = b"poison"
_read = features.read


def read(batch: Batch, rows: Whole, matrix: NDArray[np.float32], rolling: Rolling, eligibility: Eligibility) -> Read:
    """Do as the step does, but for one customer."""
    if POISON in batch.customers:
        message = f"the step fails at {POISON!r}"
        raise ArithmeticError(message)
    return _read(batch, rows, matrix, rolling, eligibility)


if __name__ == "__main__":
    features.read = read
    sys.exit(main())
