"""The doctor: each finding where it is due, its absence where it is not, and nothing that is secret."""

import json
import socket
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from schemas import spec_file
from stream_app import cli
from stream_app.bundle import Bundle
from stream_app.checkup import rows, store, topics
from stream_app.checkup.cluster import Cluster, Group, Operation, Topic
from stream_app.checkup.finding import Finding, Level, ok
from stream_app.checkup.place import place_findings
from stream_app.embedded import ports
from stream_app.settings import Settings
from stream_app.store.port import Marker, StoreFacts
from tests.bundles import random_bundle

ALL: Final = frozenset(Operation)
NAMES: Final = ("transactions", "scores", "alerts", "transactions.dlq")
DAY_MS: Final = 86_400_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Write a bundle of the built-in bank."""
    return random_bundle(tmp_path_factory.mktemp("doctor") / "bundle", spec_file.bank())


def cluster(**changes: Topic | None) -> Cluster:
    """Return a cluster with which nothing is wrong but the changes: topics by name, None where one is missing."""
    found: dict[str, Topic | None] = {name: Topic(4, copies=3, allowed=ALL) for name in NAMES}
    found |= changes
    present = {name: topic for name, topic in found.items() if topic is not None}
    return Cluster({1: "a:1", 2: "b:1", 3: "c:1"}, present, ALL)


def bad(findings: list[Finding]) -> list[tuple[Level, str]]:
    """Return the level and subject of what is not OK; each of these must tell what to do."""
    found = [finding for finding in findings if finding.level is not Level.OK]
    assert all(finding.text.startswith("Expected ") and "; " in finding.text for finding in found)
    return [(finding.level, finding.subject) for finding in found]


def of_topics(found: Cluster, settings: Settings | None = None) -> list[Finding]:
    return list(topics.topic_findings(found, settings or Settings()))


# Topics


def test_four_topics_that_are_as_they_should_be_are_four_times_ok() -> None:
    assert of_topics(cluster()) == [ok(f"topic {name}", "4 partitions") for name in NAMES]


def test_an_input_that_is_not_there_fails() -> None:
    findings = of_topics(cluster(transactions=None))
    assert bad(findings) == [(Level.FAIL, "topic transactions")]
    assert "found it not there" in findings[0].text
    assert "none that this user may see" in of_topics(cluster(transactions=None), Settings(kafka_user="a"))[0].text


def test_outputs_that_are_not_there_will_be_made_where_that_is_allowed() -> None:
    missing = cluster(scores=None)
    assert bad(of_topics(missing)) == []
    assert "the worker will make it with 4 partitions" in of_topics(missing)[1].text
    assert bad(of_topics(replace(missing, allowed=None))) == []
    assert bad(of_topics(replace(missing, allowed=ALL - {Operation.CREATE}))) == [(Level.WARN, "topic scores")]


def test_outputs_must_have_as_many_partitions_as_the_input() -> None:
    findings = of_topics(cluster(alerts=Topic(3, copies=3, allowed=ALL)))
    assert bad(findings) == [(Level.FAIL, "topic alerts")]
    assert "Expected 4 partitions, as the input has, found 3" in findings[2].text


def test_partitions_without_a_leader_fail() -> None:
    findings = of_topics(cluster(transactions=Topic(4, leaderless=2, copies=3, allowed=ALL)))
    assert bad(findings) == [(Level.FAIL, "topic transactions")]


@pytest.mark.parametrize(
    ("name", "needed", "missing"),
    [("transactions", {Operation.WRITE}, "Read"), ("scores", {Operation.READ, Operation.CREATE}, "Write")],
)
def test_the_input_must_be_readable_and_the_outputs_writable(name: str, needed: set[Operation], missing: str) -> None:
    lacking = Topic(4, copies=3, allowed=frozenset({Operation.DESCRIBE, *needed}))
    findings = of_topics(cluster(**{name: lacking}))
    assert bad(findings) == [(Level.FAIL, f"topic {name}")]
    assert f"Expected to be allowed {missing}, found it refused" in "".join(finding.text for finding in findings)
    enough = {"Read": Operation.READ, "Write": Operation.WRITE}[missing]
    assert bad(of_topics(cluster(**{name: replace(lacking, allowed=frozenset({Operation.DESCRIBE, enough}))}))) == []


@pytest.mark.parametrize("silent", [("scores",), NAMES])
def test_a_cluster_that_does_not_tell_what_is_allowed_is_worth_one_warning(silent: tuple[str, ...]) -> None:
    untold = dict.fromkeys(silent, Topic(4, copies=3, allowed=None))
    assert bad(of_topics(cluster(**untold))) == [(Level.WARN, "permissions")]


def test_a_single_copy_is_worth_a_warning_where_there_could_be_more() -> None:
    single = cluster(scores=Topic(4, copies=1, allowed=ALL))
    assert bad(of_topics(single)) == [(Level.WARN, "topic scores")]
    assert bad(of_topics(replace(single, brokers={1: "a:1"}))) == []


# Configuration


def of_input(**config: str) -> list[Finding]:
    names = {name.replace("_", "."): value for name, value in config.items()}
    return list(topics.config_findings({"transactions": {"cleanup.policy": "delete", **names}}, Settings()))


def test_a_log_that_is_kept_for_a_year_or_for_good_is_ok() -> None:
    kept = [of_input(retention_ms=text, retention_bytes="-1") for text in ("-1", str(365 * DAY_MS), str(400 * DAY_MS))]
    assert [[finding.text for finding in found] for found in kept] == [
        ["kept for good"],
        ["kept for 365 days"],
        ["kept for 400 days"],
    ]


@pytest.mark.parametrize(
    ("config", "level", "words"),
    [
        ({"retention_ms": str(365 * DAY_MS - 1)}, Level.WARN, "found 365.0 days"),
        (
            {"retention_ms": str(7 * DAY_MS)},
            Level.WARN,
            "found 7.0 days: rows that Redis loses cannot be computed again",
        ),
        ({"retention_ms": "-1", "retention_bytes": "1000000"}, Level.WARN, "found 1,000,000 a partition"),
        ({"cleanup_policy": "compact", "retention_ms": "-1"}, Level.FAIL, "found compaction"),
        ({"cleanup_policy": "compact,delete", "retention_ms": "-1"}, Level.FAIL, "found compaction"),
    ],
)
def test_a_log_that_loses_records_is_told(config: dict[str, str], level: Level, words: str) -> None:
    findings = of_input(**config)
    assert bad(findings) == [(level, "topic transactions")]
    assert words in findings[0].text


def test_a_configuration_that_may_not_be_seen_is_worth_a_warning() -> None:
    assert bad(list(topics.config_findings({}, Settings()))) == [(Level.WARN, "topic transactions")]


def test_outputs_must_take_as_much_as_is_sent_at_once() -> None:
    def found(largest: str) -> list[tuple[Level, str]]:
        given = {"transactions": {"retention.ms": "-1"}, "alerts": {"max.message.bytes": largest}}
        return bad(list(topics.config_findings(given, Settings())))

    assert found("999999") == [(Level.FAIL, "topic alerts")]
    assert found("1000000") == []


def test_the_brokers_limits_must_allow_the_settings() -> None:
    def found(delivery: str = "exactly_once", **config: str) -> list[tuple[Level, str]]:
        names = {name.replace("_", "."): value for name, value in config.items()}
        settings = Settings(delivery="exactly_once" if delivery == "exactly_once" else "at_least_once")
        return bad(list(topics.broker_findings(names, settings)))

    assert found() == []
    assert found(group_min_session_timeout_ms="6000", group_max_session_timeout_ms="6000") == []
    assert found(group_min_session_timeout_ms="6001") == [(Level.FAIL, "session time-out")]
    assert found(group_max_session_timeout_ms="5999") == [(Level.FAIL, "session time-out")]
    assert found(transaction_max_timeout_ms="15000") == []
    assert found(transaction_max_timeout_ms="14999") == [(Level.FAIL, "transactions")]
    assert found("at_least_once", transaction_max_timeout_ms="14999") == []
    assert found(offsets_retention_minutes="10080") == []
    assert found(offsets_retention_minutes="10079") == [(Level.WARN, "committed offsets")]


# The group

GROUP: Final = Group("Stable", "consumer", 2, ALL, {0: 5, 1: 10})
BOUNDS: Final = {0: (0, 20), 1: (10, 10), 2: (3, 7)}


def of_group(group: Group = GROUP) -> list[Finding]:
    return list(topics.group_findings(group, BOUNDS, Settings()))


def test_a_group_tells_how_far_it_is_behind() -> None:
    assert of_group() == [ok("group foretell", "stable, 2 in it, 2 of 3 partitions begun, 19 records behind")]
    fresh = Group("Dead", "", 0, ALL)
    assert of_group(fresh) == [
        ok("group foretell", "not there yet, nobody in it, 0 of 3 partitions begun, 24 records behind")
    ]


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (replace(GROUP, protocol="connect"), "Expected a group of consumers, found connect"),
        (replace(GROUP, allowed=ALL - {Operation.READ}), "Expected to be allowed Read, found only Describe"),
        (replace(GROUP, committed={1: 9, 2: 2}), "found it cut off behind that on partition 1, 2"),
        (replace(GROUP, committed={0: 21, 2: 7}), "found them past its end on partition 0"),
    ],
)
def test_a_group_that_cannot_go_on_fails(group: Group, words: str) -> None:
    findings = of_group(group)
    assert bad(findings) == [(Level.FAIL, "group foretell")]
    assert words in findings[0].text


def test_committed_offsets_at_both_ends_of_the_log_are_right() -> None:
    assert bad(of_group(replace(GROUP, committed={0: 0, 1: 10, 2: 7}))) == []


# The store

FACTS: Final = StoreFacts(server="Redis", version="7.0.15", maxmemory_bytes=1_000_000)


def test_a_store_that_is_as_it_should_be_is_ok() -> None:
    assert store.of_facts(FACTS) == [ok("store", "Redis 7.0.15, maxmemory 1,000,000, appendonly, clocks agree")]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(FACTS, maxmemory_policy="allkeys-lru"), (Level.FAIL, "store")),
        (replace(FACTS, version="5.0.1"), (Level.FAIL, "store")),
        (replace(FACTS, appendonly=False), (Level.WARN, "store")),
        (replace(FACTS, saved=False), (Level.WARN, "store")),
        (replace(FACTS, primary=False), (Level.WARN, "store")),
        (replace(FACTS, skew_s=6.0), (Level.WARN, "clock")),
        (replace(FACTS, skew_s=-6.0), (Level.WARN, "clock")),
        (StoreFacts(server="memory", version="", appendonly=False), (Level.WARN, "store")),
    ],
)
def test_a_store_that_is_not_is_told(facts: StoreFacts, expected: tuple[Level, str]) -> None:
    assert bad(store.of_facts(facts)) == [expected]


# Rows


def test_rows_must_be_of_the_bundle_and_of_as_many_partitions(bundle: Bundle) -> None:
    mine = Marker(owner="o", flushed=7, partitions=2, last=6, bundle=bundle.sha256, started=bundle.sha256)
    later = mine._replace(bundle="b" * 64)
    assert bad(rows.of_markers([mine, Marker()], bundle)) == []
    assert bad(rows.of_markers([later, mine], bundle)) == [], "an activate has come since the start with this bundle"
    assert bad(rows.of_markers([later._replace(started="a" * 64), mine], bundle)) == [(Level.FAIL, "rows")]
    assert bad(rows.of_markers([mine, mine, mine], bundle)) == [(Level.FAIL, "rows")]
    assert [finding.text for finding in rows.of_markers([Marker(), Marker()], bundle)] == [
        f"none yet in state layout {bundle.manifest.layout}"
    ]


# This machine


def test_a_bundle_that_can_be_used_is_ok(bundle: Bundle) -> None:
    findings = list(place_findings(Settings(bundle=str(bundle.path), web=f"127.0.0.1:{ports.free()}")))
    assert bad(findings) == []
    assert f"{bundle.short}, state layout {bundle.manifest.layout}, " in findings[0].text
    assert findings[1].text == f"1 in {bundle.path.parent} for `foretell activate`"


def test_a_bundle_that_is_missing_or_spoilt_is_told(bundle: Bundle, tmp_path: Path) -> None:
    web = f"127.0.0.1:{ports.free()}"
    (tmp_path / "manifest.json").write_bytes(b"{}")
    assert bad(list(place_findings(Settings(web=web)))) == [(Level.WARN, "bundle")]
    assert bad(list(place_findings(Settings(bundle=str(tmp_path), web=web)))) == [(Level.FAIL, "bundle")]
    nowhere = Settings(bundle=str(bundle.path), bundles=str(tmp_path / "none"), web=web)
    assert bad(list(place_findings(nowhere))) == [(Level.FAIL, "bundles")]


def test_a_port_in_use_is_worth_a_warning_and_an_address_that_is_not_ours_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = f"127.0.0.1:{taken.getsockname()[1]}"
        assert (Level.WARN, "web") in bad(list(place_findings(Settings(web=used))))
    assert (Level.WARN, "web") not in bad(list(place_findings(Settings(web=used))))
    assert (Level.FAIL, "web") in bad(list(place_findings(Settings(web="192.0.2.1:8080"))))


# The verb


def test_where_nothing_is_reached_the_doctor_says_so_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka, redis, precious = (f"127.0.0.1:{ports.free()}" for _ in range(3))
    monkeypatch.setattr(store, "LOOK_S", 0.5)
    monkeypatch.setenv("FORETELL_REDIS_PASSWORD", precious)
    arguments = ["doctor", "--kafka", kafka, "--redis", f"redis://{redis}", "--web", f"127.0.0.1:{ports.free()}"]
    assert cli.main([*arguments, "--json"]) == 1
    caught = capsys.readouterr()
    found = [json.loads(line) for line in caught.out.splitlines()]
    assert [(line["level"], line["subject"]) for line in found] == [
        ("WARN", "bundle"),
        ("OK", "web"),
        ("FAIL", "kafka"),
        ("FAIL", "store"),
    ]
    assert f"Expected Kafka at {kafka}, found no answer (connection refused)" in found[2]["text"]
    assert f"Expected an answer of Redis at {redis}" in found[3]["text"]
    assert precious not in caught.out + caught.err
    assert caught.err == ""


def test_a_secret_that_a_finding_would_show_is_masked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "LOOK_S", 0.1)
    monkeypatch.setenv("FORETELL_REDIS_PASSWORD", "hunter2")
    nobody = [f"127.0.0.1:{ports.free()}" for _ in range(2)]
    cli.main(["doctor", "--bundle", str(tmp_path / "hunter2"), "--kafka", nobody[0], "--redis", f"redis://{nobody[1]}"])
    told = capsys.readouterr().out
    assert f"FAIL  bundle: Expected manifest.json in the bundle {tmp_path}/***, found: No such file" in told
    assert "hunter2" not in told
