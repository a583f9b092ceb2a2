"""Training and serving see the same: the score of a sampled row is the score that a replay of the log gives there."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.progress import SILENT
from stream_app.offline.log import open_log
from stream_app.offline.replay import Outputs, replay
from stream_app.shelf import Shelf
from stream_app.steps.predict import Predictor
from tests.unit.conftest import Tiny
from training.prepare import Prepared
from training.rows import EVENT


def test_a_replay_gives_every_sampled_event_row_the_score_that_was_trained_on(
    tiny_bundle: Tiny, tiny_prepared: Prepared, tmp_path: Path
) -> None:
    shelf, outputs = Shelf(tiny_bundle.bundle), Outputs(tmp_path / "scores.parquet")
    replay(open_log(tiny_bundle.folder.path), shelf, outputs, 100, SILENT)
    table = pq.read_table(tmp_path / "scores.parquet")
    table = table.filter(pc.equal(table["kind"], "transaction"))
    served = {
        (name, when): (value, eligible)
        for name, when, value, eligible in zip(
            table["customer_id"].to_pylist(),
            table["time"].cast(pa.int64()).to_pylist(),
            table["value"].to_pylist(),
            table["value.eligible"].to_pylist(),
            strict=True,
        )
    }
    rows, samples = tiny_prepared.samples.rows, tiny_prepared.samples
    scores = Predictor.of(tiny_bundle.bundle)(samples.features)[:, 5]

    events = np.flatnonzero(rows.kind == EVENT)
    found = [served[tiny_prepared.log.customers[rows.customer[k]], int(rows.time_ms[k])] for k in events]

    assert len(events) > 500
    assert [value for value, _ in found] == [round(float(score), 6) for score in scores[events]]
    assert [eligible for _, eligible in found] == samples.eligible[events, 2].tolist()
