"""Statistics of the measurements."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil, floor, log10, nan
from statistics import median
from typing import Any

# Numbers of connections: the load with CROWD connections is compared with the load with BESIDE_CROWD connections.
BESIDE_CROWD, CROWD = 256, 1000


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; NaN without values."""
    if not values:
        return nan
    return sorted(values)[max(ceil(share * len(values)), 1) - 1]


@dataclass(frozen=True)
class LoadResult:
    """The result of one load on one service. Times are in milliseconds.

    `lost` counts accepted predictions without an answer. `errors` counts refusals, broken connections and predictions
    that failed.
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


def median_of_known(values: Sequence[float | None]) -> float | None:
    """The median over the rounds that have this value; None if no round has it."""
    known = [value for value in values if value is not None and value == value]
    return median(known) if known else None


def median_ratio(above: Sequence[float | None], below: Sequence[float | None]) -> float | None:
    """The median of the ratios of each round. Within a round the machine is in about the same state for both sides."""
    pairs = zip(above, below, strict=True)
    return median_of_known([a / b if a is not None and b else None for a, b in pairs])


def significant(value: float | None, digits: int = 2) -> str:
    """Format a number >= 0 with significant digits: 0.123 → 0.12, 12.34 → 12, 1234.5 → 1,234; None and NaN → a dash."""
    if value is None or value != value:
        return "-"
    before_point = floor(log10(value)) + 1 if value else 1
    return f"{value:,.{max(digits - before_point, 0)}f}"
