"""Settings that contradict each other or are out of bounds: one sentence for each, what to do in it."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import SplitResult, urlsplit

from stream_app.credentials import hide_password
from stream_app.settings import Settings, variable

_PORTS: Final = 65_535
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})")
_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}")
_BOUNDS: Final = {
    "commit_ms": (5, 5_000),
    "flush_ms": (50, 60_000),
    "resident_rows": (1_000, 500_000_000),
    "session_timeout_ms": (1_000, 300_000),
    "snapshot_minutes": (1, 100_000),
    "snapshots_kept": (1, 10_000),
}


def problems(settings: Settings) -> Iterator[str]:
    """Yield what is wrong with settings."""
    yield from _of_kafka(settings)
    yield from _of_redis(settings)
    yield from _of_names(settings)
    if not is_place(settings.web):
        yield f"Expected host:port in {variable('web')}, found {hide_password(settings.web)!r}; correct it."
    for name, (least, most) in _BOUNDS.items():
        if not least <= getattr(settings, name) <= most:
            yield f"Expected {least} to {most} in {variable(name)}, found {getattr(settings, name)}; correct it."


def is_place(text: str) -> bool:
    """Return whether a text is host:port."""
    found = _PLACE.fullmatch(text)
    return found is not None and 1 <= int(found[2]) <= _PORTS


def _of_kafka(settings: Settings) -> Iterator[str]:
    security = settings.kafka_security
    for place in settings.kafka.split(","):
        if not is_place(place.strip()):
            yield (
                f"Expected brokers as host:port, separated by commas, in {variable('kafka')}, "
                f"found {hide_password(place)!r}; correct it."
            )
    if security.startswith("SASL") and not (settings.kafka_user and settings.kafka_password):
        missing = "the user" if settings.kafka_password else "the password" if settings.kafka_user else "neither"
        found = "neither" if missing == "neither" else f"{missing} missing"
        yield (
            f"Expected {variable('kafka_user')} and {variable('kafka_password')} for {security}, found {found}; set "
            "both."
        )
    if not security.startswith("SASL") and (settings.kafka_user or settings.kafka_password):
        yield (
            f"Expected no Kafka user or password for {security}, found one; "
            f"set {variable('kafka_security')} to SASL_SSL or SASL_PLAINTEXT, or remove it."
        )
    for name in ("kafka_ca", "kafka_cert", "kafka_key"):
        if getattr(settings, name) and not security.endswith("SSL"):
            yield f"Expected {variable(name)} only with SSL or SASL_SSL, found {security}; correct one."
    if (settings.kafka_key or settings.kafka_key_password) and not settings.kafka_cert:
        yield f"Expected {variable('kafka_cert')} beside the key, found none; name the client's certificate."


def _of_redis(settings: Settings) -> Iterator[str]:
    parts = urlsplit(settings.redis)
    shown = repr(hide_password(settings.redis))
    if parts.scheme == "memory":
        if settings.redis_password or settings.redis_cluster or settings.redis_ca:
            yield f"Expected a redis:// URL beside other settings of Redis, found {shown}; correct one."
        return
    if parts.scheme not in {"redis", "rediss"} or not _is_server(parts):
        yield (
            f"Expected a URL such as redis://host:6379/0 or rediss://user@host:6379/0 in {variable('redis')}, "
            f"found {shown}; correct it (the password may stand in {variable('redis_password')})."
        )
        return
    if settings.redis_ca and parts.scheme != "rediss":
        yield f"Expected {variable('redis_ca')} only with a rediss:// URL, found {parts.scheme}://; correct one."
    if parts.password and settings.redis_password:
        yield f"Expected the password of Redis once, found it in {variable('redis')} and apart; remove one."
    if settings.redis_cluster and parts.path.strip("/0"):
        yield f"Expected no database but 0 of a Redis Cluster, found {shown}; remove its number."


def _is_server(parts: SplitResult) -> bool:
    try:
        port = parts.port
    except ValueError:
        return False
    plain = not parts.query and not parts.fragment and re.fullmatch(r"/?[0-9]*", parts.path)
    return bool(parts.hostname and port != 0 and plain)


def _of_names(settings: Settings) -> Iterator[str]:
    topics = [settings.transactions_topic, settings.scores_topic, settings.alerts_topic, settings.dlq_topic]
    if len(set(topics)) < len(topics):
        yield f"Expected four different topics, found {', '.join(topics)}; give each a name of its own."
    for name in ("transactions_topic", "scores_topic", "alerts_topic", "dlq_topic", "group", "instance"):
        text = getattr(settings, name)
        if not _NAME.fullmatch(text) and not (name == "instance" and not text):
            yield (
                f"Expected 1 to 200 letters, digits, dots, _ and - in {variable(name)}, found {text[:200]!r}; "
                "correct it."
            )
