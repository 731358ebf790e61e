"""The rank of a number among the training targets, in a sentence."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

# Of fewer targets, a rank is a count: a hundredth of them is less than one.
ENOUGH_FOR_PERCENT = 100


def standing(output: Mapping[str, Any], target: Mapping[str, Any] | None, rows: int, cases: str) -> str:
    """The rank of a number among the training targets; empty for an outside answer, or if they were not counted.

    `target` is the distribution of the targets, `rows` their number and `cases` what they are, in the plural.
    """
    if not target or not rows or output.get("grade") == "outside":
        return ""
    value, counted = output["value"], {"rows": rows, "cases": cases}
    if value < target["minimum"]:
        return gettext("Lower than all %(rows)s %(cases)s in the data.") % counted
    if value > target["maximum"]:
        return gettext("Higher than all %(rows)s %(cases)s in the data.") % counted
    if rows < ENOUGH_FOR_PERCENT:
        return _counted_standing(value, target["percentiles"], rows) % counted
    shares = _shares(value, target["percentiles"])
    share = max(shares)
    return _standing_text(shares.index(share)) % {**counted, "share": share}


def _counted_standing(value: float, percentiles: Sequence[float], rows: int) -> str:
    """The rank as a count. Between two percentiles there may be one more target than is known."""
    counts = _counts(value, percentiles, rows)
    count = max(counts)
    text = (
        gettext("Higher than %(count)s of the %(rows)s %(cases)s in the data."),
        gettext("Lower than %(count)s of the %(rows)s %(cases)s in the data."),
        gettext("The same as %(count)s of the %(rows)s %(cases)s in the data."),
    )[counts.index(count)]
    shown = str(count) if sum(counts) == rows else gettext("at least %(count)s") % {"count": count}
    return text.replace("%(count)s", shown)


def _counts(value: float, percentiles: Sequence[float], rows: int) -> tuple[int, int, int]:
    """How many targets are known to be lower, higher and equal.

    Ordered target number i (from 0) lies at the percentile 100 i / (rows - 1), and the percentiles between two targets
    lie between these (Hyndman & Fan 1996, definition 7). Interpolation may have rounded a percentile.
    """
    close, last = 1e-12 * (percentiles[-1] - percentiles[0]), rows - 1
    low, high = bisect_left(percentiles, value - close), bisect_right(percentiles, value + close)
    lower = (low - 1) * last // 100 + 1 if low else 0
    higher = rows - _ceiling(high * last, 100) if high <= 100 else 0
    equal = (high - 1) * last // 100 - _ceiling(low * last, 100) + 1
    return max(lower, 0), max(higher, 0), max(equal, 0)


def _ceiling(number: int, by: int) -> int:
    return -(-number // by)


def _standing_text(place: int) -> str:
    return (
        gettext("Higher than about %(share)s %% of the %(rows)s %(cases)s in the data."),
        gettext("Lower than about %(share)s %% of the %(rows)s %(cases)s in the data."),
        gettext("The same as about %(share)s %% of the %(rows)s %(cases)s in the data."),
    )[place]


def _shares(value: float, percentiles: Sequence[float]) -> tuple[int, int, int]:
    """How many targets in 100 are lower, higher and equal, each at most 99.

    A number between two percentiles counts the lower share on both sides, so that no share is more than is known.
    """
    low, high = bisect_left(percentiles, value), bisect_right(percentiles, value)
    is_percentile = high - low == 1
    counts = (low, 100 - low, 0) if is_percentile else (low - 1, 100 - high, high - low - 1)
    lower, higher, equal = (min(max(count, 0), 99) for count in counts)
    return lower, higher, equal
