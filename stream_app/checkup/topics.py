"""What follows from topics, group and configuration as they were found. No function here does I/O."""

from collections.abc import Iterator, Mapping
from typing import Final

from stream_app import kafka
from stream_app.checkup.cluster import Cluster, Group, Operation, Topic
from stream_app.checkup.finding import Finding, fail, ok, warn
from stream_app.settings import Settings, variable

DAY_MS: Final = 86_400_000
MEMORY_DAYS: Final = 365
"""How long ago something may be that still counts in a row: yearly anniversaries, and what was said of a customer."""
TOPIC_CONFIGS: Final = (
    "cleanup.policy",
    "max.message.bytes",
    "message.timestamp.type",
    "retention.bytes",
    "retention.ms",
)
BROKER_CONFIGS: Final = (
    "group.max.session.timeout.ms",
    "group.min.session.timeout.ms",
    "offsets.retention.minutes",
    "transaction.max.timeout.ms",
)
_READ: Final = frozenset({Operation.DESCRIBE, Operation.READ})
_WRITE: Final = frozenset({Operation.DESCRIBE, Operation.WRITE})
_WEEK_MINUTES: Final = 7 * 24 * 60
_MANY: Final = 3
"""From so many brokers on, a topic of which there is one copy could have more."""


def topic_findings(cluster: Cluster, settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of the four topics, their partitions and permissions."""
    name = settings.transactions_topic
    given = cluster.topics.get(name)
    if given is None:
        seen = "none that this user may see" if settings.kafka_user else "it not there"
        yield fail(
            f"topic {name}",
            f"Expected the input topic, found {seen}; make it with as many partitions as there will ever be workers "
            f"(their number cannot change later), or correct {variable('transactions_topic')}.",
        )
    else:
        yield from _of_topic(name, given, _READ, len(cluster.brokers))
    for setting in ("scores_topic", "alerts_topic", "dlq_topic"):
        name = getattr(settings, setting)
        found = cluster.topics.get(name)
        if found is None:
            yield _missing_output(name, given, cluster)
        elif given is not None and found.partitions != given.partitions:
            yield fail(
                f"topic {name}",
                f"Expected {given.partitions} partitions, as the input has, found {found.partitions}; make the "
                f"topic anew or name another in {variable(setting)}.",
            )
        else:
            yield from _of_topic(name, found, _WRITE, len(cluster.brokers))
    if any(topic.allowed is None for topic in cluster.topics.values()):
        yield warn(
            "permissions",
            "Expected to see what is allowed on the topics, found brokers that do not tell; look yourself, or use "
            "Apache Kafka 2.3 or newer.",
        )


def config_findings(configs: Mapping[str, Mapping[str, str]], settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of how long the input is kept, and how large a batch the outputs take.

    Args:
        configs: of topics, by name; those that may not be looked at are missing.
        settings: of the worker.
    """
    name = settings.transactions_topic
    if name not in configs:
        yield warn(
            f"topic {name}",
            "Expected to see its configuration, found none that may be seen; allow DescribeConfigs on it, or look "
            "yourself whether retention.ms is -1 and cleanup.policy is delete.",
        )
    else:
        yield from _of_input(name, configs[name])
    for output in (settings.scores_topic, settings.alerts_topic, settings.dlq_topic):
        largest = _number(configs.get(output, {}), "max.message.bytes")
        if largest is not None and largest < kafka.LARGEST_BATCH:
            yield fail(
                f"topic {output}",
                f"Expected max.message.bytes of at least {kafka.LARGEST_BATCH:,}, for so much is sent at once, found "
                f"{largest:,}; raise it.",
            )


def broker_findings(config: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of time-outs that do not fit the brokers'; nothing for what may not be seen."""
    least, most = (_number(config, f"group.{end}.session.timeout.ms") for end in ("min", "max"))
    session_ms = settings.session_timeout_ms
    if (least is not None and session_ms < least) or (most is not None and session_ms > most):
        yield fail(
            "session time-out",
            f"Expected {variable('session_timeout_ms')} from {least} to {most}, which the brokers allow, found "
            f"{session_ms}; correct it.",
        )
    longest = _number(config, "transaction.max.timeout.ms")
    if settings.delivery == "exactly_once" and longest is not None and longest < kafka.TRANSACTION_TIMEOUT_MS:
        yield fail(
            "transactions",
            f"Expected the brokers to allow transactions of {kafka.TRANSACTION_TIMEOUT_MS:,} ms, found {longest:,}; "
            "raise transaction.max.timeout.ms.",
        )
    kept = _number(config, "offsets.retention.minutes")
    if kept is not None and kept < _WEEK_MINUTES:
        yield warn(
            "committed offsets",
            f"Expected them to be kept for a week at least, found {kept:,} minutes; raise "
            "offsets.retention.minutes: workers that stand still for longer refuse to start.",
        )


def group_findings(group: Group, bounds: Mapping[int, tuple[int, int]], settings: Settings) -> Iterator[Finding]:
    """Yield what is to be said of the consumer group.

    Args:
        group: as found.
        bounds: of each partition of the input, the first offset that the log still has and the one behind the last.
        settings: of the worker.
    """
    subject = f"group {settings.group}"
    if group.protocol not in {"", "consumer"}:
        yield fail(
            subject,
            f"Expected a group of consumers, found {group.protocol}; choose another {variable('group')}.",
        )
    if group.allowed is not None and Operation.READ not in group.allowed:
        yield fail(subject, f"Expected to be allowed Read, found only Describe; allow it for {_who(settings)}.")
    lost = [number for number, offset in group.committed.items() if offset < bounds.get(number, (0, 0))[0]]
    ahead = [number for number, offset in group.committed.items() if number in bounds and offset > bounds[number][1]]
    if lost:
        yield fail(
            subject,
            "Expected the log to reach back to what was committed, found it cut off behind that on partition "
            f"{_list(lost)}: records are lost to this group; raise the topic's retention and begin with another "
            f"{variable('group')}.",
        )
    if ahead:
        yield fail(
            subject,
            f"Expected committed offsets within the log, found them past its end on partition {_list(ahead)}: the "
            f"topic was made anew; begin with another {variable('group')}.",
        )
    if not lost and not ahead:
        lag = sum(end - group.committed.get(number, first) for number, (first, end) in bounds.items())
        members = f"{group.members} in it" if group.members else "nobody in it"
        begun = f"{len(group.committed)} of {len(bounds)} partitions begun" if bounds else "no partitions"
        state = "not there yet" if group.state in {"", "Dead"} else group.state.lower()
        yield ok(subject, f"{state}, {members}, {begun}, {lag:,} records behind")


def _of_topic(name: str, topic: Topic, needed: frozenset[Operation], brokers: int) -> Iterator[Finding]:
    subject = f"topic {name}"
    if topic.leaderless:
        yield fail(
            subject,
            f"Expected a leader of each of its {topic.partitions} partitions, found {topic.leaderless} without; "
            "start the brokers that are missing.",
        )
    if topic.allowed is not None and not needed <= topic.allowed:
        missing = ", ".join(sorted(operation.name.title() for operation in needed - topic.allowed))
        yield fail(subject, f"Expected to be allowed {missing}, found it refused; allow it on this topic.")
    if topic.copies == 1 and brokers >= _MANY:
        yield warn(
            subject,
            f"Expected more than one copy of it on {brokers} brokers, found one; raise its replication factor, or "
            "one broker's loss stops its partitions.",
        )
    elif not topic.leaderless and (topic.allowed is None or needed <= topic.allowed):
        yield ok(subject, f"{topic.partitions} partitions")


def _missing_output(name: str, given: Topic | None, cluster: Cluster) -> Finding:
    partitions = f"{given.partitions} partitions" if given else "as many partitions as the input"
    if cluster.allowed is None or Operation.CREATE in cluster.allowed:
        return ok(f"topic {name}", f"not there yet: the worker will make it with {partitions}")
    return warn(
        f"topic {name}",
        f"Expected it, or to be allowed to make it, found neither; make it with {partitions}, or allow Create on it.",
    )


def _of_input(name: str, config: Mapping[str, str]) -> Iterator[Finding]:
    subject = f"topic {name}"
    if "compact" in config.get("cleanup.policy", "delete"):
        yield fail(
            subject,
            "Expected cleanup.policy delete, found compaction: it removes a customer's older records, and with "
            "them what state is computed from; set it to delete.",
        )
    kept_ms, kept_bytes = _number(config, "retention.ms"), _number(config, "retention.bytes")
    long_enough = kept_ms is not None and (kept_ms < 0 or kept_ms >= MEMORY_DAYS * DAY_MS)
    if kept_ms is not None and not long_enough:
        yield warn(
            subject,
            f"Expected retention.ms of -1 or at least {MEMORY_DAYS} days, found {kept_ms / DAY_MS:.1f} days: rows "
            "that Redis loses cannot be computed again from records that are gone, and a worker then refuses to go "
            "on; raise it.",
        )
    if kept_bytes is not None and kept_bytes >= 0:
        yield warn(
            subject,
            f"Expected retention.bytes -1, found {kept_bytes:,} a partition: how far back the log reaches then "
            "depends on how much comes in; set it to -1.",
        )
    elif kept_ms is not None and long_enough:
        yield ok(subject, "kept for good" if kept_ms < 0 else f"kept for {kept_ms // DAY_MS:,} days")


def _number(config: Mapping[str, str], name: str) -> int | None:
    text = config.get(name) or ""
    return int(text) if text.lstrip("-").isdecimal() else None


def _who(settings: Settings) -> str:
    return f"the user {settings.kafka_user}" if settings.kafka_user else "this client"


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))
