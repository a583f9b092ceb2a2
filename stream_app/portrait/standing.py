"""How recent, how frequent and how much: a customer's figures beside the population that was learned from."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from schemas.portrait import Standing
from schemas.spec import Spec
from stream_app.portrait.reading import Reading, plain

FIFTHS: Final = 5
_SILENCE: Final = "own_silence_h"


def compared(spec: Spec) -> tuple[str, str, str]:
    """Return the features of recency, frequency and money: those of the longest window of days that the spec has."""
    longest = spec.window_days[-1]
    return _SILENCE, f"count_{longest}d", f"out_{longest}d"


def recency(reading: Reading, population: dict[str, tuple[float, ...]]) -> Standing:
    """Return how recently the customer was active: the less silence, the better."""
    percents = population.get(_SILENCE, ())
    beaten = len(percents) - bisect_right(percents, reading.precise(_SILENCE))
    percent, fifth = _place(beaten, percents)
    days = plain(reading[_SILENCE] / 24) if reading["own_count"] else None
    return Standing(feature=_SILENCE, value=days, percent=percent, fifth=fifth)


def frequency(reading: Reading, population: dict[str, tuple[float, ...]]) -> Standing:
    """Return how often something happened in the longest window."""
    return _in_window(reading, compared(reading.layout.spec)[1], population)


def monetary(reading: Reading, population: dict[str, tuple[float, ...]]) -> Standing:
    """Return how much the customer spent in the longest window."""
    return _in_window(reading, compared(reading.layout.spec)[2], population)


def _in_window(reading: Reading, feature: str, population: dict[str, tuple[float, ...]]) -> Standing:
    percents = population.get(feature, ())
    percent, fifth = _place(bisect_left(percents, reading.precise(feature)), percents)
    span = reading.layout.spec.window_days[-1]
    return Standing(feature=feature, value=reading[feature], span_days=span, percent=percent, fifth=fifth)


def _place(beaten: int, percents: Sequence[float]) -> tuple[int | None, int | None]:
    """Return percent and fifth from how many of the 99 percentiles a figure is better than.

    A figure that many share is better than none of them: who spends nothing is in the last fifth, however many do.
    """
    if not percents:
        return None, None
    return beaten, min(beaten * FIFTHS // 100 + 1, FIFTHS)
