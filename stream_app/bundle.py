"""A bundle: the folder that carries one trained scorer, verified to the last byte before it is used.

    model.onnx      the network: raw feature rows in, calibrated scores of all tasks out
    reasons.onnx    what each feature contributed to a score; bundles of before there were reasons have none
    manifest.json   spec, layout, outputs, bands, calibration, metrics, versions, sha256 of every other file

The sha256 of ``manifest.json`` identifies the bundle; every score carries its first 16 digits.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.atomic import atomic_folder
from schemas.errors import BundleError
from schemas.spec import Spec
from stream_app.kernel.eligible import Eligibility
from stream_app.kernel.layout import Layout
from stream_app.kernel.rolling import Rolling

FORMAT: Final = 1
MODEL: Final = "model.onnx"
MANIFEST: Final = "manifest.json"
INPUT_NAME: Final = "features"
OUTPUT_NAME: Final = "scores"
REASONS: Final = "reasons.onnx"
CHOSEN_NAME: Final = "chosen"
REASONS_NAME: Final = "contributions"
SHORT: Final = 16


class Output(msgspec.Struct, frozen=True):
    """The columns of the network's output that belong to a task: one, or for multiclass one a class.

    ``learned_as`` is the kind, or ``expected`` for an expected amount; empty in bundles of before there were those.
    """

    task: str
    kind: str
    start: int
    width: int
    classes: tuple[str, ...] = ()
    learned_as: str = ""


class ResolvedBand(msgspec.Struct, frozen=True):
    """A band with its bound in scores; the lowest band has none."""

    name: str
    at_least: float | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself.

    Attributes:
        format: version of this structure.
        spec: the spec it was trained with.
        layout: the hash of row and feature layout.
        feature_width: columns of the network's input, a multiple of 16.
        outputs: the tasks in the order of the network's output.
        bands: each task's bands, ascending.
        calibration: each task's calibration method and parameters.
        quantiles: each task's score at the 1st, 2nd, … 99th percentile of the training population.
        population: likewise the features that a portrait compares customers by; empty in bundles that were trained
            before there were portraits.
        data: what it was trained on: rows, customers, span, sha256 of the tables.
        metrics: each task's test metrics, by row kind.
        parity: the largest difference between the exported and the trained network, and what was tried.
        versions: of the packages that trained it.
        files: sha256 of each other file.
        seal: sha256 of the manifest itself, written without the seal.
    """

    format: int = FORMAT
    spec: Spec
    layout: str
    feature_width: int
    outputs: tuple[Output, ...]
    bands: dict[str, tuple[ResolvedBand, ...]]
    calibration: dict[str, Any] = {}
    quantiles: dict[str, tuple[float, ...]] = {}
    population: dict[str, tuple[float, ...]] = {}
    data: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    parity: dict[str, Any] = {}
    versions: dict[str, str] = {}
    files: dict[str, str] = {}
    seal: str = ""


def outputs_of(spec: Spec) -> tuple[Output, ...]:
    """Return the columns that the network of a spec must put out, in the order of its tasks."""
    outputs, start = [], 0
    for task in spec.tasks:
        classes = spec.classes(task)
        width = len(classes) or 1
        outputs.append(Output(task.name, task.kind, start, width, classes, task.learned_as))
        start += width
    return tuple(outputs)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle."""

    path: Path
    manifest: Manifest
    sha256: str

    @property
    def spec(self) -> Spec:
        """Return the spec that it was trained with."""
        return self.manifest.spec

    @property
    def short(self) -> str:
        """Return the name that scores carry."""
        return self.sha256[:SHORT]

    @cached_property
    def rolling(self) -> Rolling:
        """Return the features of its layout."""
        return Rolling.of(self.spec)

    @cached_property
    def eligibility(self) -> Eligibility:
        """Return whom its tasks are asked for."""
        return Eligibility.of(self.rolling.layout)

    def bands(self, output: Output) -> list[str]:
        """Return the names of the bands of a task, lowest first; none if it has no bands."""
        return [band.name for band in self.manifest.bands.get(output.task, ())]

    @property
    def model(self) -> bytes:
        """Return the network as ONNX."""
        return (self.path / MODEL).read_bytes()

    @property
    def reasons(self) -> bytes | None:
        """Return what explains the network as ONNX, if the bundle has it."""
        return (self.path / REASONS).read_bytes() if REASONS in self.manifest.files else None


def write(path: Path, manifest: Manifest, files: dict[str, bytes]) -> Bundle:
    """Write a bundle atomically and return it verified.

    Args:
        path: the folder to make or to replace.
        manifest: everything but ``files``, which is filled in here.
        files: content by name; ``model.onnx`` among them.

    Raises:
        OutputError: the place cannot be written to.
        BundleError: what was written does not verify.
    """
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    text = _text(msgspec.structs.replace(manifest, files=sums, seal=""))
    text = _text(msgspec.structs.replace(manifest, files=sums, seal=hashlib.sha256(text).hexdigest()))
    with atomic_folder(path) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_bytes(text)
        load(folder)
    return load(path)


def load(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        BundleError: it is missing, truncated, changed, or of a layout that this version cannot produce.
    """
    content = _read(path, MANIFEST)
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"Expected a bundle's manifest at {path / MANIFEST}, found: {error}; train or copy the bundle again."
        raise BundleError(message) from error
    if manifest.format != FORMAT:
        message = f"Expected bundle format {FORMAT} at {path}, found {manifest.format}; use the Foretell that wrote it."
        raise BundleError(message)
    _verify(path, MANIFEST, content.replace(manifest.seal.encode(), b"", 1), manifest.seal)
    for name in sorted({MODEL, *manifest.files}):
        _verify(path, name, _read(path, name), manifest.files.get(name))
    _check_layout(path, manifest)
    return Bundle(path, manifest, hashlib.sha256(content).hexdigest())


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        message = (
            f"Expected {name} in the bundle {path}, found: {error.strerror}; name a folder that `foretell train` wrote."
        )
        raise BundleError(message) from error


def _text(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def _verify(path: Path, name: str, content: bytes, expected: str | None) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        message = (
            f"Expected sha256 {str(expected)[:SHORT]} of {name} in the bundle {path}, found {found[:SHORT]}: "
            "the file was changed or cut; copy or train the bundle again."
        )
        raise BundleError(message)


def _check_layout(path: Path, manifest: Manifest) -> None:
    layout = Layout(manifest.spec).check()
    if layout.hash != manifest.layout:
        message = (
            f"Expected state layout {layout.hash} in the bundle {path}, found {manifest.layout}: it was trained with "
            "another version of Foretell; train it again with this one or run the version that wrote it."
        )
        raise BundleError(message)
    if manifest.outputs != outputs_of(manifest.spec):
        message = f"Expected the outputs of the spec's tasks in the bundle {path}, found others; train it again."
        raise BundleError(message)
