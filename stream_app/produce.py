"""A producer's requests, whose bytes are brought together once.

aiokafka encodes a request from the inside out and copies all that is in it at each of its eight levels; batches of
scores are most of what a worker moves. https://kafka.apache.org/protocol#The_Messages_Produce
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.sender import SendProduceReqHandler
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.types import Int16, Int32, String

from stream_app.exchange import exchange, exchanged

_VERSIONS: Final = range(3, 9)
"""Of the request, with the same fields."""
_COUNTS: Final = struct.Struct(">ii")
_TEXT: Final = String("utf-8")


def copied_once(producer: AIOKafkaProducer) -> None:
    """Let a producer encode its batches by ``encoded``. To be called before it sends."""
    exchange(producer._sender, "_send_produce_req", SendProduceReqHandler=_Handler)  # noqa: SLF001  (as in `fetch`)


class Body:
    """A request's bytes in parts: what is put before them by + twice, its header and its length, comes out as bytes."""

    def __init__(self, parts: Sequence[bytes | memoryview], *, whole: bool = False) -> None:
        """Take parts; they are ``whole`` where only the length is missing."""
        self._parts, self._whole = parts, whole

    def __len__(self) -> int:
        """Return how many bytes there are."""
        return sum(len(part) for part in self._parts)

    def __radd__(self, head: bytes) -> "Body | bytes":
        """Return the parts behind a header; behind a length as well, the bytes."""
        parts = [head, *self._parts]
        return b"".join(parts) if self._whole else Body(parts, whole=True)


def encoded(request: Any) -> Body:  # noqa: ANN401  (aiokafka ships no types)
    """Return a request that aiokafka has built as its ``encode`` would, uncopied."""
    topics = request.topics
    head = (_TEXT.encode(request.transactional_id), Int16.encode(request.required_acks), Int32.encode(request.timeout))
    parts: list[bytes | memoryview] = [*head, Int32.encode(len(topics))]
    for topic, partitions in topics:
        parts += (_TEXT.encode(topic), Int32.encode(len(partitions)))
        for partition, batch in partitions:
            parts += (_COUNTS.pack(partition, len(batch)), batch)
    return Body(parts)


OURS: Final = {
    kind: type(kind.__name__, (kind,), {"encode": encoded})
    for kind in ProduceRequest._CLASSES  # noqa: SLF001  (each version of the request)
    if kind.API_VERSION in _VERSIONS
}
"""aiokafka's versions of the request, and what they are exchanged for."""


class _Request(ProduceRequest):  # type: ignore[misc]  # aiokafka ships no types
    def build(self, request_struct_class: Any) -> Any:  # noqa: ANN401  (aiokafka's)
        return super().build(OURS.get(request_struct_class, request_struct_class))


class _Handler(SendProduceReqHandler):  # type: ignore[misc]  # aiokafka ships no types
    create_request = exchanged(SendProduceReqHandler.create_request, ProduceRequest=_Request)
