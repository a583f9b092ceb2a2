"""Publishing: which records leave when, in which order and into which partition."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from schemas import codec
from schemas.errors import InputError
from schemas.messages import Activate, Transaction
from stream_app import cli
from stream_app.commands.arguments import count, positive
from stream_app.commands.outgoing import Outgoing
from stream_app.commands.pace import AsTheyHappened, AtOnce, Evenly
from stream_app.commands.publication import Placement
from stream_app.offline.log import LOG_COLUMNS, CapturedLog, partition_of
from stream_app.offline.shipment import Part, captured_partitions, clipped, parts

NOON = 1_704_110_400_000
SECOND = 1000


def part(
    values: Sequence[bytes | None], origin: Sequence[int] | None = None, keys: Sequence[bytes | None] | None = None
) -> Part:
    """Return records without headers and times."""
    nowhere = [-1] * len(values)
    return Part(
        list(keys or [b"c"] * len(values)),
        list(values),
        None,
        np.array(origin or nowhere, np.int64),
        np.array(nowhere, np.int64),
    )


def at(time: int | str) -> bytes:
    fields = {"transaction_id": "t", "customer_id": "c", "time": time, "amount": 1.0, "type": "cash"}
    return codec.encode(fields)


def captured(rows: Sequence[tuple[int, int, int | None]], topic: str = "t") -> CapturedLog:
    """Return a captured topic of (partition, offset, record time); each value tells its place."""
    columns = {
        "topic": [topic] * len(rows),
        "partition": [row[0] for row in rows],
        "offset": [row[1] for row in rows],
        "record_time": [row[2] for row in rows],
        "key": [b"k"] * len(rows),
        "value": [b"%d-%d" % row[:2] for row in rows],
    }
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in LOG_COLUMNS.items()})
    return CapturedLog(table.sort_by([("partition", "ascending"), ("offset", "ascending")]))


def order(log: CapturedLog) -> list[str]:
    return [(value or b"").decode() for each in parts(log) for value in each.values]


def test_partitions_of_a_captured_topic_are_merged_by_their_times() -> None:
    log = captured([(0, 4, 10), (0, 7, 30), (1, 2, 20), (1, 3, 40)])

    assert order(log) == ["0-4", "1-2", "0-7", "1-3"]


def test_a_record_with_an_earlier_time_than_the_one_before_it_stays_behind_it() -> None:
    log = captured([(0, 0, 50), (0, 1, 10), (1, 0, 20), (1, 1, 60)])

    assert order(log) == ["1-0", "0-0", "0-1", "1-1"]


def test_partitions_without_times_take_turns() -> None:
    log = captured([(0, 0, None), (0, 1, None), (0, 2, None), (1, 0, None), (1, 1, None)])

    assert order(log) == ["0-0", "1-0", "0-1", "1-1", "0-2"]


@given(st.lists(st.lists(st.none() | st.integers(0, 50), max_size=8), min_size=1, max_size=4).filter(any))
def test_every_record_leaves_once_and_in_the_order_of_its_partition(times: list[list[int | None]]) -> None:
    rows = [(partition, offset, time) for partition, own in enumerate(times) for offset, time in enumerate(own)]

    found = order(captured(rows))

    assert sorted(found) == sorted(f"{partition}-{offset}" for partition, offset, _ in rows)
    for partition in range(len(times)):
        own = [name for name in found if name.startswith(f"{partition}-")]
        assert own == [f"{partition}-{offset}" for offset in range(len(own))]


def test_headers_leave_with_their_records() -> None:
    log = captured([(0, 0, 1), (0, 1, 2)])
    kind = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
    headers = pa.array([None, [{"key": "h", "value": b"1"}, {"key": "h", "value": None}]], kind)

    (found,) = parts(CapturedLog(log.table.append_column("headers", headers)))

    assert found.headers == [[], [("h", b"1"), ("h", None)]]


def test_a_captured_log_of_several_topics_is_refused() -> None:
    both = pa.concat_tables([captured([(0, 0, 1)]).table, captured([(0, 0, 1)], "other").table])

    with pytest.raises(InputError, match="Expected one topic in a captured log that is published, found t, other; "):
        captured_partitions(CapturedLog(both))


def test_empty_partitions_count_where_the_file_tells_of_them() -> None:
    table = captured([(0, 0, 1), (2, 0, 1)]).table

    told = table.replace_schema_metadata({b"foretell.partitions": b"4"})

    assert [captured_partitions(CapturedLog(each)) for each in (table, told)] == [3, 4]


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 20), st.integers(0, 20))
def test_skip_and_limit_cut_records_out_whatever_the_parts(sizes: list[int], skip: int, limit: int) -> None:
    numbers = iter(range(100))
    cut = [part([b"%d" % next(numbers) for _ in range(size)]) for size in sizes]

    found = [value for each in clipped(cut, skip, limit) for value in each.values]

    assert found == [b"%d" % number for number in range(sum(sizes))][skip : skip + limit]


def test_records_of_a_folder_go_by_their_keys() -> None:
    keys = [b"c-1", None, b"c-2"]

    found = Placement(7).of(part([b""] * 3, keys=keys))

    assert found == [partition_of(key or b"", 7) for key in keys]


def test_captured_records_stay_in_their_partitions_where_there_are_as_many() -> None:
    assert Placement(3, captured=3).of(part([b""] * 3, origin=[2, 0, 1])) == [2, 0, 1]


def test_captured_records_go_by_their_keys_where_there_are_more_or_fewer_partitions() -> None:
    records = part([b""] * 3, origin=[2, 0, 3], keys=[b"c-1", b"c-2", None])

    assert Placement(2, captured=4).of(records) == [partition_of(b"c-1", 2), partition_of(b"c-2", 2), 1]


def test_records_leave_evenly_over_all_parts() -> None:
    pace = Evenly(4.0)

    found = [*pace.due_s(part([b""] * 3)), *pace.due_s(part([b""] * 2))]

    assert found == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_records_leave_as_far_apart_as_they_happened() -> None:
    pace = AsTheyHappened(2.0)

    first = pace.due_s(part([at(NOON), at("2024-01-01T12:00:10Z")]))
    second = pace.due_s(part([at(NOON + 30 * SECOND)]))

    assert [*first, *second] == [0.0, 5.0, 15.0]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="a tombstone"),
        pytest.param(b"{", id="no message"),
        pytest.param(codec.encode(Activate(bundle="0" * 64)), id="a record without a time"),
        pytest.param(at(NOON - 60 * SECOND), id="a late one"),
        pytest.param(at(1_704_110_400), id="one in seconds"),
        pytest.param(at(9_999_999_999_999), id="one far in the future"),
        pytest.param(at("2024-01-01T18:00:00"), id="a time without an offset"),
    ],
)
def test_what_tells_no_later_time_leaves_with_the_one_before_it(value: bytes | None) -> None:
    times = AsTheyHappened(1.0).due_s(part([at(NOON), at(NOON + SECOND), value, at(NOON + 3 * SECOND)]))

    assert times.tolist() == [0.0, 1.0, 1.0, 3.0]


def test_without_a_pace_all_is_due_at_once() -> None:
    assert AtOnce().due_s(part([at(NOON), at(NOON + SECOND)])).tolist() == [0.0, 0.0]


def test_a_whole_day_takes_a_second_at_its_speed() -> None:
    day = codec.encode(
        Transaction(transaction_id="t", customer_id="c", time=NOON + 86_400 * SECOND, amount=1, type="cash")
    )

    assert AsTheyHappened(86_400.0).due_s(part([at(NOON), day])).tolist() == [0.0, 1.0]


class Producer:
    """Takes batches as its script says: "late" where a former one still waits, else how the broker answers."""

    def __init__(self, *script: str) -> None:
        self.script, self.taken = list(script), list[int]()
        self._message_accumulator = SimpleNamespace()

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(200, 0)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[None]:
        assert (topic, partition, batch.closed()) == ("t", 0, True)
        await asyncio.sleep(0)
        word = self.script.pop(0)
        if word == "late":
            raise KafkaTimeoutError
        self.taken.append(batch.record_count())
        answer = asyncio.get_running_loop().create_future()
        if word == "refused":
            answer.set_exception(MessageSizeTooLargeError())
        else:
            asyncio.get_running_loop().call_later(0.05 if word == "slow" else 0, answer.set_result, None)
        return answer


def sent(producer: Producer, records: int, *, numbered: bool = True) -> tuple[list[int], int, int]:
    """Send records one by one; return what was told of waiting, and how many were and were not acknowledged."""

    async def send() -> tuple[list[int], int, int]:
        told: list[int] = []
        outgoing = Outgoing(producer, "t", told.append, numbered=numbered, notice_s=0.01)
        try:
            for _ in range(records):
                await outgoing.send(0, [(b"k", b"v", [])])
                await asyncio.sleep(0)  # answers come in
            await outgoing.settle()
        except MessageSizeTooLargeError:
            told.append(-1)
        return told, outgoing.acknowledged, outgoing.unanswered

    return asyncio.run(send())


def test_what_a_producer_does_not_take_yet_is_offered_again_and_waiting_is_told_once() -> None:
    producer = Producer("late", "late", "taken", "taken")

    assert sent(producer, 2) == ([0], 2, 0)
    assert producer.taken == [1, 1]


def test_waiting_for_the_last_answer_is_told_once() -> None:
    assert sent(Producer("taken", "slow"), 2) == ([1], 2, 0)


def test_after_a_refusal_nothing_more_is_sent() -> None:
    producer = Producer("taken", "refused", "taken")

    assert sent(producer, 3) == ([-1], 1, 1)
    assert producer.taken == [1, 1]


@pytest.mark.parametrize(("numbered", "taken"), [(False, 1), (True, 2)])
def test_without_numbers_the_next_batch_is_handed_over_when_the_former_has_arrived(
    taken: int, *, numbered: bool
) -> None:
    async def send() -> int:
        producer = Producer("slow", "taken")
        outgoing = Outgoing(producer, "t", lambda _: None, numbered=numbered)
        await outgoing.send(0, [(b"k", b"v", [])])
        second = asyncio.create_task(outgoing.send(0, [(b"k", b"v", [])]))
        await asyncio.sleep(0.02)
        before = len(producer.taken)
        await second
        await outgoing.settle()
        assert outgoing.acknowledged == 2
        return before

    assert asyncio.run(send()) == taken


def test_without_numbers_waiting_for_the_former_batch_is_told_once_and_nothing_follows_a_refused_one() -> None:
    slow, refused = Producer("slow", "taken"), Producer("refused", "taken")

    assert sent(slow, 2, numbered=False) == ([1], 2, 0)
    assert sent(refused, 2, numbered=False) == ([-1], 0, 1)
    assert refused.taken == [1]


def test_messages_leave_in_as_few_batches_as_hold_them_and_each_once() -> None:
    producer = Producer(*["taken"] * 9)

    async def send() -> int:
        outgoing = Outgoing(producer, "t", lambda _: None)
        await outgoing.send(0, [(b"k", b"v" * size, []) for size in (10, 10, 150, 150, 500, 1)])
        await outgoing.settle()
        return outgoing.acknowledged

    assert asyncio.run(send()) == 6
    assert producer.taken == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²"])
def test_a_count_is_a_whole_number_of_at_least_one(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number of at least 1, found "):
        count(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "x", ""])
def test_a_rate_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a number above 0, found "):
        positive(text)


def test_a_log_that_is_not_there_is_told_before_kafka_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["publish", str(tmp_path / "nothing")]) == 3

    assert f"Expected an interchange folder at {tmp_path / 'nothing'}, found nothing" in capsys.readouterr().err


def test_rate_and_speed_exclude_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["publish", str(tmp_path), "--rate", "1", "--speed", "1"])

    assert "not allowed with argument --rate" in capsys.readouterr().err


def test_the_parts_of_a_captured_file_are_bounded(tmp_path: Path) -> None:
    log = captured([(0, offset, offset) for offset in range(10_000)])
    pq.write_table(log.table, tmp_path / "log.parquet")

    sizes = [len(each) for each in parts(CapturedLog.read(tmp_path / "log.parquet"))]

    assert (sum(sizes), max(sizes)) == (10_000, 4096)
