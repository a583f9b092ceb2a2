"""Dockerfile and compose file: accepted by linters, hardened, and in step with the code."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from schemas import spec_file
from schemas.errors import ForetellError
from stream_app import settings
from tests.bundles import random_bundle
from tests.kit.compose import (
    COMPOSE,
    DOCKERFILE,
    ROOT,
    compose,
    health_check,
    image_environment,
    instructions,
    worker_environment,
)
from tests.logs import write_tiny

SERVICES: dict[str, dict[str, Any]] = compose()["services"]
WORKER = SERVICES["worker"]


def lint(*command: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0], path=sysconfig.get_path("scripts"))
    assert program, f"{command[0]} is not installed: make venv"
    return subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)


def lint_compose(path: Path) -> subprocess.CompletedProcess[str]:
    return lint("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path))


def lint_dockerfile(path: Path) -> subprocess.CompletedProcess[str]:
    return lint("hadolint", "--no-color", "--failure-threshold", "style", str(path))


# The compose file


def test_the_compose_file_follows_the_specification() -> None:
    found = lint_compose(COMPOSE)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    read_only: true", "    readonly: true"),
        ("condition: service_healthy", "condition: healthy"),
        ("    cap_drop: [ALL]", "    cap_drop: ALL"),
        ("      interval: 5s", "      interval: {seconds: 5}"),
        ("services:", "servces:"),
    ],
)
def test_a_mistake_in_the_compose_file_is_found(tmp_path: Path, old: str, new: str) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "docker-compose.yml").write_text(text.replace(old, new, 1), encoding="utf-8")
    assert lint_compose(tmp_path / "docker-compose.yml").returncode != 0


def test_the_worker_of_the_compose_file_starts_with_settings_that_exist(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hidden\n", encoding="utf-8")
    environment = worker_environment(FORETELL_REDIS_PASSWORD_FILE=str(tmp_path / "password"))
    found = settings.load(environment=environment)
    assert (found.redis_password, found.start, found.web) == ("hidden", "earliest", "0.0.0.0:8080")
    assert Path(found.bundle).parent == Path(bind("worker", "/bundles")["target"])


def test_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ForetellError, match="FORETELL_TRANSACTION_TOPIC"):
        settings.load(environment=worker_environment(FORETELL_TRANSACTION_TOPIC="t", FORETELL_REDIS_PASSWORD_FILE=None))


def test_the_hosts_that_the_worker_is_told_are_services_of_the_compose_file() -> None:
    environment = worker_environment()
    kafka = SERVICES["kafka"]["environment"]
    advertised = dict(place.split("://") for place in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert environment["FORETELL_KAFKA"] == advertised["INSIDE"]
    assert environment["FORETELL_KAFKA"].split(":")[0] in SERVICES
    assert urlsplit(environment["FORETELL_REDIS"]).hostname in SERVICES
    assert f"--bootstrap-server={environment['FORETELL_KAFKA']}" in SERVICES["topics"]["command"]
    assert f"--topic={settings.Settings().transactions_topic}" in SERVICES["topics"]["command"]


def test_tools_on_this_machine_reach_broker_and_store_at_the_default_places() -> None:
    default = settings.Settings()
    advertised = dict(
        place.split("://") for place in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )
    assert advertised["OUTSIDE"] == default.kafka
    assert SERVICES["kafka"]["ports"] == [f"127.0.0.1:{default.kafka.split(':')[1]}:{default.kafka.split(':')[1]}"]
    assert SERVICES["valkey"]["ports"] == [f"127.0.0.1:{urlsplit(default.redis).port}:{urlsplit(default.redis).port}"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_open_to_this_machine_only_and_may_do_nothing_special(name: str) -> None:
    service = SERVICES[name]
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices"} & service.keys()
    assert "build" in service or re.fullmatch(r"[a-z]+/[a-z]+:v?\d+\.\d+(\.\d+)?", service["image"])


def test_worker_and_store_run_on_a_read_only_root() -> None:
    for name in ("worker", "valkey"):
        assert (SERVICES[name]["read_only"], SERVICES[name]["tmpfs"]) == (True, ["/tmp"])  # noqa: S108  (in a container)
    assert bind("worker", "/bundles")["read_only"]


def test_what_compose_copies_into_a_container_needs_a_root_that_can_be_written_to() -> None:
    """Compose writes the content of `configs` into the container; on a read-only root it gives up."""
    inline = {name for name, config in compose()["configs"].items() if "content" in config}
    users = [
        name
        for name, service in SERVICES.items()
        if {config["source"] for config in service.get("configs", [])} & inline
    ]
    assert users == ["prometheus"]
    assert not SERVICES["prometheus"].get("read_only")


def test_no_secret_stands_in_the_compose_file() -> None:
    for service in SERVICES.values():
        plain = [name for name in service.get("environment", {}) if re.search("PASSWORD|SECRET|TOKEN", name)]
        assert all(name.endswith("_FILE") for name in plain)
        assert set(service.get("secrets", [])) <= compose()["secrets"].keys()
    assert worker_environment()["FORETELL_REDIS_PASSWORD_FILE"] == f"/run/secrets/{WORKER['secrets'][0]}"
    assert compose()["secrets"] == {"redis_password": {"file": "./secrets/redis_password"}}


def test_the_store_forgets_nothing() -> None:
    command = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert any(volume.endswith(":/data") for volume in SERVICES["valkey"]["volumes"])


def test_the_input_is_kept_for_ever_and_offsets_outlive_a_pause() -> None:
    assert "--config=retention.ms=-1" in SERVICES["topics"]["command"]
    year_min = 365 * 24 * 60
    assert int(SERVICES["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"]) >= year_min


def test_prometheus_asks_the_worker_where_it_answers() -> None:
    config = YAML(typ="safe").load(compose()["configs"]["prometheus"]["content"])
    port = worker_environment()["FORETELL_WEB"].split(":")[1]
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"worker:{port}"]}]
    assert WORKER["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_a_worker_has_more_time_to_stop_than_it_takes() -> None:
    assert WORKER["stop_grace_period"] == "15s"
    assert WORKER["init"], "a first process of a container ignores signals that it has no handler for yet"


def bind(name: str, target: str) -> dict[str, Any]:
    """Return a volume of a service in the long form."""
    for volume in SERVICES[name]["volumes"]:
        source, place, *mode = volume.split(":")
        if place == target:
            return {"source": source, "target": place, "read_only": mode == ["ro"]}
    raise LookupError(target)


# The Dockerfile


def test_the_dockerfile_has_no_finding() -> None:
    found = lint_dockerfile(DOCKERFILE)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("FROM python:3.12-slim-bookworm AS base", "FROM python:latest AS base", "DL3007"),
        ("FROM python:3.12-slim-bookworm AS base", "FROM python AS base", "DL3006"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ('ENTRYPOINT ["foretell"]', "ENTRYPOINT foretell", "DL3025"),
        ("COPY schemas schemas", "ADD schemas schemas", "DL3020"),
        ("WORKDIR /src", "WORKDIR src", "DL3000"),
        ("EXPOSE 8080", "EXPOSE 808080", "DL3011"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNL SIGTERM", "unexpected 'S'"),
    ],
)
def test_a_mistake_in_the_dockerfile_is_found(tmp_path: Path, old: str, new: str, rule: str) -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "Dockerfile").write_text(text.replace(old, new, 1), encoding="utf-8")
    found = lint_dockerfile(tmp_path / "Dockerfile")
    assert found.returncode != 0
    assert rule in found.stdout + found.stderr


def test_the_image_runs_as_a_user_without_rights_and_is_stopped_by_a_signal() -> None:
    last = dict(instructions())
    user, group = last["USER"].split(":")
    assert (int(user) > 0, int(group) > 0, last["STOPSIGNAL"]) == (True, True, "SIGTERM")
    assert (json.loads(last["ENTRYPOINT"]), json.loads(last["CMD"])) == (["foretell"], ["worker"])
    after = [name for name, _ in instructions()]
    assert set(after[after.index("USER") :]).isdisjoint({"RUN", "COPY", "ADD"}), "what that user made, he could change"


def test_the_image_fetches_nothing_by_address_and_is_given_no_secret() -> None:
    text = "\n".join(arguments for name, arguments in instructions() if name in {"ADD", "COPY", "RUN", "ARG", "ENV"})
    assert not re.search(r"https?://|curl|wget", text)
    assert not re.search(r"PASSWORD|SECRET|TOKEN", text)


def test_the_image_gets_the_files_of_the_wheel_and_no_others() -> None:
    copied = [
        arguments.split()[:-1] for name, arguments in instructions() if name == "COPY" and "--from" not in arguments
    ]
    sources = {source for part in copied for source in part}
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == sources
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sources == {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *packages}


def test_nothing_in_the_image_reports_to_anyone() -> None:
    assert image_environment()["ORT_DISABLE_TELEMETRY"] == "1"


def test_the_labels_say_what_the_project_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', dict(instructions())["LABEL"]))
    assert found == {
        "title": project["name"],
        "description": project["description"],
        "version": project["version"],
        "licenses": project["license"],
    }
    (base,) = {arguments.split(" ")[0] for name, arguments in instructions() if name == "FROM"} - {"base"}
    assert f"Programming Language :: Python :: {re.findall(r':([0-9.]+)-', base)[0]}" in project["classifiers"]


# The health checks


@contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """Answer every request with a status; yield the port and the paths that were asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that the class has)
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


def ask(check: list[str], port: int) -> int:
    program, *arguments = check
    assert program == "python"
    return subprocess.run(
        [sys.executable, *(part.replace("8080", str(port)) for part in arguments)],
        check=False,
        capture_output=True,
        env={"http_proxy": "http://127.0.0.1:9"},
    ).returncode


CHECKS = {"/health/live": health_check(), "/health/ready": WORKER["healthcheck"]["test"][1:]}


@pytest.mark.parametrize("path", CHECKS)
@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_a_health_check_passes_if_and_only_if_the_worker_says_so(path: str, status: int, code: int) -> None:
    with answering(status) as (port, asked):
        assert ask(CHECKS[path], port) == code
        assert asked == [path]


@pytest.mark.parametrize("path", CHECKS)
def test_a_health_check_fails_where_nobody_answers(path: str) -> None:
    with answering(200) as (port, _):
        pass
    assert ask(CHECKS[path], port) == 1


# Compiled code that the image brings along

COMPILED = """
import numba
@numba.njit(cache=True)
def twice(x):
    return x + x
"""
USE = """
import sys, compiled
for text in sys.argv[1:]:
    compiled.twice(eval(text))
print(sum(compiled.twice.stats.cache_hits.values()), sum(compiled.twice.stats.cache_misses.values()))
"""


def compile_in(folder: Path, *arguments: str, **environment: str) -> str:
    """Call a compiled function in a process of its own; return how often its code was found and how often made."""
    done = subprocess.run(
        [sys.executable, "-c", USE, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{folder}:{ROOT}", "NUMBA_CACHE_DIR": str(folder / "baked"), **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    """Compile a function for whole numbers, as the image does when it is built."""
    (tmp_path / "compiled.py").write_text(COMPILED, encoding="utf-8")
    assert compile_in(tmp_path, "1") == "0 1"
    return tmp_path


def test_code_compiled_when_the_image_was_built_is_used_and_stays_as_it_was(baked: Path) -> None:
    locator = {name: value for name, value in image_environment().items() if name == "NUMBA_CACHE_LOCATOR_CLASSES"}
    (baked / "tmp").mkdir()
    before = content(baked / "baked")
    assert compile_in(baked, "1", "1.5", TMPDIR=str(baked / "tmp"), **locator) == "1 1"
    assert content(baked / "baked") == before
    assert list((baked / "tmp").iterdir()) == []


def test_without_the_image_s_locator_the_folder_would_be_written_to(baked: Path) -> None:
    before = content(baked / "baked")
    assert compile_in(baked, "1", "1.5") == "1 1"
    assert content(baked / "baked") != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_process_that_may_write_nowhere_but_to_tmp_starts(baked: Path) -> None:
    locator = {name: value for name, value in image_environment().items() if name == "NUMBA_CACHE_LOCATOR_CLASSES"}
    for path in [baked / "baked", *(baked / "baked").iterdir()]:
        path.chmod(0o500)
    assert compile_in(baked, "1", HOME="/nonexistent", **locator) == "1 0"


@pytest.mark.slow
def test_what_the_image_compiles_is_all_that_scoring_needs(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "baked"), "NUMBA_CPU_NAME": "generic"}
    subprocess.run([sys.executable, "-m", "stream_app.warm"], env=environment, check=True, cwd=ROOT)
    before = content(tmp_path / "baked")
    bundle = random_bundle(tmp_path / "bundle", spec_file.bank())
    log = write_tiny(tmp_path / "log")
    paths: list[str | Path] = [log, "--bundle", bundle.path, "--out", tmp_path / "scores"]
    replay = [sys.executable, "-m", "stream_app", "replay", *paths]
    subprocess.run(replay, env=environment, check=True, cwd=ROOT)
    assert len(before) > 0
    assert content(tmp_path / "baked") == before
