"""What goes wrong with Kafka, each in one sentence for the operator: expected, found, what to do."""

import logging
import socket
import ssl
from typing import Final

from aiokafka import errors

from stream_app.settings import Settings, variable

_refusals: Final[dict[str, Exception]] = {}
"""Why each broker, host:port, was not reached last: the error that a client raises has lost it."""
_PLACES_KEPT: Final = 64

_AWAY: Final = (
    errors.KafkaConnectionError,
    errors.KafkaTimeoutError,
    errors.NoBrokersAvailable,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
    OSError,  # a TimeoutError is one
)
_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordTooLargeError, errors.RecordListTooLargeError)
_UNSUPPORTED: Final = (
    errors.IncompatibleBrokerVersion,
    errors.UnrecognizedBrokerVersion,
    errors.UnsupportedForMessageFormatError,
    errors.UnsupportedVersionError,
)
_FENCED: Final = (errors.ProducerFenced, errors.InvalidProducerEpoch, errors.InvalidProducerIdMapping)
_OF_A_TOPIC: Final = (
    errors.InvalidTopicError,
    errors.TopicAuthorizationFailedError,
    errors.UnknownTopicOrPartitionError,
    *_TOO_LARGE,
)

_SENTENCES: Final[dict[tuple[type[Exception], ...], str]] = {
    (errors.TopicAuthorizationFailedError,): (
        "Expected {who} to be allowed to use {topic} at {kafka}, found it refused; allow Describe and Read on the "
        "topics that are read, Describe, Write and Create on those that are written, or correct the topic's name "
        "or {user}."
    ),
    (errors.GroupAuthorizationFailedError,): (
        "Expected {who} to be allowed to use the group {group} at {kafka}, found it refused; allow Describe and "
        "Read on that group, or correct {group_variable}."
    ),
    (errors.TransactionalIdAuthorizationFailed,): (
        "Expected {who} to be allowed transactions at {kafka}, found it refused; allow Describe and Write on "
        "transactional ids that begin with {group}-, or set {delivery} to at_least_once."
    ),
    (errors.ClusterAuthorizationFailedError,): (
        "Expected {who} to be allowed this on the cluster at {kafka}, found it refused; allow IdempotentWrite (and "
        "Create, where topics are to be made) on the cluster."
    ),
    (errors.UnknownTopicOrPartitionError,): (
        "Expected {topic} at {kafka}, found it not there; make it (`kafka-topics.sh --create`) or correct its name."
    ),
    (errors.InvalidTopicError,): "Expected a valid name of {topic} at {kafka}, found it refused; correct the name.",
    _TOO_LARGE: (
        "Expected {topic} at {kafka} to take a record of this size, found it too large; raise its "
        "`max.message.bytes` (or the broker's `message.max.bytes`)."
    ),
    _UNSUPPORTED: (
        "Expected a broker at {kafka} with transactions and idempotent producers, found one that cannot do what "
        "was asked ({text}); use Apache Kafka 2.1 or newer, or set {delivery} to at_least_once."
    ),
    (errors.SaslAuthenticationFailed, errors.AuthenticationFailedError): (
        "Expected {kafka} to accept {who} by {sasl}, found the user or the password refused; correct {user}, "
        "{password} or {sasl_variable}."
    ),
    (errors.UnsupportedSaslMechanismError, errors.AuthenticationMethodNotSupported): (
        "Expected {kafka} to offer {sasl}, found only other mechanisms; correct {sasl_variable}."
    ),
    (errors.IllegalSaslStateError,): (
        "Expected {kafka} to ask for a user, found a listener without SASL; correct {security} or the port in "
        "{brokers}."
    ),
    (ssl.SSLCertVerificationError,): (
        "Expected a certificate of {kafka} that can be trusted, found: {text}; name the certificates to trust in "
        "{ca}, and the broker in {brokers} as its certificate does."
    ),
    (ssl.SSLError, ConnectionResetError, ConnectionAbortedError): (
        "Expected {kafka} to talk {kind}, found something else ({text}); correct {security} or the port in {brokers}."
    ),
    (socket.gaierror,): "Expected brokers at {kafka}, found no such host; correct {brokers}.",
    (errors.GroupCoordinatorNotAvailableError,): (
        "Expected a coordinator for the group or the transactions at {kafka}, found none; look whether the topics "
        "__consumer_offsets and __transaction_state could be made: a single broker needs "
        "`offsets.topic.replication.factor` and `transaction.state.log.replication.factor` 1."
    ),
    (errors.NotEnoughReplicasError, errors.NotEnoughReplicasAfterAppendError): (
        "Expected enough replicas of {topic} at {kafka}, found too few in sync; start the missing brokers or lower "
        "its `min.insync.replicas`."
    ),
    (errors.InvalidReplicationFactorError,): (
        "Expected as many brokers at {kafka} as a topic is to have replicas, found fewer; start them or lower "
        "`default.replication.factor`."
    ),
    (errors.PolicyViolationError,): (
        "Expected {kafka} to allow this topic, found a policy of the cluster against it; make the topic as it demands."
    ),
    (errors.InvalidSessionTimeoutError,): (
        "Expected a session time-out that {kafka} allows, found {session_ms} ms; correct {session}, or the broker's "
        "`group.min.session.timeout.ms` and `group.max.session.timeout.ms`."
    ),
    (errors.InvalidTransactionTimeout,): (
        "Expected {kafka} to allow transactions of 15 s, found less; raise the broker's `transaction.max.timeout.ms`."
    ),
    (errors.InconsistentGroupProtocolError,): (
        "Expected only workers of Foretell in the group {group} at {kafka}, found consumers of another kind in it; "
        "stop them or choose another {group_variable}."
    ),
    _FENCED: (
        "Expected to be the only producer of this transactional id at {kafka}, found another; stop the other "
        "worker of group {group}, or choose another {group_variable}."
    ),
}

_CLOSED: Final = (
    "Expected {kafka} to talk {kind}, found the connection closed at once; correct {security}, the port in "
    "{brokers} or (where it asks for a certificate) {cert}."
)
_NO_ANSWER: Final = "Expected Kafka at {kafka}, found no answer{reason}; start it or correct {brokers}."
_UNKNOWN: Final = "Expected Kafka at {kafka} to do what was asked, found: {text}; look into the broker's log."


def sentence(error: Exception, settings: Settings, topic: str = "") -> str:
    """Return what an error of aiokafka means, where it happened, and what to do.

    Args:
        error: a ``KafkaError``, or an ``OSError`` or ``TimeoutError`` that it let through.
        settings: of the client.
        topic: what was written or read, where that is known.
    """
    while type(error) is errors.KafkaError and isinstance(error.__cause__, errors.KafkaError):
        error = error.__cause__  # "Unexpected error during batch delivery"
    if isinstance(error, errors.KafkaConnectionError) and "bootstrap" in str(error):
        return unreachable(_refusal(settings) or error, settings)
    words = _words(error, settings, topic or _told_topic(error))
    known = next((text for kinds, text in _SENTENCES.items() if isinstance(error, kinds)), None)
    if known is None:
        known = _NO_ANSWER if isinstance(error, _AWAY) else _UNKNOWN
    return known.format(**words)


def unreachable(cause: Exception, settings: Settings, place: str = "") -> str:
    """Return why a broker let us in not at all.

    Args:
        cause: what opening a connection, or the first question on it, raised.
        settings: of the client.
        place: host:port of the broker; all of the settings' brokers if not given.
    """
    words = _words(cause, settings, "") | ({"kafka": place} if place else {})
    known = next((text for kinds, text in _SENTENCES.items() if isinstance(cause, kinds)), None)
    if known is None and isinstance(cause, errors.KafkaConnectionError) and "closed" in str(cause):
        known = _CLOSED
    return (known or _NO_ANSWER).format(**words)


def remember_refusals() -> None:
    """Begin to keep why brokers are not reached."""
    logger = logging.getLogger("aiokafka")
    if not any(isinstance(known, _Remembering) for known in logger.filters):
        logger.addFilter(_Remembering())


class _Remembering(logging.Filter):
    """Keeps why a broker was not reached: the reason is nowhere but in a line of aiokafka's log (host, port, error)."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through."""
        match record.args:
            case (host, port, Exception() as error):
                if len(_refusals) >= _PLACES_KEPT:
                    _refusals.clear()
                _refusals[f"{host}:{port}"] = error.with_traceback(None)
        return True


def _refusal(settings: Settings) -> Exception | None:
    """Return why none of the brokers was reached: an answer that we did not like, before no answer."""
    places = [place.strip().replace("[", "").replace("]", "") for place in settings.kafka.split(",")]
    found = [_refusals[place] for place in places if place in _refusals]
    answers = [error for error in found if not isinstance(error, OSError) or isinstance(error, ssl.SSLError)]
    return next(iter([*answers, *found]), None)


def _words(error: Exception, settings: Settings, topic: str) -> dict[str, str]:
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        refused = isinstance(error, ConnectionRefusedError)  # asyncio's text only repeats the address
        text = "connection refused" if refused else str(error.strerror or error)
    names = {
        "brokers": "kafka",
        "ca": "kafka_ca",
        "cert": "kafka_cert",
        "delivery": "delivery",
        "group_variable": "group",
        "password": "kafka_password",
        "sasl_variable": "kafka_sasl",
        "security": "kafka_security",
        "session": "session_timeout_ms",
        "user": "kafka_user",
    }
    found = {word: variable(name) for word, name in names.items()}
    return found | {
        "group": settings.group,
        "kafka": settings.kafka,
        "kind": settings.kafka_security,
        "reason": f" ({text})" if isinstance(error, OSError) and text else "",
        "sasl": settings.kafka_sasl,
        "session_ms": str(settings.session_timeout_ms),
        "text": text or type(error).__name__,
        "topic": f"the topic {topic}" if topic else "the topic",
        "who": f"the user {settings.kafka_user}" if settings.kafka_user else "this client",
    }


def _told_topic(error: Exception) -> str:
    """Return the topic that aiokafka puts into some errors, alone or as a set."""
    names = error.args[0] if isinstance(error, _OF_A_TOPIC) and error.args else ""
    if isinstance(names, set | frozenset | list | tuple):
        return ", ".join(sorted(map(str, names)))
    return names if isinstance(names, str) and " " not in names else ""
