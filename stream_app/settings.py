"""All settings of the worker and of the commands that talk to Kafka and Redis: one frozen object, read here alone.

Each is an environment variable ``FORETELL_…`` and, unless it is a secret, a flag; a flag comes before the environment.
What may hold a secret may also be given as a file, by ``FORETELL_…_FILE``. An empty variable counts as not given. What
contradicts itself is refused at the start (``stream_app.combinations``).
"""

import argparse
import contextlib
import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Final, Literal, get_args

from stream_app.credentials import HIDDEN, SettingsError, hide_password, passwords_in, read_secret, to_mask

__all__ = [
    "OF_KAFKA",
    "Settings",
    "SettingsError",
    "add_flags",
    "flag",
    "from_args",
    "hide_password",
    "load",
    "secrets_of",
    "table",
    "variable",
]

PREFIX: Final = "FORETELL_"
OTHERS: Final = re.compile(
    r"FORETELL_(TEST_.*|DATA|KAFKA_LIBS|(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?))=.*"
    r"|FORETELL_(.+_)?PORT=(tcp|udp|sctp)://.*",
    re.DOTALL,
)
"""Variables (name=value) that are no settings: the tests', and what Kubernetes sets for a service of such a name."""
_FLAGS: Final = {"start": "from"}
_FILE: Final = "_FILE"


def _setting(default: Any, text: str, **also: bool) -> Any:  # noqa: ANN401  (the type of the field)
    """Return a field; ``secret``: never a flag, never shown; ``file``: may come from a file, having a secret in it."""
    secret = also.get("secret", False)
    return field(default=default, metadata={"text": text, "secret": secret, "file": secret or also.get("file", False)})


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """Where everything is and how output is delivered."""

    kafka: str = _setting("localhost:9092", "brokers, host:port, separated by commas")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _setting(
        "PLAINTEXT", "how to talk to the brokers"
    )
    kafka_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _setting("SCRAM-SHA-512", "SASL mechanism")
    kafka_user: str = _setting("", "SASL user")
    kafka_password: str = _setting("", "SASL password", secret=True)
    kafka_ca: str = _setting("", "file with the certificates to trust, for SSL and SASL_SSL (default: the system's)")
    kafka_cert: str = _setting("", "file with this client's certificate, where the brokers ask for one")
    kafka_key: str = _setting("", "file with the key of that certificate (default: it is in the same file)")
    kafka_key_password: str = _setting("", "password of that key", secret=True)
    redis: str = _setting(
        "redis://localhost:6379/0", "redis:// or rediss:// URL (with TLS), or memory:// for trying out", file=True
    )
    redis_password: str = _setting("", "password for Redis; a user stands in the URL", secret=True)
    redis_cluster: bool = _setting(False, "the URL names a node of a Redis Cluster")  # noqa: FBT003  (the default)
    redis_ca: str = _setting("", "file with the certificates to trust, for rediss:// (default: the system's)")
    transactions_topic: str = _setting("transactions", "input topic")
    scores_topic: str = _setting("scores", "topic of the scores")
    alerts_topic: str = _setting("alerts", "topic of the alerts")
    dlq_topic: str = _setting("transactions.dlq", "topic of the dead letters")
    group: str = _setting("foretell", "consumer group; also names rows and transactions")
    bundle: str = _setting("", "folder of the bundle to start with")
    bundles: str = _setting(
        "", "folder whose sub-folders are bundles that may be activated (default: where the bundle is)"
    )
    delivery: Literal["exactly_once", "at_least_once"] = _setting("exactly_once", "how scores are delivered")
    start: Literal["earliest", "now"] | None = _setting(
        None, "first start only: earliest scores all, now takes in all and scores from the end on"
    )
    commit_ms: int = _setting(50, "time between transactions; grows with the partitions held")
    flush_ms: int = _setting(1000, "time between writes of rows to Redis")
    resident_rows: int = _setting(1_000_000, "rows kept in memory, over all partitions")
    session_timeout_ms: int = _setting(6_000, "after this long without a heartbeat another worker takes over")
    instance: str = _setting("", "static membership: a name that is this worker's alone")
    snapshots: str = _setting("", "folder, the same for all workers, for snapshots of the rows (default: none)")
    snapshot_minutes: int = _setting(60, "time between two snapshots of a partition")
    snapshots_kept: int = _setting(3, "snapshots kept of a partition")
    web: str = _setting("127.0.0.1:8080", "where health and metrics are served, host:port")
    log_level: Literal["debug", "info", "warning", "error"] = _setting("info", "least level that is logged")
    log_format: Literal["text", "json"] = _setting("text", "lines of text or of JSON")

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={text!r}' for name, text in self.redacted().items())})"

    def redacted(self) -> dict[str, str]:
        """Return all settings as text, secrets hidden."""
        return {item.name: _shown(item, getattr(self, item.name)) for item in fields(self)}

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be shown anywhere, the longest first."""
        whole = [getattr(self, item.name) for item in fields(self) if item.metadata["secret"]]
        return to_mask([*whole, *passwords_in(self.redis)])


OF_KAFKA: Final = tuple(
    item.name for item in fields(Settings) if item.name.startswith("kafka") and not item.metadata["secret"]
)
"""The flags that say where the brokers are and how to talk to them."""


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from flags, before the environment, before the defaults.

    Args:
        flags: values or texts by field name; None where not given.
        environment: ``os.environ`` if not given.

    Raises:
        SettingsError: one is malformed, unknown or contradicts another.
    """
    from stream_app.combinations import problems  # noqa: PLC0415  (it needs Settings)

    environment = os.environ if environment is None else environment
    given = dict(_from_environment(environment)) | dict(_from_flags(flags or {}))
    settings = Settings(**given)
    problem = next(problems(settings), None)
    if problem:
        raise SettingsError(problem)
    return settings


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + _FLAGS.get(name, name).replace("_", "-")


def add_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add flags for settings, all that are no secrets where none is named, for ``from_args`` to read."""
    known = _known()
    chosen = [name.replace("-", "_") for name in names] or [
        item.name for item in known.values() if not item.metadata["secret"]
    ]
    group = parser.add_argument_group("settings", "each is also an environment variable, which comes after the flag")
    for name in chosen:
        item = known[name]
        if item.metadata["secret"]:
            message = f"{name} is a secret: it must not be a flag"
            raise ValueError(message)
        text = f"{item.metadata['text']} ({variable(name)}{_told_default(item)})"
        if isinstance(item.default, bool):
            group.add_argument(flag(name), dest=name, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            choices = _choices(item)
            shape = "{" + ",".join(choices) + "}" if choices else "N" if isinstance(item.default, int) else "TEXT"
            group.add_argument(flag(name), dest=name, metavar=shape, help=text)
    for item in known.values():
        if item.metadata["secret"]:  # argparse would show what came with a flag that it does not know
            parser.add_argument(flag(item.name), nargs="?", action=_Refused, help=argparse.SUPPRESS)
    parser.set_defaults(settings_flags=(*(parser.get_default("settings_flags") or ()), *chosen))


def from_args(args: argparse.Namespace) -> Settings:
    """Return the settings from parsed flags (those of ``add_flags`` alone) and the environment."""
    return load({name: getattr(args, name) for name in getattr(args, "settings_flags", ())})


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return what must not be shown of an environment, even where no settings can be made of it."""
    found: list[str] = []
    for item in fields(Settings):
        if not item.metadata["file"]:
            continue
        texts = [environment.get(variable(item.name), "")]
        with contextlib.suppress(SettingsError):
            texts.append(read_secret(environment.get(variable(item.name) + _FILE, ""), ""))
        for text in texts:
            found += [text] if item.metadata["secret"] else passwords_in(text)
    return to_mask(found)


def table() -> str:
    """Return all settings as a Markdown table."""
    lines = ["| variable | flag | default | what it is |", "| --- | --- | --- | --- |"]
    for item in fields(Settings):
        choices = _choices(item)
        text = item.metadata["text"] + (": " + ", ".join(f"`{choice}`" for choice in choices) if choices else "")
        by_file = f", or `{variable(item.name)}{_FILE}`" if item.metadata["file"] else ""
        given = "none: a secret" if item.metadata["secret"] else f"`{flag(item.name)}`"
        shown = str(item.default).lower() if item.default is False else item.default
        default = "" if item.default in {"", None} else f"`{shown}`"
        lines.append(f"| `{variable(item.name)}`{by_file} | {given} | {default} | {text} |")
    return "\n".join(lines) + "\n"


class _Refused(argparse.Action):
    """A flag that would hold a secret."""

    def __call__(self, *_: object) -> None:
        raise SettingsError(_no_secret(self.option_strings[0], self.dest))


def _no_secret(place: str, name: str) -> str:
    return (
        f"Expected no secret in {place}, found a password, which every user of this machine could see; "
        f"give it in {variable(name)} or {variable(name)}{_FILE}."
    )


def _known() -> dict[str, "Field[Any]"]:
    return {item.name: item for item in fields(Settings)}


def _shown(item: "Field[Any]", value: Any) -> str:  # noqa: ANN401  (any setting)
    if item.metadata["secret"]:
        return HIDDEN if value else ""
    return hide_password(str(value)) if item.metadata["file"] else str(value)


def _told_default(item: "Field[Any]") -> str:
    return "" if item.default in {"", None, False, MISSING} else f", default {item.default}"


def _from_flags(flags: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = _known()
    for name, value in flags.items():
        if value is None:
            continue
        if name not in known:
            message = f"Expected a setting, found {name!r}; correct its name."
            raise SettingsError(message)
        if known[name].metadata["file"] and passwords_in(str(value)):
            raise SettingsError(_no_secret(flag(name), name))
        yield name, _parsed(known[name], value, flag(name)) if isinstance(value, str) else value


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    known = {variable(name): item for name, item in _known().items()}
    files = {name + _FILE: item for name, item in known.items() if item.metadata["file"]}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or OTHERS.fullmatch(f"{name}={text}"):
            continue
        if name not in known and name not in files:
            near = difflib.get_close_matches(name, [*known, *files], 1)
            advice = f"did you mean {near[0]}?" if near else "remove it or correct its name."
            message = f"Expected the name of a setting, found {name} in the environment; {advice}"
            raise SettingsError(message)
        if text and name in known:
            yield known[name].name, _parsed(known[name], text, name)
        elif text:
            item = files[name]
            if environment.get(variable(item.name)):
                message = f"Expected {name} or {variable(item.name)}, found both; remove one."
                raise SettingsError(message)
            yield item.name, _parsed(item, read_secret(text, name), name)


def _parsed(item: "Field[Any]", text: str, place: str) -> Any:  # noqa: ANN401  (the type of the field)
    default, choices = item.default, _choices(item)
    if item.metadata["secret"]:
        return text
    text = text.strip()
    if choices and text not in choices:
        message = f"Expected one of {', '.join(choices)} in {place}, found {text!r}; correct it."
        raise SettingsError(message)
    if isinstance(default, bool):
        if text.lower() not in {"true", "false", "1", "0"}:
            message = f"Expected true or false in {place}, found {text!r}; correct it."
            raise SettingsError(message)
        return text.lower() in {"true", "1"}
    if isinstance(default, int):
        if not re.fullmatch(r"[0-9]{1,9}", text):
            message = f"Expected a whole number in {place}, found {text!r}; correct it."
            raise SettingsError(message)
        return int(text)
    return text


def _choices(item: "Field[Any]") -> tuple[str, ...]:
    """Return the texts that a setting may have; nothing where any will do."""
    for part in (item.type, *get_args(item.type)):
        found = get_args(part)
        if found and all(isinstance(choice, str) for choice in found):
            return found
    return ()


if __name__ == "__main__":
    sys.stdout.write(table())
