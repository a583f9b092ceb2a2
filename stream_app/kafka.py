"""Clients of Kafka as the settings say: one place for security, time-outs and the traps of aiokafka 0.14.

All of them must be made inside a running event loop. One that did not start has to be stopped nevertheless.
"""

import logging
import ssl
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.protocol.fetch import FetchRequest

from stream_app import kafka_errors
from stream_app.kafka_errors import sentence
from stream_app.outage import pace_metadata
from stream_app.produce import copied_once
from stream_app.settings import Settings, SettingsError, variable

__all__ = [
    "FETCH_WAIT_MS",
    "LARGEST_BATCH",
    "REQUEST_TIMEOUT_MS",
    "TRANSACTION_TIMEOUT_MS",
    "admin",
    "connection",
    "idempotent_producer",
    "input_consumer",
    "quieten",
    "reader",
    "sentence",
    "transactional_producer",
]

FETCH_WAIT_MS: Final = 20
"""One fetch is in flight per broker, so a long poll on a drained partition would hold up the busy ones."""
LARGEST_BATCH: Final = 1_000_000
"""Bytes of records sent at once; a single record may be larger."""
NEVER_MS: Final = 2**31 - 1
METADATA_MS: Final = 5_000
"""Partitions that are added to the input must be noticed before many customers have moved to them."""
TRANSACTION_TIMEOUT_MS: Final = 15_000
REQUEST_TIMEOUT_MS: Final = 10_000
_LONGEST_WAIT: Final = 50
"""How many times ``FETCH_WAIT_MS`` a fetch may wait at most."""
_RETRY_MS: Final = 20
_REBALANCE_MS: Final = 5_000
"""What a worker has on top of the session time-out to commit and flush before its partitions go to another."""


def connection(settings: Settings) -> dict[str, Any]:
    """Return what every client needs to reach the brokers.

    Raises:
        SettingsError: certificates or keys cannot be used.
    """
    kafka_errors.remember_refusals()
    options: dict[str, Any] = {
        "bootstrap_servers": [place.strip() for place in settings.kafka.split(",")],
        "security_protocol": settings.kafka_security,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        "retry_backoff_ms": _RETRY_MS,
    }
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    if settings.kafka_security.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl
        options["sasl_plain_username"] = settings.kafka_user
        options["sasl_plain_password"] = settings.kafka_password
    return options


def input_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return the consumer that a worker's source owns; not started, not subscribed."""
    rebalance_ms = settings.session_timeout_ms + _REBALANCE_MS
    options = connection(settings)
    # Joining the group is answered only when all others have joined: no request may time out before that.
    options["request_timeout_ms"] = max(REQUEST_TIMEOUT_MS, rebalance_ms + _REBALANCE_MS)
    consumer = AIOKafkaConsumer(
        **options,
        metadata_max_age_ms=METADATA_MS,
        max_poll_interval_ms=NEVER_MS,  # with the store away, not fetching is right, and the group would gain nothing
        group_id=settings.group,
        group_instance_id=settings.instance or None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.session_timeout_ms // 5,
        rebalance_timeout_ms=rebalance_ms,
        partition_assignment_strategy=[StickyPartitionAssignor],
    )
    pace_metadata(consumer._client)  # noqa: SLF001  (a consumer names its client only privately)
    give_time_to_look(consumer._client)  # noqa: SLF001  (as above)
    return consumer


def reader(settings: Settings) -> AIOKafkaConsumer:
    """Return a consumer without a group that reads committed records; not started."""
    consumer = AIOKafkaConsumer(
        **connection(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=FETCH_WAIT_MS,
    )
    give_time_to_look(consumer._client)  # noqa: SLF001  (as above)
    return consumer


def transactional_producer(settings: Settings, transactional_id: str) -> AIOKafkaProducer:
    """Return a producer whose start fences the former one of the same id; not started."""
    producer = AIOKafkaProducer(
        **connection(settings),
        max_batch_size=LARGEST_BATCH,
        transactional_id=transactional_id,
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
    )
    pace_metadata(producer.client)
    copied_once(producer)
    return producer


def idempotent_producer(
    settings: Settings, *, idempotent: bool = True, patience_ms: int = REQUEST_TIMEOUT_MS
) -> AIOKafkaProducer:
    """Return a producer that repeats no record within its life, where the broker can do that; not started.

    Args:
        settings: where the brokers are.
        idempotent: False for a broker that cannot; records may then be repeated.
        patience_ms: how long a record may wait for a broker that is away before it is given up.
    """
    options = connection(settings) | {"request_timeout_ms": patience_ms}
    producer = AIOKafkaProducer(**options, max_batch_size=LARGEST_BATCH, enable_idempotence=idempotent, acks="all")
    pace_metadata(producer.client)
    copied_once(producer)
    return producer


def admin(settings: Settings) -> AIOKafkaAdminClient:
    """Return an admin client; not started."""
    return AIOKafkaAdminClient(**connection(settings))


def give_time_to_look(client: AIOKafkaClient) -> None:
    """Let a consumer's fetches wait longer once one was answered with nothing although there was something.

    A broker whose records stand in too many batches to be looked through within ``FETCH_WAIT_MS`` may give up then
    (Tansu 0.6 does, at ten thousand batches), and a consumer would never get on.
    """
    send, times = client.send, 1

    async def send_and_see(node: int, request: Any, **options: Any) -> Any:  # noqa: ANN401  (passed on)
        nonlocal times
        if not isinstance(request, FetchRequest):
            return await send(node, request, **options)
        request._max_wait_ms *= times  # noqa: SLF001  (there is no option that can be changed later)
        answer = await send(node, request, **options)
        if _gave_up(request, answer):
            times = min(2 * times, _LONGEST_WAIT)
        return answer

    client.send = send_and_see


def quieten() -> None:
    """Keep what aiokafka logs off the terminal where no log is configured, and its records' content out of every log.

    A verb tells the operator in one sentence what aiokafka would tell in a thousand lines. At level debug, aiokafka
    writes keys, values and SASL passwords.
    """
    logger = logging.getLogger("aiokafka")
    if logger.getEffectiveLevel() < logging.INFO or logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)
    if not any(isinstance(known, logging.NullHandler) for known in logger.handlers):
        logger.addHandler(logging.NullHandler())


def _gave_up(request: FetchRequest, answer: Any) -> bool:  # noqa: ANN401  (aiokafka ships no types)
    """Return whether a fetch has got nothing although a partition goes on behind where it was to begin."""
    begins = {(topic, partition): offset for topic, parts in request.topics for partition, offset, _ in parts}
    parts = [(topic, *part) for topic, found in answer.topics for part in found]
    nothing = not any(part[-1] for part in parts)
    return nothing and any(code == 0 and end > begins[topic, partition] for topic, partition, code, _, end, *_ in parts)


def _tls(settings: Settings) -> ssl.SSLContext:
    context = _trusting(settings.kafka_ca)
    if settings.kafka_cert:
        try:
            # A password that is never None keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(settings.kafka_cert, settings.kafka_key or None, settings.kafka_key_password)
        except OSError as error:
            places = " and ".join(filter(None, (settings.kafka_cert, settings.kafka_key)))
            message = (
                f"Expected a client's certificate and its key in {places}, found: {_reason(error)}; correct "
                f"{variable('kafka_cert')}, {variable('kafka_key')} or {variable('kafka_key_password')}."
            )
            raise SettingsError(message) from error
    return context


def _trusting(certificates: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=certificates or None)
    except OSError as error:
        place = f"{certificates} ({variable('kafka_ca')})"
        message = f"Expected certificates in {place}, found: {_reason(error)}; correct the path."
        raise SettingsError(message) from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
