"""Requests whose bytes are brought together once: what aiokafka encodes is the reference."""

import gc
import struct
import weakref
from typing import Any

import pytest
from aiokafka.protocol import produce
from aiokafka.protocol.produce import ProduceRequest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.produce import OURS, _Handler, _Request, encoded

Topics = list[tuple[str, list[tuple[int, bytes]]]]
VERSIONS = list(OURS)
BATCHES = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=300)), max_size=4)
TOPICS = st.lists(st.tuples(st.text(max_size=20), BATCHES), max_size=3)


def on_the_wire(request: Any) -> bytes:  # noqa: ANN401  (aiokafka ships no types)
    """Return what aiokafka's connection writes of a request."""
    header = request.build_request_header(correlation_id=7, client_id="c")
    message = header.encode() + request.encode()
    size = struct.pack(">i", len(message))
    whole = size + message
    assert isinstance(whole, bytes)
    return whole


@pytest.mark.parametrize("kind", VERSIONS)
@given(transaction=st.none() | st.text(max_size=20), topics=TOPICS)
def test_a_request_is_encoded_as_aiokafka_does(kind: type[Any], transaction: str | None, topics: Topics) -> None:
    arguments = {"transactional_id": transaction, "required_acks": -1, "timeout": 1000, "topics": topics}
    versions = {ProduceRequest.API_KEY: (3, kind.API_VERSION)}
    usual, ours = (request(**arguments).prepare(versions) for request in (ProduceRequest, _Request))
    assert type(usual) is kind
    assert isinstance(ours, kind)
    assert not isinstance(ours.encode(), bytes)  # else the comparison would be of aiokafka with itself
    assert on_the_wire(ours) == on_the_wire(usual)


def test_an_older_request_is_left_to_aiokafka() -> None:
    request = _Request(None, 1, 1000, [("t", [(0, b"batch")])]).prepare({ProduceRequest.API_KEY: (0, 2)})
    assert isinstance(request, produce.ProduceRequest_v2)
    assert isinstance(request.encode(), bytes)


def test_a_view_is_encoded_as_bytes_are() -> None:
    content = bytes(range(100))
    built = [
        _Request("id", -1, 1000, [("t", [(1, batch)])]).prepare({ProduceRequest.API_KEY: (3, 7)})
        for batch in (content, memoryview(content))
    ]
    assert on_the_wire(built[0]) == on_the_wire(built[1])
    assert len(encoded(built[1])) == len(built[0].encode())


def test_a_request_lives_no_longer_than_it_is_held() -> None:
    request = _Request("id", -1, 1000, [("t", [(1, b"batch")])]).prepare({ProduceRequest.API_KEY: (3, 7)})
    on_the_wire(request)
    gone = weakref.ref(request)
    gc.disable()  # as good as that in a worker, whose requests are of a megabyte each
    try:
        del request
        assert gone() is None
    finally:
        gc.enable()


def test_the_handler_makes_requests_of_ours() -> None:
    class Sender:
        _acks, _request_timeout_ms, _txn_manager, client, _retry_backoff = -1, 1000, None, None, 0

    assert isinstance(_Handler(Sender(), {}).create_request(), _Request)
