"""What a campaign tells of zombies, of resumption and of its loader is what has been seen, and no more."""

import json
import logging
import sys
from pathlib import Path

import pytest
from aiokafka.errors import KafkaTimeoutError, ProducerFenced

from stream_app.logs import Lines
from stream_app.store.port import LostWritesError
from tests.chaos.fencing import fenced_by
from tests.chaos.loader import Orders
from tests.chaos.truth import acknowledged, read_acknowledged
from tests.chaos.watch import Commits


def told(error: Exception, committed: int, position: int) -> str:
    """Return what a worker logs of an error that ends a partition's opening."""
    logger = logging.getLogger("stream_app.engine.partition")
    extra = {"partition": 0, "flushed": 1, "committed": committed, "position": position}
    try:
        raise error
    except type(error):
        given = (logger.name, logging.WARNING, __file__, 1, "partition starts again", (), sys.exc_info())
        record = logger.makeRecord(*given, None, extra)
    return Lines(as_json=False, secrets=()).format(record)


@pytest.mark.parametrize(
    ("error", "by"),
    [(ProducerFenced(), "broker"), (LostWritesError(b"mine", b"yours"), "marker"), (KafkaTimeoutError(), "")],
)
def test_a_zombie_was_fenced_with_work_where_its_log_says_both(error: Exception, by: str) -> None:
    assert fenced_by(f"something else\n{told(error, 10, 11)}\n") == by
    assert fenced_by(told(error, 11, 11)) == ""
    assert fenced_by("") == ""


def test_resumption_is_the_first_commit_of_the_last_partition_after_the_restart() -> None:
    commits = Commits(3)
    commits.see({0: 5, 1: 5, 2: 5}, 1.0)
    commits.mark((0, 1))
    assert commits.resumed_s(2.0) is None
    commits.see({0: 6, 1: 5, 2: 5}, 2.1)  # 6 may have been committed before the mark
    commits.see({0: 6, 1: 7, 2: 9}, 4.0)
    assert commits.resumed_s(2.0) is None
    commits.see({0: 8, 1: 9, 2: 9}, 5.5)
    assert commits.resumed_s(2.0) == 3.5
    assert commits.moved_since((0, 1), 4.5)
    assert not commits.moved_since((0, 1, 2), 4.5)
    assert commits.offsets == {0: 8, 1: 9, 2: 9}


def test_a_worker_that_had_no_partitions_has_nothing_to_resume() -> None:
    commits = Commits(1)
    commits.mark(())
    assert not commits.marked
    assert commits.resumed_s(0.0) is None


def test_orders_are_taken_once_and_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    orders = Orders(path)
    assert orders.take() == []
    path.write_text('{"rate": 5}\n{"sto', encoding="utf-8")
    assert orders.take() == [{"rate": 5}]
    assert orders.take() == []
    with path.open("a", encoding="utf-8") as file:
        file.write('p": 1}\n')
    assert orders.take() == [{"stop": 1}]


def test_only_what_is_written_whole_counts_as_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "acknowledged.jsonl"
    assert acknowledged(path) == 0
    line = json.dumps({"partition": 1, "first": 0, "records": 7, "offset": 3})
    path.write_text(f"{line}\n{line[:9]}", encoding="utf-8")
    assert acknowledged(path) == 7
    assert [item.offset for item in read_acknowledged(path)] == [3]
