"""What a snapshot's file must be to be taken, and which of a folder's fits."""

import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiokafka import TopicPartition

from schemas.errors import InputError, OutputError
from stream_app.bundle import Bundle
from stream_app.snapshot.file import SnapshotFile, SnapshotWriter
from stream_app.snapshot.folder import Snapshots, expect
from tests.kit.doubles import INPUT
from tests.kit.snapshots import MARKER, STAMP, WIDTH, empty, row, rows_of, snapshots_of, written
from tests.properties.test_replay import made

# The file


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = written(tmp_path, (b"a", 1.0), (b"\xc3\xa9", 2.0), (b"a", 3.0))

    assert [name for names, _ in found.parts() for name in names] == [b"a", b"\xc3\xa9", b"a"]
    assert rows_of(found) == {b"a": row(3).tobytes(), b"\xc3\xa9": row(2).tobytes()}
    assert found.stamp == STAMP.at(MARKER)
    assert found.stamp.marker()._replace(owner="owner") == MARKER
    assert found.stamp.marker().owner != found.stamp.marker().owner
    assert (found.lines, [path.name for path in tmp_path.iterdir()]) == (3, ["snapshot.parquet"])


def test_a_snapshot_of_many_rows_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).random((10_001, WIDTH), np.float32)
    names = [b"c-%d" % number for number in range(len(rows))]
    with SnapshotWriter(tmp_path, STAMP) as writer:
        for start in range(0, len(rows), 700):
            writer.add(names[start : start + 700], rows[start : start + 700])
        writer.finish(tmp_path / "s.parquet", MARKER)

    parts = list(SnapshotFile.open(tmp_path / "s.parquet").parts())

    assert [name for found, _ in parts for name in found] == names
    assert np.concatenate([found for _, found in parts]).tobytes() == rows.tobytes()
    assert len(parts) == 3


def test_a_flipped_bit_anywhere_in_the_file_is_noticed(tmp_path: Path) -> None:
    place = written(tmp_path, (b"a", 1.0), (b"b", 2.0)).path
    content, taken = place.read_bytes(), list[int]()
    for at in range(len(content)):
        place.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with suppress(InputError):
            SnapshotFile.open(place)
            taken.append(at)

    place.write_bytes(content)
    assert (taken, SnapshotFile.open(place).lines) == ([], 2)


def test_without_the_seal_flipped_bits_would_go_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = written(tmp_path, (b"a", 1.0), (b"b", 2.0)).path
    content = place.read_bytes()
    monkeypatch.setattr("stream_app.snapshot.file.sealed", lambda *_: True)
    place.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])

    assert SnapshotFile.open(place).stamp == STAMP.at(MARKER)


def test_a_file_cut_anywhere_is_noticed(tmp_path: Path) -> None:
    place = written(tmp_path, (b"a", 1.0), (b"b", 2.0)).path
    content = place.read_bytes()
    for size in range(len(content)):
        place.write_bytes(content[:size])
        with pytest.raises(InputError, match="Expected a snapshot at"):
            SnapshotFile.open(place)


@pytest.mark.parametrize(("write", "told"), [(False, "No such file"), (True, "another Parquet file")])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, *, write: bool, told: str) -> None:
    place = tmp_path / "other.parquet"
    if write:
        pq.write_table(pa.table({"a": [1]}), place)

    with pytest.raises(InputError, match=told):
        SnapshotFile.open(place)


def test_a_snapshot_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found: format 2; take another one"):
        written(tmp_path, stamp=msgspec.structs.replace(STAMP, format=2))


@pytest.mark.parametrize("field", ["group", "topic", "partition", "layout", "row_width"])
def test_a_snapshot_of_something_else_is_refused_in_one_sentence(tmp_path: Path, field: str) -> None:
    found = written(tmp_path, (b"a", 1.0))
    expect(found, STAMP, 1)
    wanted = msgspec.structs.replace(STAMP, **{field: 9 if field in {"partition", "row_width"} else "other"})

    with pytest.raises(InputError, match=rf"Expected a snapshot of .* (9|other), found one of .* at {found.path}; "):
        expect(found, wanted, 1)


def test_a_snapshot_of_another_number_of_partitions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="number of partitions 2, found one of 1"):
        expect(written(tmp_path), STAMP, 2)


def test_a_place_that_cannot_be_written_to_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")

    with pytest.raises(OutputError, match=r"Expected to write a snapshot to .*; nothing was left there. Free space"):
        SnapshotWriter(tmp_path / "file", STAMP)


def test_a_snapshot_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with SnapshotWriter(tmp_path, STAMP) as writer:
        writer.add([b"a"], row(1)[None])

    writer.add([b"a"], row(1)[None])
    assert list(tmp_path.iterdir()) == []


# The folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(tmp_path_factory.mktemp("snapshots"), score_on_customer=False)


@pytest.fixture
def snapshots(tmp_path: Path, bundle: Bundle) -> Snapshots:
    """Give a folder of snapshots of the bundle's layout."""
    return snapshots_of(tmp_path / "snapshots", bundle)


def test_the_newest_snapshot_that_the_log_continues_is_found(snapshots: Snapshots) -> None:
    for flushed in (5, 100, 20, 300):
        empty(snapshots, flushed)

    def found(first: int, upto: int) -> list[int]:
        return [each.stamp.flushed for each in snapshots.fitting(INPUT, first, upto, 1)]

    assert (found(0, 400), found(0, 299), found(20, 20), found(301, 400)) == ([300, 100, 20, 5], [100, 20, 5], [20], [])
    assert list(snapshots.fitting(INPUT, 0, 400, 2)) == []
    assert list(snapshots.fitting(TopicPartition(INPUT.topic, 1), 0, 400, 1)) == []


def test_what_is_damaged_or_anothers_is_passed_over(snapshots: Snapshots, caplog: pytest.LogCaptureFixture) -> None:
    for flushed in (10, 20, 30):
        empty(snapshots, flushed)
    torn = snapshots.place(INPUT, 30)
    torn.write_bytes(torn.read_bytes()[:-9])
    strangers = Snapshots(snapshots.folder, "strangers", snapshots.layout, snapshots.row_width)
    shutil.copy(empty(strangers, 20).path, snapshots.place(INPUT, 20))

    assert [each.stamp.flushed for each in snapshots.fitting(INPUT, 0, 99, 1)] == [10]
    assert "Expected a snapshot of group foretell, found one of strangers" in caplog.text
    assert f"Expected a snapshot at {torn}" in caplog.text


def test_all_but_the_newest_are_removed(snapshots: Snapshots) -> None:
    for flushed in (5, 100, 20):
        empty(snapshots, flushed)
    (snapshots.home(INPUT) / ".aa.1.part").touch()

    snapshots.prune(INPUT, 2)

    assert snapshots.offsets(INPUT) == [100, 20]
    assert len(list(snapshots.home(INPUT).iterdir())) == 3


def test_a_snapshot_is_due_when_the_newest_is_old_whoever_saved_it(snapshots: Snapshots) -> None:
    assert snapshots.age_s(INPUT) is None
    empty(snapshots, 5)
    age_s = snapshots.age_s(INPUT)
    assert age_s is not None
    assert 0 <= age_s < 60
