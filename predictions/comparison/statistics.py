"""95 % intervals of the measurements of a comparison. Too few values give no interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

# With fewer cases, a page gives the counts and no verdict.
ENOUGH = 30
_Z = NormalDist().inv_cdf(0.975)


def is_one_sided(one: int, other: int) -> bool:
    """Whether two counts differ too much for chance, by the exact two-sided sign test at 5 % (McNemar 1947).

    If both sides are as likely, a case falls on the first one as heads do in a toss of a coin.
    """
    of = one + other
    as_far = 2 * sum(math.comb(of, count) for count in range(max(one, other), of + 1))
    return 20 * as_far <= 1 << of


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its 95 % interval, None where there are too few values for one."""

    value: float
    low: float | None
    high: float | None
    of: int


def median_of(values: Sequence[float]) -> Measured:
    """The median, with an interval from two order statistics for any distribution (Conover 1999, section 3.2)."""
    ordered, of = sorted(values), len(values)
    half = _Z * math.sqrt(of) / 2
    low, high = math.floor(of / 2 - half), math.ceil(of / 2 + half)
    if low < 1 or high > of - 1:
        return Measured(median(ordered), None, None, of)
    return Measured(median(ordered), ordered[low - 1], ordered[high], of)
