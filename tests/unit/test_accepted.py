"""What is accepted, value by value."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from schemas import spec_file
from schemas.accepted import (
    EARLIEST_MS,
    LATEST_MS,
    MOST_AHEAD_MS,
    NO_OFFSET_MS,
    NO_RECORD_TIME,
    amount_problem,
    currency_problem,
    epoch_ms,
    id_problem,
    time_problem,
)

BANK = spec_file.bank()


def test_the_bounds_of_time_are_the_beginnings_of_1990_and_2200() -> None:
    assert epoch_ms(datetime(1990, 1, 1, tzinfo=UTC)) == EARLIEST_MS
    assert epoch_ms(datetime(2200, 1, 1, tzinfo=UTC)) == LATEST_MS


def test_a_time_is_the_same_instant_in_every_zone() -> None:
    there = datetime(2024, 2, 29, 13, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert epoch_ms(there) == epoch_ms(datetime(2024, 2, 29, 8, tzinfo=UTC))


def test_parts_of_a_millisecond_are_cut_off_below_also_before_1970() -> None:
    assert epoch_ms(datetime(2024, 1, 1, 0, 0, 0, 1999, tzinfo=UTC)) % 1000 == 1
    assert epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_a_time_without_offset_has_no_place() -> None:
    assert epoch_ms(datetime(2024, 1, 1)) == NO_OFFSET_MS  # noqa: DTZ001  (that it has none is the point)
    assert time_problem(NO_OFFSET_MS) == "expected a time with an offset such as Z or +01:00, found one without"


@pytest.mark.parametrize("far", [-(10**30), 10**30])
def test_whole_numbers_beyond_64_bits_stay_within_them_and_are_refused(far: int) -> None:
    assert -(1 << 63) < epoch_ms(far) < 1 << 63
    assert "without" not in str(time_problem(epoch_ms(far)))


@pytest.mark.parametrize(
    "time", [datetime.min.replace(tzinfo=timezone(timedelta(hours=23))), datetime.max.replace(tzinfo=UTC)]
)
def test_no_calendar_edge_raises(time: datetime) -> None:
    assert time_problem(epoch_ms(time))


def test_time_is_accepted_from_1990_until_2200() -> None:
    assert time_problem(EARLIEST_MS) is None
    assert time_problem(LATEST_MS - 1) is None
    assert str(time_problem(EARLIEST_MS - 1)).endswith("it looks like seconds")
    assert str(time_problem(LATEST_MS)).endswith("it looks like microseconds")


def test_event_time_may_lie_a_day_after_the_records_time_and_no_more() -> None:
    assert time_problem(EARLIEST_MS + MOST_AHEAD_MS, EARLIEST_MS) is None
    assert time_problem(EARLIEST_MS + MOST_AHEAD_MS + 1, EARLIEST_MS) is not None
    assert time_problem(LATEST_MS - 1, NO_RECORD_TIME) is None


@pytest.mark.parametrize("amount", [0.0, 1e12, -1e12])
def test_amounts_up_to_1e12_are_accepted(amount: float) -> None:
    assert amount_problem(amount) is None


@pytest.mark.parametrize("amount", [1.0000001e12, -1.0000001e12, float("inf"), float("nan")])
def test_larger_amounts_and_what_is_no_number_are_refused(amount: float) -> None:
    assert str(amount_problem(amount, "balance")).startswith(
        "expected balance within 1e12 of the base currency, found "
    )


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_the_base_currency_and_those_with_a_rate_are_accepted(currency: str) -> None:
    assert currency_problem(currency, BANK) is None


@pytest.mark.parametrize("currency", ["", "usd", "XXX", "x" * 1000])
def test_other_currencies_are_refused_with_those_that_are_known(currency: str) -> None:
    problem = str(currency_problem(currency, BANK))
    assert problem.startswith("expected one of the currencies CHF, CNY, EUR, GBP, USD, found ")
    assert len(problem) < 100


@pytest.mark.parametrize("name", [b"x", b"x" * 256, "é".encode() * 128, b"\x01", b" "])
def test_ids_of_1_to_256_bytes_are_accepted(name: bytes) -> None:
    assert id_problem(name, "customer_id") is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (b"", "0 bytes"),
        (b"x" * 257, "257 bytes"),
        ("é".encode() * 129, "258 bytes"),
        (b"a\0b", "a NUL in it"),
        (b"\0", "a NUL in it"),
        (b"x" * 300 + b"\0", "301 bytes"),
    ],
)
def test_other_ids_are_refused(name: bytes, found: str) -> None:
    assert id_problem(name, "customer_id") == f"expected customer_id of 1 to 256 bytes without NUL, found {found}"
