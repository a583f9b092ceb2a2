"""What a row remembers besides money: the facts that were told of a customer, and which rules have fired."""

import numpy as np
from numpy.typing import NDArray

from schemas.portrait import Fact, OpenAlert
from schemas.spec import Attribute
from stream_app.kernel.kernel import BALANCE
from stream_app.kernel.layout import ALERT_SLOTS, Layout
from stream_app.kernel.plan import MS_PER_HOUR
from stream_app.portrait.reading import Reading, plain


def facts(reading: Reading) -> tuple[Fact, ...]:
    """Return the attributes that are known, in the spec's order.

    Protected ones are among them, as facts and nothing else: no other part of a portrait looks at attributes, and the
    scores know those only that are marked as used.
    """
    inputs = set(reading.layout.inputs)
    found = [(item, _value(reading, item)) for item in reading.layout.spec.attributes]
    return tuple(
        Fact(name=item.name, value=value, used=_columns(reading.layout, item) <= inputs)
        for item, value in found
        if value is not None
    )


def balance(reading: Reading) -> float | None:
    """Return the balance after the newest transaction that told one."""
    return plain(reading.row[BALANCE + 1]) if reading.row[BALANCE] else None


def open_alerts(row: NDArray[np.float32], layout: Layout) -> tuple[OpenAlert, ...]:
    """Return the rules that have fired and are not armed again, in the spec's order."""
    start = layout.sections["alerts"].start
    found = []
    for number, rule in enumerate(layout.spec.rules):
        fired, hour, ms, suppressed = (int(x) for x in row[start + ALERT_SLOTS * number :][:ALERT_SLOTS])
        if fired:
            found.append(
                OpenAlert(
                    rule=rule.name,
                    severity=rule.severity,
                    time=hour * MS_PER_HOUR + ms,
                    suppressed=suppressed,
                    task=rule.task,
                    feature=rule.feature,
                )
            )
    return tuple(found)


def _value(reading: Reading, item: Attribute) -> float | str | None:
    if item.kind == "number":
        return reading[item.name] if reading[f"{item.name}_known"] else None
    return next((value for value in item.values if reading[f"{item.name}={value}"]), None)


def _columns(layout: Layout, item: Attribute) -> set[int]:
    """Return the columns of the feature row that tell an attribute."""
    names = [item.name] if item.kind == "number" else [f"{item.name}={value}" for value in item.values]
    return {layout.column[name] for name in names}
