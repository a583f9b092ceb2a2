"""What a Kafka cluster says of itself, gathered without changing anything."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest

from stream_app.settings import Settings
from stream_app.wire import Broker, DescribeGroupsRequest, MetadataRequest

_GROUP: Final = 0
_UNTOLD: Final = -(1 << 31)


class Operation(IntEnum):
    """What may be allowed on a resource, in Kafka's numbers."""

    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8


Allowed = frozenset[Operation] | None
"""What this client may do; None where the cluster does not tell."""


@dataclass(frozen=True)
class Topic:
    """A topic: its number of partitions, of those without a leader, of copies, and what may be done with it."""

    partitions: int
    leaderless: int = 0
    copies: int = 1
    allowed: Allowed = None


@dataclass(frozen=True)
class Cluster:
    """Brokers as host:port by their ids, topics by name, and what may be done on the whole."""

    brokers: dict[int, str]
    topics: dict[str, Topic]
    allowed: Allowed = None


@dataclass(frozen=True)
class Group:
    """A consumer group: its state, how many are in it, and committed offsets by partition."""

    state: str
    protocol: str
    members: int
    allowed: Allowed = None
    committed: dict[int, int] = field(default_factory=dict)


async def cluster_of(broker: Broker) -> Cluster:
    """Return what the cluster has, as one broker tells it."""
    answer = await broker.ask(MetadataRequest(None, False, True, True))  # noqa: FBT003  (the protocol's order)
    topics = {}
    for _, name, _, partitions, operations in answer.topics:
        leaderless = sum(leader < 0 for _, _, leader, *_ in partitions)
        copies = min((len(replicas) for *_, replicas, _, _ in partitions), default=0)
        topics[name] = Topic(len(partitions), leaderless, copies, _allowed(operations))
    brokers = {number: f"{host}:{port}" for number, host, port, _ in answer.brokers}
    return Cluster(brokers, topics, _allowed(answer.operations))


async def group_of(broker: Broker, settings: Settings, partitions: int) -> Group:
    """Return the state of the settings' group.

    Raises:
        KafkaError: it may not be looked at, or has no coordinator (yet: a new cluster makes the topic for it now).
    """
    name, topic = settings.group, settings.transactions_topic
    coordinator = await Broker.open(await _coordinator(broker, name), settings)
    try:
        answer = await coordinator.ask(DescribeGroupsRequest([name], True))  # noqa: FBT003  (as above)
        code, _, state, kind, _, members, operations = answer.groups[0]
        _raise(code)
        offsets = await coordinator.ask(OffsetFetchRequest(name, [(topic, list(range(partitions)))]))
        _raise(getattr(offsets, "error_code", 0))
    finally:
        coordinator.close()
    committed = {}
    for _, parts in offsets.topics:
        for number, offset, _, code in parts:
            _raise(code)
            committed[number] = offset
    known = {number: offset for number, offset in committed.items() if offset >= 0}
    return Group(state, kind, len(members), _allowed(operations), known)


async def configs_of(
    client: AIOKafkaAdminClient, kind: ConfigResourceType, names: Iterable[str], wanted: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Return the wanted configuration of topics or brokers by name; without those that may not be looked at.

    All of it is asked for: there are brokers that hang up when asked for some.
    """
    chosen = frozenset(wanted)
    answers = await client.describe_configs([ConfigResource(kind, name) for name in names])
    return {
        resource[3]: {entry[0]: entry[1] for entry in resource[4] if entry[0] in chosen}
        for answer in answers
        for resource in answer.resources
        if resource[0] == 0
    }


async def _coordinator(broker: Broker, group: str) -> str:
    found = await broker.ask(FindCoordinatorRequest(group, _GROUP))
    _raise(found.error_code)
    return f"{found.host}:{found.port}"


def _allowed(operations: int) -> Allowed:
    if operations == _UNTOLD:
        return None
    return frozenset(operation for operation in Operation if operations >> operation & 1)


def _raise(code: int) -> None:
    if code:
        raise for_code(code)
