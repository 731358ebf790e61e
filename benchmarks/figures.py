"""From measurements to the few numbers that are shown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, log10, nan
from statistics import median
from typing import Any


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed; NaN of nothing."""
    if not values:
        return nan
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


@dataclass(frozen=True)
class Cell:
    """One load on one service: what it carried, and how long an answer took, in milliseconds.

    `lost` were accepted and never answered; `errors` were refused, broken off, or reported as failed.
    """

    right: int
    wrong: int
    lost: int
    errors: int
    per_second: float
    p50: float
    p90: float
    p99: float
    requests_per_answer: float
    first_error: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def middle(values: Sequence[float | None]) -> float | None:
    """The median over the rounds that have the figure."""
    known = [value for value in values if value is not None and value == value]
    return median(known) if known else None


def middle_ratio(above: Sequence[float | None], below: Sequence[float | None]) -> float | None:
    """The median of the ratios round by round: both sides of one round saw the machine in about the same state."""
    pairs = zip(above, below, strict=True)
    return middle([a / b if a is not None and b else None for a, b in pairs])


def significant(value: float | None, digits: int = 2) -> str:
    """A number as a reader wants it, of 0 or more: 0.123 → 0.12, 12.34 → 12, 1234.5 → 1,234; a dash for none."""
    if value is None or value != value:
        return "-"
    before_point = floor(log10(value)) + 1 if value else 1
    return f"{value:,.{max(digits - before_point, 0)}f}"
