"""Rows, bundles and networks for tests of portraits: a customer's life is a list of records."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas import spec_file
from schemas.portrait import Portrait
from schemas.spec import Spec
from stream_app.bundle import Bundle, Manifest, ResolvedBand, outputs_of
from stream_app.kernel.layout import Layout
from stream_app.offline.log import Log
from stream_app.offline.replay import emissions
from stream_app.pipeline import score
from stream_app.portrait.portrait import portrait
from stream_app.portrait.preferences import Catalogue
from stream_app.portrait.reading import Predict
from stream_app.portrait.served import Served
from stream_app.residents import Residents
from stream_app.scorer import Scorer
from stream_app.settings import Settings
from stream_app.shelf import Shelf
from stream_app.steps.decode import decode
from stream_app.store.memory import MemoryStores
from tests.chunks import NOON, chunk, transaction

DAY_MS = 86_400_000
Row = NDArray[np.float32]

HEAD = """
name = "shop"
currency = "EUR"
window_hours = [24]
window_days = [7, 30]
decay_days = [7, 30, 90, 365]
types = [
  { name = "pay" }, { name = "rent" }, { name = "shop" }, { name = "fun" },
  { name = "fee", initiator = "bank" }, { name = "other" },
]
attributes = [
  { name = "age", kind = "number" },
  { name = "income", kind = "number" },
  { name = "segment", kind = "category", values = ["plain", "gold"] },
]
"""
VALUE = """
[[tasks]]
name = "value"
kind = "value"
label = "outflow"
horizon_days = 60
"""
CHURN = """
[[tasks]]
name = "leaves"
kind = "binary"
label = "spend_drop"
horizon_days = 60
eligible = [{ feature = "own_count", at_least = 3 }]
bands = [{ name = "low" }, { name = "medium", at_least = 0.2 }, { name = "high", at_least = 0.6 }]
"""
PREFERENCE = """
[[tasks]]
name = "preference"
kind = "multiclass"
label = "outcome_within"
classes = ["none", "loan", "card"]
horizon_days = 90
"""
RULES = """
[[rules]]
name = "large"
feature = "amount_z"
threshold = 5.0
rearm = 2.0
severity = "high"
[[rules]]
name = "spends"
task = "value"
threshold = 1e9
"""


def spec_of(*parts: str, head: str = HEAD) -> Spec:
    """Return the spec of a shop with these tasks and rules; without any, with a task about value."""
    return spec_file.parse(head + "".join(parts or (VALUE,)), "a test")


def bundle_of(spec: Spec, **changes: Any) -> Bundle:  # noqa: ANN401  (fields of the manifest)
    """Return a bundle without files."""
    layout = Layout(spec).check()
    manifest = Manifest(
        spec=spec,
        layout=layout.hash,
        feature_width=layout.feature_width,
        outputs=outputs_of(spec),
        bands={
            task.name: tuple(ResolvedBand(band.name, band.at_least) for band in task.bands)
            for task in spec.tasks
            if task.bands
        },
    )
    return Bundle(Path("nowhere"), msgspec.structs.replace(manifest, **changes), "0" * 64)


def answering(bundle: Bundle, **answers: float | tuple[float, ...]) -> Predict:
    """Return a network that answers the same to everybody; 0 where nothing is said."""
    outputs = bundle.manifest.outputs
    scores = np.zeros(outputs[-1].start + outputs[-1].width, np.float32)
    for output in outputs:
        if output.task in answers:
            scores[output.start : output.start + output.width] = answers[output.task]
    return lambda features: np.tile(scores, (len(features), 1))


class _Answering(Shelf):
    """A shelf whose network answers 0."""

    def predictor(self, bundle: Bundle) -> Predict:  # type: ignore[override]  # called like a network, and no more
        return answering(bundle)


def row_of(bundle: Bundle, records: Iterable[object]) -> Row:
    """Return the row of customer c after these records, through all steps of the stream."""
    part = chunk(*records)
    scorer = Scorer(_Answering(bundle), Residents(bundle.rolling.layout.row_width), "transactions", 0)
    score(decode(part, scorer.vocabulary), part, scorer)
    row: Row = scorer.residents.matrix[scorer.residents.places([b"c"])[0]].copy()
    return row


def at(day: float) -> int:
    """Return the time of a day of a life, epoch ms."""
    return NOON + round(day * DAY_MS)


def life(*events: tuple[float, str, float]) -> list[dict[str, Any]]:
    """Return transactions of customer c from (day, type, amount), in order."""
    return [
        transaction(transaction_id=f"t-{number}", time=at(day), type=kind, amount=amount)
        for number, (day, kind, amount) in enumerate(sorted(events))
    ]


def daily(first: float, end: float, kind: str = "shop", every: float = 1.0) -> list[tuple[float, str, float]]:
    """Return an event every so many days, from the first day on and before the end."""
    return [(float(day), kind, -10.0) for day in np.arange(first, end, every)]


def drawn(
    bundle: Bundle,
    records: Iterable[object],
    day: float,
    products: Catalogue = (),
    **answers: float | tuple[float, ...],
) -> Portrait:
    """Return the portrait of customer c after these records, as of a day."""
    return portrait("c", row_of(bundle, records), at(day), Served(bundle, answering(bundle, **answers)), products)


async def filled(bundle: Bundle, log: Log, partitions: int) -> MemoryStores:
    """Return a store with the rows of a log, as workers with default settings leave them."""
    stores, layout = MemoryStores(), bundle.rolling.layout
    ends = {chunk.partition: scorer.residents for chunk, _, scorer in emissions(log, Shelf(bundle))}
    for number in range(partitions):
        store = stores.open(Settings().transactions_topic, number, layout.hash, layout.row_width)
        old = await store.take_over(f"owner-{number}")
        new = old._replace(flushed=7, partitions=partitions, bundle=bundle.sha256, started=bundle.sha256)
        residents = ends.get(number, Residents(layout.row_width))
        await store.write(residents.customers, residents.matrix[: len(residents)], old, new)
    return stores
