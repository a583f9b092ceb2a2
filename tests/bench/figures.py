"""Figures of a run of the bench: what was measured, how it varies, and what has become slower since another run."""

import os
import platform
import statistics
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike

Better = Literal["higher", "lower", "neither"]
_PACKAGES: Final = ("aiokafka", "faust-streaming", "msgspec", "numba", "numpy", "onnxruntime", "redis", "uvloop")


class Sample(NamedTuple):
    """One measurement."""

    name: str
    value: float
    unit: str
    better: Better = "neither"


class Figure(msgspec.Struct, frozen=True):
    """What was measured again and again under one name."""

    name: str
    unit: str
    better: Better
    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the middle one."""
        return statistics.median(self.runs)

    @property
    def told(self) -> str:
        """Return the median with the least and the most."""
        return f"{_short(self.median)} ({_short(min(self.runs))} to {_short(max(self.runs))}) {self.unit}".rstrip()


class Machine(msgspec.Struct, frozen=True):
    """What it was measured on."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str]
    load: float


class Report(msgspec.Struct, frozen=True):
    """All figures of a run of the bench.

    Attributes:
        machine: what it was measured on.
        options: what the bench was told.
        figures: in the order of measuring.
        notes: what a reader must know, such as a ratio that is void.
    """

    machine: Machine
    options: dict[str, str]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()


def speed() -> float:
    """Return how fast one core is just now: logarithms of float32 numbers in its first cache, millions a second.

    A shared machine is twice as fast at one time as at another; a figure means little without this one beside it.
    """
    numbers, found = np.linspace(1.0, 2.0, 4096, dtype=np.float32), np.empty(4096, np.float32)
    taken = []
    for _ in range(50):
        began = time.thread_time()
        for _ in range(100):
            np.log(numbers, found)
        taken.append(time.thread_time() - began)
    return 100 * len(numbers) / statistics.median(taken) / 1e6


def collected(samples: Iterable[Sample]) -> tuple[Figure, ...]:
    """Return samples as figures, those of one name together."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        found.setdefault(sample.name, []).append(sample)
    return tuple(
        Figure(name, runs[0].unit, runs[0].better, tuple(sample.value for sample in runs))
        for name, runs in found.items()
    )


def percentiles(name: str, taken_ms: ArrayLike) -> Iterator[Sample]:
    """Yield median, p99 and p99.9 of times in ms: each the least time that so many do not exceed."""
    times = np.sort(np.asarray(taken_ms, np.float64))
    for thousandths, label in ((500, "p50"), (990, "p99"), (999, "p99.9")):
        at = -(-len(times) * thousandths // 1000) - 1
        yield Sample(f"{name} {label}", float(times[at]), "ms", "lower")


def slower(old: Report, new: Report) -> list[str]:
    """Return a sentence for each figure whose runs are all worse than all of the old one."""
    before, found = {figure.name: figure for figure in old.figures}, []
    for figure in new.figures:
        was = before.get(figure.name)
        if was is None or figure.better == "neither" or was.unit != figure.unit:
            continue
        lower = figure.better == "lower"
        worse = min(figure.runs) > max(was.runs) if lower else max(figure.runs) < min(was.runs)
        if worse:
            share = f" ({figure.median / was.median - 1:+.0%})" if was.median else ""
            found.append(f"{figure.name}: {figure.told}, was {was.told}{share}")
    return found


def machine() -> Machine:
    """Return what this is; of Linux also the processor and the memory."""
    cpu, memory = Path("/proc/cpuinfo"), 0.0
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        names[0] if names else platform.machine(),
        os.cpu_count() or 0,
        round(memory, 1),
        platform.platform(),
        platform.python_version(),
        {name: metadata.version(name) for name in _PACKAGES},
        os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    )


def table(report: Report) -> str:
    """Return a report as text to read."""
    about = report.machine
    lines = [
        f"{about.processor}, {about.cores} cores, {about.memory_gb} GB, Python {about.python}, load {about.load:.1f}",
        *(f"{figure.name:<66} {figure.told}" for figure in report.figures),
        *(f"note: {note}" for note in report.notes),
    ]
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
