"""Access rules of a Kafka with an authorizer. aiokafka knows the request, but its admin client has no method for it."""

from enum import IntEnum

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from tests.kit.records import Options


class Resource(IntEnum):
    """What a rule is about, in Kafka's numbers."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4
    TRANSACTIONAL_ID = 5


class Operation(IntEnum):
    """What a rule denies, in Kafka's numbers."""

    ALL = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DESCRIBE = 8


_ANY = "*"
_CLUSTER_NAME = "kafka-cluster"
_LITERAL, _DENY, _ALLOW = 3, 2, 3


async def allow_all(options: Options) -> None:
    """Allow everybody everything, so that the only denials are those that a test states."""
    for resource in Resource:
        name = _CLUSTER_NAME if resource is Resource.CLUSTER else _ANY
        await _add(options, CreateAclsRequest(resource, name, _LITERAL, f"User:{_ANY}", _ANY, Operation.ALL, _ALLOW))


async def deny(options: Options, user: str, resource: Resource, name: str, operation: Operation) -> None:
    """Deny a user an operation on a resource; a denial is stronger than any permission."""
    await _add(options, CreateAclsRequest(resource, name, _LITERAL, f"User:{user}", _ANY, operation, _DENY))


async def _add(options: Options, rule: CreateAclsRequest) -> None:
    client = AIOKafkaClient(**options)
    try:
        await client.bootstrap()
        node = client.get_random_node()
        await client.ready(node)
        answer = await client.send(node, rule)
    finally:
        await client.close()
    for code, message in answer.creation_responses:
        if code:
            raise for_code(code)(message)
