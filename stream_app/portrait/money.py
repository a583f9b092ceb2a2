"""What a customer moves: over the windows, and by type of transaction."""

from schemas.portrait import Recent, Turnover, Window
from schemas.spec import TransactionType
from stream_app.portrait.reading import Reading


def windows(reading: Reading) -> tuple[Window, ...]:
    """Return what moved in each window, hours before days."""
    spec = reading.layout.spec
    hours = [_window(reading, "h", size) for size in spec.window_hours]
    return (*hours, *(_window(reading, "d", size) for size in spec.window_days))


def turnover(reading: Reading) -> tuple[Turnover, ...]:
    """Return what moved by type: the types used, the largest amount of late first."""
    spec = reading.layout.spec
    found = [_turnover(reading, item) for item in spec.types if reading.since_days(f"since_h:{item.name}") is not None]
    days = recent_days(spec.decay_days)
    return tuple(sorted(found, key=lambda item: -of_late(item, days).amount))


def recent_days(decay_days: tuple[float, ...], most: float = 30.0) -> float:
    """Return the decay constant that stands for "of late": the longest that is no longer than a month."""
    return max((days for days in decay_days if days <= most), default=decay_days[0])


def of_late(item: Turnover, days: float) -> Recent:
    """Return the sum of one decay constant."""
    return next(part for part in item.recent if part.days == days)


def _window(reading: Reading, unit: str, size: int) -> Window:
    return Window(
        unit="h" if unit == "h" else "d",
        size=size,
        count=int(reading[f"count_{size}{unit}"]),
        inflow=reading[f"in_{size}{unit}"],
        outflow=reading[f"out_{size}{unit}"],
        largest=reading[f"max_{size}d"] if unit == "d" else None,
    )


def _turnover(reading: Reading, item: TransactionType) -> Turnover:
    return Turnover(
        type=item.name,
        initiator=item.initiator,
        last_days=reading.since_days(f"since_h:{item.name}") or 0.0,
        last_amount=reading[f"amount:{item.name}"],
        recent=tuple(
            Recent(
                days=days,
                count=reading[f"count:{item.name}~{days:g}d"],
                amount=reading[f"amount:{item.name}~{days:g}d"],
            )
            for days in reading.layout.spec.decay_days
        ),
    )
