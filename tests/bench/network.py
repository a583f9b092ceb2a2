"""A network of the trained shape with random weights, exported as training does it.

    python -m tests.bench.network FOLDER

It runs in a process of its own, because it loads TensorFlow.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from schemas import spec_file
from schemas.accepted import NO_RECORD_TIME
from stream_app import bundle
from stream_app.bundle import MODEL, REASONS, Bundle
from stream_app.residents import Residents
from stream_app.scorer import Scorer as PartitionScorer
from stream_app.shelf import Shelf
from stream_app.steps import features
from stream_app.steps.decode import decode
from stream_app.steps.stages import Batch, Chunk
from tests.bench.generator import Workload
from tests.bundles import random_bundle
from training.arrays import Singles

_HEADS: Final = 0.08
_BIAS: Final = {"binary": -3.0, "multiclass": 0.0, "value": 4.0}
"""Rarely above a threshold, as with a trained network, so that alerts are rare."""
_RECORDS: Final = 20_000
_INPUTS_WITH_UNITS: Final = 24


def of_trained_shape(path: Path, seed: int = 0) -> Bundle:
    """Write and return a bundle for the built-in bank whose network has the default layers and random weights."""
    from tests.networks import random_scorer  # noqa: PLC0415  (as above)
    from training.export import reasons_to_onnx, to_onnx  # noqa: PLC0415  (loads TensorFlow)
    from training.network import Shape  # noqa: PLC0415  (as above)
    from training.reasons import Reasons  # noqa: PLC0415  (as above)
    from training.scaling import Scaling  # noqa: PLC0415  (as above)

    first = random_bundle(path.with_name(path.name + ".small"), spec_file.bank())
    scaling = Scaling.of(_features(first), first.rolling.layout)
    rng = np.random.default_rng(seed)
    units = _units(scaling, rng)
    outputs = first.manifest.outputs
    scorer = random_scorer(outputs, scaling, units, Shape(), rng)
    heads = tuple(
        (rng.normal(0, _HEADS, kernel.shape).astype(np.float32), np.full(output.width, _BIAS[output.kind], np.float32))
        for output, (kernel, _) in zip(outputs, scorer.heads, strict=True)
    )
    scorer = replace(scorer, heads=heads)
    network = to_onnx(scorer, first.manifest.feature_width)
    width = outputs[-1].start + outputs[-1].width
    reasons = reasons_to_onnx(Reasons(scorer), first.manifest.feature_width, width)
    return bundle.write(path, first.manifest, {MODEL: network, REASONS: reasons})


def _units(scaling: Any, rng: np.random.Generator) -> Any:  # noqa: ANN401  (of modules that load TensorFlow)
    """Return as many units as a trained network has, of as many inputs."""
    from training.recipe import TAUGHT  # noqa: PLC0415  (as above)
    from training.units import Units  # noqa: PLC0415  (as above)

    seen = np.flatnonzero(scaling.factor)
    most = TAUGHT.units
    columns = np.sort(np.resize(rng.choice(seen, _INPUTS_WITH_UNITS, replace=False), most)).astype(np.int64)
    return Units(columns, rng.normal(0, 1, most).astype(np.float32), np.full(most, 2.0, np.float32))


def _features(first: Bundle) -> Singles:
    """Return the feature rows of some transactions, for the scaling."""
    records = list(Workload(1000, _RECORDS, 1.1, partitions=1))
    messages = [record.key for record in records], [record.value for record in records]
    chunk = Chunk.of(("bench", 0), np.arange(len(records)), messages, np.full(len(records), NO_RECORD_TIME, np.int64))
    scorer = PartitionScorer(Shelf(first), Residents(first.rolling.layout.row_width), "bench", 0)
    (batch,) = decode(chunk, scorer.vocabulary).parts
    assert isinstance(batch, Batch)
    residents = scorer.residents
    residents.enter(residents.missing(batch.customers))
    places = residents.places(batch.customers)
    return features.read(batch, places, residents.matrix, first.rolling, first.eligibility).features


if __name__ == "__main__":
    _ = of_trained_shape(Path(sys.argv[1]))
