"""Draws a chart as SVG whose colours are the page's, by classes: one picture is light and dark."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.arrays import Floats
from training.report.markup import Html, tag

WIDTH: Final = 320.0
HEIGHT: Final = 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 10.0, 8.0, 36.0
_RADIUS: Final = 3.0
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)
_ROUNDING: Final = 1e-9


def plain(value: float) -> str:
    """Write a number of a scale as it is."""
    return f"{value:g}"


def share(value: float) -> str:
    """Write a share of a scale in percent."""
    return f"{100 * value:g} %"


def short(value: float) -> str:
    """Write a large number of a scale with k, M or G."""
    for power, unit in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10**power:
            return f"{value / 10**power:.3g}{unit}"
    return f"{value:.3g}"


@dataclass(frozen=True)
class Axis:
    """A linear scale: what it measures, from where to where, and how its numbers are written.

    ``marks`` are the places that are written, by default round numbers.
    """

    label: str
    low: float = 0.0
    high: float = 1.0
    form: Callable[[float], str] = plain
    marks: tuple[tuple[float, str], ...] | None = None

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Return the places that are written, and what is written there."""
        if self.marks is not None:
            return self.marks
        step = round_step(self.high - self.low)
        first, last = math.ceil(self.low / step - _ROUNDING), math.floor(self.high / step + _ROUNDING)
        return tuple((k * step, self.form(round(k * step, 12))) for k in range(first, last + 1))

    def place(self, values: Floats, start: float, end: float) -> Floats:
        """Return where values lie if the scale goes from ``start`` to ``end``; what is beyond lies at the edge."""
        inside = (values - self.low) / (self.high - self.low)
        return start + np.clip(inside, 0.0, 1.0) * (end - start)


def round_step(span: float, most: int = 5) -> float:
    """Return the smallest round step that makes at most ``most`` steps of a span."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(step * power for step in _STEPS if span / (step * power) <= most + _ROUNDING)


def up_to(value: float, label: str, form: Callable[[float], str] = plain) -> Axis:
    """Return a scale from 0 to the next round number at or above a value."""
    span = value if value > 0.0 else 1.0
    step = round_step(span)
    return Axis(label, 0.0, step * math.ceil(span / step - _ROUNDING), form)


class Chart:
    """A picture that grows by marks: each has a class, which decides its colour, and a text that a pointer shows."""

    def __init__(self, x: Axis, y: Axis) -> None:
        self._x, self._y = x, y
        self._marks: list[Html] = []

    def line(self, points: Floats, class_: str, said: str = "") -> None:
        """Add a line through points, float64 [k, 2]."""
        places = " ".join(f"{a:.1f},{b:.1f}" for a, b in self._places(points))
        self._marks.append(tag("polyline", *_told(said), class_=f"line {class_}", points=places))

    def dots(self, points: Floats, class_: str, said: Iterable[str]) -> None:
        """Add dots at points, float64 [k, 2], and what each says."""
        for (a, b), text in zip(self._places(points), said, strict=True):
            dot = tag("circle", *_told(text), class_=f"dot {class_}", cx=f"{a:.1f}", cy=f"{b:.1f}", r=_RADIUS)
            self._marks.append(dot)

    def spans(self, spans: Floats, class_: str) -> None:
        """Add upright lines, float64 [k, 3]: x, and y from and to."""
        for (a, low), (_, high) in zip(self._places(spans[:, [0, 1]]), self._places(spans[:, [0, 2]]), strict=True):
            self._marks.append(tag("path", class_=f"span {class_}", d=f"M{a:.1f} {low:.1f}V{high:.1f}"))

    def bars(self, bars: Floats, class_: str, said: Iterable[str]) -> None:
        """Add bars that stand on the ground, float64 [k, 3]: x from and to, and height, and what each says."""
        ground = HEIGHT - _BOTTOM
        starts, ends = self._places(bars[:, [0, 2]]), self._places(bars[:, [1, 2]])
        for (a, top), (b, _), text in zip(starts, ends, said, strict=True):
            size = {"width": f"{b - a:.1f}", "height": f"{ground - top:.1f}"}
            self._marks.append(tag("rect", *_told(text), class_=f"bar {class_}", x=f"{a:.1f}", y=f"{top:.1f}", **size))

    def svg(self, alt: str) -> Html:
        """Return the picture; ``alt`` says what it shows."""
        view = f"0 0 {WIDTH:g} {HEIGHT:g}"
        return tag("svg", *self._grid(), *self._marks, class_="chart", viewBox=view, role="img", aria_label=alt)

    def _places(self, points: Floats) -> Floats:
        x = self._x.place(points[:, 0], _LEFT, WIDTH - _RIGHT)
        return np.column_stack([x, self._y.place(points[:, 1], HEIGHT - _BOTTOM, _TOP)])

    def _grid(self) -> Iterable[Html]:
        ground, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
        for value, text in self._y.ticks:
            y = float(self._y.place(np.array(value), ground, _TOP))
            yield tag("path", class_="grid", d=f"M{_LEFT:g} {y:.1f}H{right:g}")
            yield tag("text", text, class_="tick end", x=_LEFT - 5, y=f"{y + 3.5:.1f}")
        for value, text in self._x.ticks:
            x = float(self._x.place(np.array(value), _LEFT, right))
            yield tag("path", class_="axis", d=f"M{x:.1f} {ground:g}v3")
            yield tag("text", text, class_="tick", x=f"{x:.1f}", y=ground + 14)
        yield tag("path", class_="axis", d=f"M{_LEFT:g} {ground:g}H{right:g}")
        yield tag("text", self._x.label, class_="label", x=(_LEFT + right) / 2, y=HEIGHT - 5)
        turned = f"translate(10 {(ground + _TOP) / 2:g}) rotate(-90)"
        yield tag("text", self._y.label, class_="label", transform=turned)


def key(class_: str) -> Html:
    """Return a short piece of a line, for a legend; upright if it is a span."""
    line = tag("path", class_=f"line {class_}", d="M15 0V10" if "span" in class_ else "M2 5H28")
    return tag("svg", line, class_="key", viewBox="0 0 30 10", aria_hidden="true")


def legend(keys: Iterable[tuple[str, str]]) -> Html:
    """Return a legend from pairs of class and name."""
    return tag("ul", *(tag("li", key(class_), name) for class_, name in keys), class_="legend")


def _told(text: str) -> tuple[Html, ...]:
    return (tag("title", text),) if text else ()
