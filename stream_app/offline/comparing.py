"""Puts two bundles side by side: what they were trained on, how large they are, and how good at their test rows."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from schemas.errors import BundleError
from stream_app.bundle import Bundle

SHOWN: Final = ("roc_auc", "pr_auc", "log_loss", "gini", "spearman", "mae", "ece", "accuracy_best", "f1_best", "f1")
"""Measures that are told of the network, as far as both bundles have them; a task's first one is its headline."""
LESS_IS_BETTER: Final = frozenset({"log_loss", "mae", "ece"})
_DATA: Final = ("transactions", "customers", "first", "last", "rows", "split", "seed")


class Fact(msgspec.Struct, frozen=True):
    """What each of two bundles says of one thing; null where it says nothing."""

    name: str
    a: Any
    b: Any


class Measure(msgspec.Struct, frozen=True):
    """How good the networks of two bundles are at one task.

    Attributes:
        task: which both have.
        rows: kind of the test rows.
        measure: its name.
        a: of the first bundle's network.
        b: of the second one's.
        interval_a: 95 % interval of ``a``, where the measure is the task's headline.
        interval_b: likewise of ``b``.
        better: ``a`` or ``b``; empty where they are equal.
    """

    task: str
    rows: str
    measure: str
    a: float
    b: float
    interval_a: tuple[float, float] | None
    interval_b: tuple[float, float] | None
    better: str


class Comparison(msgspec.Struct, frozen=True):
    """Two bundles side by side.

    Attributes:
        facts: what they are.
        same_data: whether they were trained on the same tables, and split alike: only then are measures comparable.
        measures: of the tasks that both have.
    """

    facts: tuple[Fact, ...]
    same_data: bool
    measures: tuple[Measure, ...]


def compare(a: Bundle, b: Bundle) -> Comparison:
    """Put two bundles side by side.

    Raises:
        BundleError: they have no task in common.
    """
    tasks = [task.name for task in a.spec.tasks if task.name in {other.name for other in b.spec.tasks}]
    if not tasks:
        said = ", ".join(task.name for task in a.spec.tasks), ", ".join(task.name for task in b.spec.tasks)
        message = f"Expected two bundles with a task in common, found {said[0]} and {said[1]}; compare others."
        raise BundleError(message)
    data = [{name: bundle.manifest.data.get(name) for name in ("sha256", "split", "seed")} for bundle in (a, b)]
    measures = tuple(measure for task in tasks for measure in _measures(task, a, b))
    return Comparison(tuple(_facts(a, b)), data[0] == data[1], measures)


def _facts(a: Bundle, b: Bundle) -> Iterator[Fact]:
    yield Fact("bundle", a.short, b.short)
    yield Fact("spec", a.spec.name, b.spec.name)
    yield Fact("state layout", a.manifest.layout, b.manifest.layout)
    yield Fact("features", len(a.rolling.layout.column), len(b.rolling.layout.column))
    yield Fact("bytes of a row", 4 * a.rolling.layout.row_width, 4 * b.rolling.layout.row_width)
    yield Fact("bytes of the network", len(a.model), len(b.model))
    yield Fact("tasks", *(", ".join(task.name for task in bundle.spec.tasks) for bundle in (a, b)))
    for name in _DATA:
        yield Fact(name, a.manifest.data.get(name), b.manifest.data.get(name))
    for name in sorted(a.manifest.versions.keys() | b.manifest.versions.keys()):
        yield Fact(name, a.manifest.versions.get(name), b.manifest.versions.get(name))


def _measures(task: str, a: Bundle, b: Bundle) -> Iterator[Measure]:
    first, second = (bundle.manifest.metrics.get(task, {}) for bundle in (a, b))
    for kind in (kind for kind in first if kind in second):
        one, other = first[kind]["network"], second[kind]["network"]
        headline = True
        for name in (name for name in SHOWN if name in one and name in other):
            better = (one[name] < other[name]) == (name in LESS_IS_BETTER)
            yield Measure(
                task,
                kind,
                name,
                one[name],
                other[name],
                _interval(first[kind]) if headline else None,
                _interval(second[kind]) if headline else None,
                "" if one[name] == other[name] else "a" if better else "b",
            )
            headline = False


def _interval(entry: dict[str, Any]) -> tuple[float, float] | None:
    found = entry.get("intervals", {}).get("network", {})
    return (found["low"], found["high"]) if "low" in found and "high" in found else None
