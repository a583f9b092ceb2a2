"""Segments: groups of rows that a report tells apart, and groups by attributes that the law protects."""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from schemas.spec import PROTECTED, Attribute
from stream_app.kernel.layout import Layout
from training.arrays import Floats, Ints, Singles

UNKNOWN: Final = -1
_MOST_VALUES: Final = 12
_HOURS: Final = 24.0
_AGES: Final = (30.0, 45.0, 60.0)
_HALF: Final = 0.5
_THIRDS: Final = (1 / 3, 2 / 3)


class Segment(NamedTuple):
    """One way to group n rows.

    Attributes:
        name: what they are grouped by.
        groups: the groups' names.
        code: int64 [n], the group of each row, ``UNKNOWN`` where that is not known.
    """

    name: str
    groups: tuple[str, ...]
    code: Ints

    def at(self, rows: Ints) -> "Segment":
        """Return the groups of some rows."""
        return self._replace(code=self.code[rows])


def segments(features: Singles, layout: Layout) -> tuple[Segment, ...]:
    """Return groups by activity, tenure, and attributes with few values that are not protected.

    Args:
        features: raw feature rows, float32 [n, feature width].
        layout: of the features.
    """
    found = [
        _thirds("transactions so far", features[:, layout.column["own_count"]].astype(np.float64)),
        _thirds("days as a customer", features[:, layout.column["own_tenure_h"]].astype(np.float64) / _HOURS),
    ]
    found += [_categories(item, features, layout) for item in _categorical(layout) if item.name not in PROTECTED]
    return tuple(segment for segment in found if len(segment.groups) > 1)


def protected(features: Singles, layout: Layout) -> tuple[Segment, ...]:
    """Return groups by the protected attributes that the data has, whether the network may see them or not."""
    found = [_categories(item, features, layout) for item in _categorical(layout) if item.name in PROTECTED]
    for item in layout.spec.attributes:
        if item.kind == "number" and item.name in PROTECTED:
            values = features[:, layout.column[item.name]].astype(np.float64)
            known = features[:, layout.column[f"{item.name}_known"]] > _HALF
            segment = _between(item.name, values, _AGES) if item.name == "age" else _thirds(item.name, values)
            found.append(segment._replace(code=np.where(known, segment.code, UNKNOWN)))
    return tuple(segment for segment in found if len(segment.groups) > 1)


def _categorical(layout: Layout) -> list[Attribute]:
    return [item for item in layout.spec.attributes if item.kind == "category" and len(item.values) <= _MOST_VALUES]


def _categories(attribute: Attribute, features: Singles, layout: Layout) -> Segment:
    columns = [layout.column[f"{attribute.name}={value}"] for value in attribute.values]
    said = features[:, columns] > _HALF
    code = np.where(said.any(axis=1), said.argmax(axis=1), UNKNOWN).astype(np.int64)
    return Segment(attribute.name, attribute.values, code)


def _thirds(name: str, values: Floats) -> Segment:
    """Return three groups of about as many rows each; fewer where many values are the same."""
    bounds = np.unique(np.quantile(values, _THIRDS)) if len(values) else np.empty(0)
    return _between(name, values, tuple(bounds[bounds < values.max(initial=-np.inf)].tolist()))


def _between(name: str, values: Floats, bounds: tuple[float, ...]) -> Segment:
    """Return groups up to each bound, which is in it, and above the last."""
    if not bounds:
        return Segment(name, (), np.zeros(len(values), np.int64))
    told = [f"{bound:,.4g}" for bound in bounds]
    groups = (f"up to {told[0]}", *(f"{a} to {b}" for a, b in pairwise(told)), f"above {told[-1]}")
    return Segment(name, groups, np.searchsorted(bounds, values).astype(np.int64))
