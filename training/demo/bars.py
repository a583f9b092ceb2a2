"""Numbers as rows of characters."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_LEVELS: Final = 8


def bar(share: float, width: int) -> str:
    """Return a bar, filled up to a share."""
    filled = round(min(max(share, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def curve(values: Sequence[float | None], height: int, top: float) -> list[str]:
    """Return a curve over so many lines, the highest first; None is a gap.

    Args:
        values: one for each column.
        height: lines.
        top: the value that fills all of them.
    """
    levels = [None if value is None else _level(value, height * _LEVELS, top) for value in values]
    return ["".join(_cell(level, line * _LEVELS) for level in levels) for line in reversed(range(height))]


def columns(points: Sequence[tuple[int, float]], span: tuple[int, int], now: int, width: int) -> list[float | None]:
    """Return the last value in each of so many equal parts of a span, carried on up to now; None before the first."""
    first, last = span
    step = max(last - first, 1) / width
    edges = [first + step * number for number in range(width + 1)]
    found, at, value = list[float | None](), 0, None
    for begin, end in pairwise(edges):
        while at < len(points) and (points[at][0] < end or end == edges[-1]):
            value = points[at][1]
            at += 1
        found.append(value if begin <= now else None)
    return found


def _level(value: float, most: int, top: float) -> int:
    share = min(max(value / top, 0.0), 1.0) if top > 0 else 0.0
    return max(1, round(share * most))


def _cell(level: int | None, below: int) -> str:
    return " " if level is None else _EIGHTHS[min(max(level - below, 0), _LEVELS)]
