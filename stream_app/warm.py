"""Compiles everything before the first record waits for it: synthetic records through all steps.

``python -m stream_app.warm`` does so without a bundle, to fill numba's cache when an image is built.
"""

import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import spec_file
from stream_app import record_batches
from stream_app.bundle import Bundle, Manifest, outputs_of
from stream_app.kernel.layout import Layout
from stream_app.pipeline import score
from stream_app.residents import Residents
from stream_app.scorer import Scorer
from stream_app.shelf import Shelf
from stream_app.steps.decode import decode
from stream_app.steps.stages import Chunk
from stream_app.store import packed
from stream_app.store.slices import slice_of

_CUSTOMER: Final = "warm-up"
_TIME: Final = 1_700_000_000_000


def warm_up(shelf: Shelf) -> None:
    """Run a transaction, a customer record and a tick through all steps, on rows that are thrown away."""
    record_batches.warm_up()
    packed.warm_up()
    bundle = shelf.first
    scorer = Scorer(shelf, Residents(bundle.rolling.layout.row_width), "warm-up", 0)
    about = {"customer_id": _CUSTOMER, "time": _TIME}
    records: list[dict[str, object]] = [
        {"kind": "customer"} | about,
        {"transaction_id": "1", "amount": -1.0, "type": "other"} | about,
        {"kind": "tick", "slice": slice_of(_CUSTOMER.encode()), "time": _TIME},
    ]
    keys, values = [_CUSTOMER.encode()] * len(records), [json.dumps(record).encode() for record in records]
    times = np.full(len(records), _TIME, np.int64)
    chunk = Chunk.of(("warm-up", 0), np.arange(len(records)), (keys, values), times)
    score(decode(chunk, scorer.vocabulary), chunk, scorer)
    scorer.residents.take_changed()
    scorer.residents.evict(0)


class _Blind(Shelf):
    """A shelf whose one bundle has no network: every score is 0."""

    def predictor(self, bundle: Bundle) -> "_Zeros":  # type: ignore[override]  # called like a network, and no more
        """Return what stands in for the network."""
        last = bundle.manifest.outputs[-1]
        return _Zeros(last.start + last.width)


class _Zeros:
    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros((len(features), self._width), np.float32)


def main() -> None:
    """Compile for the built-in bank; what other specs decide are arguments of the same compiled code."""
    spec = spec_file.bank()
    layout = Layout(spec).check()
    manifest = Manifest(
        spec=spec, layout=layout.hash, feature_width=layout.feature_width, outputs=outputs_of(spec), bands={}
    )
    warm_up(_Blind(Bundle(Path("warm-up"), manifest, "0" * 64)))


if __name__ == "__main__":
    main()
