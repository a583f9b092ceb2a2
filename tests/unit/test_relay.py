"""How another topic's record enters the transactions topic."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from schemas import codec
from schemas.messages import Customer
from stream_app import cli, settings
from stream_app.commands import lanes
from stream_app.commands.lanes import relayed

NOON = 1_704_110_400_000
CUSTOMER = codec.encode(Customer(customer_id="c-1", time=NOON, income=1.0))
MOVED = b'{"transaction_id":"t","customer_id":"c-2","time":1704110400000,"amount":1,"type":"cash"}'


def record(value: bytes | None, key: bytes | None = b"key") -> ConsumerRecord:
    return ConsumerRecord("customers", 0, 17, 0, 0, key, value, None, 0, 0, (("h", b"1"),))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        pytest.param(CUSTOMER, b"c-1", id="a customer"),
        pytest.param(MOVED, b"c-2", id="a transaction"),
        pytest.param('{"kind":"forget","customer_id":"Zoë"}'.encode(), "Zoë".encode(), id="a name that is not ASCII"),
        pytest.param(b'{"kind":"tick","slice":1,"time":1704110400000}', b"key", id="a record without a customer"),
        pytest.param(b'{"customer_id":"c-1","time":1704110400000}', b"key", id="a record that is no message"),
        pytest.param(b"\xff", b"key", id="no JSON"),
        pytest.param(None, b"key", id="a tombstone"),
    ],
)
def test_a_record_is_unchanged_but_for_its_key(value: bytes | None, key: bytes) -> None:
    assert relayed(record(value)) == (key, value, [("h", b"1")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            b' {"customer_id" : "c-1","time":1704110400000}',
            b'{"kind":"customer","customer_id" : "c-1","time":1704110400000}',
            id="an object without a kind",
        ),
        pytest.param(b"{ }", b'{"kind":"customer" }', id="an empty object"),
        pytest.param(MOVED, b'{"kind":"customer",' + MOVED[1:], id="a transaction that does not say so"),
        pytest.param(CUSTOMER, CUSTOMER, id="an object with a kind"),
        pytest.param(b'{"kind":null}', b'{"kind":null}', id="an object with a strange kind"),
        pytest.param(b"[]", b"[]", id="no object"),
        pytest.param(b"{", b"{", id="no JSON"),
        pytest.param(b"[" * 100_000, b"[" * 100_000, id="what is too deep"),
        pytest.param(None, None, id="a tombstone"),
    ],
)
def test_a_kind_is_added_where_none_is_told(value: bytes | None, expected: bytes | None) -> None:
    assert relayed(record(value), "customer")[1] == expected


def test_a_record_that_is_a_message_with_its_kind_gets_its_customers_key() -> None:
    value = b'{"customer_id":"c-1","time":1704110400000}'

    assert [relayed(record(value), kind)[0] for kind in (None, "customer")] == [b"key", b"c-1"]


class Ends:
    """A consumer that knows where partitions begin and end."""

    async def end_offsets(self, names: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {name: [5, 7][name.partition] for name in names}

    async def beginning_offsets(self, names: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(names, 2)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        pytest.param(5, 7, True, id="all is copied"),
        pytest.param(4, 7, False, id="its own share is not"),
        pytest.param(5, 6, False, id="another relay's share is not"),
        pytest.param(5, None, False, id="nobody has begun with the rest"),
    ],
)
def test_a_relay_is_at_the_end_only_when_all_partitions_are_whoever_has_them(
    monkeypatch: pytest.MonkeyPatch, own: int, others: int | None, *, expected: bool
) -> None:
    async def committed(*_: object) -> int | None:
        return others

    async def is_done() -> bool:
        relay = lanes.Relay(settings.load({}, {}), "customers", None)
        relay._source_partitions = 2  # noqa: SLF001  (what the broker has told)
        relay._lanes[TopicPartition("customers", 0)] = lane  # noqa: SLF001  (what the group has given it)
        return await relay._is_done(Ends())  # noqa: SLF001

    lane: Any = SimpleNamespace(done=own)
    monkeypatch.setattr(lanes, "committed_offset", committed)

    assert asyncio.run(is_done()) == expected


def test_a_topic_is_not_copied_into_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["relay", "bank", "--transactions-topic", "bank"]) == 2

    assert "Expected another topic than bank to copy into it, found the same; " in capsys.readouterr().err
