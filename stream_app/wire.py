"""Questions to one broker, by the protocol itself: it tells what a client's start would hide, and nothing changes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Bytes, Int16, Int32, Schema, String

from stream_app import kafka
from stream_app.settings import Settings

ASK_MS: Final = 5_000
_TEXT: Final = String("utf-8")


class MetadataResponse(Response):  # type: ignore[misc]  # aiokafka ships no types
    """What a cluster has and what may be done with it."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA: ClassVar = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", _TEXT),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("operations", Int32),
    )


class MetadataRequest(RequestStruct):  # type: ignore[misc]  # as above
    """Version 8, the first that tells the operations that are allowed (Kafka 2.3, KIP-430); makes no topic."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponse
    SCHEMA: ClassVar = Schema(
        ("topics", Array(_TEXT)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_operations", Boolean),
        ("include_topic_operations", Boolean),
    )


class DescribeGroupsResponse(Response):  # type: ignore[misc]  # as above
    """Who is in a group."""

    API_KEY = 15
    API_VERSION = 3
    SCHEMA: ClassVar = Schema(
        ("throttle_time_ms", Int32),
        (
            "groups",
            Array(
                ("error_code", Int16),
                ("group", _TEXT),
                ("state", _TEXT),
                ("protocol_type", _TEXT),
                ("protocol", _TEXT),
                (
                    "members",
                    Array(
                        ("member_id", _TEXT),
                        ("client_id", _TEXT),
                        ("client_host", _TEXT),
                        ("metadata", Bytes),
                        ("assignment", Bytes),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
    )


class DescribeGroupsRequest(RequestStruct):  # type: ignore[misc]  # as above
    """Version 3, the first that tells the operations that are allowed."""

    API_KEY = 15
    API_VERSION = 3
    RESPONSE_TYPE = DescribeGroupsResponse
    SCHEMA: ClassVar = Schema(("groups", Array(_TEXT)), ("include_operations", Boolean))


class _Exactly:
    """A request in the one version in which it is written."""

    def __init__(self, request: RequestStruct) -> None:
        self._request = request

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """Return the request; what `send` of aiokafka asks for."""
        least, most = versions.get(self._request.API_KEY, (0, -1))
        if not least <= self._request.API_VERSION <= most:
            message = f"API {self._request.API_KEY} in versions {least} to {most}"
            raise IncompatibleBrokerVersion(message)
        return self._request


class Broker:
    """A connection to one broker. Errors are aiokafka's, or OSErrors."""

    def __init__(self, place: str, connection: AIOKafkaConnection) -> None:
        """Take an open connection."""
        self.place = place
        self._connection = connection

    @classmethod
    async def open(cls, place: str, settings: Settings) -> Self:
        """Connect to host:port as the settings say."""
        options = kafka.connection(settings)
        del options["bootstrap_servers"], options["retry_backoff_ms"]
        host, port = place.rsplit(":", 1)
        connection = await create_conn(host.strip("[]"), int(port), **(options | {"request_timeout_ms": ASK_MS}))
        return cls(place, connection)

    async def ask(self, request: Any) -> Any:  # noqa: ANN401  (aiokafka ships no types)
        """Return the answer to a request."""
        return await self._connection.send(_Exactly(request) if isinstance(request, RequestStruct) else request)

    async def versions(self) -> dict[int, tuple[int, int]]:
        """Return the lowest and the highest version of each request that the broker knows."""
        answer = await self.ask(ApiVersionRequest())
        return {key: (least, most) for key, least, most in answer.api_versions}

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()
