"""Times and the calendar as the kernel gets them."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import numpy as np
import pytest

from schemas.accepted import EARLIEST_MS, LATEST_MS
from schemas.spec_file import bank
from stream_app.kernel import kernel
from stream_app.kernel.layout import Layout
from stream_app.kernel.plan import local_midnight, plan, split_time

PLAN = plan(Layout(bank()))
EPOCH = date(1970, 1, 1)


def row(day: date) -> int:
    """Return the calendar's row of a local day."""
    return (day - EPOCH).days - int(PLAN.first_day[0])


def test_a_time_splits_into_local_hour_and_ms() -> None:
    at = datetime(2024, 2, 29, 23, 45, 0, 7_000, tzinfo=UTC)
    time_ms = np.array([round(at.timestamp() * 1000)])
    midnight = (date(2024, 2, 29) - EPOCH).days * 24
    for offset, hour, minutes in ((0, 23, 45), (330, 29, 15), (-480, 15, 45), (-840, 9, 45)):
        found = split_time(time_ms, offset)
        assert [part.tolist() for part in found] == [[midnight + hour], [minutes * 60_000 + 7]]


def test_the_last_ms_of_an_hour_belongs_to_it() -> None:
    hour, ms = split_time(np.array([3_599_999, 3_600_000]), 0)
    assert hour.tolist() == [0, 1]
    assert ms.tolist() == [3_599_999, 0]


def test_all_accepted_times_stand_in_the_calendar_and_fit_float32() -> None:
    hour, _ = split_time(np.array([EARLIEST_MS, EARLIEST_MS, LATEST_MS - 1, LATEST_MS - 1]), 0)
    hour += np.array([-14, 14, -14, 14])
    day = hour // 24 - PLAN.first_day[0]
    assert day.min() >= 0
    assert kernel.month_starts(int(day.min()), PLAN.dates)[0] >= 0  # the month three months before
    assert day.max() + 62 < len(PLAN.dates)  # an anniversary may stand in the next month
    assert (hour.astype(np.float32) == hour).all()


@pytest.mark.parametrize(
    ("day", "number", "length"),
    [
        (date(1990, 1, 1), 1, 31),
        (date(2023, 2, 28), 28, 28),
        (date(2024, 2, 29), 29, 29),
        (date(2100, 2, 28), 28, 28),
        (date(2199, 12, 31), 31, 31),
    ],
)
def test_the_calendar_knows_days_of_month_and_lengths(day: date, number: int, length: int) -> None:
    assert PLAN.dates[row(day)].tolist() == [number, length]
    assert len(PLAN.dates) == len(PLAN.season)


def test_the_place_in_month_and_year_is_a_turn() -> None:
    first = PLAN.season[row(date(2024, 1, 1))]
    assert first.tolist() == [0, 1, 0, 1]
    half = PLAN.season[row(date(2023, 6, 16))]
    assert half[:2].tolist() == pytest.approx([0, -1], abs=1e-6)
    july = PLAN.season[row(date(2024, 7, 2))]
    assert july[2:].tolist() == pytest.approx([0, -1], abs=1e-6)  # day 184 of 366


def test_the_week_starts_on_monday_and_the_day_at_midnight() -> None:
    monday = (date(2024, 1, 1) - EPOCH).days * 24
    assert PLAN.week[monday % 168].tolist() == [0, 1, 0, 1]
    thursday_noon = PLAN.week[(monday + 3 * 24 + 12) % 168]
    assert thursday_noon[:2].tolist() == [0, -1]
    assert thursday_noon[2:].tolist() == pytest.approx([np.sin(6 * np.pi / 7), np.cos(6 * np.pi / 7)], abs=1e-6)


def test_calendar_features_have_six_decimals() -> None:
    for table in (PLAN.week, PLAN.season):
        assert (table == np.round(table.astype(np.float64), 6).astype(np.float32)).all()
        assert np.abs(table).max() == 1


def test_the_plan_says_what_the_spec_says() -> None:
    spec = bank()
    assert PLAN.own.tolist() == [item.initiator == "customer" for item in spec.types]
    assert PLAN.hours.tolist() == [1, 6, 24]
    assert PLAN.days.tolist() == [1, 7, 30]
    assert (1 / PLAN.rates / 86_400_000).tolist() == pytest.approx([7, 30, 90, 365])
    assert PLAN.numeric.tolist() == [1, 0, 1, 1, 0, 0]
    assert PLAN.levels.tolist() == [0, 3, 0, 0, 3, 2]
    sections = Layout(spec).sections
    assert PLAN.at.tolist() == [sections[name].start for name in ("types", "attributes", "ids")] + [
        Layout(spec).log_width
    ]


def test_the_plan_says_after_what_periods_types_recur_and_where_that_stands() -> None:
    assert PLAN.periods.tolist() == []
    layout = Layout(msgspec.structs.replace(bank(), due_every=("month", "7d")))
    recurring = plan(layout)
    assert recurring.periods.tolist() == [0, 7]
    assert recurring.recurring.tolist() == list(layout.recurring)


def test_local_midnight_is_the_start_of_the_local_day() -> None:
    at = datetime(2024, 3, 1, 2, 30, tzinfo=UTC)
    assert local_midnight(at, 0) == datetime(2024, 3, 1, tzinfo=UTC)
    assert local_midnight(at, 330) == datetime(2024, 2, 29, 18, 30, tzinfo=UTC)
    assert local_midnight(at, -480) == datetime(2024, 2, 29, 8, tzinfo=UTC)
    assert local_midnight(at, -480).utcoffset() == timedelta(hours=-8)
