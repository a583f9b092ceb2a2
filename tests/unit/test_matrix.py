"""Matrices larger than a bound are in a file, and nothing else about them is different."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stream_app.bundle import MODEL
from stream_app.offline.folder import read_folder
from tests.unit.test_export import strange
from training import matrix
from training.arrays import Singles
from training.boosting import dataset, predicted
from training.learn import learn
from training.matrix import evenly, is_paged, kept, like, parts, room
from training.prepare import Options, Prepared, prepare
from training.recipe import QUICK
from training.samples import load
from training.scaling import Scaling


def paged(content: Singles) -> Singles:
    found = room(len(content), content.shape[1], 0)
    found[:] = content
    return found


def test_what_is_larger_than_the_bound_is_in_a_file() -> None:
    assert not is_paged(room(10, 4, 160))
    assert is_paged(room(10, 4, 159))
    assert is_paged(like(room(10, 4, 0), 3))
    assert not is_paged(like(room(10, 4), 3))
    assert room(10, 4, 0).shape == (10, 4)


def test_parts_cover_all_rows_once() -> None:
    assert [(part.start, part.stop) for part in parts(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert list(parts(0)) == []


def test_rows_that_are_kept_are_the_same_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "PART", 2)
    content = np.arange(40, dtype=np.float32).reshape(10, 4)
    rows = np.array([1, 4, 5, 9])

    for source in (content, paged(content)):
        assert np.array_equal(kept(source, rows), content[rows])
        assert is_paged(kept(source, rows)) == is_paged(source)
        assert kept(source, np.arange(10)) is source


def test_a_sample_is_evenly_spread_with_both_ends() -> None:
    assert evenly(np.arange(10), 20).tolist() == list(range(10))
    assert evenly(np.arange(100), 4).tolist() == [0, 33, 66, 99]


def test_scaling_is_that_of_all_rows_at_once(tiny_prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = tiny_prepared.layout
    features = strange(tiny_prepared.samples.features, layout)
    rows = np.flatnonzero(np.arange(len(features)) % 3 > 0)
    found = Scaling.of(paged(features), layout, rows)
    scaled = found.rows(paged(features))
    values = features[rows].astype(np.float64)
    values[:, : layout.log_width] = np.log1p(values[:, : layout.log_width])
    near = layout.log_width + np.flatnonzero(found.near)
    values[:, near] = 1 / (1 + values[:, near])
    seen = found.factor > 0

    assert found.mean == pytest.approx(values.mean(axis=0), rel=1e-6, abs=1e-9)
    assert (1 / found.factor[seen]) == pytest.approx(values.std(axis=0)[seen], rel=1e-5)
    assert is_paged(scaled)
    assert np.array_equal(scaled, Scaling.of(features[rows], layout).rows(features))
    monkeypatch.setattr("training.scaling.parts", lambda count: parts(count, 7))
    assert Scaling.of(features, layout, rows).mean == pytest.approx(found.mean, rel=1e-6, abs=1e-9)


def test_trees_of_a_file_are_those_of_memory(tiny_prepared: Prepared) -> None:
    import lightgbm  # noqa: PLC0415  (loads slowly)

    features, columns = tiny_prepared.samples.features, np.array(tiny_prepared.layout.inputs)
    rows = np.flatnonzero(np.arange(len(features)) % 2 == 0)
    label = features[rows, columns[3]].astype(np.float64) * 2.0
    found = []
    for source in (features, paged(features), paged(features[:, ::-1])):
        options = {"verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}
        model = lightgbm.train(options, dataset(source, rows, columns, label), 5)
        found.append(predicted(model, source, rows, columns))

    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])  # other columns give other trees


def test_a_network_of_a_file_is_that_of_memory_to_the_last_bit(tiny_folder: Path, tmp_path: Path) -> None:
    folder = read_folder(tiny_folder)
    options = Options(recipe=replace(QUICK, epochs=2, layers=(16,)), teachers=True)

    first = learn(folder, folder.spec, tmp_path / "memory", options).bundle
    second = learn(folder, folder.spec, tmp_path / "file", replace(options, memory=0)).bundle

    assert is_paged(prepare(folder, folder.spec, replace(options, memory=0)).samples.features)
    assert not is_paged(prepare(folder, folder.spec, options).samples.features)
    assert first.sha256 == second.sha256
    assert (first.path / MODEL).read_bytes() == (second.path / MODEL).read_bytes()


def test_samples_are_written_part_by_part_as_they_are_loaded(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.frame.parts", lambda rows: parts(rows, 100))
    folder = read_folder(tiny_folder)
    options = Options(recipe=replace(QUICK, epochs=1, layers=(16,)))

    learn(folder, folder.spec, tmp_path / "bundle", options, samples=tmp_path / "samples.parquet")
    expected, found = load(tiny_folder), pd.read_parquet(tmp_path / "samples.parquet")

    assert pq.ParquetFile(tmp_path / "samples.parquet").num_row_groups == -(-len(expected) // 100) > 1
    assert list(found.columns) == list(expected.columns)
    for name in expected.columns:
        if name == "time":
            assert (found[name].astype("int64") == expected[name].astype("int64")).all()
        else:
            assert np.array_equal(
                found[name].astype(object).fillna("none"), expected[name].astype(object).fillna("none")
            ), name
