"""Which columns of the customers table can be attributes, with which bounds or values, and who may see them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.accepted import LARGEST_AMOUNT
from schemas.spec import PROTECTED, Attribute, Spec
from schemas.spec_file import KINDS, RESERVED
from stream_app.kernel.layout import Layout
from stream_app.offline.folder import COLUMNS, CUSTOMERS, NUMBER
from training.draft.lexicon import protected_word
from training.draft.names import is_name

MOST_ATTRIBUTES: Final = 100
MOST_VALUES: Final = 32
"""Different texts that a category may have."""
_LONGEST: Final = 64
_USUAL_MOST: Final = {"age": 150.0, "credit_score": 1000.0}
_FEW_CODES: Final = 12


@dataclass(frozen=True)
class AttributeDraft:
    """An attribute of the spec, and what to know of it."""

    attribute: Attribute
    note: str


@dataclass(frozen=True)
class AttributesDraft:
    """The attributes of a draft, and the columns that are none: name → why."""

    kept: tuple[AttributeDraft, ...]
    left: dict[str, str]

    @property
    def hidden(self) -> tuple[str, ...]:
        """Return the attributes that the network does not see."""
        return tuple(item.attribute.name for item in self.kept if not item.attribute.is_input)


def draft_attributes(customers: pa.Table, spec: Spec) -> AttributesDraft:
    """Make attributes of the columns of a customers table.

    Args:
        customers: the table.
        spec: the spec without attributes, whose features must keep their names for themselves.
    """
    taken = set(Layout(spec).column)
    kept, left = list[AttributeDraft](), dict[str, str]()
    for name in customers.column_names:
        if name in COLUMNS[CUSTOMERS].known:
            continue
        drafted = _attribute(name, customers[name])
        if isinstance(drafted, str):
            left[name] = drafted
        elif doubled := taken & set(_features(drafted.attribute)):
            left[name] = f"a feature is called {min(doubled)}: give the column another name"
        elif len(kept) >= MOST_ATTRIBUTES:
            left[name] = f"{MOST_ATTRIBUTES} are enough for a draft"
        else:
            taken |= set(_features(drafted.attribute))
            kept.append(drafted)
    return AttributesDraft(tuple(kept), left)


def _features(item: Attribute) -> Iterator[str]:
    if item.kind == "number":
        yield from (item.name, f"{item.name}_known")
    else:
        yield from (f"{item.name}={value}" for value in item.values)


def _attribute(name: str, column: pa.ChunkedArray) -> AttributeDraft | str:
    """Return the attribute that a column can be, or why it can be none."""
    kind = "number" if column.type == NUMBER else "category"
    if refused := _refused(name, kind):
        return refused
    drafted = _number(name, column) if kind == "number" else _category(name, column)
    if isinstance(drafted, str):
        return drafted
    if name in PROTECTED:
        return AttributeDraft(drafted.attribute, "the network does not see it, unless you add input = true")
    if meaning := protected_word(name):
        note = f"guessed: review (sounds like {meaning}; without input = false the network sees it)"
        return AttributeDraft(msgspec.structs.replace(drafted.attribute, input=False), note)
    return drafted


def _refused(name: str, kind: str) -> str:
    """Return why a column of that kind cannot be an attribute by its name; "" where it can."""
    if name in RESERVED:
        return "a name that customer records use themselves"
    if not is_name(name):
        return "a name has letters, digits and _ only: rename the column"
    if KINDS.get(name, kind) != kind:
        return f"a {kind} here, but a {KINDS[name]} in customer records: rename the column, or convert it"
    return ""


def _number(name: str, column: pa.ChunkedArray) -> AttributeDraft | str:
    finite = column.filter(pc.fill_null(pc.is_finite(column), fill_value=False))
    if not len(finite):
        return "no number in it"
    low, high = (float(value.as_py()) for value in pc.min_max(finite).values())
    if low < 0:
        return f"down to {low:g}, but a row holds numbers from 0 on: shift it"
    if high > LARGEST_AMOUNT:
        return f"up to {high:g}, but a row holds numbers up to 1e12"
    different = pc.count_distinct(finite).as_py()
    note = f"{low:g} to {high:g} seen"
    if different <= _FEW_CODES and name not in KINDS:
        note += f", {different} different: store codes as texts, they are categories then"
    return AttributeDraft(Attribute(name, "number", at_most=_beyond(name, high)), note)


def _beyond(name: str, high: float) -> float:
    """Return a round bound at least twice as large as what was seen, or the usual one."""
    if high <= _USUAL_MOST.get(name, -1.0):
        return _USUAL_MOST[name]
    wanted = max(2.0 * high, 1.0)
    power = 10.0 ** math.floor(math.log10(wanted))
    return min(next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= wanted), LARGEST_AMOUNT)


def _category(name: str, column: pa.ChunkedArray) -> AttributeDraft | str:
    counts = sorted(column.drop_null().value_counts().to_pylist(), key=lambda item: (-item["counts"], item["values"]))
    values = tuple(item["values"] for item in counts if item["values"])
    if not values:
        return "no text in it"
    if len(values) > MOST_VALUES:
        return f"{len(values):,} different texts, of which a category takes {MOST_VALUES}: group them"
    if any(len(value) > _LONGEST for value in values):
        return f"texts of more than {_LONGEST} characters"
    return AttributeDraft(Attribute(name, "category", values=values), "")
