"""The wheel holds what a user needs, and no more."""

import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "stream_app", "training")
CORE = {
    "aiokafka",
    "cramjam",
    "crc32c",
    "faust-streaming",
    "msgspec",
    "numba",
    "numpy",
    "onnxruntime",
    "prometheus-client",
    "pyarrow",
    "redis",
    "uvloop",
}
LEFT_BY_TOOLS = {".pyc", ".nbi", ".nbc"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    out = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    with ZipFile(path) as archive:
        yield archive


def info(wheel: ZipFile, name: str) -> bytes:
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path)


@pytest.fixture(scope="session")
def metadata(wheel: ZipFile) -> Message:
    return message_from_bytes(info(wheel, "METADATA"))


def test_the_wheel_holds_the_three_packages_and_no_tests(wheel: ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert tops == {*PACKAGES, "foretell-0.1.0.dist-info"}
    assert [name for name in wheel.namelist() if "test_" in name or "conftest" in name] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_a_package(wheel: ZipFile, package: str) -> None:
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in LEFT_BY_TOOLS
    }

    assert {name for name in wheel.namelist() if name.startswith(f"{package}/")} == files


def test_the_wheel_carries_the_built_in_spec_the_type_markers_and_the_licence(wheel: ZipFile) -> None:
    assert {"schemas/bank.toml", *(f"{package}/py.typed" for package in PACKAGES)} <= set(wheel.namelist())
    assert info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert info(wheel, "licenses/NOTICE") == (ROOT / "NOTICE").read_bytes()


def test_the_core_needs_no_training_library(metadata: Message) -> None:
    core = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]

    assert {need.split(">")[0].split("[")[0] for need in core} == CORE


def test_the_extras_are_train_demo_and_dev(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {"train", "demo", "dev"}


def test_the_command_and_the_verbs_of_training_are_registered(wheel: ZipFile) -> None:
    entries = ConfigParser()
    entries.read_string(info(wheel, "entry_points.txt").decode())

    assert dict(entries["console_scripts"]) == {"foretell": "stream_app.cli:main"}
    assert dict(entries["foretell.commands"]) == {
        "benchmark": "training.benchmark.cli:register",
        "data": "training.datasets.cli:register",
        "demo": "training.demo.cli:register",
        "spec": "training.draft.cli:register",
        "train": "training.cli:register",
    }
