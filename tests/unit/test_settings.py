"""Settings: from flags before the environment before the defaults, refused in one sentence, secrets shown nowhere."""

import argparse
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from stream_app import settings
from stream_app.credentials import HIDDEN
from stream_app.settings import Settings, SettingsError

SASL = {
    "FORETELL_KAFKA_SECURITY": "SASL_SSL",
    "FORETELL_KAFKA_USER": "alice",
    "FORETELL_KAFKA_PASSWORD": "kafka-secret",
}


def loaded(environment: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    return settings.load(flags, environment or {})


def refusal(environment: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.load(flags, environment or {})
    return str(caught.value)


def parsed(*arguments: str, names: tuple[str, ...] = ()) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser, *names)
    return parser.parse_args(arguments)


# Where a setting comes from


def test_without_anything_all_have_their_defaults() -> None:
    assert loaded() == Settings()


def test_the_environment_comes_before_the_defaults_and_a_flag_before_both() -> None:
    environment = {"FORETELL_GROUP": "of-the-environment", "FORETELL_SCORES_TOPIC": "of-the-environment"}
    found = loaded(environment, {"group": "of-a-flag", "scores_topic": None})
    assert (found.group, found.scores_topic, found.alerts_topic) == ("of-a-flag", "of-the-environment", "alerts")


def test_each_kind_of_value_is_read_from_text() -> None:
    numbers = {"FORETELL_COMMIT_MS": "20", "FORETELL_REDIS_CLUSTER": "true"}
    found = loaded({**numbers, "FORETELL_START": "now", "FORETELL_DELIVERY": "at_least_once"})
    assert (found.commit_ms, found.redis_cluster, found.start, found.delivery) == (20, True, "now", "at_least_once")


def test_an_empty_variable_counts_as_not_given_and_spaces_around_a_value_do_not_count() -> None:
    empty = dict.fromkeys(("FORETELL_COMMIT_MS", "FORETELL_START", "FORETELL_KAFKA_PASSWORD_FILE"), "")
    found = loaded({**empty, "FORETELL_GROUP": " a "})
    assert found == Settings(group="a")


def test_settings_cannot_be_changed() -> None:
    name = "group"
    with pytest.raises(FrozenInstanceError):
        setattr(loaded(), name, "other")


def test_the_real_environment_is_read_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETELL_GROUP", "really")
    assert settings.load().group == "really"


# Flags


def test_every_setting_but_the_secrets_is_a_flag() -> None:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    told = parser.format_help()
    shown = {item.name for item in fields(Settings) if f"{settings.flag(item.name)} " in told}
    assert {item.name for item in fields(Settings)} - shown == {
        "kafka_password",
        "kafka_key_password",
        "redis_password",
    }


def test_flags_are_in_kebab_case_and_the_first_start_is_from() -> None:
    args = parsed("--from", "now", "--commit-ms", "20", "--redis-cluster", "--kafka", "a:1,b:2")
    found = settings.load({name: getattr(args, name) for name in args.settings_flags}, {})
    assert found == Settings(start="now", commit_ms=20, redis_cluster=True, kafka="a:1,b:2")


def test_a_verb_may_ask_for_some_flags_only_and_name_its_own_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORETELL_BUNDLE", raising=False)
    args = parsed("--group", "g", names=("group", "commit-ms"))
    args.bundle = Path("an argument of the verb")
    assert settings.from_args(args) == Settings(group="g")


def test_a_flag_that_says_no_is_not_a_flag_that_was_not_given() -> None:
    args, environment = parsed("--no-redis-cluster"), {"FORETELL_REDIS_CLUSTER": "true"}
    assert not loaded(environment, {"redis_cluster": args.redis_cluster}).redis_cluster
    assert loaded(environment, {"redis_cluster": parsed().redis_cluster}).redis_cluster


@pytest.mark.parametrize("name", ["kafka_password", "kafka_key_password", "redis_password"])
def test_a_secret_is_no_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="must not be a flag"):
        settings.add_flags(argparse.ArgumentParser(), name)
    with pytest.raises(SettingsError) as caught:
        parsed(settings.flag(name), "hunter2")
    said = str(caught.value) + "".join(capsys.readouterr())
    assert f"Expected no secret in {settings.flag(name)}" in said
    assert f"give it in {settings.variable(name)} or {settings.variable(name)}_FILE" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", ["redis://:hunter2@h:1", "redis://u:hunter2@h:1/0", "rediss://h:1?password=hunter2"])
def test_a_password_in_a_url_is_refused_in_a_flag_and_taken_from_the_environment(url: str) -> None:
    said = refusal(flags={"redis": url})
    assert "Expected no secret in --redis" in said
    assert "hunter2" not in said
    if "?" not in url:
        assert loaded({"FORETELL_REDIS": url}).redis == url


def test_a_flag_that_is_malformed_is_told_by_its_own_name() -> None:
    assert refusal(flags={"commit_ms": "soon"}) == "Expected a whole number in --commit-ms, found 'soon'; correct it."
    assert refusal(flags={"start": "yesterday"}).startswith(
        "Expected one of earliest, now in --from, found 'yesterday'"
    )


# Secrets


def test_a_secret_may_come_from_a_file_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(" séc ret \r\n".encode())
    environment = {**SASL, "FORETELL_KAFKA_PASSWORD_FILE": str(tmp_path / "password")}
    del environment["FORETELL_KAFKA_PASSWORD"]
    expected = " séc ret "
    assert loaded(environment).kafka_password == expected


def test_a_url_that_may_hold_a_password_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://:hunter2@h:1/3\n", encoding="utf-8")
    assert loaded({"FORETELL_REDIS_FILE": str(tmp_path / "url")}).redis == "redis://:hunter2@h:1/3"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"", "found it empty"),
        (b"\n", "found it empty"),
        (b"\xff", "no text in UTF-8"),
    ],
)
def test_a_secret_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    said = refusal({"FORETELL_REDIS_PASSWORD_FILE": str(path)})
    assert f"Expected a secret in the file that FORETELL_REDIS_PASSWORD_FILE names, {path}" in said
    assert words in said


def test_a_secret_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("two", encoding="utf-8")
    path = str(tmp_path / "password")
    said = refusal({"FORETELL_REDIS_PASSWORD": "one", "FORETELL_REDIS_PASSWORD_FILE": path})
    assert said == "Expected FORETELL_REDIS_PASSWORD_FILE or FORETELL_REDIS_PASSWORD, found both; remove one."


def test_secrets_are_shown_nowhere() -> None:
    found = loaded({**SASL, "FORETELL_REDIS": "redis://user:in%2Fthe-url@h:1", "FORETELL_KAFKA_CA": "ca.pem"})
    shown = repr(found) + str(found) + repr(found.redacted())
    assert found.redacted()["kafka_password"] == HIDDEN
    assert found.redacted()["redis"] == "redis://user:***@h:1"
    assert found.redacted()["redis_password"] == ""
    assert [secret for secret in ("kafka-secret", "in%2Fthe-url", "in/the-url") if secret in shown] == []
    assert {"kafka-secret", "in%2Fthe-url", "in/the-url"} <= set(found.secrets())


def test_a_text_that_is_meant_to_be_a_url_is_shown_without_what_may_be_its_password() -> None:
    shown = {
        "redis://u:p@s/s@h:1/0": "redis://u:***@h:1/0",
        "u:p@s/s@h:1": "u:***@h:1",
        "redis://:p:s@h": "redis://:***@h",
        "redis://h?a=b&PASSWORD=p@s/s&c=d": "redis://h?a=b&PASSWORD=***&c=d",
        "redis://u@h:1/0": "redis://u@h:1/0",
        "localhost:9092": "localhost:9092",
    }
    assert {url: settings.hide_password(url) for url in shown} == shown


def test_a_longer_secret_is_hidden_before_one_that_is_a_part_of_it() -> None:
    found = loaded({**SASL, "FORETELL_REDIS_PASSWORD": "kafka-secret-2"})
    lengths = [len(secret) for secret in found.secrets()]
    assert lengths == sorted(lengths, reverse=True)


def test_secrets_of_an_environment_are_known_even_where_no_settings_can_be_made_of_it(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of-a-file\n", encoding="utf-8")
    environment = {
        "FORETELL_KAFAK": "x",
        "FORETELL_KAFKA_PASSWORD": "of-a-variable",
        "FORETELL_REDIS_PASSWORD_FILE": str(tmp_path / "password"),
        "FORETELL_KAFKA_KEY_PASSWORD_FILE": str(tmp_path / "missing"),
        "FORETELL_REDIS": "redis://:of-a-url@h:1",
    }
    assert {"of-a-file", "of-a-variable", "of-a-url"} == set(settings.secrets_of(environment))


def test_what_would_stand_in_every_text_is_not_masked() -> None:
    assert loaded({"FORETELL_REDIS_PASSWORD": "ab"}).secrets() == ()


# What is refused


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("FORETELL_KAFAK", "did you mean FORETELL_KAFKA?"),
        ("FORETELL_TRANSACTION_TOPIC", "did you mean FORETELL_TRANSACTIONS_TOPIC?"),
        ("FORETELL_REDIS_PASSWORD_FIEL", "did you mean FORETELL_REDIS_PASSWORD_FILE?"),
        ("FORETELL_KAFKA_PORT", "did you mean"),
        ("FORETELL_ZZZZZZZZZZZZZZZZZZZZZZ", "remove it or correct its name"),
    ],
)
def test_a_variable_that_is_no_setting_is_told_with_the_nearest_name_and_without_its_value(
    name: str, near: str
) -> None:
    said = refusal({name: "hunter2"})
    assert f"found {name} in the environment" in said
    assert near in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FORETELL_DATA", "/data"),
        ("FORETELL_TEST_REQUIRE", "kafka"),
        ("FORETELL_KAFKA_LIBS", "/libs"),
        ("FORETELL_SERVICE_HOST", "10.0.0.1"),
        ("FORETELL_SERVICE_PORT_HTTP", "80"),
        ("FORETELL_PORT", "tcp://10.0.0.1:80"),
        ("FORETELL_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("FORETELL_REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("FORETELL_REDIS_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("OTHER_KAFAK", "x"),
    ],
)
def test_variables_of_tests_and_of_kubernetes_are_none_of_ours(name: str, value: str) -> None:
    assert loaded({name: value}) == Settings()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"FORETELL_COMMIT_MS": "5.0"}, "Expected a whole number in FORETELL_COMMIT_MS, found '5.0'"),
        ({"FORETELL_COMMIT_MS": "-5"}, "Expected a whole number in FORETELL_COMMIT_MS, found '-5'"),
        ({"FORETELL_COMMIT_MS": "4"}, "Expected 5 to 5000 in FORETELL_COMMIT_MS, found 4"),
        ({"FORETELL_FLUSH_MS": "60001"}, "Expected 50 to 60000 in FORETELL_FLUSH_MS, found 60001"),
        ({"FORETELL_RESIDENT_ROWS": "10"}, "in FORETELL_RESIDENT_ROWS"),
        ({"FORETELL_SESSION_TIMEOUT_MS": "999"}, "Expected 1000 to 300000 in FORETELL_SESSION_TIMEOUT_MS"),
        ({"FORETELL_REDIS_CLUSTER": "yes"}, "Expected true or false in FORETELL_REDIS_CLUSTER, found 'yes'"),
        ({"FORETELL_DELIVERY": "twice"}, "Expected one of exactly_once, at_least_once in FORETELL_DELIVERY"),
        ({"FORETELL_LOG_FORMAT": "xml"}, "Expected one of text, json in FORETELL_LOG_FORMAT"),
        ({"FORETELL_KAFKA": "localhost"}, "Expected brokers as host:port"),
        ({"FORETELL_KAFKA": "a:1,,b:2"}, "Expected brokers as host:port"),
        ({"FORETELL_KAFKA": "kafka://a:1"}, "found 'kafka://a:1'"),
        ({"FORETELL_KAFKA": "a:65536"}, "Expected brokers as host:port"),
        ({"FORETELL_WEB": "8080"}, "Expected host:port in FORETELL_WEB, found '8080'"),
        ({"FORETELL_WEB": "127.0.0.1:0"}, "Expected host:port in FORETELL_WEB, found '127.0.0.1:0'"),
        ({"FORETELL_GROUP": "a b"}, "letters, digits, dots, _ and - in FORETELL_GROUP, found 'a b'"),
        ({"FORETELL_GROUP": "x" * 201}, "in FORETELL_GROUP"),
        ({"FORETELL_INSTANCE": "a/b"}, "in FORETELL_INSTANCE"),
        ({"FORETELL_SCORES_TOPIC": "a:b"}, "in FORETELL_SCORES_TOPIC"),
        ({"FORETELL_DLQ_TOPIC": ".."}, "in FORETELL_DLQ_TOPIC"),
        ({"FORETELL_SCORES_TOPIC": "transactions"}, "Expected four different topics"),
        ({"FORETELL_REDIS": "http://h:1"}, "Expected a URL such as redis://host:6379/0"),
        ({"FORETELL_REDIS": "h:6379"}, "Expected a URL such as redis://host:6379/0"),
        ({"FORETELL_REDIS": "redis://"}, "Expected a URL such as"),
        ({"FORETELL_REDIS": "redis://h:99999"}, "Expected a URL such as"),
        ({"FORETELL_REDIS": "redis://h:1/one"}, "Expected a URL such as"),
        ({"FORETELL_REDIS": "redis://h:1?db=2"}, "Expected a URL such as"),
        ({"FORETELL_REDIS": "redis://:a#b@h:1"}, "the password may stand in FORETELL_REDIS_PASSWORD"),
        ({"FORETELL_REDIS": "redis://h:1/1", "FORETELL_REDIS_CLUSTER": "1"}, "Expected no database but 0"),
        ({"FORETELL_REDIS": "redis://:a@h:1", "FORETELL_REDIS_PASSWORD": "b"}, "Expected the password of Redis once"),
        ({"FORETELL_REDIS_CA": "ca.pem"}, "Expected FORETELL_REDIS_CA only with a rediss:// URL"),
        ({"FORETELL_REDIS": "memory://", "FORETELL_REDIS_PASSWORD": "b"}, "Expected a redis:// URL beside"),
        ({"FORETELL_KAFKA_SECURITY": "SASL_SSL"}, "for SASL_SSL, found neither"),
        ({**SASL, "FORETELL_KAFKA_PASSWORD": ""}, "found the password missing"),
        ({**SASL, "FORETELL_KAFKA_USER": ""}, "found the user missing"),
        ({**SASL, "FORETELL_KAFKA_SECURITY": "SSL"}, "Expected no Kafka user or password for SSL"),
        ({"FORETELL_KAFKA_CA": "ca.pem"}, "Expected FORETELL_KAFKA_CA only with SSL or SASL_SSL, found PLAINTEXT"),
        ({"FORETELL_KAFKA_CERT": "c.pem"}, "Expected FORETELL_KAFKA_CERT only with SSL or SASL_SSL"),
        ({"FORETELL_KAFKA_SECURITY": "SSL", "FORETELL_KAFKA_KEY": "k"}, "Expected FORETELL_KAFKA_CERT beside the key"),
        (
            {"FORETELL_KAFKA_SECURITY": "TLS"},
            "Expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL in FORETELL_KAFKA_SECURITY",
        ),
    ],
)
def test_what_is_malformed_or_contradicts_itself_is_one_sentence(environment: dict[str, str], words: str) -> None:
    said = refusal(environment)
    assert words in said
    assert said.startswith("Expected ")
    assert said.count("; ") == 1, "expected, found; what to do"
    assert "\n" not in said


@pytest.mark.parametrize(
    "environment",
    [
        SASL,
        {**SASL, "FORETELL_KAFKA_SECURITY": "SASL_PLAINTEXT", "FORETELL_KAFKA_SASL": "PLAIN"},
        {"FORETELL_KAFKA_SECURITY": "SSL", "FORETELL_KAFKA_CA": "ca.pem", "FORETELL_KAFKA_CERT": "both.pem"},
        {"FORETELL_KAFKA": "a:1, b.example.org:9092 ,[::1]:9093"},
        {"FORETELL_REDIS": "memory://", "FORETELL_DELIVERY": "exactly_once"},
        {"FORETELL_REDIS": "rediss://user@h:1/0", "FORETELL_REDIS_PASSWORD": "p", "FORETELL_REDIS_CA": "ca.pem"},
        {"FORETELL_REDIS": "redis://h", "FORETELL_REDIS_CLUSTER": "true"},
        {"FORETELL_REDIS": "redis://[::1]:6379/15"},
        {"FORETELL_WEB": "0.0.0.0:80", "FORETELL_INSTANCE": "worker-1"},
        {"FORETELL_WEB": "[::]:8080"},
    ],
)
def test_what_belongs_together_is_accepted(environment: dict[str, str]) -> None:
    assert loaded(environment) != Settings()


def test_a_password_is_in_no_refusal() -> None:
    for environment in (
        {"FORETELL_REDIS": "http://u:hunter2@h:1"},
        {"FORETELL_REDIS": "redis://u:hunter2@h:x"},
        {"FORETELL_REDIS": "u:hunter2@h:1"},
        {"FORETELL_REDIS": "redis://h:1?password=hunter2"},
        {"FORETELL_KAFKA": "u:hunter2@h:1"},
        {"FORETELL_WEB": "http://u:hunter2@h:1"},
        {**SASL, "FORETELL_KAFKA_PASSWORD": "hunter2", "FORETELL_KAFKA_USER": ""},
    ):
        assert "hunter2" not in refusal(environment)


def test_a_flag_that_is_none_of_ours_is_a_mistake_of_the_caller() -> None:
    assert refusal(flags={"kafak": "x"}) == "Expected a setting, found 'kafak'; correct its name."


# The table


def test_the_table_has_a_line_for_each_setting_and_no_flag_for_a_secret() -> None:
    lines = settings.table().splitlines()
    assert len(lines) == 2 + len(fields(Settings))
    assert "| `FORETELL_START` | `--from` |  | first start only" in settings.table()
    assert (
        "| `FORETELL_REDIS_PASSWORD`, or `FORETELL_REDIS_PASSWORD_FILE` | none: a secret |  | password for Redis; "
        "a user "
        "stands in the URL |" in lines
    )
    assert all(line.count("|") == 5 for line in lines), "a bar in a text would break the table"
