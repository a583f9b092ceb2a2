"""Training: how fast an event log becomes labelled samples. A training's report tells of the network."""

import time
from collections.abc import Iterator
from pathlib import Path

from schemas.progress import SILENT
from stream_app.offline.folder import read_folder
from tests.bench.figures import Sample
from training.datasets.simulator import BankSimulator
from training.prepare import Options, sampled


def learning(folder: Path, customers: int) -> Iterator[Sample]:
    """Yield transactions and samples a second, labels and split included, after a first time that compiles."""
    for name, count in (("first", 100), ("counted", customers)):
        BankSimulator(seed=1, customers=count, months=24, difficulty=1.0).write(folder / name, SILENT)
    for name in ("first", "counted"):
        read = read_folder(folder / name)
        began = time.perf_counter()
        made = sampled(read, read.spec, Options())
        taken = time.perf_counter() - began
    yield Sample("training: transactions read", read.transactions.num_rows / taken, "/s", "higher")
    yield Sample("training: samples made", len(made.samples) / taken, "/s", "higher")
