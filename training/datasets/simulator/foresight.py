"""The oracle's table: predictions at every cut, and how good they are on the labels that came true."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.progress import Progress
from training.datasets.simulator import labels, metrics
from training.datasets.simulator.behaviour import World
from training.datasets.simulator.kinds import Floats, Ints, take
from training.datasets.simulator.labels import Log
from training.datasets.simulator.latent import Latent
from training.datasets.simulator.oracle import Forecast, activation, forecast
from training.datasets.simulator.tables import TIME, customer_ids
from training.datasets.simulator.timeline import epoch_ms

METADATA_KEY: Final = b"foretell.oracle"
"""Where the schema of `oracle.parquet` carries the oracle's metrics, as JSON."""
DECIMALS: Final = 6
"""Of the predictions, as of emitted scores."""

Cut = tuple[int, Forecast]
"""Time in ms and predictions."""
Welcome = tuple[Ints, Ints, Floats]
"""Times in ms, customers, and the chances that these will become active."""


def consult(
    world: World, snapshots: Sequence[tuple[int, Latent]], rng: np.random.Generator, progress: Progress
) -> list[Cut]:
    """Ask the oracle at every cut."""
    cuts: list[Cut] = []
    for day, latent in snapshots:
        cuts.append((int(epoch_ms(day)), forecast(world, latent, day, rng)))
        progress.step("oracle", len(cuts), len(snapshots))
    return cuts


def welcome(
    world: World, newcomers: Sequence[tuple[int, Ints, Latent]], record_ms: Ints, rng: np.random.Generator
) -> list[Welcome]:
    """Ask the oracle on the days of first records; `record_ms` is the time of each customer's, in ms."""
    return [
        (record_ms[who], who, activation(replace(world, people=take(world.people, who)), latent, day, rng))
        for day, who, latent in newcomers
    ]


def oracle_table(
    world: World, cuts: Sequence[Cut], facts: dict[str, dict[str, float]], welcomes: Sequence[Welcome] = ()
) -> pa.Table:
    """Return `oracle.parquet`: customer_id, task, time of the cut, values (one chance, one per class, or a value).

    Customers that the bank does not know yet at a cut have no rows there. A newcomer's activation stands at the time of
    the first record.
    """
    parts = [_part("activation", time_ms, who, values) for time_ms, who, values in welcomes]
    for time_ms, found in cuts:
        who = np.flatnonzero(epoch_ms(world.people.known_day + 1) <= time_ms)
        parts += [_part(task, time_ms, who, values[who]) for task, values in found.items()]
    metadata = {METADATA_KEY: json.dumps(facts, sort_keys=True).encode()}
    return pa.concat_tables(parts).combine_chunks().replace_schema_metadata(metadata)


def _part(task: str, time_ms: int | Ints, who: np.ndarray, values: Floats) -> pa.Table:
    width = values.shape[1] if values.ndim == 2 else 1  # noqa: PLR2004  (a table, not a list)
    flat = pa.array(np.round(values, DECIMALS).ravel())
    offsets = pa.array(np.arange(len(who) + 1, dtype=np.int32) * width)
    return pa.table(
        {
            "customer_id": customer_ids(who),
            "task": pa.repeat(pa.scalar(task), len(who)),
            "time": pa.array(np.full(len(who), time_ms), TIME),
            "values": pa.ListArray.from_arrays(offsets, flat),
        }
    )


def oracle_facts(log: Log, cuts: Sequence[Cut]) -> dict[str, dict[str, float]]:
    """Return per task the oracle's measure on the labels that came true, the prior's, and the number of rows."""
    return {task: _facts(log, cuts, task) for task in labels.HORIZON_DAYS}


def _facts(log: Log, cuts: Sequence[Cut], task: str) -> dict[str, float]:
    truth = np.concatenate([labels.label(log, task, time_ms) for time_ms, _ in cuts])
    known = truth != labels.MASKED
    truth, guess = truth[known], np.concatenate([found[task] for _, found in cuts])[known]
    facts = {"rows": float(len(truth))}
    if len(truth) == 0:
        return facts
    if task in labels.CLASSES:
        prior = metrics.prior_log_loss(truth, len(labels.CLASSES[task]))
        loss = metrics.log_loss(guess, truth)
        return facts | {"log_loss": loss, "prior_log_loss": prior, "gain": 1.0 - loss / prior if prior else 0.0}
    if task == "value":
        return facts | {"spearman": metrics.spearman(guess, truth), "prior_spearman": 0.0}
    return facts | {"auc": metrics.area_under_roc(guess, truth), "prior_auc": 0.5, "positives": float(truth.mean())}
