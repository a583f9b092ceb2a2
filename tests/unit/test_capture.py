"""A captured topic's file: what is in it, and that it is the same for the same records."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from aiokafka import ConsumerRecord

from stream_app.offline import capture
from stream_app.offline.capture import CaptureFile
from stream_app.offline.log import CapturedLog
from stream_app.offline.shipment import captured_partitions


def record(offset: int, value: bytes | None = b"v", key: bytes | None = b"k", **more: object) -> ConsumerRecord:
    headers: object = more.get("headers", ())
    sizes = {"checksum": None, "serialized_key_size": 0, "serialized_value_size": 0}
    return ConsumerRecord(
        topic="t",
        partition=int(str(more.get("partition", 0))),
        offset=offset,
        timestamp=more.get("timestamp", 1000 + offset),
        timestamp_type=0,
        key=key,
        value=value,
        headers=headers,
        **sizes,
    )


def written(path: Path, batches: Iterable[Sequence[ConsumerRecord]], partitions: int = 1) -> Path:
    with CaptureFile(path, partitions) as file:
        for batch in batches:
            file.add(batch)
    return path


def test_a_record_is_kept_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    records = [
        record(4, b"\xff", headers=(("a", b"1"), ("a", None))),
        record(9, None, partition=2, timestamp=-1),
        record(11, b"", None, partition=2, timestamp=None),
    ]

    found = pq.read_table(written(tmp_path / "log.parquet", [records])).to_pylist()

    headers = [{"key": "a", "value": b"1"}, {"key": "a", "value": None}]
    names = ("topic", "partition", "offset", "record_time", "key", "value", "headers")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("t", 0, 4, 1004, b"k", b"\xff", headers),
        ("t", 2, 9, None, b"k", None, None),
        ("t", 2, 11, None, None, b"", None),
    ]


def test_the_file_can_be_replayed_and_tells_how_many_partitions_there_were(tmp_path: Path) -> None:
    path = written(tmp_path / "log.parquet", [[record(0), record(5)]], partitions=3)

    log = CapturedLog.read(path)

    (chunk,) = log.chunks(100)
    assert (chunk.offsets.tolist(), chunk.values.listed(), captured_partitions(log)) == ([0, 5], [b"v", b"v"], 3)


@pytest.mark.parametrize("limit", ["ROW_GROUP", "LARGEST_GROUP"])
def test_the_file_is_the_same_however_records_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(capture, limit, 10)
    records = [record(offset, b"v" * (offset % 5)) for offset in range(47)]

    one = written(tmp_path / "one", [records])
    other = written(tmp_path / "other", [records[start : start + 7] for start in range(0, 47, 7)])

    assert one.read_bytes() == other.read_bytes()
    groups = pq.ParquetFile(one).metadata.num_row_groups
    assert groups == {"ROW_GROUP": 5, "LARGEST_GROUP": 13}[limit]  # a group is written as soon as it is full


def test_what_was_not_finished_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"

    def broken() -> Iterator[ConsumerRecord]:
        yield record(0)
        raise ConnectionError

    with pytest.raises(ConnectionError), CaptureFile(path, 1) as file:
        file.add(broken())

    assert pq.read_table(path).num_rows == 0  # the shell around it takes the file away
