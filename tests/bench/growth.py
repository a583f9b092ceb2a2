"""Growth laws: what an event costs with more history and with more types, and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from schemas import spec_file
from schemas.errors import SpecError
from schemas.spec import Spec, TransactionType
from stream_app.kernel.layout import Layout
from tests.bench.figures import Sample
from tests.bench.generator import Workload
from tests.bench.place import Place
from tests.bench.stages import stages
from tests.bundles import random_bundle

_CUSTOMERS: Final = 20_000
_HISTORIES: Final = (1, 10, 100)
_TYPES: Final = (4, 8, 16)
_FREE: Final = ("churn", "value")
"""Tasks of the bank that name no type."""
_NUMBER_BYTES: Final = 4
_TOLD: Final = ("stage features", "stage all steps")


def growth(place: Place, records: int) -> Iterator[Sample]:
    """Yield what an event costs as customers have more history, and as the spec has more types."""
    for times in _HISTORIES:
        work = Workload(_CUSTOMERS // times, records, partitions=1)
        for sample in stages(place.bundle, work):
            if sample.name in _TOLD:
                yield sample._replace(name=f"history × {times}: {sample.name}")
    most = most_types()
    for types in (*_TYPES, most):
        yield from _of_types(place.folder / f"types-{types}", types, records)
    yield Sample("most types whose row fits", most, "types")


def most_types() -> int:
    """Return how many types a bank may have; one more is refused."""
    types = 2
    while fits(with_types(types + 1)):
        types += 1
    return types


def fits(spec: Spec) -> bool:
    """Return whether a spec's row is small enough."""
    try:
        Layout(spec).check()
    except SpecError:
        return False
    return True


def with_types(types: int) -> Spec:
    """Return the built-in bank with so many types and the tasks that name none."""
    bank = spec_file.bank()
    names = [*(f"type_{number}" for number in range(types - 1)), "other"]
    tasks = tuple(task for task in bank.tasks if task.name in _FREE)
    return replace(bank, types=tuple(TransactionType(name) for name in names), tasks=tasks, rules=())


def _of_types(folder: Path, types: int, records: int) -> Iterator[Sample]:
    spec = with_types(types)
    work = Workload(_CUSTOMERS, records, partitions=1, types=tuple(item.name for item in spec.types))
    for sample in stages(random_bundle(folder, spec), work):
        if sample.name in _TOLD:
            yield sample._replace(name=f"{types} types: {sample.name}")
    yield Sample(f"{types} types: row", _NUMBER_BYTES * Layout(spec).row_width, "bytes")
