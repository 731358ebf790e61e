"""Numbers, shares and times as texts for people. `number_input.read_number` reads every number that is written here."""

import math
import re
from datetime import timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

from django.utils.formats import get_format
from django.utils.translation import gettext

from predictions.serving.schema.estimates import estimate_text

DIGITS = 4
MINUS = "\N{MINUS SIGN}"
GROUP = "\N{NARROW NO-BREAK SPACE}"
# A whole part with at least this many digits is written in groups of three (ISO 80000-1 leaves four digits together).
GROUPED_FROM = 5
# Numbers outside this range are written with powers of ten. Otherwise a reader would have to count zeros.
SMALLEST, LARGEST = 1e-4, 1e15
# Any float rounded to any place of a float: the places go from 308 to -324.
EXACT = Context(prec=700)


def decimal_mark() -> str:
    """The decimal mark of the reader's language: a point or a comma."""
    mark: str = get_format("DECIMAL_SEPARATOR")
    return mark


def with_decimal_mark(text: str) -> str:
    """Put the reader's decimal mark into a text that begins with a number written with a point."""
    return re.sub(r"^([^\d.]?\d+)\.(?=\d)", rf"\1{decimal_mark()}", text)


def number_text(value: float) -> str:
    """Four significant digits, or all digits of a large whole part, with a typographic minus sign."""
    if value != 0 and not SMALLEST <= abs(value) < LARGEST:
        return _power_text(f"{value:.{DIGITS - 1}e}")
    whole = math.floor(math.log10(abs(value))) + 1 if value else 1
    return _plain_text(f"{value:.{max(DIGITS - whole, 0)}f}")


def exact_text(value: float) -> str:
    """All digits that were given: reading the text again gives the same float."""
    if value != 0 and not SMALLEST <= abs(value) < LARGEST:
        return _power_text(repr(float(value)) if "e" in repr(float(value)) else f"{Decimal(repr(value)):e}")
    return _plain_text(f"{Decimal(repr(value)):f}")


def precise_text(value: float) -> str:
    """Ten significant digits. They tell two numbers apart that differ by more than errors of rounding."""
    return exact_text(float(f"{value:.10g}"))


def apart_texts(one: float, other: float) -> tuple[str, str]:
    """Two numbers as texts that differ if the numbers do."""
    rounded = number_text(one), number_text(other)
    return rounded if rounded[0] != rounded[1] else (precise_text(one), precise_text(other))


def rounded_text(value: float, place: int, rounding: str = ROUND_HALF_EVEN) -> str:
    """Rounded to a power of ten: `place` is its exponent, 1 for tens, -2 for hundredths."""
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(place), rounding, EXACT)
    if abs(value) < LARGEST and place >= -12:
        return _plain_text(f"{rounded:f}", keep_zeros=True)
    if rounded and not SMALLEST <= abs(rounded) < LARGEST:
        return _power_text(f"{rounded.normalize(EXACT):e}")
    return _plain_text(f"{rounded:f}")


def interval_text(value: float, low: float, high: float) -> tuple[str, str, str]:
    """A value and both ends of its interval, rounded to the digits that the width of the interval makes meaningful.

    Their last digit has the place of the first digit of a quarter of the width. The interval is rounded outwards, so
    that it contains the exact interval. At a coarser place it could become twice as wide.
    """
    if not high > low:
        return number_text(value), number_text(low), number_text(high)
    place = ((Decimal(repr(high)) - Decimal(repr(low))) / 4).adjusted()
    return (
        rounded_text(value, place),
        rounded_text(low, place, ROUND_FLOOR),
        rounded_text(high, place, ROUND_CEILING),
    )


def _plain_text(text: str, *, keep_zeros: bool = False) -> str:
    whole, _, fraction = text.removeprefix("-").partition(".")
    fraction = fraction if keep_zeros else fraction.rstrip("0")
    digits = f"{int(whole):,}".replace(",", GROUP) if len(whole) >= GROUPED_FROM else whole
    written = f"{digits}{decimal_mark()}{fraction}" if fraction else digits
    is_negative = text.startswith("-") and written.strip("0.,") != ""
    return f"{MINUS}{written}" if is_negative else written


def _power_text(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".").replace(".", decimal_mark())
    return f"{mantissa}e{int(exponent)}".replace("-", MINUS)


def percent_text(share: float, digits: int = 0) -> str:
    """Only a share of nothing is written as 0 %, and only a share of all as 100 %."""
    text, least = fixed_text(share * 100, digits), 10.0**-digits
    if share > 0 and text == fixed_text(0, digits):
        return f"< {fixed_text(least, digits)} %"
    if share < 1 and text == fixed_text(100, digits):
        return f"> {fixed_text(100 - least, digits)} %"
    return f"{text} %"


def score_text(value: float) -> str:
    """A score whose best value is 1. Only 1 itself is written as 1."""
    text = number_text(value)
    return f"> {number_text(0.9999)}" if value < 1 and text == number_text(1) else text


def fixed_text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace(".", decimal_mark())


def probability_text(share: float) -> str:
    """One decimal. No probability is shown as certain, nor as impossible."""
    return estimate_text(share, lambda one: percent_text(one, 1))


def frequency_text(share: float) -> str:
    """A share as a natural frequency, to the nearest 5 in 100. Below 5 and above 95 in 100 the text says only that."""
    if share > 0.95:
        return gettext("more than 95 in 100")
    if share < 0.05:
        return gettext("fewer than 5 in 100")
    hundredths = round(share * 20) * 5
    if hundredths % 10 == 0 and hundredths > 10:
        return gettext("about %(count)s in 10") % {"count": hundredths // 10}
    return gettext("about %(count)s in 100") % {"count": hundredths}


def range_text(low: str, high: str) -> str:
    return gettext("%(low)s to %(high)s") % {"low": low, "high": high}


def share_text(right: int, of: int, most: int | None = None) -> str:
    """A counted share with its 95 % interval: "164 of 171 (92-98 %)", with an en dash.

    Where the count is only known to be from `right` to `most`, both are said, and the interval holds for either:
    "52 to 60 of 112 (37-63 %)".
    """
    if not of:
        return count_of_text(0, 0)
    counted = str(right) if most in (None, right) else range_text(str(right), str(most))
    shown = {"right": counted, "of": of, "interval": share_interval_text(right, of, most)}
    return gettext("%(right)s of %(of)s (%(interval)s)") % shown


def count_of_text(right: int, of: int) -> str:
    return gettext("%(right)s of %(of)s") % {"right": right, "of": of}


def share_interval_text(right: int, of: int, most: int | None = None) -> str:
    low, high = percent_ends(*share_interval(right, of, most))
    return f"{low}\N{EN DASH}{high} %"


def percent_ends(low: float, high: float) -> tuple[int, int]:
    """The interval of a share in whole percent. No share is shown as surely all, nor as surely nothing."""
    return min(round(low * 100), 99), max(round(high * 100), 1)


def duration_text(duration: timedelta) -> str:
    """The unit fits the rounded number: 0.9996 s is 1.0 s and not 1000 ms."""
    seconds = max(duration.total_seconds(), 0.0)
    if (milliseconds := round(seconds * 1000)) < 1000:
        return f"{milliseconds} ms"
    if round(seconds, 1) < 120:
        return f"{fixed_text(round(seconds, 1), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{round(seconds / 3600)} h"


def share_interval(right: int, of: int, most: int | None = None) -> tuple[float, float]:
    """The 95 % interval of a counted share. If the count may be up to `most`, the interval holds for each count."""
    return wilson_interval(right, of)[0], wilson_interval(right if most is None else most, of)[1]


def wilson_interval(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `right` out of `of` were counted (Wilson 1927); `of` is above zero."""
    z = 1.959964
    share, weight = right / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt((share * (1 - share) + weight / 4) / of)
    return max(middle - half, 0.0), min(middle + half, 1.0)
