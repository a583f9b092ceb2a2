"""Turns a layout into the arrays that the kernel takes, and times into (hour, ms)."""

from datetime import date, datetime, timedelta, timezone
from functools import cache, lru_cache
from math import cos, pi, sin
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas.spec import MONTH
from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout

MS_PER_HOUR: Final = 3_600_000
_EPOCH = date(1970, 1, 1)
_FIRST, _END = date(1989, 9, 1), date(2200, 4, 1)  # the accepted times, with slack for offsets and anniversaries


def plan(layout: Layout) -> kernel.Plan:
    """Return the kernel's arrays for a layout."""
    spec, sections = layout.spec, layout.sections
    dates, season = _calendar()
    return kernel.Plan(
        at=_whole([sections[name].start for name in ("types", "attributes", "ids")] + [layout.log_width]),
        own=_whole([item.initiator == "customer" for item in spec.types]),
        hours=_whole(spec.window_hours),
        days=_whole(spec.window_days),
        rates=np.array([1.0 / (days * 24 * MS_PER_HOUR) for days in spec.decay_days], np.float64),
        numeric=_whole([item.kind == "number" for item in spec.attributes]),
        levels=_whole([len(item.values) for item in spec.attributes]),
        periods=_whole([0 if period == MONTH else int(period.removesuffix("d")) for period in spec.due_every]),
        recurring=_whole(layout.recurring),
        first_day=_whole([(_FIRST - _EPOCH).days]),
        dates=dates,
        season=season,
        week=_week(),
    )


def split_time(time_ms: NDArray[np.int64], utc_offset_minutes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split epoch ms into local hours since 1970 and ms in the hour, both int64."""
    hour, ms = np.divmod(np.asarray(time_ms, np.int64) + utc_offset_minutes * 60_000, MS_PER_HOUR)
    return hour, ms


def local_midnight(day: datetime, utc_offset_minutes: int) -> datetime:
    """Return the start of the local day in which ``day`` falls, with the offset as its zone."""
    local = day.astimezone(timezone(timedelta(minutes=utc_offset_minutes)))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _whole(values: object) -> NDArray[np.int64]:
    return np.asarray(values, dtype=np.int64).reshape(-1)


@cache
def _turn(part: float) -> tuple[float, float]:
    """Return sine and cosine of a part of a full turn; rounded, so that no libm's last bit enters a feature."""
    return round(sin(2 * pi * part), 6), round(cos(2 * pi * part), 6)


@lru_cache(maxsize=1)
def _calendar() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    days = [_FIRST + timedelta(days=k) for k in range((_END - _FIRST).days)]
    lengths = {(day.year, day.month): 0 for day in days}
    for day in days:
        lengths[day.year, day.month] += 1
    dates = [(day.day, lengths[day.year, day.month]) for day in days]
    month = [_turn((number - 1) / length) for number, length in dates]
    year = [_turn((day.timetuple().tm_yday - 1) / 366) for day in days]
    season = np.array([(*m, *y) for m, y in zip(month, year, strict=True)], np.float32)
    return np.array(dates, np.int64), season


@lru_cache(maxsize=1)
def _week() -> NDArray[np.float32]:
    # Hour 0 of 1970 fell on a Thursday; the week starts on Monday.
    rows = [(*_turn(hour % 24 / 24), *_turn((hour // 24 + 3) % 7 / 7)) for hour in range(168)]
    return np.array(rows, np.float32)
