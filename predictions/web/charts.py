"""Geometry of the drawings: pure functions from numbers to coordinates. Templates draw them, and the style sheet gives
their colours. Coordinates are in units of a drawing that is `WIDTH` wide and `HEIGHT` high, with y downwards."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictions.web.formatting import number_text

WIDTH = 100.0
HEIGHT = 40.0


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `low` to `high`. The two must differ."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """The x coordinate of a value. A value beyond an end is drawn at that end."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0.0), 1.0) * WIDTH, 2)

    def y(self, value: float) -> float:
        """The y coordinate of a value on an upright axis, with `low` at the bottom."""
        return round(HEIGHT - self.x(value) / WIDTH * HEIGHT, 2)


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    # The bar as a row of a table: both ends of its bin, and the count.
    low_text: str
    high_text: str
    count: int


def axis_over(values: Sequence[float]) -> Axis | None:
    """The axis that covers all values; None without values, and if they are equal or too far apart for a float."""
    if not values or not 0 < max(values) - min(values) < math.inf:
        return None
    return Axis(min(values), max(values))


def histogram(distribution: Mapping[str, Any], axis: Axis, height: float = HEIGHT) -> list[Bar]:
    """Bars of a distribution in the format of version.json. The highest bar is `height` high."""
    counts, low, high = distribution["counts"], distribution["minimum"], distribution["maximum"]
    step, most = (high - low) / len(counts), max(counts) or 1
    bars = []
    for place, count in enumerate(counts):
        start, end = low + place * step, low + (place + 1) * step
        tall = round(count / most * height, 2)
        left = axis.x(start)
        width = round(axis.x(end) - left, 2)
        bars.append(Bar(left, round(HEIGHT - tall, 2), width, tall, number_text(start), number_text(end), count))
    return bars


@dataclass(frozen=True, slots=True)
class NumberLine:
    """An answer on the axis of the training targets, with their histogram and, if there is one, the interval."""

    bars: list[Bar]
    value_x: float
    band_x: float | None
    band_width: float
    low_text: str
    high_text: str


def number_line(
    value: float,
    interval: Sequence[float] | None,
    target: Mapping[str, Any] | None,
    bounds: Sequence[float | None] = (),
) -> NumberLine | None:
    """An answer on its axis; None if there is no range to draw.

    The axis covers the training targets and the bounds to which intervals are clipped. It is therefore the same for
    all answers of a version, except for an answer or an interval that lies beyond it. Without training targets, the
    axis covers the interval, with a margin of a third of its width on both sides.
    """
    ends = _ends(value, interval, target, bounds)
    axis = axis_over(ends)
    if axis is None:
        return None
    band = [axis.x(end) for end in interval] if interval else None
    return NumberLine(
        bars=histogram(target, axis, HEIGHT * 0.8) if target else [],
        value_x=axis.x(value),
        band_x=band[0] if band else None,
        band_width=round(band[1] - band[0], 2) if band else 0.0,
        low_text=number_text(axis.low),
        high_text=number_text(axis.high),
    )


def _ends(
    value: float, interval: Sequence[float] | None, target: Mapping[str, Any] | None, bounds: Sequence[float | None]
) -> list[float]:
    if target:
        known = [bound for bound in bounds if bound is not None]
        return [target["minimum"], target["maximum"], value, *known, *(interval or [])]
    if not interval:
        return []
    margin = (interval[1] - interval[0]) / 3
    return [interval[0] - margin, interval[1] + margin]


@dataclass(frozen=True, slots=True)
class Strip:
    """The training range of a number as a line. `usual_x` and `usual_width` mark the middle 80 % of the rows."""

    low: float
    high: float
    usual_x: float
    usual_width: float


def strip(low: float, usual_low: float, usual_high: float, high: float) -> Strip | None:
    axis = axis_over([low, high])
    if axis is None:
        return None
    start = axis.x(usual_low)
    return Strip(low, high, start, round(axis.x(usual_high) - start, 2))


def outline(counts: Sequence[int]) -> str:
    """A histogram as one path, for a small drawing: the highest bin is `HEIGHT` high."""
    most, width = max(counts, default=0) or 1, WIDTH / max(len(counts), 1)
    steps = [f"V{HEIGHT - count / most * HEIGHT:.1f}H{(place + 1) * width:.1f}" for place, count in enumerate(counts)]
    return f"M0 {HEIGHT:g}{''.join(steps)}V{HEIGHT:g}Z"


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float


def scatter(pairs: Sequence[Sequence[float]]) -> tuple[Axis, list[Point]] | None:
    """Pairs (across, upwards) on two axes of the same range, so that equal numbers lie on the diagonal."""
    axis = axis_over([value for pair in pairs for value in pair])
    if axis is None:
        return None
    return axis, [Point(axis.x(across), axis.y(upwards)) for across, upwards in pairs]
