"""Makes a spec for a log of purchases (or any other log) out of the types and attributes that it holds."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from schemas.errors import InputError
from schemas.spec import OTHER
from stream_app.offline.folder import COLUMNS, CUSTOMERS, NUMBER

MOST_TYPES: Final = 16
"""Types that a generated spec keeps apart, ``other`` among them."""
MOST_VALUES: Final = 32
"""Values that a generated category may have."""
_LONGEST = 64

_HEAD = """\
# Made from the log by `foretell data csv`: change what you know better, then train.
name = "purchases"
currency = "{currency}"

types = [
{types}
]
"""
_TASKS = """
[[tasks]]
name = "churn"
kind = "binary"
label = "inactive"
horizon_days = {horizon}
min_history_days = 1
eligible = [{{ feature = "own_count", at_least = 2 }}]
bands = [{{ name = "low" }}, {{ name = "medium", top_share = 0.5 }}, {{ name = "high", top_share = 0.2 }}]

[[tasks]]
name = "value"
kind = "value"
label = "outflow"
horizon_days = {horizon}
eligible = [{{ feature = "own_count", at_least = 1 }}]
bands = [{{ name = "low" }}, {{ name = "medium", top_share = 0.5 }}, {{ name = "high", top_share = 0.1 }}]
"""
_NEXT = """
[[tasks]]
name = "next_behaviour"
kind = "multiclass"
label = "next_type"
horizon_days = {horizon}
eligible = [{{ feature = "own_count", at_least = 1 }}]
"""
_RULES = """
[[rules]]
name = "churn_high"
task = "churn"
threshold = 0.8
rearm = 0.6
cooldown_hours = 720
severity = "warning"

[[rules]]
name = "unusual_amount"
feature = "amount_z"
threshold = 6.0
rearm = 3.0
cooldown_hours = 24
severity = "info"
"""


@dataclass(frozen=True)
class InferredAttribute:
    """An attribute column as a spec would describe it; without values it is a number."""

    name: str
    values: tuple[str, ...] = ()


def name_types(types: pa.ChunkedArray) -> dict[str, str]:
    """Map each type found to the name that it has in the spec; rare ones and blank ones become ``other``.

    A name has letters, digits and _ only and begins with a letter; types that differ in nothing else become one.
    """
    counts: Counter[str] = Counter()
    names = {}
    for item in types.value_counts().to_pylist():
        names[item["values"]] = _name(item["values"])
        counts[names[item["values"]]] += item["counts"]
    frequent = sorted((name for name in counts if name != OTHER), key=lambda name: (-counts[name], name))
    kept = set(frequent[: MOST_TYPES - 1])
    return {found: name if name in kept else OTHER for found, name in names.items()}


def infer_attributes(customers: pa.Table, where: str) -> list[InferredAttribute]:
    """Describe the attribute columns of a customers table.

    Raises:
        InputError: a column of texts has too many different ones to be a category, or a name that a spec cannot hold.
    """
    attributes = []
    for name in customers.column_names:
        if name in COLUMNS[CUSTOMERS].known:
            continue
        if _name(name) != name:
            message = (
                f"Expected attribute names of letters, digits and _ in {where}, found column `{name}`; "
                "rename it, remove it, or give a spec with --spec."
            )
            raise InputError(message)
        column = customers.column(name)
        values = () if column.type == NUMBER else tuple(sorted(filter(None, column.unique().to_pylist())))
        if len(values) > MOST_VALUES or any(len(value) > _LONGEST for value in values):
            message = (
                f"Expected at most {MOST_VALUES} different short texts in column `{name}` of {where}, "
                f"found {len(values)}; remove the column, or give a spec with --spec."
            )
            raise InputError(message)
        attributes.append(InferredAttribute(name, values))
    return attributes


def purchases_spec(
    names: Mapping[str, str], attributes: Sequence[InferredAttribute], currency: str, horizon_days: int
) -> str:
    """Return the text of a spec: churn, value and (where types differ) next behaviour.

    Args:
        names: the names of the types, as ``name_types`` gives them.
        attributes: the attributes of the customers.
        currency: the base currency.
        horizon_days: the horizon of all tasks, days.
    """
    kinds = [*sorted(set(names.values()) - {OTHER}), OTHER]
    types = "\n".join(f'  {{ name = "{kind}" }},' for kind in kinds)
    text = _HEAD.format(currency=currency, types=types)
    if attributes:
        text += "\nattributes = [\n" + "".join(f"  {_attribute(item)},\n" for item in attributes) + "]\n"
    text += _TASKS.format(horizon=horizon_days)
    if len(set(names.values())) > 1:
        text += _NEXT.format(horizon=horizon_days)
    return text + _RULES


def _attribute(item: InferredAttribute) -> str:
    if not item.values:
        return f'{{ name = "{item.name}", kind = "number" }}'
    values = ", ".join(f'"{_escaped(value)}"' for value in item.values)
    return f'{{ name = "{item.name}", kind = "category", values = [{values}] }}'


def _escaped(value: str) -> str:
    value = value.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in value)


def _name(found: str | None) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", found or "").strip("_")
    if not words:
        return OTHER
    return (words if words[0].isalpha() else f"type_{words}")[:_LONGEST]
