"""The portrait: a pure function of a row, a bundle and a time. No clock, no I/O, and the row stays as it is."""

import numpy as np
from numpy.typing import NDArray

from schemas.errors import InputError
from schemas.portrait import Answer, Portrait
from stream_app.portrait import facts, money, standing
from stream_app.portrait.preferences import Catalogue, preferences
from stream_app.portrait.reading import Reading, read
from stream_app.portrait.served import Served, Why
from stream_app.portrait.stage import stage


def portrait(customer: str, row: NDArray[np.float32], at_ms: int, served: Served, products: Catalogue = ()) -> Portrait:
    """Return the portrait of a customer.

    Args:
        customer: the id.
        row: float32 [row width], in the bundle's state layout; left as it is.
        at_ms: as of when, epoch ms; a row cannot go back, so it is not before its newest transaction.
        served: the bundle in force, with its network.
        products: the catalogue, if there is one.

    Raises:
        InputError: nothing is known of the customer.
    """
    bundle = served.bundle
    reading = read(customer, row, at_ms, bundle, served.predict)
    if reading is None:
        message = "Expected a customer of whom something is known, found an empty row; correct the id."
        raise InputError(message)
    tasks = answers(reading, served.why(reading))
    turnover = money.turnover(reading)
    population = bundle.manifest.population
    return Portrait(
        customer_id=customer,
        time=reading.time_ms,
        utc_offset_minutes=bundle.spec.utc_offset_minutes,
        currency=bundle.spec.currency,
        bundle=bundle.short,
        layout=bundle.manifest.layout,
        stage=stage(reading, tasks, bundle),
        recency=standing.recency(reading, population),
        frequency=standing.frequency(reading, population),
        monetary=standing.monetary(reading, population),
        windows=money.windows(reading),
        turnover=turnover,
        balance=facts.balance(reading),
        tasks=tasks,
        preferences=preferences(bundle.spec, tasks, turnover, products),
        facts=facts.facts(reading),
        alerts=facts.open_alerts(row, reading.layout),
    )


def answers(reading: Reading, why: Why) -> dict[str, Answer]:
    """Return what each task asks, and the answer with its reasons."""
    spec = reading.layout.spec
    return {
        name: Answer(
            kind=task.kind,
            label=task.label,
            horizon_days=task.horizon_days,
            outcome=task.outcome_name if task.label.startswith("outcome") else None,
            drop=task.drop if task.label == "spend_drop" else None,
            score=score,
            reasons=why.get(name, ()),
        )
        for name, score in reading.score.tasks.items()
        for task in (spec.task(name),)
    }
