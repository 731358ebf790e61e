"""Numbers, shares and times as people read them."""

import math
from datetime import timedelta

DIGITS = 4
MINUS = "\N{MINUS SIGN}"


def number_text(value: float) -> str:
    """Four significant digits, with a true minus; powers of ten only where zeros would be counted."""
    if value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{DIGITS - 1}e}".replace("-", MINUS)
    whole = math.floor(math.log10(abs(value))) + 1 if value else 1
    text = f"{value:.{max(DIGITS - whole, 0)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS)


def exact_text(value: float) -> str:
    """All digits that were given."""
    return f"{value:.15g}".replace("-", MINUS)


def percent_text(share: float, digits: int = 0) -> str:
    return f"{share * 100:.{digits}f} %"


def probability_text(share: float) -> str:
    """One decimal; what is not quite certain is not shown as certain."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return percent_text(share, 1)


def duration_text(duration: timedelta) -> str:
    seconds = max(duration.total_seconds(), 0.0)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
