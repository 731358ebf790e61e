"""When a page asks again: the server steers the delay and caps the number of attempts."""

import random

from django.conf import settings
from django.http import HttpRequest

FIRST_MS = 100
LONGEST_MS = 5000
GROWTH = 1.5
JITTER = 0.2
# A poll is held for so long at most, if a place to wait is free: most results then need one poll.
HOLD_SECONDS = 1.0

_spread = random.Random()  # noqa: S311 - spreads load, guards nothing; the process's own generator stays untouched


def attempt_of(request: HttpRequest) -> int:
    """`?attempt=`, or 0 for what is no number."""
    text = request.GET.get("attempt", "")
    return min(int(text), settings.POLL_ATTEMPTS) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def is_capped(attempt: int) -> bool:
    return attempt >= settings.POLL_ATTEMPTS


def delay_ms(attempt: int, expected_ms: float) -> int:
    """Milliseconds until the next poll: what the answer is expected to take, longer each time, never in step."""
    delay = min(max(FIRST_MS, expected_ms) * GROWTH ** min(attempt, 20), LONGEST_MS)
    return round(delay * _spread.uniform(1 - JITTER, 1 + JITTER))
