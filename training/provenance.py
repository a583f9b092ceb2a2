"""What a bundle was made from: data and versions."""

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from stream_app.offline.folder import CUSTOMERS, OUTCOMES, TRANSACTIONS
from training.log import Log

_PACKAGES: Final = (
    "foretell", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy", "numba", "scikit-learn", "lightgbm"
)  # fmt: skip
_BLOCK: Final = 1 << 20


def fingerprint(folder: Path, log: Log) -> dict[str, Any]:
    """Return what identifies a folder's data: counts, span, refusals, and the sha256 of each table's file."""
    times = log.transactions.time_ms
    first, last = (str(np.datetime64(int(time), "ms")) + "Z" for time in (times.min(), times.max()))
    return {
        "transactions": len(times),
        "customers": len(log.customers),
        "records": len(log.records.customer),
        "outcomes": len(log.outcomes.customer),
        "first": first,
        "last": last,
        "refused": log.refused,
        "sha256": {
            name: _sha256(folder / name) for name in (TRANSACTIONS, CUSTOMERS, OUTCOMES) if (folder / name).exists()
        },
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a bundle."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # run from a checkout that is not installed
            continue
    return found


def basis(folder: Path) -> str:
    """Return what tells one state of data, spec, code of training and versions from another, 16 digits."""
    digest = hashlib.sha256()
    code = Path(__file__).parent
    of_code = [*code.glob("*.py"), *code.parent.joinpath("stream_app", "kernel").glob("*.py")]
    for path in (*sorted(folder.glob("*")), *sorted(of_code)):
        digest.update(f"{path.name} {_sha256(path)}\n".encode())
    digest.update(repr(sorted(versions().items())).encode())
    return digest.hexdigest()[:16]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
