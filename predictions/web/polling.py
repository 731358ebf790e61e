"""When a page polls again: the server chooses the delay and limits the number of attempts."""

import random

from django.conf import settings
from django.http import HttpRequest

FIRST_MS = 100
LONGEST_MS = 5000
GROWTH = 1.5
JITTER = 0.2
# A poll waits for the result this long at most, if its process has a free place for a waiting request. Most results
# then need one poll.
HOLD_SECONDS = 1.0
# From attempt SLOW on, a page says how many predictions are queued before its own. The count stops at MOST_AHEAD.
SLOW = 2
MOST_AHEAD = 1000

_spread = random.Random()  # noqa: S311 - spreads load; no secret depends on it


def attempt_of(request: HttpRequest) -> int:
    """The number in `?attempt=`, at most `POLL_ATTEMPTS`; 0 if it is not a number."""
    text = request.GET.get("attempt", "")
    return min(int(text), settings.POLL_ATTEMPTS) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def is_capped(attempt: int) -> bool:
    return attempt >= settings.POLL_ATTEMPTS


def delay_ms(attempt: int, expected_ms: float) -> int:
    """Milliseconds until the next poll: the expected time of the answer, longer with each attempt, with jitter."""
    delay = min(max(FIRST_MS, expected_ms) * GROWTH ** min(attempt, 20), LONGEST_MS)
    return round(delay * _spread.uniform(1 - JITTER, 1 + JITTER))
