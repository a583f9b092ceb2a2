"""The settings of a test's broker: small, quick, one node that is broker and controller."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from stream_app.embedded import ports

Security = Literal["PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL"]
MECHANISM: Final = "SCRAM-SHA-512"
USERS: Final = {"alice": "alices-password"}
_SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # After a kill the controller waits until the former broker's session has ended: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "4194304",
}


@dataclass(frozen=True)
class Options:
    """What a Kafka of a test is like."""

    security: Security = "PLAINTEXT"
    users: Mapping[str, str] = field(default_factory=lambda: dict(USERS))
    """Names and passwords (SCRAM-SHA-512), with SASL."""
    authorizer: bool = False
    """Whether there are access rules: everybody may do everything but what a test denies. Needs SASL."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings of the broker."""
    advertised: int | None = None
    """The port that clients are told to come to, where it is not the one that it listens on: that of a proxy."""

    @property
    def sasl(self) -> bool:
        """Whether clients say who they are."""
        return self.security.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether clients come through TLS."""
        return self.security.endswith("SSL")


@dataclass(frozen=True)
class Ports:
    """Where a broker listens.

    Clients come through one listener with the security of the options. Another one, plain and with all rights, is
    for the broker itself and for the test kit.
    """

    client: int = field(default_factory=ports.free)
    internal: int = field(default_factory=ports.free)
    controller: int = field(default_factory=ports.free)


def properties(options: Options, at: Ports, data: Path, pair: Path) -> Iterator[tuple[str, str]]:
    """Yield the broker's settings by name.

    Args:
        options: what is wanted of it.
        at: its ports.
        data: its folder.
        pair: a PEM file with its key and certificate, for TLS.
    """
    outer, told = (
        f"CLIENT://{ports.HOST}:{client},INTERNAL://{ports.HOST}:{at.internal}"
        for client in (at.client, options.advertised or at.client)
    )
    yield from _SETTINGS.items()
    yield "controller.quorum.voters", f"1@{ports.HOST}:{at.controller}"
    yield "listeners", f"{outer},CONTROLLER://{ports.HOST}:{at.controller}"
    yield "advertised.listeners", told
    yield "log.dirs", str(data)
    yield "listener.security.protocol.map", f"CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:{options.security}"
    if options.sasl:
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        yield "listener.name.client.sasl.enabled.mechanisms", MECHANISM
        yield f"listener.name.client.{MECHANISM.lower()}.sasl.jaas.config", login
    if options.tls:
        yield "listener.name.client.ssl.keystore.type", "PEM"
        yield "listener.name.client.ssl.keystore.location", str(pair)
    if options.authorizer:
        yield "authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        yield "super.users", "User:ANONYMOUS"
    yield from options.settings.items()
