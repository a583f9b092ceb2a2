"""What the demo says of dates, amounts, events and ids, on one line each and safe for a terminal."""

from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.messages import Customer, Record, Transaction
from schemas.spec import Spec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = 1000.0
_LARGE: Final = 100_000.0


def safe(text: str) -> str:
    """Return text of which no character steers the terminal: what does is shown as its code."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def date(time_ms: int) -> str:
    """Return the day of an event time, such as ``12 Aug 2023``."""
    return f"{day(time_ms)} {_moment(time_ms):%Y}"


def day(time_ms: int) -> str:
    """Return the day of an event time without its year, such as ``12 Aug``."""
    return f"{_moment(time_ms):%d %b}"


def money(amount: float, currency: str) -> str:
    """Return an amount without its sign; large ones without cents."""
    size = abs(amount)
    return f"{size:,.0f} {currency}" if size >= _LARGE else f"{size:,.2f} {currency}"


def span(seconds: float) -> str:
    """Return a time as people tell it: ``8 s``, ``1:52``."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d}"  # noqa: PLR2004  (seconds of a minute)


def latency(ms: float) -> str:
    """Return a latency with as many digits as mean something."""
    return f"{ms / _MS:.1f} s" if ms >= _MS else f"{ms:.0f} ms"


def event(record: Record, spec: Spec) -> str:
    """Return what a record tells of its customer in plain words; nothing where it is no fact about one."""
    if isinstance(record, Transaction):
        return _moved(record, spec)
    if isinstance(record, Customer):
        return "the bank was told new facts"
    return ""


def _moved(record: Transaction, spec: Spec) -> str:
    amount = money(record.amount, safe(record.currency or spec.currency))
    kind = safe(record.type.replace("_", " "))
    by_bank = any(item.name == record.type and item.initiator == "bank" for item in spec.types)
    if by_bank:
        return f"the bank {'credited' if record.amount > 0 else 'took'} {amount}: {kind}"
    return f"received {amount}: {kind}" if record.amount > 0 else f"paid {amount}: {kind}"


def _moment(time_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=time_ms)
