"""Where everything stands in a customer's row and in a feature row, computed from the spec.

A **row** is the whole memory of a customer: float32, in sections. A **feature row** is what the network sees: first a
block of columns that are never negative (the network takes log(1 + x) of them), then a block that it takes as they are;
both padded to multiples of 16, because onnxruntime's vectorised log changes the last bit in a scalar tail.
"""

import fnmatch
import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import msgspec

from schemas.errors import SpecError
from schemas.spec import DAY_TILES, HOUR_TILES, Spec

RULE_NUMBER: Final = 1
"""Raise it whenever a formula of the kernel changes: rows written before are then of another layout."""
PAD: Final = 16
MOST_ROW_BYTES: Final = 4096
LAST_EVENTS: Final = 3
REMEMBERED_IDS: Final = 8
ALERT_SLOTS: Final = 4
"""Numbers an alert rule remembers: fired and not yet armed again, hour and ms of the last alert, suppressed since."""
TYPE_DAY_WORDS: Final = 4
"""Numbers that say on which of the last 96 days a type occurred."""
DUE_SOURCES: Final = ("", "_2of3", "_3of3")
"""What says that a type is due: it occurred a period before; two of the last three times; all three times."""
CALENDAR: Final = (
    "day_sin", "day_cos", "week_sin", "week_cos", "month_sin", "month_cos", "year_sin", "year_cos",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A stretch of a row: ``width`` float32 from ``start``."""

    name: str
    start: int
    width: int


@dataclass(frozen=True)
class Layout:
    """Sections of a row and names of the features for one spec."""

    spec: Spec

    @cached_property
    def sections(self) -> dict[str, Section]:
        """Map each section's name to its place, in row order."""
        types = len(self.spec.types)
        widths = {
            "clock": 4,
            "own": 4,
            "customer": 1,
            "balance": 2,
            "moments": 6,
            "last": 4 * LAST_EVENTS,
            "hours": 3 * HOUR_TILES,
            "days": 4 * DAY_TILES,
            "decayed": len(self.spec.decay_days) * (2 + 2 * types),
            "types": 3 * types,
            "attributes": sum(2 if item.kind == "number" else 1 for item in self.spec.attributes),
            "ids": 1 + 2 * REMEMBERED_IDS,
        }
        if self.spec.due_every:
            widths["type_days"] = TYPE_DAY_WORDS * len(self.spec.own_types)
        widths["alerts"] = ALERT_SLOTS * len(self.spec.rules)
        sections, start = {}, 0
        for name, width in widths.items():
            sections[name] = Section(name, start, width)
            start += width
        return sections

    @cached_property
    def row_width(self) -> int:
        """Return the number of float32 in a row, a multiple of 16.

        Raises:
            SpecError: the row would be larger than 4 KiB.
        """
        width = _padded(sum(section.width for section in self.sections.values()))
        if width * 4 > MOST_ROW_BYTES:
            parts = ", ".join(f"{item.name} {item.width * 4}" for item in self.sections.values())
            message = (
                f"Expected a row of at most {MOST_ROW_BYTES} bytes, found {width * 4} in spec {self.spec.name!r} "
                f"({parts}); use fewer types, decay_days, attributes or rules."
            )
            raise SpecError(message)
        return width

    @cached_property
    def log_names(self) -> tuple[str, ...]:
        """Return the features that are never negative and enter the network as log(1 + x)."""
        spec, names = self.spec, list[str]()
        for unit, windows in (("h", spec.window_hours), ("d", spec.window_days)):
            names += [f"{part}_{size}{unit}" for size in windows for part in ("count", "in", "out")]
        names += [f"max_{size}d" for size in spec.window_days]
        for days in spec.decay_days:
            names += [f"in~{days:g}d", f"out~{days:g}d"]
            names += [f"{part}:{item.name}~{days:g}d" for part in ("count", "amount") for item in spec.types]
        names += ["silence_h", "own_silence_h", "tenure_h", "own_tenure_h", "registered_h", "count", "own_count"]
        names += ["gap_mean_h", "gap_sd_h", "amount_mean", "amount_sd", "late_h", "balance_above", "balance_below"]
        names += [f"last{back}_{part}" for back in range(1, LAST_EVENTS + 1) for part in ("h", "amount")]
        names += [f"{part}:{item.name}" for item in spec.types for part in ("since_h", "gap_h", "amount")]
        names += [item.name for item in spec.attributes if item.kind == "number"]
        return tuple(names)

    @cached_property
    def linear_names(self) -> tuple[str, ...]:
        """Return the features that enter the network as they are."""
        spec = self.spec
        names = ["gap_z", "amount_z", "silence_z", "balance_known", *CALENDAR, "due_first_d"]
        names += [f"last{back}_sign" for back in range(1, LAST_EVENTS + 1)]
        names += [f"last{back}={item.name}" for back in range(1, LAST_EVENTS + 1) for item in spec.types]
        names += [f"due_d:{item.name}" for item in spec.types]
        names += [f"due_first={item.name}" for item in spec.types]
        names += [f"{item.name}_known" for item in spec.attributes if item.kind == "number"]
        names += [
            f"{item.name}={value}" for item in spec.attributes if item.kind == "category" for value in item.values
        ]
        return (*names, *self.due_names)

    @cached_property
    def due_names(self) -> tuple[str, ...]:
        """Return the last ones of these: when types are due that recur."""
        names, types = list[str](), self.spec.own_types
        for source in (f"{period}{times}" for period in self.spec.due_every for times in DUE_SOURCES):
            names += [f"{part}:{name}~{source}" for part in ("due_d", "due_after_d") for name in types]
            names += [f"due_first_d~{source}"]
        return tuple(names)

    @property
    def recurring(self) -> tuple[int, int, int]:
        """Return where the days of recurring types start and end in a row, and their first column; 0 without."""
        if not self.spec.due_every:
            return 0, 0, 0
        section = self.sections["type_days"]
        return section.start, section.start + section.width, self.column[self.due_names[0]]

    @cached_property
    def log_width(self) -> int:
        """Return the number of columns of the log block, padding included."""
        return _padded(len(self.log_names))

    @cached_property
    def feature_width(self) -> int:
        """Return the number of columns of a feature row, padding included."""
        return self.log_width + _padded(len(self.linear_names))

    @cached_property
    def column(self) -> dict[str, int]:
        """Map each feature's name to its column."""
        columns = {name: index for index, name in enumerate(self.log_names)}
        columns.update((name, self.log_width + index) for index, name in enumerate(self.linear_names))
        return columns

    @cached_property
    def said_by(self) -> dict[str, tuple[int, ...]]:
        """Map each thing that features say to its columns.

        It is one thing for the classes of a category, for a number and whether it is known, and for the two halves of
        a time of day.
        """
        known = {f"{item.name}_known": item.name for item in self.spec.attributes if item.kind == "number"}
        found: dict[str, list[int]] = {}
        for name, column in self.column.items():
            thing = name.rsplit("_", 1)[0] if name in CALENDAR else known.get(name, name.split("=", 1)[0])
            found.setdefault(thing, []).append(column)
        return {thing: tuple(columns) for thing, columns in found.items()}

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Return the columns that the network may see, ascending."""
        hidden = {name for name in self.column if any(fnmatch.fnmatchcase(name, p) for p in self.spec.exclude_inputs)}
        for item in self.spec.attributes:
            if not item.is_input:
                hidden |= {item.name, f"{item.name}_known", *(f"{item.name}={value}" for value in item.values)}
        return tuple(
            index for name, index in sorted(self.column.items(), key=lambda pair: pair[1]) if name not in hidden
        )

    @cached_property
    def hash(self) -> str:
        """Return 8 hex digits that differ whenever a row or a feature row would mean something else."""
        spec = self.spec
        meaning = (
            RULE_NUMBER,
            self.row_width,
            [(item.name, item.start, item.width) for item in self.sections.values()],
            [(item.name, item.initiator) for item in spec.types],
            (spec.utc_offset_minutes, spec.window_hours, spec.window_days, [float(days) for days in spec.decay_days]),
            (spec.currency, sorted((code, float(rate)) for code, rate in spec.rates.items())),
            [
                (item.name, item.kind, item.values, float(item.at_least), float(item.at_most))
                for item in spec.attributes
            ],
            [rule.name for rule in spec.rules],
            (self.log_names, self.linear_names),
        )
        return hashlib.blake2s(msgspec.json.encode(meaning), digest_size=4).hexdigest()

    def require(self, feature: str, where: str) -> int:
        """Return the column of a feature that a spec names.

        Raises:
            SpecError: there is no such feature.
        """
        if feature not in self.column:
            near = ", ".join(sorted(self.column, key=lambda name: _distance(name, feature))[:3])
            message = f"Expected the name of a feature in {where}, found {feature!r}; the nearest are {near}."
            raise SpecError(message)
        return self.column[feature]

    def check(self) -> "Layout":
        """Return itself after checking that the row fits and that the spec names only features that exist.

        Raises:
            SpecError: the row is too large or a feature is unknown.
        """
        _ = self.row_width
        repeated = [name for name, times in Counter([*self.log_names, *self.linear_names]).items() if times > 1]
        if repeated:
            message = (
                f"Expected each feature once, found {repeated[0]!r} twice in spec {self.spec.name!r}; "
                "rename the attribute of that name."
            )
            raise SpecError(message)
        for task in self.spec.tasks:
            for condition in task.eligible:
                self.require(condition.feature, f"task {task.name!r}, eligible")
        for rule in self.spec.rules:
            if rule.feature is not None:
                self.require(rule.feature, f"rule {rule.name!r}")
        for pattern in self.spec.exclude_inputs:
            if not fnmatch.filter(self.column, pattern):
                self.require(pattern, "exclude_inputs")
        for template in self.spec.reasons.templates:
            if not fnmatch.filter(self.said_by, template.feature):
                self.require(template.feature, "reasons.templates")
        return self


def _padded(width: int) -> int:
    return -(-width // PAD) * PAD


def _distance(name: str, wanted: str) -> tuple[int, str]:
    return -len(set(pairwise(name)) & set(pairwise(wanted))), name
